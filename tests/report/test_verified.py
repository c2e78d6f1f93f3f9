"""What was verified of a flow, in short."""

import pytest

from cos_inspect.model.flow_report import Check, CheckName, CheckStatus, SkipReason
from cos_inspect.report.verified import verified


def check(name: CheckName, status: CheckStatus, reason: SkipReason | None = None) -> Check:
    return Check(check=name, body="response", status=status, reason=reason)


CRC = check("crc64", "match")
LENGTH = check("content-length", "match")
MD5 = check("content-md5", "skipped", "no-header")


@pytest.mark.parametrize(
    ("checks", "text"),
    [
        ([LENGTH, MD5, CRC], "✓ CRC-64 ✓ length"),
        ([CRC, check("etag", "skipped", "sse-kms")], "✓ CRC-64 – ETag: sse-kms"),
        ([check("crc64", "mismatch"), LENGTH], "✗ CRC-64 ✓ length"),
        ([check("crc64", "mismatch"), check("range-crc64", "match")], "✗ CRC-64"),
        ([LENGTH, MD5, check("crc64", "skipped", "no-header")], "✓ length – content: no-header"),
        ([MD5, check("crc64", "skipped", "head")], "– content: head"),
        ([MD5, LENGTH], "✓ length"),
        ([MD5], ""),
        ([MD5, check("etag", "skipped", "sse-kms")], "– content: sse-kms"),
        ([check("signature", "skipped", "no-credentials")], ""),
        ([check("signature", "match"), CRC], "✓ CRC-64 ✓ signature"),
        ([], ""),
    ],
)
def test_the_short_form(checks: list[Check], text: str) -> None:
    assert verified(checks) == text
