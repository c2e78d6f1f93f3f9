"""Rows of transfers are what the summary says of them, whether it lists them or not."""

import msgspec

from cos_inspect.dataset.transfer_rows import part_rows, retry_row, transfer_row
from cos_inspect.model.flow_report import Severity
from cos_inspect.model.summary import PartSummary, RetryChain, TransferSummary
from tests.report.build import finding

PART = PartSummary(
    number=2,
    size=5,
    md5="c4",
    crc64ecma="17",
    etag='"c4"',
    tries=3,
    duration_ms=12.5,
    host="h.example",
    flow="f2",
)
UPLOAD = TransferSummary.judged(
    kind="multipart-upload",
    id="u1",
    bucket="b-1250000000",
    key="a/b.txt",
    state="completed",
    size=10,
    parts=2,
    duration_ms=40.0,
    findings=[finding(), finding("slow-transfer", Severity.NOTICE), finding()],
    flows=["f1", "f2"],
)


def test_a_transfer_says_what_its_summary_says() -> None:
    row = msgspec.to_builtins(msgspec.structs.asdict(transfer_row(7, UPLOAD)))
    said = msgspec.to_builtins(UPLOAD)
    same = row.keys() & said.keys() - {"findings", "checks"}
    assert len(same) >= 12
    assert {name: row[name] for name in same} == {name: said[name] for name in same}
    assert row["started"] == 7
    assert row["rules"] == ["etag-mismatch", "slow-transfer"]
    assert [each["severity"] for each in row["findings"]] == ["error", "notice", "error"]


def test_each_part_has_a_row_that_names_its_upload() -> None:
    assert part_rows(7, UPLOAD) == []
    (row,) = part_rows(7, msgspec.structs.replace(UPLOAD, part_table=[PART]))
    assert (row.transfer_id, row.kind, row.started) == ("u1", "multipart-upload", 7)
    assert (row.number, row.size, row.tries, row.flow_id) == (2, 5, 3, "f2")
    assert (row.md5, row.crc64ecma, row.etag, row.host) == ("c4", "17", '"c4"', "h.example")


def test_a_chain_of_tries_has_a_row() -> None:
    chain = RetryChain(flows=["a", "b", "c"], causes=["503", "timeout"], succeeded=False)
    row = retry_row(None, chain)
    assert (row.tries, row.succeeded, row.causes, row.flows) == (
        3,
        False,
        ["503", "timeout"],
        ["a", "b", "c"],
    )
    assert row.started is None
