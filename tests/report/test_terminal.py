"""The line per flow, and the summary at the end."""

import re
from collections.abc import Iterable

import msgspec
import pytest
from rich.cells import cell_len

from cos_inspect.model.flow_report import (
    BrokeOffReport,
    Check,
    Finding,
    FlowReport,
    TransferReport,
)
from cos_inspect.model.summary import RetryChain
from cos_inspect.report.terminal import StoryLines, flow_line, retry_line, transfer_line
from tests.report.build import error_report, finding, flow_report, transfer_summary

CHINESE = "年度报告/二〇二六年/腾讯云对象存储的使用情况总结与展望（最终版）.pdf"


def test_a_line_says_it_all() -> None:
    line = flow_line(flow_report(key="a/腾讯云.txt"))
    assert line == (
        "10:00:00Z COS ok      PutObject               200        3 B"
        " examplebucket-1250000000/a/腾讯云.txt"
    )


def test_what_the_proxy_answered_or_ended_is_told() -> None:
    report = flow_report()
    assert report.response is not None
    answer = msgspec.structs.replace(report.response, by="proxy", option="map_local")
    answered = msgspec.structs.replace(report, response=answer)
    assert flow_line(answered).splitlines()[1:] == ["    answered by this proxy: map_local"]
    who = BrokeOffReport(
        by="proxy", option=None, after_ms=1.0, waited_ms=None, said="Connection killed."
    )
    ended = msgspec.structs.replace(report, response=None, broke_off=who)
    assert flow_line(ended).splitlines()[1:] == ["    ended by this proxy: Connection killed."]


def test_findings_follow() -> None:
    lines = flow_line(flow_report(status=None, findings=[finding()])).splitlines()
    assert " --- " in lines[0]
    assert lines[1] == "    error: etag-mismatch: d"


def test_control_characters_do_not_reach_the_terminal() -> None:
    report = flow_report(key="a\x1b[31m\nb", findings=[_finding("x\x1b]0;y\x07\u202ez")])
    for line in (flow_line(report), flow_line(report, width=40)):
        assert "\x1b" not in line
        assert "\x07" not in line
        assert "\u202e" not in line
    assert "\n" not in flow_line(flow_report(key="a\nb"))


def test_nothing_is_cut_where_there_is_no_terminal() -> None:
    report = flow_report(key=CHINESE * 5, findings=[_finding("word " * 100)])
    first, second = flow_line(report).splitlines()
    assert first.endswith(CHINESE * 5)
    assert len(second) > 500


@pytest.mark.parametrize("width", [1, 20, 33, 47, 60, 79, 80, 81, 100, 132, 200])
@pytest.mark.parametrize("key", ["a.txt", CHINESE, "x" * 900, "", "é\u0301" * 80, "👩‍👩‍👧" * 30])
def test_no_line_is_wider_than_the_terminal(width: int, key: str) -> None:
    report = flow_report(key=key, findings=[_finding(CHINESE * 4), _finding("a " * 80)])
    lines = flow_line(report, width=width).splitlines()
    assert max(cell_len(line) for line in lines) <= max(width, 32)


def test_columns_stand_below_each_other_whatever_the_key() -> None:
    starts = set()
    for key, operation in ((CHINESE, "PutObject"), ("a", "CompleteMultipartUpload")):
        line = flow_line(flow_report(key=key, operation=operation), width=100)
        starts.add(cell_len(line[: line.index("200")]))
    assert len(starts) == 1


def test_of_a_long_place_the_end_of_the_key_is_kept() -> None:
    line = flow_line(flow_report(key=f"{'deep/' * 40}name.txt"), width=90)
    assert line.endswith("name.txt")
    assert "…/deep/" in line


