from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.transfers.multipart import PartTry
from cos_inspect.transfers.stored_parts import counting_try, joined
from tests.transfers.build import crc64


def _part(number: int, data: bytes, **more: object) -> PartTry:
    fields: dict[str, object] = {
        "flow_id": f"p{number}",
        "started": float(number),
        "ended": number + 0.5,
        "number": number,
        "stored": True,
        "size": len(data),
        "crc64": crc64(data),
    }
    return PartTry(**(fields | more))  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_parts_make_the_whole(chunks: list[bytes]) -> None:
    parts = [_part(number, data) for number, data in enumerate(chunks, 1)]
    assert joined(iter(parts)) == crc64(b"".join(chunks))
    assert joined(iter([*parts, None])) is None
    assert joined(iter([*parts, _part(9, b"x", size=None)])) is None


def test_the_last_stored_try_counts() -> None:
    first = _part(1, b"a", flow_id="a")
    again = _part(1, b"b", flow_id="b", started=5.0, ended=6.0)
    assert counting_try({"a": first, "b": again}, None) is again
    lost = _part(1, b"c", flow_id="c", started=7.0, ended=8.0, stored=False, unanswered=True)
    assert counting_try({"a": first, "c": lost}, None) is None
