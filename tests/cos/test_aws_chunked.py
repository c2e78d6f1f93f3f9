import io
from collections.abc import Sequence

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.aws_chunked import (
    MAX_LINE,
    MAX_TRAILERS,
    AwsChunkedDecoder,
    declared_size,
    is_aws_chunked,
)
from cos_inspect.model.headers import Headers
from tests.cos.splitting import cut, cuts

PAYLOAD = b"[Chunked Content][2nd chunk][3rd chunk][4th chunk]"
SIGNATURE = b";chunk-signature=" + b"5f" * 32


def signed(*chunks: bytes, trailer: bytes = b"") -> bytes:
    """The framing of STREAMING-AWS4-HMAC-SHA256-PAYLOAD."""
    framed = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), SIGNATURE, chunk) for chunk in chunks)
    return framed + b"0" + SIGNATURE + b"\r\n" + trailer + b"\r\n"


def unsigned(body: bytes, chunk_size: int, checksum: bool) -> bytes:
    """The framing of STREAMING-UNSIGNED-PAYLOAD-TRAILER, made by botocore."""
    wrapper = AwsChunkedWrapper(
        io.BytesIO(body),
        checksum_cls=Crc32Checksum if checksum else None,
        checksum_name="x-amz-checksum-crc32",
        chunk_size=chunk_size,
    )
    framed: bytes = wrapper.read()
    return framed


def decode(parts: Sequence[bytes]) -> tuple[AwsChunkedDecoder, bytes]:
    decoder = AwsChunkedDecoder()
    payload = b"".join(bytes(piece) for part in parts for piece in decoder.feed(part))
    decoder.finish()
    return decoder, payload


SIGNED = signed(
    b"[Chunked Content]",
    b"[2nd chunk]",
    b"[3rd chunk]",
    b"[4th chunk]",
    trailer=b"x-amz-checksum-crc32c:wdBDMA==\r\nx-amz-trailer-signature:63bddb\r\n",
)


def test_signed_chunks_with_trailers() -> None:
    decoder, payload = decode([SIGNED])
    assert payload == PAYLOAD
    assert decoder.size == 50
    assert decoder.complete
    assert decoder.problem is None
    assert decoder.trailers == (
        ("x-amz-checksum-crc32c", "wdBDMA=="),
        ("x-amz-trailer-signature", "63bddb"),
    )


def test_every_byte_on_its_own() -> None:
    decoder, payload = decode([SIGNED[at : at + 1] for at in range(len(SIGNED))])
    assert payload == PAYLOAD
    assert decoder.complete
    assert len(decoder.trailers) == 2


@given(
    body=st.binary(max_size=300),
    chunk_size=st.integers(1, 90),
    checksum=st.booleans(),
    places=cuts,
)
def test_what_botocore_sends(
    body: bytes, chunk_size: int, checksum: bool, places: list[int]
) -> None:
    framed = unsigned(body, chunk_size, checksum)
    decoder, payload = decode(cut(framed, places))
    assert payload == body
    assert decoder.size == len(body)
    assert (decoder.complete, decoder.problem) == (True, None)
    assert [name for name, _ in decoder.trailers] == ["x-amz-checksum-crc32"] * checksum


@pytest.mark.parametrize(
    "framed",
    [
        b"3\r\nabc\r\n0\r\n",
        b"3\r\nabc\r\n0\r\n\r",
        b"3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n\r\n\r\n\r\n",
        b"003 ; x=y\r\nabc\r\n000\r\n\r\n",
    ],
)
def test_lenient_endings(framed: bytes) -> None:
    decoder, payload = decode([framed])
    assert payload == b"abc"
    assert (decoder.complete, decoder.problem, decoder.trailers) == (True, None, ())


def test_trailer_lines_may_end_in_a_bare_newline() -> None:
    decoder, payload = decode([b"1\r\na\r\n0\r\nX-Amz-Checksum-Crc32 : AA==\n\r\n\r\n\r\n"])
    assert payload == b"a"
    assert decoder.complete
    assert decoder.trailers == (("x-amz-checksum-crc32", "AA=="),)


def test_last_trailer_without_the_blank_line() -> None:
    decoder, _ = decode([b"0\r\na: b\r\n"])
    assert decoder.complete
    assert decoder.trailers == (("a", "b"),)


