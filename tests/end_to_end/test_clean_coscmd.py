"""coscmd's clean traffic."""

import importlib.util
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.harness import (
    BUCKET,
    REGION,
    SECRET_ID,
    SECRET_KEY,
    Inspected,
    Report,
    accused,
    by_operation,
    checks,
    one_proxy,
    only,
    rules,
)

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(
        importlib.util.find_spec("coscmd") is None,
        reason="coscmd is not installed",
    ),
]

SMALL = random.Random(41).randbytes(20_000)
LARGE = random.Random(42).randbytes(21 << 20)
CONFIGURATION = f"""\
[common]
secret_id = {SECRET_ID}
secret_key = {SECRET_KEY}
bucket = {BUCKET}
region = {REGION}
part_size = 8
multiupload_threshold = 20
"""
UPLOAD = {
    ("content-length", "request"): "match",
    ("content-length", "response"): "match",
    ("content-md5", "request"): "match",
    ("etag", "request"): "match",
    ("crc64", "request"): "match",
    ("signature", "request"): "no-credentials",
}
DOWNLOAD = {
    ("content-length", "response"): "match",
    ("etag", "response"): "match",
    ("crc64", "response"): "match",
    ("signature", "request"): "no-credentials",
}


def coscmd(proxy: Inspected, folder: Path, *arguments: str) -> str:
    """Runs it in a folder that has its ``cos.conf``; what it says."""
    script = "import sys; from coscmd.cos_cmd import _main; sys.exit(_main())"
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            script,
            f"--config_path={folder / 'cos.conf'}",
            f"--log_path={folder / 'cos.log'}",
            *arguments,
        ],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HTTP_PROXY": proxy.url,
            "HTTPS_PROXY": proxy.url,
            "REQUESTS_CA_BUNDLE": proxy.ca_pem,
        },
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Report]]:
    folder = tmp_path_factory.mktemp("coscmd")
    (folder / "small.bin").write_bytes(SMALL)
    (folder / "large.bin").write_bytes(LARGE)
    (folder / "cos.conf").write_text(CONFIGURATION)
    with one_proxy(folder) as (origin, proxy):
        coscmd(proxy, folder, "upload", "small.bin", "coscmd/照片 +.bin")
        coscmd(proxy, folder, "upload", "large.bin", "coscmd/large.bin")
        coscmd(proxy, folder, "download", "coscmd/照片 +.bin", "back.bin")
        assert (folder / "back.bin").read_bytes() == SMALL
        coscmd(proxy, folder, "list", "coscmd/")
        coscmd(proxy, folder, "delete", "-f", "coscmd/照片 +.bin")
        proxy.stop()
        assert "Traceback" not in proxy.output
        assert {r["ids"]["request_id"] for r in proxy.reports} == {
            record.request_id for record in origin.requests
        }
        yield proxy.reports


def test_nothing_is_accused(reports: list[Report]) -> None:
    assert accused(reports) == []
    assert {rule for report in reports for rule in rules(report)} == set()


def test_checks_of_an_upload(reports: list[Report]) -> None:
    assert checks(only(reports, "PutObject", "coscmd/照片 +.bin")) == UPLOAD


def test_checks_of_parts(reports: list[Report]) -> None:
    parts = by_operation(reports, "UploadPart")
    assert [checks(part) for part in parts] == [UPLOAD] * 3
    assert only(reports, "CompleteMultipartUpload", "coscmd/large.bin")["verdict"] == "ok"


def test_checks_of_a_download(reports: list[Report]) -> None:
    assert checks(only(reports, "GetObject", "coscmd/照片 +.bin")) == DOWNLOAD


def test_the_tool_is_named_and_not_the_sdk_under_it(reports: list[Report]) -> None:
    assert {report["cos"]["client"]["name"] for report in reports} == {"coscmd"}
