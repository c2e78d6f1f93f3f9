"""What was repeated is found again by its trace alone, wherever it stands, and nothing else is."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.echo_traces import found_by, traces_of
from cos_inspect.inspection.escapes import encoded
from cos_inspect.model.exchange import EchoTrace
from tests.growth import assert_linear

WORDS = st.text(st.characters(exclude_characters="\n"), min_size=8, max_size=60)


@given(
    st.dictionaries(
        WORDS, st.sampled_from(["[masked:1a2b3c4d]", "[masked:00000000]"]), min_size=1, max_size=5
    ),
    st.lists(st.text(max_size=30), max_size=5),
)
def test_what_stands_there_is_found(repeated: dict[str, str], others: list[str]) -> None:
    traces = traces_of(repeated, "1")
    texts = [*others, *(f"{other}{piece}!" for other, piece in zip(others, repeated, strict=False))]
    found = set(found_by(traces, texts))
    held = encoded("\n".join(texts))
    assert found == {(encoded(p), mask) for p, mask in repeated.items() if encoded(p) in held}
    plain = msgspec.json.encode(traces).decode()
    for piece in repeated:
        assert piece not in plain


def test_equal_secrets_of_two_flows_leave_different_traces() -> None:
    one, other = (traces_of({"a-long-secret": "[masked:1a2b3c4d]"}, f"{n}")[0] for n in range(2))
    assert one.digest != other.digest


@pytest.mark.parametrize("size", [-1, 0, 7, 10**9, 10**30])
@pytest.mark.parametrize("salt", ["", "x" * 5000, "é"])
def test_traces_may_be_anything(size: int, salt: str) -> None:
    trace = EchoTrace(size=size, check=0, salt=salt, digest="é", mask="[masked:1a2b3c4d]")
    assert list(found_by([trace] * 100, ["abc" * 1000, ""])) == []


def test_nothing_but_a_mask_is_put_in_the_place_of_what_is_found() -> None:
    assert list(found_by(traces_of({"a-long-secret": "<b>"}, "1"), ["a-long-secret"])) == []


def test_time_grows_with_the_texts() -> None:
    traces = traces_of({"a-long-secret": "[masked:1a2b3c4d]"}, "1")

    def work_of(size: int) -> Callable[[], object]:
        texts = [f"{number:08d}" for number in range(size // 8)]
        return lambda: list(found_by(traces, texts))

    assert_linear(work_of, 4000, 64_000)
