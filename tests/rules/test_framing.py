from cos_inspect.inspection.first_look import first_look
from tests.captures_reader import judge_crc64, judge_md5
from tests.rules.exchanges import CONTENT, CRC64, ETAG, Fields, exchange

FRAMED = b"10\r\n[Object Content]\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
CHUNKED: Fields = (
    ("Content-Encoding", "aws-chunked"),
    ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ("x-amz-decoded-content-length", "16"),
)


def found(target: str, *answered: tuple[str, str]) -> list[tuple[str, str]]:
    looked = first_look(
        exchange("PUT", target, headers=CHUNKED, body=FRAMED, answer_headers=answered)
    )
    assert looked is not None
    return [(each.rule, each.severity.value) for each in looked.report.findings]


def test_the_cause_is_told_in_place_of_damage() -> None:
    crc = ("x-cos-hash-crc64ecma", str(judge_crc64(FRAMED)))
    etag = ("ETag", f'"{judge_md5(FRAMED)}"')
    for target in ("/a", "/a?partNumber=1&uploadId=u"):
        assert found(target, etag, crc) == [("s3-framing", "error")]


def test_other_damage_stays_damage() -> None:
    wrong = found("/a", ("ETag", '"' + "0" * 32 + '"'), ("x-cos-hash-crc64ecma", "1"))
    assert [rule for rule, _ in wrong] == ["crc64-mismatch", "etag-mismatch"]


def test_framing_that_was_taken_off() -> None:
    assert judge_md5(CONTENT) in ETAG
    assert not found("/a", ("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))
