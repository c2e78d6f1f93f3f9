import base64
import hashlib
import io
import zlib

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from cos_inspect.cos.payload import PayloadReader, payload_reader
from cos_inspect.digests import Digester, crc64
from cos_inspect.model.exchange import FormField, Payload, PayloadKind
from cos_inspect.model.headers import Headers
from tests.cos.splitting import cut, cuts

CONTENT = b"[Chunked Content][2nd chunk][3rd chunk][4th chunk]"
CONTENT_MD5 = "aa488bb80185a6be87f4a7b936a80752"
CONTENT_CRC = 7188322482464764960
CONTENT_CRC32 = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4)).decode()
CHUNKED = [("Content-Encoding", "aws-chunked"), ("x-amz-decoded-content-length", "50")]
FORM = [("Content-Type", "multipart/form-data; boundary=bound")]


def reader(operation: str, fields: list[tuple[str, str]]) -> PayloadReader:
    made = payload_reader(operation, Headers(fields), lambda: Digester(md5=True, crc64=True))
    assert made is not None
    return made


def chunked(content: bytes, chunk_size: int = 17) -> bytes:
    framed: bytes = AwsChunkedWrapper(
        io.BytesIO(content),
        checksum_cls=Crc32Checksum,
        checksum_name="x-amz-checksum-crc32",
        chunk_size=chunk_size,
    ).read()
    return framed


def form(*parts: tuple[str, str | tuple[str, bytes]]) -> bytes:
    return encode_multipart_formdata(parts, boundary="bound")[0]


def read(operation: str, fields: list[tuple[str, str]], parts: list[bytes]) -> Payload:
    made = reader(operation, fields)
    for part in parts:
        made.feed(part)
    return made.result(body_complete=True)


def test_chunked_upload() -> None:
    assert read("PutObject", CHUNKED, [chunked(CONTENT)]) == Payload(
        kind=PayloadKind.AWS_CHUNKED,
        size=50,
        md5=CONTENT_MD5,
        crc64=CONTENT_CRC,
        trailers=(("x-amz-checksum-crc32", CONTENT_CRC32),),
    )


def test_form_upload() -> None:
    body = form(("key", "a/${filename}"), ("file", ("x.txt", b"[Object Content]")))
    assert read("PostObject", FORM, [body]) == Payload(
        kind=PayloadKind.FORM_FILE,
        size=16,
        md5="ee8de918d05640145b18f70f4c3aa602",
        crc64=16749565679157681890,
        fields=(FormField("key", "a/${filename}"),),
        file_name="x.txt",
    )


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("PutObject", [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")]),
        ("PutObject", FORM),
        ("UploadPart", []),
        ("GetObject", []),
    ],
)
def test_body_that_is_the_object(operation: str, fields: list[tuple[str, str]]) -> None:
    made = payload_reader(operation, Headers(fields), lambda: Digester(md5=True, crc64=True))
    assert made is None


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart", "AppendObject"])
def test_chunked_in_every_kind_of_upload(operation: str) -> None:
    assert read(operation, CHUNKED, [chunked(CONTENT)]).md5 == CONTENT_MD5


def test_form_is_a_form_whatever_else_is_said() -> None:
    assert read("PostObject", FORM + CHUNKED, [form(("file", "x"))]).kind == PayloadKind.FORM_FILE


def test_only_the_digests_asked_for() -> None:
    made = payload_reader("PutObject", Headers(CHUNKED), lambda: Digester(md5=False, crc64=True))
    assert made is not None
    made.feed(chunked(CONTENT))
    payload = made.result(body_complete=True)
    assert (payload.md5, payload.crc64) == (None, CONTENT_CRC)


@given(content=st.binary(max_size=300), chunk_size=st.integers(1, 99), places=cuts)
def test_any_chunked_upload_at_any_split(
    content: bytes, chunk_size: int, places: list[int]
) -> None:
    fields = [("Content-Encoding", "aws-chunked")]
    payload = read("PutObject", fields, cut(chunked(content, chunk_size), places))
    assert (payload.complete, payload.problem, payload.size) == (True, None, len(content))
    assert payload.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert payload.crc64 == crc64(content)


@given(content=st.binary(max_size=300), places=cuts)
def test_any_form_at_any_split(content: bytes, places: list[int]) -> None:
    body = form(("policy", ("blob", b"eyJ9")), ("key", "k"), ("file", ("x", content)))
    payload = read("PostObject", FORM, cut(body, places))
    assert (payload.complete, payload.problem, payload.size) == (True, None, len(content))
    assert payload.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert payload.crc64 == crc64(content)
    assert payload.fields == (FormField("policy", "eyJ9"), FormField("key", "k"))


def test_declared_size_is_compared() -> None:
    payload = read("PutObject", CHUNKED, [chunked(CONTENT[:-1])])
    assert payload.problem == "x-amz-decoded-content-length is 50, the chunks hold 49 bytes"
    assert payload.complete


def test_broken_framing_is_worse_than_a_wrong_size() -> None:
    payload = read("PutObject", CHUNKED, [CONTENT])
    assert (payload.problem, payload.complete) == ("ends before the last chunk is closed", False)
    assert payload.size == 0


@pytest.mark.parametrize(
    ("operation", "fields", "body"),
    [
        ("PutObject", CHUNKED, chunked(CONTENT)),
        ("PostObject", FORM, form(("key", "k"), ("file", ("x", b"content")))),
    ],
)
def test_cut_body_is_no_problem_of_the_framing(
    operation: str, fields: list[tuple[str, str]], body: bytes
) -> None:
    made = reader(operation, fields)
    made.feed(body[:-12])
    payload = made.result(body_complete=False)
    assert (payload.complete, payload.problem) == (False, None)


@pytest.mark.parametrize(
    ("operation", "fields", "body"),
    [
        ("PutObject", CHUNKED, chunked(CONTENT)),
        ("PostObject", FORM, form(("file", ("x", b"content")))),
    ],
)
def test_payload_of_a_body_that_was_not_seen_to_end(
    operation: str, fields: list[tuple[str, str]], body: bytes
) -> None:
    """More might have followed the end of the framing."""
    made = reader(operation, fields)
    made.feed(body)
    assert not made.result(body_complete=False).complete


def test_what_was_wrong_before_the_cut_is_told() -> None:
    made = reader("PutObject", CHUNKED)
    made.feed(b"not framed\r\n")
    payload = made.result(body_complete=False)
    assert (payload.complete, payload.problem) == (False, "no chunk size at byte 0")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            form(("file", ("x", b"content")), ("key", "k")),
            "fields behind the file part, which COS does not read",
        ),
        (
            form(*[("k", "v")] * 101, ("file", ("x", b"content"))),
            "more or longer form fields than are read here",
        ),
    ],
)
def test_remarks_on_a_whole_file(body: bytes, problem: str) -> None:
    payload = read("PostObject", FORM, [body])
    assert (payload.complete, payload.problem, payload.size) == (True, problem, 7)


def test_form_without_boundary() -> None:
    payload = read("PostObject", [("Content-Type", "multipart/form-data")], [form(("file", "x"))])
    assert (payload.complete, payload.problem) == (False, "no boundary in Content-Type")


@given(
    parts=st.lists(st.binary(max_size=80), max_size=6),
    operation=st.sampled_from(["PostObject", ""]),
)
def test_garbage_never_raises(parts: list[bytes], operation: str) -> None:
    payload = read(operation, FORM + CHUNKED, parts)
    assert payload.complete or payload.problem is not None