BROKEN = [
    (b"", b"", "ends before the last chunk is closed"),
    (b"5", b"", "ends before the last chunk is closed"),
    (b"5\r\nabc", b"abc", "ends 2 bytes before the end of a chunk"),
    (b"3\r\nabc", b"abc", "ends before the last chunk is closed"),
    (b"3\r\nabc\r\n", b"abc", "ends before the last chunk is closed"),
    (b"3\r\nabc\r\n0\r\na: b", b"abc", "ends before the last chunk is closed"),
    (b"plain text, no framing\r\n", b"", "no chunk size at byte 0"),
    (b"\r\n3\r\nabc", b"", "no chunk size at byte 0"),
    (b"3\nabc\r\n0\r\n\r\n", b"", "no chunk size at byte 0"),
    (b"-3\r\nabc\r\n", b"", "no chunk size at byte 0"),
    (b"0x3\r\nabc\r\n", b"", "no chunk size at byte 0"),
    (b"1_0\r\nabc\r\n", b"", "no chunk size at byte 0"),
    (b"11112222333344445\r\nabc\r\n", b"", "no chunk size at byte 0"),
    (b"3\r\nabcdef\r\n0\r\n\r\n", b"abc", "the line at byte 6 is not CRLF"),
    (b"3\r\nabc\n0\r\n\r\n", b"abc", "the line at byte 6 is not CRLF"),
    (b"3\r\nabc\r\nzz\r\n", b"abc", "no chunk size at byte 8"),
    (b"0\r\nno colon\r\n\r\n", b"", "the trailer at byte 3 has no colon"),
    (b"0\r\n\r\nmore", b"", "bytes follow the last chunk"),
    (b"f" * 9000, b"", f"the line at byte 0 is over {MAX_LINE} bytes long"),
    (b"0\r\n" + b"a: b\r\n" * (MAX_TRAILERS + 1), b"", f"more than {MAX_TRAILERS} trailer lines"),
]


@pytest.mark.parametrize(("framed", "payload", "problem"), BROKEN)
@pytest.mark.parametrize("step", [1, 2, 5, 10_000])
def test_what_is_wrong(framed: bytes, payload: bytes, problem: str, step: int) -> None:
    parts = [framed[at : at + step] for at in range(0, len(framed), step)]
    decoder, got = decode(parts)
    assert (got, decoder.problem, decoder.complete) == (payload, problem, False)


def test_swallows_the_rest_after_a_problem() -> None:
    decoder = AwsChunkedDecoder()
    assert decoder.feed(b"nonsense\r\n") == []
    assert decoder.feed(b"3\r\nabc\r\n0\r\n\r\n") == []
    decoder.finish()
    assert decoder.problem == "no chunk size at byte 0"


def test_longest_line_is_still_read() -> None:
    line = b"1;" + b"x" * (MAX_LINE - 4) + b"\r\n"
    assert len(line) == MAX_LINE
    decoder, payload = decode([line + b"a\r\n0\r\n\r\n"])
    assert (payload, decoder.problem) == (b"a", None)


@pytest.mark.parametrize("step", [1, 4096, 10_000])
def test_one_byte_longer_is_too_long(step: int) -> None:
    framed = b"1;" + b"x" * (MAX_LINE - 3) + b"\r\na\r\n0\r\n\r\n"
    decoder, payload = decode([framed[at : at + step] for at in range(0, len(framed), step)])
    assert payload == b""
    assert decoder.problem == f"the line at byte 0 is over {MAX_LINE} bytes long"


def test_huge_chunk_needs_no_memory() -> None:
    decoder = AwsChunkedDecoder()
    decoder.feed(b"ffffffffffffffff\r\n")
    data = bytes(1 << 16)
    pieces = decoder.feed(data)
    assert pieces[0] is data
    assert decoder.size == 1 << 16


@given(parts=st.lists(st.binary(max_size=80), max_size=8))
def test_garbage_never_raises(parts: list[bytes]) -> None:
    decoder, payload = decode(parts)
    assert decoder.complete == (decoder.problem is None)
    assert decoder.size == len(payload)


token = st.sampled_from([b"0", b"1", b"a", b"3;x", b"\r\n", b"\n", b"\r", b"abc", b"k:v", b""])


@given(tokens=st.lists(token, max_size=30), places=cuts)
def test_any_split_gives_the_same(tokens: list[bytes], places: list[int]) -> None:
    framed = b"".join(tokens)
    one, payload = decode([framed])
    other, same = decode(cut(framed, places))
    assert same == payload
    assert (other.problem, other.complete, other.trailers, other.size) == (
        one.problem,
        one.complete,
        one.trailers,
        one.size,
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("Content-Encoding", "aws-chunked")], True),
        ([("Content-Encoding", "gzip, AWS-Chunked")], True),
        ([("Content-Encoding", "gzip"), ("Content-Encoding", "aws-chunked")], True),
        ([("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")], True),
        ([("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")], True),
        ([("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], False),
        ([("Content-Encoding", "aws-chunked-not")], False),
        ([("Transfer-Encoding", "chunked")], False),
        ([], False),
    ],
)
def test_is_aws_chunked(fields: list[tuple[str, str]], expected: bool) -> None:
    assert is_aws_chunked(Headers(fields)) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("50", 50),
        (" 0 ", 0),
        ("-1", None),
        ("", None),
        ("\u0665", None),
        ("1_0", None),
        ("9" * 400, None),
    ],
)
def test_declared_size(value: str, expected: int | None) -> None:
    assert declared_size(Headers([("X-Amz-Decoded-Content-Length", value)])) == expected


def test_no_declared_size() -> None:
    assert declared_size(Headers()) is None
