"""Hosts of one's own: named by ``cos_hosts``, known by what COS answers, or not COS at all."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.end_to_end.harness import (
    BUCKET,
    Inspected,
    Report,
    accused,
    checks,
    cos_client,
    one_proxy,
    only,
)
from tests.origin.damage import Damage
from tests.origin.effects import no_marks_of_cos, page
from tests.origin.message import OriginRequest

pytestmark = pytest.mark.end_to_end

NAMED = "files.cdn.example.com"
RECOGNISED = "assets.example.com"
FOREIGN = "www.example.net"
DATA = b"[Object Content]" * 1000
DOWNLOAD = {
    ("content-length", "response"): "match",
    ("etag", "response"): "match",
    ("crc64", "response"): "match",
}


def _to(host: str) -> Any:
    def matches(request: OriginRequest) -> bool:
        return request.host == host

    return matches


class Seen:
    def __init__(self, proxy: Inspected) -> None:
        self.reports: list[Report] = proxy.reports
        self.others: int = proxy.summary["others"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("domain")
    with one_proxy(folder, "--set=cos_hosts=*.cdn.example.com") as (origin, proxy):
        for host in (NAMED, RECOGNISED, FOREIGN):
            origin.custom_domains[host] = BUCKET
        for key in ("named.txt", "recognised/照片.txt"):
            origin.put_object(BUCKET, key, DATA)
        origin.damage(
            Damage(page(), when=_to(FOREIGN)),
            Damage(no_marks_of_cos(), when=_to(NAMED)),
        )
        fetch: dict[str, Any] = {"proxies": proxy.proxies, "timeout": 30}
        assert requests.get(f"https://{NAMED}/named.txt", **fetch).content == DATA
        for scheme in ("https", "http"):
            answer = requests.get(f"{scheme}://{RECOGNISED}/recognised/照片.txt", **fetch)
            assert answer.content == DATA
        assert requests.get(f"https://{FOREIGN}/", **fetch).status_code == 200
        client = cos_client(proxy, Domain=RECOGNISED)
        client.put_object(BUCKET, DATA, "signed.txt", EnableMD5=True)
        proxy.stop()
        assert "Traceback" not in proxy.output
        yield Seen(proxy)


def test_a_host_named_by_a_pattern_is_inspected_without_any_mark_of_cos(seen: Seen) -> None:
    report = only(seen.reports, "GetObject", "named.txt")
    assert report["request"]["url"] == f"https://{NAMED}/named.txt"
    assert report["verdict"] == "ok"
    assert checks(report) == DOWNLOAD | {("crc64", "response"): "no-header"}


def test_a_custom_domain_is_known_by_its_answers(seen: Seen) -> None:
    reports = [r for r in seen.reports if r["cos"]["key"] == "recognised/照片.txt"]
    assert len(reports) == 2
    for report in reports:
        assert report["cos"]["operation"] == "GetObject"
        assert report["cos"]["endpoint"] == "custom"
        assert checks(report) == DOWNLOAD
        assert report["response"]["body"]["size"] == len(DATA)


def test_a_custom_domain_is_known_by_the_signature_sent_to_it(seen: Seen) -> None:
    report = only(seen.reports, "PutObject", "signed.txt")
    assert report["request"]["url"] == f"https://{RECOGNISED}/signed.txt"
    assert checks(report)["content-md5", "request"] == "match"
    assert checks(report)["etag", "request"] == checks(report)["crc64", "request"] == "match"


def test_nothing_is_accused(seen: Seen) -> None:
    assert accused(seen.reports) == []


def test_another_host_is_left_alone(seen: Seen) -> None:
    assert seen.others == 1
    assert FOREIGN not in str(seen.reports)
