"""What the list of transfers leaves out, and what it must not."""

import msgspec

from cos_inspect.inspection.session import Bounds, Session
from cos_inspect.model.summary import SessionSummary, Summary
from cos_inspect.transfers.limits import Limits
from tests.transfers.build import MIB, exchange, part, put, ranged


def test_more_than_memory_holds_is_all_in_the_summary() -> None:
    session = Session(bounds=Bounds(facts=4))
    for number in range(40):
        session.inspect(part(f"p{number}", 1, b"x", float(number), key=f"k{number}"))
    for number in range(40):
        session.inspect(part(f"q{number}", 2, b"x", 100.0 + number, key=f"k{number}"))
    assert {transfer.state for transfer in session.summary().transfers} == {"open"}
    summary = session.close()
    assert summary.left_out == 0
    assert [transfer.key for transfer in summary.transfers] == [f"k{n}" for n in range(40)]
    assert {(each.state, each.parts) for each in summary.transfers} == {("abandoned", 2)}


def test_what_is_no_longer_known_is_counted_and_not_called_abandoned() -> None:
    session = Session(bounds=Bounds(facts=2, histories=2))
    for number in range(40):
        session.inspect(part(f"p{number}", 1, b"x", float(number), key=f"k{number}"))
    summary = session.close()
    assert summary.left_out + len(summary.transfers) >= 40
    assert {transfer.verdict for transfer in summary.transfers} == {"ok"}


def test_too_many_flows_of_one_transfer() -> None:
    session = Session(limits=Limits(parts=2))
    for number in range(1, 6):
        session.inspect(part(f"p{number}", number, b"x", float(number)))
    (transfer,) = session.close().transfers
    assert transfer.notice == "3 flows were not kept: too many for one transfer"
    assert transfer.flows == ["p1", "p2"]


def test_throughput_is_of_busy_time() -> None:
    data = bytes(2 * MIB)
    session = Session()
    session.inspect(ranged("r1", data, 0, MIB, 0.0, took=1.0))
    session.inspect(ranged("r2", data, MIB, 2 * MIB, 1000.0, took=1.0))
    (transfer,) = session.close().transfers
    assert transfer.throughput == MIB
    assert transfer.duration_ms == 1_001_000.0
    assert transfer.findings == []


def test_a_slow_transfer_of_slow_ranges() -> None:
    data = bytes(4 * MIB)
    session = Session()
    sent = {"x-cos-traffic-limit": "819200"}
    for at in (0, 2 * MIB):
        ask = {"Range": f"bytes={at}-{at + 2 * MIB - 1}"} | sent
        session.inspect(ranged(f"r{at}", data, at, at + 2 * MIB, at / 1e4, took=60.0, sent=ask))
    (transfer,) = session.close().transfers
    (finding,) = transfer.findings
    assert finding.rule == "slow-transfer"
    assert finding.evidence["reason"] == "traffic-limit"
    assert finding.evidence["below_8_mbit"] is True
    assert transfer.verdict == "notice"


def test_plain_flows_are_no_transfers() -> None:
    session = Session()
    session.inspect(put("w", b"x", 0.0))
    session.inspect(exchange("l", "GET", "/", 1.0))
    summary = session.close()
    assert summary == SessionSummary()


def test_secrets_in_causes_are_masked() -> None:
    told = "GET /a?q-signature=0123456789abcdef0123456789abcdef01234567 timed out"
    session = Session()
    session.inspect(put("1", b"x", 0.0, status=None, error=told))
    last = session.inspect(put("2", b"x", 1.0))
    assert last is not None
    written = msgspec.json.encode([last.report, session.close()])
    assert b"timed out" in written
    assert b"0123456789abcdef" not in written


def test_summary_reads_what_it_wrote() -> None:
    session = Session()
    session.inspect(part("p1", 1, b"x", 1.0))
    found = session.close()
    summary = Summary(transfers=found.transfers, retries=found.retries, read_back=found.read_back)
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary
