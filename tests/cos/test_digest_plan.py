"""What is computed is what can be compared: no digest for nothing, none left out."""

import pytest

from cos_inspect.cos.digest_plan import (
    FRAME_SAMPLE,
    PART_LIST_SAMPLE,
    XML_SAMPLE,
    DigestPlan,
    covers_whole_object,
    etag_may_be_md5,
    is_appendable,
    is_control_answer,
    is_control_request,
    plan_payload,
    plan_request,
    plan_response,
)
from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.object_list import LIST_SAMPLE
from cos_inspect.cos.operation import Operation, read_operation
from cos_inspect.model.headers import Headers

HOST = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
ETAG = ("ETag", '"ee8de918d05640145b18f70f4c3aa602"')
CRC = ("x-cos-hash-crc64ecma", "0")
MD5 = ("Content-MD5", "7o3pGNBWQBRbGPcPTDqmAg==")
KMS = ("x-cos-server-side-encryption", "cos/kms")
COS = ("x-cos-server-side-encryption", "AES256")
WHOLE = DigestPlan(md5=True, crc64=True, sample=FRAME_SAMPLE)
CUSTOMER = ("x-cos-server-side-encryption-customer-algorithm", "AES256")


def operation(method: str, target: str, headers: Headers) -> Operation:
    endpoint = read_endpoint(HOST, target)
    assert endpoint is not None
    return read_operation(endpoint, method, target, headers)


@pytest.mark.parametrize(
    ("etag", "may_be"),
    [
        (ETAG[1], True),
        (ETAG[1].strip('"'), True),
        (f"W/{ETAG[1]}", True),
        (ETAG[1].upper(), True),
        ('"aa259a62513358f69e98e72e59856d88-3"', False),
        ('"28e9a4986df11bed0255e97ff90500557e0e057a"', False),
        ('""', False),
        ("", False),
        (None, False),
    ],
)
def test_etags_that_may_be_an_md5(etag: str | None, may_be: bool) -> None:
    assert etag_may_be_md5(etag) is may_be


@pytest.mark.parametrize(
    ("content_range", "whole"),
    [
        ("bytes 0-15/16", True),
        ("bytes 0-0/1", True),
        ("bytes 0-14/16", False),
        ("bytes 1-15/16", False),
        ("bytes 0-15/*", False),
        ("bytes */16", False),
        ("bytes 0-²/²", False),
        ("bytes 0-" + "9" * 5000 + "/1", False),
        ("", False),
        (None, False),
    ],
)
def test_ranges_that_cover_the_object(content_range: str | None, whole: bool) -> None:
    assert covers_whole_object(content_range) is whole


@pytest.mark.parametrize(
    ("method", "target", "fields", "plan"),
    [
        ("PUT", "/a", [], DigestPlan(md5=True, crc64=True)),
        ("PUT", "/a", [COS], DigestPlan(md5=True, crc64=True)),
        ("PUT", "/a", [KMS], DigestPlan(crc64=True)),
        ("PUT", "/a", [CUSTOMER], DigestPlan(crc64=True)),
        ("PUT", "/a", [KMS, MD5], DigestPlan(md5=True, crc64=True)),
        ("PUT", "/a", [("Pic-Operations", "{}")], DigestPlan(crc64=True)),
        ("PUT", "/a?partNumber=1&uploadId=1", [], DigestPlan(md5=True, crc64=True)),
        ("POST", "/a?append&position=0", [], DigestPlan(md5=True, crc64=True)),
        ("PUT", "/?acl", [], DigestPlan()),
        ("PUT", "/?acl", [MD5], DigestPlan(md5=True)),
        ("POST", "/a?uploadId=1", [], DigestPlan(sample=PART_LIST_SAMPLE)),
        ("GET", "/a", [], DigestPlan()),
    ],
)
def test_plan_of_a_request(
    method: str, target: str, fields: list[tuple[str, str]], plan: DigestPlan
) -> None:
    headers = Headers(fields)
    assert plan_request(operation(method, target, headers), headers, framed=False) == plan


def test_of_a_framed_body_the_digests_are_taken_inside() -> None:
    for fields, md5 in (([], False), ([MD5], True)):
        headers = Headers(fields)
        found = operation("PUT", "/a", headers)
        assert plan_request(found, headers, framed=True) == DigestPlan(md5=md5)
        assert plan_payload(found, headers) == DigestPlan(md5=True, crc64=True)
    headers = Headers([KMS])
    assert plan_payload(operation("PUT", "/a", headers), headers) == DigestPlan(crc64=True)


