"""One upload and one download, all the way."""

import pytest

from tests.end_to_end.harness import BUCKET, Inspected, checks, cos_client, rules

pytestmark = pytest.mark.end_to_end


def test_reports_stand_when_the_proxy_has_ended(proxy: Inspected) -> None:
    client = cos_client(proxy)
    client.put_object(BUCKET, b"[Object Content]", "a b/\u817e\u8baf\u4e91.txt", EnableMD5=True)
    client.get_object(BUCKET, "a b/\u817e\u8baf\u4e91.txt")
    proxy.stop()
    put, get = proxy.reports
    assert put["cos"]["operation"] == "PutObject"
    assert put["cos"]["key"] == get["cos"]["key"] == "a b/\u817e\u8baf\u4e91.txt"
    assert checks(put)["crc64", "request"] == checks(get)["crc64", "response"] == "match"
    assert rules(put) == rules(get) == []
    assert proxy.summary["counts"]["flows"] == 2
