"""What the overview holds of one transfer, and of what is lost."""

import msgspec

from cos_inspect.model.flow_report import Check
from cos_inspect.model.summary import Lost, Summary, TransferSummary
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.model.summary_merging import merged


def test_lost_reports_are_told_as_they_come() -> None:
    lost = Lost()
    lost.add("disk full", 2)
    earlier = Lost(count=lost.count, reasons=dict(lost.reasons))
    lost.add("not inspected")
    lost.add("disk full")
    tally = SummaryDelta()
    assert not tally
    tally.lost = lost.since(earlier)
    assert tally
    summary = merged(Summary(lost=earlier), tally)
    assert summary.lost == lost == Lost(count=4, reasons={"disk full": 3, "not inspected": 1})


def test_a_transfer_with_a_check_that_fails_cannot_be_ok() -> None:
    failed = Check(check="multipart-crc64", body="request", status="mismatch")
    made = TransferSummary(
        kind="multipart-upload",
        id="u",
        bucket=None,
        key=None,
        state="completed",
        size=None,
        parts=1,
        duration_ms=None,
        verdict="ok",
        findings=[],
        flows=[],
        checks=[failed],
    )
    assert made.verdict == "error"
    assert msgspec.structs.replace(made, verdict="notice").verdict == "error"
    told = msgspec.json.encode(made).replace(b'"error"', b'"ok"')
    assert msgspec.json.decode(told, type=TransferSummary).verdict == "error"
