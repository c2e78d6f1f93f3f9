"""Reports that are held to be revised, and what is known of those that are not."""

import pytest

from cos_inspect.inspection.first_look import first_look
from cos_inspect.inspection.revisable_flows import RevisableFlow, RevisableFlows, is_revisable
from cos_inspect.inspection.second_look import Revision
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Finding
from cos_inspect.transfers.history import ObjectHistory
from tests.report.build import finding
from tests.transfers.build import START, complete, exchange, failure, get, put, ranged

DATA = b"0123456789"


def flow_of(one: Exchange) -> RevisableFlow:
    look = first_look(one)
    assert look is not None
    return RevisableFlow(look.report, look.seen, look.pending)


class Known:
    """What everything together says, by flow."""

    def __init__(self) -> None:
        self.findings: dict[str, list[Finding]] = {}

    def look(self, flow: RevisableFlow, _history: ObjectHistory | None) -> Revision | None:
        found = self.findings.get(flow.seen.flow_id)
        return Revision(findings=found) if found else None


def test_a_report_is_revised_and_taken_back() -> None:
    known = Known()
    flows = RevisableFlows(known.look, reports=8, old_reports=8)
    alone = flows.add(flow_of(put("a", DATA, 0.0)), None)
    assert alone.verdict == "ok"
    assert flows.revise(["a"]) == []
    known.findings["a"] = [finding("etag-mismatch")]
    (bad,) = flows.revise(["a"])
    assert (bad.verdict_before, bad.rules_before) == ("ok", frozenset())
    assert bad.report.verdict == "error"
    assert flows.revise(["a"]) == []
    known.findings.clear()
    (good,) = flows.revise(["a"])
    assert (good.verdict_before, good.rules_before) == ("error", frozenset({"etag-mismatch"}))
    assert good.report == alone


def test_what_is_known_at_once_stands_in_the_first_report() -> None:
    known = Known()
    known.findings["a"] = [finding("etag-mismatch")]
    flows = RevisableFlows(known.look, reports=8, old_reports=8)
    assert flows.add(flow_of(put("a", DATA, 0.0)), None).verdict == "error"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (put("a", DATA, 0.0), False),
        (get("a", DATA, 0.0), False),
        (put("a", DATA, 0.0, **failure(503, "SlowDown")), True),
        (ranged("a", DATA, 0, 4, 0.0), True),
        (complete("a", [(1, "0" * 32)], None, 0.0), True),
        (exchange("a", "PUT", "/a", 0.0, sent={"x-cos-copy-source": "other/b"}), True),
    ],
)
def test_what_is_clean_and_whole_is_not_kept_for_long(one: Exchange, expected: bool) -> None:
    assert is_revisable(flow_of(one)) is expected


def test_what_waits_for_its_history_is_kept() -> None:
    flow = flow_of(put("a", DATA, 0.0))
    flow.waits = True
    assert is_revisable(flow)


def held_of(count: int) -> RevisableFlows:
    """Clean flows, of which the first ones are not held any more."""
    flows = RevisableFlows(Known().look, reports=2, old_reports=2)
    for number in range(count):
        flows.add(flow_of(put(f"{number}", DATA, float(number))), None)
    assert flows.get("0") is None
    assert flows.get(f"{count - 1}") is not None
    return flows


def test_a_clean_flow_is_no_loss_where_others_come_in_order_of_time() -> None:
    flows = held_of(8)
    assert flows.revise(["0"], ended=START + 100.0) == []
    assert flows.forgotten == 0


def test_what_came_behind_later_ones_might_have_changed_it() -> None:
    flows = held_of(8)
    assert flows.revise(["0"], behind={"0"}, ended=START + 100.0) == []
    assert flows.revise(["1"], ended=START + 0.5) == []
    assert flows.forgotten == 2


def test_old_flows_that_may_change_lie_in_the_file() -> None:
    known = Known()
    flows = RevisableFlows(known.look, reports=2, old_reports=100)
    for number in range(20):
        flows.add(flow_of(put(f"{number}", DATA, float(number), **failure(503, "SlowDown"))), None)
    known.findings["0"] = [finding("etag-mismatch")]
    (revised,) = flows.revise(["0"])
    assert revised.report.verdict == "error"
    assert revised.report.flow_id == "0"
    flows.clear()
    assert flows.get("19") is None
    flows.close()
