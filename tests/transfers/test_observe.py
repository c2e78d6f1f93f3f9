import pytest

from cos_inspect.model.exchange import Body, BodyEnd, Payload, PayloadKind
from cos_inspect.transfers.observation import Observation
from tests.transfers.build import (
    BUCKET,
    HOST,
    OTHER_HOST,
    UPLOAD,
    append,
    complete,
    exchange,
    failure,
    get,
    initiate,
    md5,
    part,
    put,
    ranged,
    seen,
)

DATA = b"[Object Content]"


def test_upload() -> None:
    one = seen(part("f", 3, DATA, 1.0))
    assert (one.operation, one.upload_id, one.part_number) == ("UploadPart", UPLOAD, 3)
    assert (one.size, one.md5, one.crc64) == (16, md5(DATA), 16749565679157681890)
    assert (one.etag, one.header_crc64) == (md5(DATA), 16749565679157681890)
    assert (one.place, one.key, one.host) == (BUCKET, "a", HOST)
    assert one.succeeded
    assert one.seconds == pytest.approx(0.1)


def test_framed_upload_tells_of_the_payload() -> None:
    framed = Body(
        size=99,
        payload=Payload(kind=PayloadKind.AWS_CHUNKED, size=16, md5="m", crc64=5),
    )
    one = seen(put("f", DATA, 0.0, body=framed))
    assert (one.size, one.md5, one.crc64, one.sent_size) == (16, "m", 5, 99)


def test_framing_that_was_stored_is_part_of_the_object() -> None:
    payload = Payload(kind=PayloadKind.AWS_CHUNKED, size=16, md5="m", crc64=5)
    framed = Body(size=99, crc64=6, payload=payload)
    one = seen(put("f", DATA, 0.0, body=framed, answered={"x-cos-hash-crc64ecma": "6"}))
    assert (one.size, one.crc64) == (99, 6)


def test_cut_upload_tells_no_digests() -> None:
    cut = Body(end=BodyEnd.CUT, size=3, crc64=5)
    one = seen(put("f", DATA, 0.0, body=cut, status=None, error="reset"))
    assert (one.size, one.crc64, one.sent_size, one.failure) == (None, None, 3, "reset")
    assert one.request_cut


def test_initiate_and_complete() -> None:
    assert seen(initiate("i")).upload_id == UPLOAD
    done = seen(complete("c", [(1, "a"), (2, "b")], 7, 1.0))
    assert done.listed == ((1, '"a"'), (2, '"b"'))
    assert done.result_etag == f"{md5(b'x')}-2"
    assert done.header_crc64 == 7
    late = seen(complete("c", [(1, "a")], 7, 1.0, **failure(200, "InternalError")))
    assert not late.succeeded
    assert (late.error_code, late.result_etag) == ("InternalError", None)


def test_range() -> None:
    one = seen(ranged("r", DATA, 8, 15, 0.0))
    assert (one.span, one.total) == ((8, 14), 16)
    assert one.answer_crc64 == 15757293603467250119
    assert one.header_crc64 == 16749565679157681890
    whole = seen(ranged("r", DATA, 0, 16, 0.0))
    assert (whole.span, whole.total) == (None, 16)
    odd = ranged("r", DATA, 8, 15, 0.0, answered={"Content-Range": "bytes 14-8/16"})
    assert seen(odd).span is None


def test_head_describes_the_object() -> None:
    head = exchange("h", "HEAD", "/a", 0.0, answered={"ETag": '"e"', "Content-Length": "16"})
    one = seen(head)
    assert (one.describes_object, one.total, one.answer_crc64) == (True, 16, None)
    assert not seen(exchange("h", "HEAD", "/a", 0.0, status=404)).describes_object
    assert not seen(get("g", DATA, 0.0, key="a?imageMogr2/rotate/90")).describes_object


def test_append() -> None:
    one = seen(append("f", DATA, 100, 0.0, whole=DATA))
    assert (one.append_position, one.next_position) == (100, 116)


def test_copy_source() -> None:
    def copied(source: str, span: str | None = None) -> Observation:
        sent = {"x-cos-copy-source": source}
        if span:
            sent["x-cos-copy-source-range"] = span
        return seen(exchange("f", "PUT", f"/a?partNumber=1&uploadId={UPLOAD}", 0.0, sent=sent))

    one = copied(f"{HOST}/b%20c?versionId=v1", "bytes=5-9")
    assert (one.copy_place, one.copy_key, one.copy_version) == (BUCKET, "b c", "v1")
    assert one.copy_span == (5, 9)
    assert copied(f"/{BUCKET}/b").copy_place == BUCKET
    assert copied(f"{HOST}/b").copy_span is None


def test_same_request() -> None:
    one = seen(put("1", DATA, 0.0)).same_request
    assert seen(put("2", DATA, 9.0, host=OTHER_HOST)).same_request == one
    signed = exchange("3", "PUT", "/a?sign=x&q-ak=y", 1.0, sent={"Content-Length": "16"})
    assert seen(signed).same_request == one
    assert seen(put("4", DATA, 0.0, key="b")).same_request != one
    assert seen(put("5", DATA, 0.0, client="10.0.0.8")).same_request != one
    # What is shorter may be the same upload tried again.
    assert seen(put("6", DATA[1:], 0.0)).same_request == one
    first, second = (seen(ranged("r", DATA, 0, end, 0.0)).same_request for end in (5, 6))
    assert first != second


def test_odd_values_are_unknown() -> None:
    odd = {"x-cos-hash-crc64ecma": "-1", "Content-Length": "٣", "ETag": '""'}
    one = seen(get("g", DATA, 0.0, answered=odd))
    assert (one.header_crc64, one.total, one.etag) == (None, None, None)
    huge = seen(get("g", DATA, 0.0, answered={"x-cos-hash-crc64ecma": str(1 << 64)}))
    assert huge.header_crc64 is None


@pytest.mark.parametrize(
    ("sent", "marked"),
    [
        ({"x-cos-sdk-retry": "true"}, True),
        ({"x-cos-sdk-retry": "false"}, False),
        ({"amz-sdk-request": "attempt=1"}, False),
        ({"amz-sdk-request": "attempt=1; max=3"}, False),
        ({"amz-sdk-request": "ttl=20261122T100000Z; attempt=2; max=5"}, True),
        ({"amz-sdk-request": "attempt=12;max=20"}, True),
        ({"amz-sdk-request": "attempt="}, False),
        ({"amz-sdk-request": "attempt=²"}, False),
        ({"amz-sdk-request": "max=5"}, False),
        ({}, False),
    ],
)
def test_sdks_mark_their_retries(sent: dict[str, str], marked: bool) -> None:
    assert seen(put("f", DATA, 0.0, sent=sent)).sdk_retry is marked
