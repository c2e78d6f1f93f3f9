"""What exchanges repeat of their secrets is masked in what is said of several."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.known_secrets import mask_of
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.inspection.repeated_secrets import RepeatedSecrets

VALUES = [f"correcthorse{number:04d}".encode() for number in range(12)]


def repeated(numbers: list[int], most: int) -> RepeatedSecrets:
    secrets = RepeatedSecrets(most)
    for number in numbers:
        secrets.add(((VALUES[number], mask_of(VALUES[number])),))
    return secrets


@given(st.lists(st.integers(0, len(VALUES) - 1)), st.integers(1, 5))
def test_those_that_were_repeated_last_are_masked(numbers: list[int], most: int) -> None:
    known = repeated(numbers, most).known
    last = list(dict.fromkeys(reversed(numbers)))[:most]
    assert (known is None) is (not numbers)
    for number, value in enumerate(VALUES):
        text = f"the flow says {value.decode()}"
        shown = Redactor(others=known).text(text)
        assert (shown == f"the flow says {mask_of(value)}") is (number in last)
        assert (shown == text) is (number not in last)


def test_what_is_known_already_is_not_learnt_anew() -> None:
    secrets = repeated([1, 2], 4)
    known = secrets.known
    secrets.add(((VALUES[1], mask_of(VALUES[1])),))
    assert secrets.known is known
