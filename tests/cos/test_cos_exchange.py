"""An exchange read as COS traffic: what belongs together, and what is left open."""

import pytest

from cos_inspect.cos.cos_exchange import CosExchange, find_endpoint, read_exchange
from cos_inspect.model.headers import Headers
from tests.rules.exchanges import (
    HOST,
    MARKS,
    REQUEST_ID,
    TRACE_ID,
    Fields,
    error_xml,
    exchange,
)

SSE = "x-cos-server-side-encryption"
COPY = (("x-cos-copy-source", "b-1250000000.cos.ap-beijing.myqcloud.com/a"),)
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nup/${filename}\r\n'
    b"--x\r\nContent-Disposition: form-data; "
    b'name="x-cos-server-side-encryption"\r\n\r\nAES256\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    b"[Object Content]\r\n--x--\r\n"
)
FORM_TYPE = (("Content-Type", "multipart/form-data; boundary=x"),)


def read(
    method: str = "GET",
    target: str = "/a",
    *,
    host: str = HOST,
    headers: Fields = (),
    body: bytes = b"",
    status: int | None = 200,
    answer_headers: Fields = (),
    answer: bytes = b"",
    marks: Fields = MARKS,
) -> CosExchange:
    found = read_exchange(
        exchange(
            method,
            target,
            host=host,
            headers=headers,
            body=body,
            status=status,
            answer_headers=answer_headers,
            answer=answer,
            marks=marks,
        )
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("host", "request_headers", "answer_headers", "kind"),
    [
        (HOST, (), (), "default"),
        ("a.example.com", (), (("Server", "tencent-cos"),), "custom"),
        ("a.example.com", (), (("x-cos-request-id", "x"),), "custom"),
        ("a.example.com", (("Authorization", "q-sign-algorithm=sha1"),), (), "custom"),
        ("a.example.com", (("x-cos-acl", "private"),), (), "custom"),
        ("a.example.com", (("Authorization", "Basic x"),), (("Server", "nginx"),), None),
        ("myqcloud.com.example.com", (), (), None),
    ],
)
def test_what_makes_an_exchange_one_of_cos(
    host: str, request_headers: Fields, answer_headers: Fields, kind: str | None
) -> None:
    endpoint = find_endpoint(host, "/a", Headers(request_headers), Headers(answer_headers), ())
    assert (endpoint.kind if endpoint else None) == kind


def test_a_domain_of_ones_own_may_be_named() -> None:
    nothing = Headers()
    assert find_endpoint("a.example.com", "/a", nothing, None, ("*.example.com",)) is not None
    assert find_endpoint("a.example.com", "/a", nothing, None, ()) is None


@pytest.mark.parametrize(
    ("status", "body", "target", "method", "succeeded", "failed"),
    [
        (200, b"", "/a", "GET", True, False),
        (204, b"", "/a", "DELETE", True, False),
        (304, b"", "/a", "GET", False, False),
        (404, error_xml(), "/a", "GET", False, True),
        (500, b"", "/a", "GET", False, True),
        (200, error_xml(), "/a?uploadId=1", "POST", False, False),
        (200, error_xml(), "/a", "GET", True, False),
        (None, b"", "/a", "GET", False, False),
    ],
)
def test_success_and_failure(
    status: int | None, body: bytes, target: str, method: str, succeeded: bool, failed: bool
) -> None:
    cos = read(method, target, status=status, answer=body)
    assert (cos.succeeded, cos.failed) == (succeeded, failed)


def test_a_failure_of_somebody_else_is_not_one_of_cos() -> None:
    cos = read(status=502, marks=(("Server", "nginx"),), answer=b"<html>")
    assert not cos.from_cos
    assert not cos.failed
    assert read(status=404, marks=(), answer=error_xml()).from_cos
    assert read(marks=(("x-amz-request-id", REQUEST_ID),)).from_cos


def test_ids_come_from_headers_first_and_from_the_error_else() -> None:
    in_both = read(status=404, answer=error_xml(request_id="other", trace=TRACE_ID))
    assert in_both.request_id == REQUEST_ID
    assert in_both.trace_id == TRACE_ID
    assert in_both.request_id_read is not None
    assert in_both.request_id_read.time == 1577957984
    in_body = read(status=404, marks=(), answer=error_xml())
    assert in_body.request_id == REQUEST_ID
    empty = read(status=404, marks=(("x-cos-request-id", ""),), answer=error_xml())
    assert empty.request_id == REQUEST_ID
    assert read(marks=()).request_id is None


def test_a_form_brings_key_encryption_and_signature() -> None:
    cos = read("POST", "/", headers=FORM_TYPE, body=FORM, status=204)
    assert cos.operation.name == "PostObject"
    assert cos.key == "up/a.txt"
    assert cos.asked.mode == "SSE-COS"
    nameless = FORM.replace(b'; filename="a.txt"', b"")
    assert (read("POST", "/", headers=FORM_TYPE, body=nameless).key or "").startswith("up/")
    assert read("PUT", "/a").form is None


@pytest.mark.parametrize(
    ("key", "content_type", "styled"),
    [
        ("/photo.jpg!small", "image/jpeg", True),
        ("/photo.jpg%21small", "image/webp", True),
        ("/photo.jpg!small", "text/plain", False),
        ("/photo.jpg", "image/jpeg", False),
        ("/a!b/photo.jpg", "image/jpeg", False),
    ],
)
def test_keys_that_may_end_in_a_style(key: str, content_type: str, styled: bool) -> None:
    cos = read(target=key, answer_headers=(("Content-Type", content_type),))
    assert cos.styled_image is styled


@pytest.mark.parametrize(
    ("query", "position"),
    [("position=0", 0), ("position=16", 16), ("position=", None), ("position=-1", None)],
)
def test_append_position(query: str, position: int | None) -> None:
    assert read("POST", f"/a?append&{query}", body=b"x").append_position == position


def test_the_keys_of_a_copy_are_told_apart() -> None:
    source = "x-cos-copy-source-server-side-encryption-customer"
    key = "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY="
    cos = read("PUT", headers=(*COPY, (f"{source}-algorithm", "AES256"), (f"{source}-key", key)))
    assert cos.copy_source_key is not None
    assert cos.copy_source_key.key_valid
    assert cos.customer_key is None
    assert cos.asked.mode == "none"
    assert key not in repr(cos.copy_source_key)


def test_through_a_cdn() -> None:
    assert read(answer_headers=(("Age", "1"),)).through_cdn
    assert not read().through_cdn