def test_findings_are_wrapped_below_their_beginning() -> None:
    lines = flow_line(flow_report(findings=[_finding("word " * 40)]), width=100).splitlines()
    assert lines[1].startswith("    error: ")
    assert all(line.startswith("      word") for line in lines[2:])
    words = " ".join(line.strip() for line in lines[1:])
    assert words.split() == ["error:", "etag-mismatch:", *["word"] * 40]


def test_colours_change_nothing_but_colours() -> None:
    report = flow_report(key=CHINESE, findings=[_finding("word " * 40)])
    for width in (40, 90, None):
        coloured = flow_line(report, width=width, colour=True)
        assert "\x1b[31;1merror" in coloured
        plain = re.sub(r"\x1b\[[0-9;]+m", "", coloured)
        assert plain == flow_line(report, width=width)


def test_a_flow_that_is_fine_says_what_was_verified() -> None:
    checks = [Check(check="crc64", body="request", status="match")]
    report = msgspec.structs.replace(flow_report(), checks=checks)
    assert flow_line(report).endswith("/a.txt  ✓ CRC-64")
    assert flow_line(report, width=100, colour=True).splitlines()[1:] == ["    ✓ CRC-64"]


def test_a_flow_that_failed_says_how_to_find_it() -> None:
    error = error_report("NoSuchKey")
    report = flow_report(status=404, findings=[finding("error-response")], sequence=12)
    ids = msgspec.structs.replace(report.ids, request_id="NjQ")
    report = msgspec.structs.replace(report, error=error, ids=ids)
    assert flow_line(report).splitlines()[0].endswith("  #12 NoSuchKey request id NjQ")


def test_a_transfer_has_a_line_of_its_own() -> None:
    refused = msgspec.structs.replace(transfer_summary("a", "refused"), findings=[finding("x")])
    assert transfer_line(refused).splitlines()[1:] == ["    error: x: d"]
    assert "multipart-upload refused" in transfer_line(refused)


def test_a_chain_of_tries_has_a_line() -> None:
    chain = RetryChain(flows=["a", "b"], causes=["503"], succeeded=True, operation="PutObject")
    assert retry_line(chain).startswith("COS notice  PutObject came through after 2 tries")


def _finding(detail: str) -> Finding:
    return msgspec.structs.replace(finding(), detail=detail)


def _tries(*flows: str, healed: bool = True) -> list[FlowReport]:
    """A request that failed but for the last time."""
    reports = []
    for number, flow in enumerate(flows, 1):
        is_last = number == len(flows)
        place = TransferReport(
            kind="retry",
            id="r",
            attempt=number,
            healed=healed and not is_last,
            earlier_tries=flows[:-1] if is_last else (),
        )
        found = [] if is_last else [finding("error-response")]
        report = flow_report(flow_id=flow, sequence=number, findings=found)
        reports.append(msgspec.structs.replace(report, transfer=place))
    return reports


def _story(reports: Iterable[FlowReport], width: int | None = None) -> list[str]:
    lines = StoryLines(width=width)
    for report in reports:
        lines.add(report, flow_line(report, width=width))
    return "\n".join(lines.all()).splitlines()


def test_failed_tries_stand_below_the_one_that_came_through() -> None:
    other = flow_report(flow_id="other")
    first, second, last = _tries("1", "2", "3")
    lines = _story([first, other, second, last])
    assert [" ok " in line for line in lines] == [True, True, False, False]
    assert lines[2].startswith("    before it, try 1 at 10:00:00Z, flow 1: 200. error-response: d")
    assert "try 2" in lines[3]
    assert all(len(line) <= 40 for line in _story([first, second, last], width=40))


def test_a_request_that_never_came_through_stays_where_it_is() -> None:
    first, last = _tries("1", "2", healed=False)
    lines = _story([first, last])
    assert " error " in lines[0]
    assert "error-response" in lines[1]


def test_a_healed_try_without_its_end_is_told_all_the_same() -> None:
    first, _ = _tries("1", "2")
    assert "try 1" in _story([first, flow_report()])[-1]
