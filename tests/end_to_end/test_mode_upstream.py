"""A chain of two proxies."""

from pathlib import Path

import pytest

from tests.end_to_end.harness import accused
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import Sdk, exercise, judge
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end


def test_upstream(origin: Origin, tmp_path: Path) -> None:
    """Both proxies inspect, and they come to the same verdicts."""
    with Lab(origin, tmp_path / "second") as second:
        mode = f"--mode=upstream:{second.url}"
        with Lab(origin, tmp_path / "first", mode, server=second._proxy) as first:
            exercise(origin, Sdk(first.ca_pem, Proxies=first.proxies))
            first.stop()
        second.stop()
    for lab in (first, second):
        judge(origin, lab.reports)
        assert "Traceback" not in lab.output
    assert sorted(accused(first.reports)) == sorted(accused(second.reports))


def test_plain_http_goes_upstream_too(origin: Origin, tmp_path: Path) -> None:
    with Lab(origin, tmp_path / "second") as second:
        mode = f"--mode=upstream:{second.url}"
        with Lab(origin, tmp_path / "first", mode, server=second._proxy) as first:
            assert first.send("PUT", "plain", data=b"abc", scheme="http").status_code == 200
            assert first.report_on("plain")["verdict"] == "ok"
        assert second.report_on("plain")["verdict"] == "ok"
