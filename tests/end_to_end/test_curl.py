"""The script for curl, run by a real shell against a server that verifies signatures."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.curl import curl_script
from tests.end_to_end import browser
from tests.end_to_end.harness import BUCKET, SECRET_ID, SECRET_KEY
from tests.end_to_end.test_pages import open_page, write
from tests.end_to_end.web import Web
from tests.origin.server import Origin
from tests.origin.signing import Verifier
from tests.report.build import flow_report
from tests.report.test_curl import reports

pytestmark = pytest.mark.end_to_end

KEY = "neu 你+好/it's $(a) `b`.txt"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Origin() as origin, Web(origin, tmp_path_factory.mktemp("curl")) as web:
        origin.authorise = Verifier({SECRET_ID: SECRET_KEY}, strict=("host", "x-cos-meta-a"))
        yield web
    assert not origin.faults


def _run(web: Web, script: str, folder: Path) -> str:
    (folder / "BODY").write_bytes(b"by curl")
    done = subprocess.run(
        ["sh", "-s"],
        input=script,
        text=True,
        capture_output=True,
        cwd=folder,
        check=False,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "COS_SECRET_ID": SECRET_ID,
            "COS_SECRET_KEY": SECRET_KEY,
            "https_proxy": web.url,
            "CURL_CA_BUNDLE": web.ca_pem,
        },
    )
    assert done.returncode == 0, done.stderr
    # The proxy's own answer to CONNECT stands before it.
    return done.stdout.rpartition("HTTP/1.1 ")[2]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_what_it_sends_is_accepted(web: Web, tmp_path: Path) -> None:
    client = web.client()
    client.put_object(
        BUCKET, b"first", KEY, EnableMD5=True, Metadata={"x-cos-meta-a": "b c+d"}, ACL="private"
    )
    client.get_object(BUCKET, KEY, ResponseContentType="text/plain;a=b+c")
    client.head_object(BUCKET, KEY)
    client.list_objects(BUCKET, Prefix="neu", MaxKeys=3)
    client.delete_object(BUCKET, KEY)
    for operation, status in (
        ("PutObject", "200"),
        ("GetObject", "200"),
        ("HeadObject", "200"),
        ("GetBucket", "200"),
        ("DeleteObject", "204"),
    ):
        found = web.report_on("" if operation == "GetBucket" else KEY, operation)
        script = web.call("cos.curl", f"@{found['flow_id']}")["value"]
        assert SECRET_KEY not in script
        answer = _run(web, script, tmp_path)
        assert answer.startswith(status), (operation, answer)
        if operation == "PutObject":
            assert web.origin.get_object(BUCKET, KEY) == b"by curl"


@pytest.mark.skipif(browser.missing() is not None, reason=browser.missing() or "nothing")
def test_the_pages_make_the_same(tmp_path: Path) -> None:
    with browser.chromium(tmp_path / "profile") as page:
        open_page(page, write(tmp_path / "reports", [flow_report(sequence=1)]))

        @settings(
            max_examples=200,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(reports)
        def same(report: FlowReport) -> None:
            made = page.run(
                "return cosInspect.copy.curl(JSON.parse(arguments[0]))",
                msgspec.json.encode(report).decode(),
            )
            assert made == curl_script(report)

        same()
        assert page.console() == []
