"""What a body's export says of it is weighed: it is the wire's, or nothing is said of it."""

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.exports.exported_body import (
    ExportedBody,
    announced_length,
    is_chunked,
    marks_of,
    met_body,
)
from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.digests import crc64
from cos_inspect.model.exchange import BodyEnd
from cos_inspect.model.headers import Headers
from tests.saved.exports.archives import chunked, digests

PLAN = DigestPlan(md5=True, crc64=True, sample=10)


def held(data: bytes, size: int = 7, **more: object) -> ExportedBody:
    def content() -> list[bytes]:
        return [data[at : at + size] for at in range(0, len(data), size)]

    return ExportedBody(content=content, **more)  # type: ignore[arg-type]


@given(
    body=st.binary(max_size=60),
    kept=st.binary(max_size=60),
    length=st.none() | st.integers(0, 60),
    announced=st.none() | st.integers(0, 60),
    framed=st.booleans(),
    flags=st.fixed_dictionaries(
        {name: st.booleans() for name in ("keeps_wire", "ended", "dropped", "decoded")}
    ),
)
def test_only_what_passed_is_complete(
    body: bytes,
    kept: bytes,
    length: int | None,
    announced: int | None,
    framed: bool,
    flags: dict[str, bool],
) -> None:
    """Whatever a program says: what is called complete has the length that was announced, or the
    digest that the answer names."""
    fields = [("Transfer-Encoding", "chunked")] if framed else []
    if announced is not None and not framed:
        fields.append(("Content-Length", str(announced)))
    answer = Headers(digests(body).items())
    found = met_body(
        held(kept, length=length, **flags), Headers(fields), PLAN, may_have=True, answer=answer
    )
    if found.end is BodyEnd.COMPLETE and found.crc64 != crc64(body):
        assert not flags["dropped"]
        assert not flags["decoded"]
        assert (
            found.size in (announced, length)
            or (framed and flags["keeps_wire"])
            or (flags["keeps_wire"] and flags["ended"])
        )
    if found.end is BodyEnd.NOT_CAPTURED:
        assert found.size is None
    if found.end is BodyEnd.RE_ENCODED:
        assert (found.md5, found.crc64) == (None, None)
    if found.end is BodyEnd.CUT:
        assert flags["keeps_wire"]
        assert flags["ended"]


def test_marks() -> None:
    body = b"0123456789" * 9
    plain = Headers([("Content-Length", "90")])
    framed = Headers([("Transfer-Encoding", "chunked")])
    wanted = [(10, crc64(body[:10])), (90, crc64(body))]
    assert marks_of(held(body), plain, [10, 90]) == wanted
    assert marks_of(held(chunked(body), keeps_wire=True), framed, [10, 90]) == wanted


def test_lengths() -> None:
    for values, found in (
        ((), None),
        (("5",), 5),
        (("5", " 5"), 5),
        (("5", "6"), None),
        (("-1",), None),
        (("٥",), None),
        (("9" * 21,), None),
    ):
        fields = [("Content-Length", value) for value in values]
        assert announced_length(Headers(fields)) == found
    assert is_chunked(Headers([("transfer-encoding", "gzip, Chunked")]))
    assert not is_chunked(Headers([("transfer-encoding", "identity")]))
