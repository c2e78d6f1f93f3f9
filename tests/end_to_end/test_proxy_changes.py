"""What the proxy or its user rewrites is blamed on nobody else: the client's request is judged,
what was sent stands beside it, and who changed it is named. Over live, saved and read again."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from qcloud_cos import CosServiceError

from tests.end_to_end.harness import BUCKET, HOST, SECRET_ID, SECRET_KEY, Report, checks, rules
from tests.end_to_end.lab import Lab, evidence, found
from tests.end_to_end.later import assert_same_later
from tests.origin.server import Origin
from tests.origin.signing import Verifier

pytestmark = pytest.mark.end_to_end

OTHER = "otherbucket-1250000000"
OTHER_HOST = HOST.replace(BUCKET, OTHER)
BODY = b"abc-" * 64

SCRIPT = """
def request(flow):
    path = flow.request.path
    if path.startswith("/scripted-header"):
        flow.request.headers["x-cos-meta-who"] = "the script"
    if path.startswith("/scripted-path"):
        flow.request.path = path.replace("scripted-path", "another-path")
    if path.startswith("/scripted-away"):
        del flow.request.headers["Date"]
"""


class Told(NamedTuple):
    reports: list[Report]
    capture: Path

    def on(self, key: str) -> Report:
        (report,) = [report for report in self.reports if report["cos"]["key"] == key]
        return report


def traffic(lab: Lab) -> None:
    """Signed by the real SDK."""
    client = lab.client()

    def put(name: str, **headers: Any) -> None:
        with contextlib.suppress(CosServiceError):
            client.put_object(BUCKET, BODY, name, **headers)

    for name in ("clean", "mapped", "host-rewritten", "path-mapped"):
        put(name)
    put("scripted-header", Metadata={"x-cos-meta-who": "the client"})
    put("scripted-path")
    put("body-modified")
    put("body-modified-and-hashed", EnableMD5=True)
    put("unsigned-header-added")
    lab.send("GET", "missing-bucket")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("changes")


@pytest.fixture(scope="module")
def told(folder: Path) -> Iterator[Told]:
    script, capture = folder / "rewrite.py", folder / "saved.mitm"
    script.write_text(SCRIPT)
    with Origin() as origin:
        origin.authorise = Verifier({SECRET_ID: SECRET_KEY}, anonymous=True)
        origin.make_bucket(OTHER)
        with Lab(
            origin,
            folder,
            f"--save-stream-file={capture}",
            "--set=cos_fail_on=error",
            f"--set=map_remote=|~u /mapped|{BUCKET}|{OTHER}",
            "--set=map_remote=|~u /path-mapped|/path-mapped|/path-mapped-elsewhere",
            f"--set=map_remote=|~u /missing-bucket|{BUCKET}|nobucket-1250000000",
            f"--set=modify_headers=|~u /host-rewritten|Host|{OTHER_HOST}",
            "--set=modify_headers=|~u /unsigned-header-added|x-cos-meta-added|by-option",
            "--set=modify_body=|~u /body-modified|abc|xyz",
            scripts_after=[script],
        ) as lab:
            traffic(lab)
            lab.stop()
            assert "Traceback" not in lab.output, lab.output[-6000:]
            yield Told(lab.reports, capture)
        assert not origin.faults


def changes(report: Report) -> list[tuple[str, str | None, str | None, str | None, str]]:
    return [
        (each["part"], each["name"], each["client"], each["sent"], each["by"])
        for each in report["request"]["changes"]
    ]


def test_clean(told: Told) -> None:
    report = told.on("clean")
    assert (rules(report), changes(report)) == ([], [])


def test_sent_to_another_bucket(told: Told) -> None:
    report = told.on("mapped")
    assert found(report) == {"signature-broken-by-proxy warning", "error-response warning"}
    assert report["cos"]["bucket"] == BUCKET
    assert report["request"]["url"] == f"https://{HOST}/mapped"
    assert changes(report) == [
        ("url", None, f"https://{HOST}/mapped", f"https://{OTHER_HOST}/mapped", "map_remote")
    ]
    (proof,) = evidence(report, "signature-broken-by-proxy")
    assert proof["headers"] == ["host"]
    assert "(map_remote)" in report["findings"][0]["detail"]


def test_host_rewritten(told: Told) -> None:
    report = told.on("host-rewritten")
    assert found(report) == {"signature-broken-by-proxy warning", "error-response warning"}
    assert changes(report) == [("header", "Host", HOST, OTHER_HOST, "modify_headers")]


@pytest.mark.parametrize(
    ("name", "sent", "by"),
    [
        ("path-mapped", "/path-mapped-elsewhere", "map_remote"),
        ("scripted-path", "/another-path", "the script rewrite.py"),
    ],
)
def test_path_rewritten(told: Told, name: str, sent: str, by: str) -> None:
    report = told.on(name)
    assert found(report) == {"signature-broken-by-proxy warning", "error-response warning"}
    assert changes(report) == [("url", None, f"/{name}", sent, by)]
    assert evidence(report, "signature-broken-by-proxy")[0]["headers"] == ["the path"]


def test_a_signed_header_rewritten_by_a_script(told: Told) -> None:
    report = told.on("scripted-header")
    assert ("header", "x-cos-meta-who", "the client", "the script", "the script rewrite.py") in (
        changes(report)
    )
    assert found(report) == {"signature-broken-by-proxy warning", "error-response warning"}


def test_what_is_not_signed_may_be_added(told: Told) -> None:
    report = told.on("unsigned-header-added")
    assert rules(report) == []
    assert changes(report) == [("header", "x-cos-meta-added", None, "by-option", "modify_headers")]


def test_a_changed_body_is_the_one_that_is_stored(told: Told) -> None:
    report = told.on("body-modified")
    assert rules(report) == []
    assert checks(report)["crc64", "request"] == "match"
    ((part, _, client, sent, by),) = changes(report)
    assert (part, by) == ("body", "modify_body")
    assert client != sent


def test_a_changed_body_is_not_the_clients_fault(told: Told) -> None:
    report = told.on("body-modified-and-hashed")
    assert "content-md5-mismatch warning" in found(report)
    assert "error" not in {finding["severity"] for finding in report["findings"]}
    (finding,) = [item for item in report["findings"] if item["rule"] == "content-md5-mismatch"]
    assert "which this proxy had changed (modify_body)" in finding["detail"]


def test_an_error_names_where_it_was_sent(told: Told) -> None:
    report = told.on("missing-bucket")
    (finding,) = [item for item in report["findings"] if item["rule"] == "error-response"]
    assert "nobucket-1250000000" in finding["detail"]
    assert "(map_remote)" in finding["detail"]


def test_the_saved_flows_say_the_same(told: Told, folder: Path) -> None:
    assert_same_later(told.reports, told.capture, folder)
