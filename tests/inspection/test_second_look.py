"""What everything that was seen of an object says of one of its flows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.inspection.second_look import Revision, revision_of
from cos_inspect.transfers.history import ObjectHistory
from cos_inspect.transfers.multipart import SMALLEST_PART
from cos_inspect.transfers.observation import Observation
from tests.transfers.build import complete, crc64, failure, list_parts, md5, part, seen

NUMBERS = [1, 2, 3, 10_001]
PIECES = [b"small", b"another", bytes(SMALLEST_PART)]


@st.composite
def exchanges_of_an_upload(draw: st.DrawFn) -> list[Observation]:
    """Parts, lists of stored parts and Completes, in any order of arrival and of time."""
    made: list[Observation] = []
    moments = draw(st.permutations(range(8)))
    for at in moments[: draw(st.integers(2, 8))]:
        kind = draw(st.sampled_from(["part", "part", "part", "list", "complete"]))
        numbers = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=4))
        data = draw(st.sampled_from(PIECES))
        name = f"{kind}-{at}"
        if kind == "part":
            how = draw(st.sampled_from([{}, {}, failure(503, "SlowDown"), {"status": None}]))
            made.append(seen(part(name, numbers[0], data, float(at), **how)))
        elif kind == "list":
            size = len(draw(st.sampled_from(PIECES)))
            told = [(number, md5(data), size) for number in sorted(set(numbers))]
            made.append(seen(list_parts(told, float(at), flow_id=name)))
        else:
            listed = [(number, md5(draw(st.sampled_from(PIECES)))) for number in numbers]
            how = draw(st.sampled_from([{}, {}, failure(400, "InvalidPart"), {"status": None}]))
            whole = crc64(data) if not how else None
            made.append(seen(complete(name, listed, whole, float(at), **how)))
    return made


@settings(max_examples=300, deadline=None)
@given(exchanges_of_an_upload())
def test_what_an_exchange_changes_is_told(made: list[Observation]) -> None:
    """Live, only the flows that are named are looked at again."""
    history = ObjectHistory.of(made[0])
    before: dict[str, Revision] = {}
    for at, one in enumerate(made, start=1):
        touched = history.add(one) | history.settle()
        now = {each.flow_id: revision_of(history, each) for each in made[:at]}
        assert {name for name, revision in before.items() if now[name] != revision} <= touched
        before = now
