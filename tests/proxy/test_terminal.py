"""The line per flow."""

import pytest

from cos_inspect.proxy.terminal import flow_line, size_text
from tests.report.build import finding, flow_report


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 40, "3.0 TiB"),
        (None, "?"),
    ],
)
def test_sizes(size: int | None, text: str) -> None:
    assert size_text(size) == text


def test_a_line_says_it_all() -> None:
    line = flow_line(flow_report(key="a/\u817e\u8baf\u4e91.txt"))
    assert line == (
        "10:00:00 COS PutObject examplebucket-1250000000/a/\u817e\u8baf\u4e91.txt 200 3 B ok"
    )


def test_findings_follow() -> None:
    lines = flow_line(flow_report(status=None, findings=[finding()])).splitlines()
    assert " --- " in lines[0]
    assert lines[1] == "    error: etag-mismatch: d"


def test_control_characters_do_not_reach_the_terminal() -> None:
    line = flow_line(flow_report(key="a\x1b[31m\nb"))
    assert "\x1b" not in line
    assert "\n" not in line
