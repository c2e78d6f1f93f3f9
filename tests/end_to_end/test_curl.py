"""The script for curl, run by a real shell against a server that verifies signatures."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.curl import curl_script
from tests.end_to_end import browser
from tests.end_to_end.harness import BUCKET, REGION, SECRET_ID, SECRET_KEY, by_operation
from tests.end_to_end.test_clean_coscmd import CONFIGURATION, coscmd
from tests.end_to_end.test_pages import open_page, write
from tests.end_to_end.web import Web
from tests.origin.errors import OriginError
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


def _form(script: str, tool: str) -> list[str]:
    """The words of a tool's line in a script, as a shell reads them."""
    (line,) = [line for line in script.splitlines() if line.startswith(f"# {tool} ")]
    return shlex.split(line)[2:]


@pytest.mark.skipif(find_spec("coscmd") is None, reason="coscmd is not installed")
def test_the_form_for_coscmd_does_the_same(web: Web, tmp_path: Path) -> None:
    """All that can be run of the forms: coscli is no Python, and documents ``cp``, ``rm`` and
    ``ls`` with ``cos://bucket/key`` and ``-e endpoint`` (436/63144, /63671, /46273)."""
    folder = "coscmd-你好/"
    key = f"{folder}it's a +`b`.txt"
    client = web.client()
    client.put_object(BUCKET, b"first", key)
    client.get_object(BUCKET, key)
    client.head_object(BUCKET, key)
    client.list_objects(BUCKET, Prefix=folder)
    client.delete_object(BUCKET, key)
    (tmp_path / "cos.conf").write_text(CONFIGURATION)
    (tmp_path / "BODY").write_bytes(b"by coscmd")
    found = {
        operation: web.report_on(key, operation)
        for operation in ("PutObject", "HeadObject", "GetObject", "DeleteObject")
    }
    found["GetBucket"] = by_operation(web.reports, "GetBucket")[-1]
    scripts = {
        operation: web.call("cos.curl", f"@{report['flow_id']}")["value"]
        for operation, report in found.items()
    }
    coscmd(web, tmp_path, *_form(scripts["PutObject"], "coscmd"))
    assert web.origin.get_object(BUCKET, key) == b"by coscmd"
    assert "9" in coscmd(web, tmp_path, *_form(scripts["HeadObject"], "coscmd"))
    (tmp_path / "BODY").unlink()
    coscmd(web, tmp_path, *_form(scripts["GetObject"], "coscmd"))
    assert (tmp_path / "BODY").read_bytes() == b"by coscmd"
    assert key in coscmd(web, tmp_path, *_form(scripts["GetBucket"], "coscmd"))
    coscmd(web, tmp_path, *_form(scripts["DeleteObject"], "coscmd"))
    with pytest.raises(OriginError):
        web.origin.get_object(BUCKET, key)
    place = f"cos://{BUCKET}/{key}"
    endpoint = ["-e", f"cos.{REGION}.myqcloud.com"]
    assert _form(scripts["PutObject"], "coscli") == ["cp", "BODY", place, *endpoint]
    assert _form(scripts["GetObject"], "coscli") == ["cp", place, "BODY", *endpoint]
    assert _form(scripts["DeleteObject"], "coscli") == ["rm", place, *endpoint]
    assert _form(scripts["GetBucket"], "coscli") == [
        "ls",
        f"cos://{BUCKET}/coscmd-你好/",
        *endpoint,
    ]


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
