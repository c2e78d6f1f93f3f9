"""The live pages: where they are there, and that they serve nothing else."""

import re
from pathlib import Path

import pytest
from mitmproxy import ctx
from mitmproxy.test import taddons

from cos_inspect.proxy.live_pages import _FILE, LivePages, _why_not


class _Application:
    def __init__(self) -> None:
        self.handlers: list[tuple[str, type]] = []
        self.settings: dict[str, object] = {}

    def add_handlers(self, host: str, handlers: list[tuple[str, type]]) -> None:
        assert host == ".*"
        self.handlers += handlers


def _run(application: object, caplog: pytest.LogCaptureFixture) -> list[str]:
    with taddons.context() as context, caplog.at_level("INFO"):
        if application is not None:
            context.master.app = application
            context.master.web_url = "http://127.0.0.1:8081/?token=abc"
        assert ctx.master is context.master
        LivePages(lambda: (None, True), lambda: None).running()
        # Its log handler would outlive its event loop.
        context.master._legacy_log_events.uninstall()
    return [record.getMessage() for record in caplog.records]


def test_outside_of_mitmweb_there_are_none(caplog: pytest.LogCaptureFixture) -> None:
    assert _run(None, caplog) == []


def test_a_mitmweb_that_is_otherwise_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert _run(object(), caplog) == []


def test_in_mitmweb_they_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    application = _Application()
    said = _run(application, caplog)
    assert said == ["COS report pages at http://127.0.0.1:8081/cos/?token=abc"]
    assert len(application.handlers) == 4
    _run(application, caplog)
    assert len(application.handlers) == 4


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "summary.json",
        "assets/app.js",
        "data/rows-0001.js",
        "flows/000001_PutObject_200_3f2a9c1b.json",
        "flows/000001_CI-snapshot_error_3f2a9c1b.md",
    ],
)
def test_files_of_the_reports_have_an_address(path: str) -> None:
    assert re.fullmatch(_FILE, f"/cos/{path}")


@pytest.mark.parametrize(
    "path",
    [
        "../x.js",
        "data/../x.js",
        ".lock",
        "data/.1-1.tmp",
        "other/x.js",
        "/etc/x.js",
        "a/b/c.js",
        "",
    ],
)
def test_nothing_else_has(path: str) -> None:
    assert not re.fullmatch(_FILE, f"/cos/{path}")


def test_a_missing_page_says_why() -> None:
    assert "cos_report_dir" in _why_not(None)
    assert "html" in _why_not(Path("x"))
