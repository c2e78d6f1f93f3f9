import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.error import ErrorDocument, read_error
from cos_inspect.model.headers import Headers

NO_HEADERS = Headers()
DENIED = b"""<?xml version='1.0' encoding='utf-8' ?>
<Error>
\t<Code>AccessDenied</Code>
\t<Message>Access Denied.</Message>
\t<ServerTime>2019-04-09T03:39:20Z</ServerTime>
\t<Resource>bucket-1250000000.cos.ap-chengdu.myqcloud.com/a.jpg</Resource>
\t<RequestId>NWNhYzEzZThfNGQ5ZTU4NjRfNmFhNV83YTZjOGY=</RequestId>
\t<TraceId>OGVmYzZi</TraceId>
</Error>"""


def read(body: bytes | None, *headers: tuple[str, str]) -> ErrorDocument:
    document = read_error(body, Headers(headers))
    assert document is not None
    return document


def test_error_of_cos() -> None:
    expected = ErrorDocument(
        shape="xml",
        code="AccessDenied",
        message="Access Denied.",
        resource="bucket-1250000000.cos.ap-chengdu.myqcloud.com/a.jpg",
        request_id="NWNhYzEzZThfNGQ5ZTU4NjRfNmFhNV83YTZjOGY=",
        trace_id="OGVmYzZi",
        server_time="2019-04-09T03:39:20Z",
    )
    assert read(DENIED) == expected
    assert read(gzip.compress(DENIED)) == expected
    assert read(DENIED.replace(b"<Error>", b'<Error xmlns="http://any">')) == expected


def test_signing_texts_keep_their_blanks() -> None:
    body = (
        b"<Error><Code>SignatureDoesNotMatch</Code><StringToSign>sha1\n1;2\nab\n</StringToSign>"
        b"<FormatString>get\n/\n\n\n</FormatString></Error>"
    )
    document = read(body)
    assert document.string_to_sign == "sha1\n1;2\nab\n"
    assert document.format_string == "get\n/\n\n\n"


def test_empty_elements_are_absent() -> None:
    document = read(b"<Error><Code>InvalidRequest</Code><TraceId/><Resource> </Resource></Error>")
    assert (document.trace_id, document.resource, document.problem) == (None, None, None)


def test_cut_xml_still_gives_its_whole_fields() -> None:
    document = read(b"<Error>\n<Code>NoSuchBucket</Code>\n<Message>The specif")
    assert (document.shape, document.code, document.message) == ("xml", "NoSuchBucket", None)
    assert document.problem is not None
    assert document.problem.startswith("not well-formed")


def test_unescaped_text_still_gives_the_other_fields() -> None:
    document = read(
        b"<Error><Code>A</Code><Resource>/a&b</Resource><RequestId>r</RequestId></Error>"
    )
    assert (document.code, document.resource, document.request_id) == ("A", "/a&b", "r")
    assert document.problem is not None


def test_dtd_is_a_problem() -> None:
    body = b"<!DOCTYPE E [<!ENTITY a 'b'>]><Error><Code>NoSuchKey</Code></Error>"
    assert read(body).problem == "has a DTD or entities"


def test_error_without_code() -> None:
    assert read(b"<Error><Message>m</Message></Error>").problem == "has no Code"


@pytest.mark.parametrize(
    "body",
    [
        b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>",
        b"<CopyObjectResult><ETag>a</ETag></CopyObjectResult>",
        b'{"code":0,"message":"SUCCESS"}',
        b'{"data":{}}',
        None,
    ],
)
def test_no_error(body: bytes | None) -> None:
    assert read_error(body, NO_HEADERS) is None


@pytest.mark.parametrize(
    ("body", "code", "request_id", "trace_id"),
    [
        (b'{"code":-59,"message":"m","request_id":"r"}', "-59", "r", None),
        (b'{"Code":"NotFound","Message":"m","RequestId":"r","TraceId":""}', "NotFound", "r", None),
        (b'\xef\xbb\xbf {"Code":"X","Message":"m","TraceId":"t"}', "X", None, "t"),
    ],
)
def test_json(body: bytes, code: str, request_id: str | None, trace_id: str | None) -> None:
    document = read(body)
    assert document.shape == "json"
    assert (document.code, document.message) == (code, "m")
    assert (document.request_id, document.trace_id) == (request_id, trace_id)
    assert document.problem is None


def test_vector_bucket_names_the_code_in_a_header() -> None:
    header = ("X-Cos-Error-Code", "ValidationException")
    document = read(b'{"message":"bad","fieldList":[]}', header)
    assert (document.code, document.message) == ("ValidationException", "bad")
    assert read(b'{"fieldList":[]}', header).code == "ValidationException"


def test_no_body() -> None:
    assert read(b"") == ErrorDocument(shape="empty")
    assert read(b" \r\n", ("x-cos-error-code", "Found")).code == "Found"
    assert read(None, ("x-cos-error-code", "Found")).problem == "not captured"
    assert read(b"", ("X-ErrNo", "-105")).code == "-105"
    assert read(b"", ("X-ErrNo", "0")).code is None


@pytest.mark.parametrize(
    ("body", "shape", "problem"),
    [
        (b"<!DOCTYPE html><html><body>502</body></html>", "html", "an HTML page"),
        (b"<HTML><br></HTML>", "html", "an HTML page"),
        (b"gateway timeout", "other", "neither XML nor JSON"),
        (b"\x00\xff\x01", "other", "neither XML nor JSON"),
        (b"{broken", "json", "not JSON that can be read"),
        (b'{"a":' * 100_000, "json", "not JSON that can be read"),
        (b"{" + b" " * 1_100_000, "json", "larger than 1 MiB"),
    ],
)
def test_what_is_not_from_cos(body: bytes, shape: str, problem: str) -> None:
    document = read(body)
    assert (document.shape, document.problem) == (shape, problem)


@given(st.binary(max_size=300))
def test_never_raises(body: bytes) -> None:
    for prefix in (b"", b"<Error>", b"<Error><Code>", b"{", b'{"code":', b"\x1f\x8b\x08"):
        read_error(prefix + body, NO_HEADERS)


@given(st.integers(min_value=0, max_value=len(DENIED)))
def test_any_cut_gives_only_true_fields(length: int) -> None:
    whole, cut = read(DENIED), read_error(DENIED[:length], NO_HEADERS)
    assert cut is not None
    for field in ("code", "message", "resource", "request_id", "trace_id", "server_time"):
        assert getattr(cut, field) in (None, getattr(whole, field))


PAGE = """<html>
<head><title>404 Not Found</title></head>
<body>
<h1>404 Not Found</h1>
<ul>
<li>Code: NoSuchKey</li>
<li>Message: The specified key &lt;a&gt; does not exist.</li>
<li>RequestId: NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI=</li>
<li>TraceId: OGVm</li>
</ul>
</body>
</html>"""


def test_the_error_page_of_a_website() -> None:
    found = read_error(PAGE.encode(), Headers(()))
    assert found is not None
    assert (found.shape, found.code, found.problem) == ("html", "NoSuchKey", None)
    assert found.message == "The specified key <a> does not exist."
    assert found.request_id == "NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI="
    assert found.trace_id == "OGVm"
    assert found.is_website_page


@pytest.mark.parametrize("lost", ["Code", "RequestId"])
def test_other_pages_with_lists_are_pages(lost: str) -> None:
    found = read_error(PAGE.replace(f"<li>{lost}:", "<li>Note:").encode(), Headers(()))
    assert found is not None
    assert found.problem == "an HTML page"
    assert not found.is_website_page
    assert found.code is None