@pytest.mark.parametrize(
    ("method", "target", "status", "fields", "plan"),
    [
        ("GET", "/a", 200, [ETAG, CRC], DigestPlan(md5=True, crc64=True, sample=FRAME_SAMPLE)),
        ("GET", "/a", 200, [ETAG], DigestPlan(md5=True, sample=FRAME_SAMPLE)),
        ("GET", "/a", 200, [CRC], DigestPlan(crc64=True, sample=FRAME_SAMPLE)),
        ("GET", "/a", 200, [ETAG, CRC, KMS], DigestPlan(crc64=True, sample=FRAME_SAMPLE)),
        (
            "GET",
            "/a",
            200,
            [("ETag", '"aa259a62513358f69e98e72e59856d88-3"')],
            DigestPlan(sample=FRAME_SAMPLE),
        ),
        ("GET", "/a", 206, [ETAG, CRC, ("Content-Range", "bytes 1-2/9")], DigestPlan(crc64=True)),
        (
            "GET",
            "/a",
            206,
            [ETAG, CRC, ("Content-Range", "bytes 0-8/9")],
            DigestPlan(md5=True, crc64=True, sample=FRAME_SAMPLE),
        ),
        ("GET", "/a?imageInfo", 200, [ETAG, CRC], DigestPlan()),
        ("GET", "/a", 404, [ETAG, CRC], DigestPlan(sample=XML_SAMPLE)),
        ("GET", "/a", 304, [ETAG, CRC], DigestPlan()),
        ("HEAD", "/a", 200, [ETAG, CRC], DigestPlan()),
        ("POST", "/a?uploads", 200, [], DigestPlan(sample=XML_SAMPLE)),
        ("POST", "/a?uploadId=1", 200, [], DigestPlan(sample=XML_SAMPLE)),
        ("GET", "/", 200, [], DigestPlan(sample=LIST_SAMPLE)),
        ("DELETE", "/a", 204, [], DigestPlan()),
    ],
)
def test_plan_of_an_answer(
    method: str, target: str, status: int, fields: list[tuple[str, str]], plan: DigestPlan
) -> None:
    headers = Headers(fields)
    found = operation(method, target, Headers())
    assert plan_response(found, method, status, headers) == plan


def test_an_appendable_object_needs_no_md5() -> None:
    headers = Headers([ETAG, CRC, ("x-cos-object-type", "appendable")])
    assert is_appendable(headers)
    assert plan_response(operation("GET", "/a", Headers()), "GET", 200, headers) == DigestPlan(
        crc64=True, sample=FRAME_SAMPLE
    )


@pytest.mark.parametrize(
    ("method", "target", "status", "content_type", "is_control"),
    [
        ("GET", "/?prefix=a", 200, None, True),
        ("POST", "/a?uploadId=1", 200, None, True),
        ("POST", "/?delete", 200, "text/plain", True),
        ("PUT", "/a", 200, "application/json; charset=utf-8", True),
        ("PUT", "/a", 200, "application/vnd.x+JSON", True),
        ("PUT", "/a", 200, "application/octet-stream", False),
        ("PUT", "/a", 200, None, False),
        ("PUT", "/a", 200, "text/x-xml-json", False),
        ("GET", "/a.xml", 200, "application/xml", False),
        ("GET", "/a.json", 206, "application/json", False),
        ("GET", "/a.json", 404, "application/octet-stream", True),
        ("GET", "/a", 302, None, True),
        ("GET", "/a.jpg?imageMogr2/thumbnail/50x", 200, "image/jpeg", False),
        ("POST", "/a?select&select-type=2", 200, "application/xml", False),
    ],
)
def test_answers_that_are_no_object(
    method: str, target: str, status: int, content_type: str | None, is_control: bool
) -> None:
    headers = Headers([] if content_type is None else [("Content-Type", content_type)])
    asked = operation(method, target, Headers())
    assert is_control_answer(asked, status, headers) is is_control


@pytest.mark.parametrize(
    ("method", "target", "content_type", "is_control"),
    [
        ("POST", "/a?uploadId=1", None, True),
        ("PUT", "/?cors", None, True),
        ("PUT", "/a.xml", "application/xml", False),
        ("PUT", "/a?partNumber=1&uploadId=1", "application/json", False),
        ("POST", "/", "multipart/form-data; boundary=a", False),
        ("POST", "/a?append&position=0", "text/xml", False),
        ("GET", "/a", None, False),
    ],
)
def test_requests_that_are_no_object(
    method: str, target: str, content_type: str | None, is_control: bool
) -> None:
    headers = Headers([] if content_type is None else [("Content-Type", content_type)])
    assert is_control_request(operation(method, target, headers), headers) is is_control
