"""The soak's judge, with addons that overlook faults, accuse clean flows, or lose reports."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from scripts.soak_compare import Outcome, compare
from scripts.soak_faults import FAULTS
from scripts.soak_truth import Act, Fault, Pairs, Seen, pairs

STARTED = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
FOREIGN = "signature-long-lived notice"
"""What no fault of the soak provokes."""
KINDS = [
    pytest.param(scenario, fault, id=f"{scenario}:{fault.name}")
    for scenario, faults in FAULTS.items()
    for fault in faults
]


class Run:
    """One act, and the reports and the summary that a perfect addon would make of it."""

    def __init__(self, scenario: str, fault: Fault | None) -> None:
        self.act = Act(7, scenario, fault, seed=1)
        self.reports: list[dict[str, Any]] = []
        self.flows: dict[str, Act | None] = {}
        self.summary: dict[str, Any] = {"transfers": [], "connections": []}
        if fault is not None and fault.connection:
            self.summary["connections"].append(
                {"host": self.act.host, "findings": findings(fault.connection)}
            )
            return
        operation = (fault.operation if fault else None) or "PutObject"
        if fault is not None:
            self.add("flow-hit", operation, fault.found)
            if fault.effects is not None:
                self.act.hits.add("flow-hit")
            if fault.last is not None:
                self.add("flow-last", operation, fault.last)
        if fault is None or fault.effects is not None:
            self.add("flow-clean", "HeadObject", pairs(""))

    def add(self, flow: str, operation: str, found: Pairs) -> None:
        self.act.seen.append(Seen(flow, operation, f"id-of-{flow}"))
        self.flows[flow] = self.act
        self.reports.append(
            {
                "flow_id": flow,
                "cos": {"operation": operation, "key": self.act.key},
                "findings": findings(found),
                "checks": [],
                "started": STARTED.isoformat(),
                "timing": {"total_ms": 2000.0},
            }
        )

    def of(self, flow: str) -> dict[str, Any]:
        return next(report for report in self.reports if report["flow_id"] == flow)

    def judge(self, *streaming_began: float) -> Outcome:
        self.summary["counts"] = {"flows": len(self.reports)}
        return compare([self.act], self.flows, self.reports, self.summary, streaming_began)


def findings(found: Pairs) -> list[dict[str, str]]:
    """Of alternatives the first; a rule alone is an error."""
    words = [pair.split("|")[0].split() for pair in sorted(found)]
    return [{"rule": word[0], "severity": (*word[1:], "error")[0]} for word in words]


def accuse(report: Mapping[str, Any]) -> None:
    report["findings"].extend(findings(pairs(FOREIGN)))


@pytest.mark.parametrize(("scenario", "fault"), KINDS)
def test_a_perfect_addon_is_believed(scenario: str, fault: Fault) -> None:
    outcome = Run(scenario, fault).judge()
    assert outcome.wrong == []
    assert outcome.found == outcome.faults > 0
    assert outcome.false_alarms == 0


def places(run: Run) -> Iterator[list[dict[str, str]]]:
    """Findings that must be there, wherever they stand."""
    yield from (report["findings"] for report in run.reports if report["findings"])
    yield from (each["findings"] for each in run.summary["connections"])


@pytest.mark.parametrize(("scenario", "fault"), KINDS)
def test_every_finding_that_is_missing_is_noticed(scenario: str, fault: Fault) -> None:
    checked = 0
    for place, found in enumerate(places(Run(scenario, fault))):
        for index in range(len(found)):
            run = Run(scenario, fault)
            del list(places(run))[place][index]
            outcome = run.judge()
            assert outcome.wrong, (place, index)
            assert outcome.found < outcome.faults
            checked += 1
    assert checked


@pytest.mark.parametrize(("scenario", "fault"), KINDS)
def test_every_flow_that_is_accused_wrongly_is_noticed(scenario: str, fault: Fault) -> None:
    for index in range(len(Run(scenario, fault).reports)):
        run = Run(scenario, fault)
        accuse(run.reports[index])
        assert len(run.judge().wrong) == 1


def test_a_clean_flow_that_is_accused_is_a_false_alarm() -> None:
    run = Run("python-small", None)
    accuse(run.of("flow-clean"))
    outcome = run.judge()
    assert outcome.false_alarms == 1
    assert [FOREIGN in line for line in outcome.wrong] == [True]


def test_slowness_is_no_false_alarm() -> None:
    run = Run("python-small", None)
    run.of("flow-clean")["findings"].extend(findings(pairs("slow-transfer notice")))
    assert run.judge().wrong == []


def test_severity_counts() -> None:
    (fault,) = (each for each in FAULTS["python-small"] if each.name == "upload-wrong-crc")
    run = Run("python-small", fault)
    run.of("flow-hit")["findings"][0]["severity"] = "notice"
    assert run.judge().found == 0


def test_a_lost_report_is_noticed() -> None:
    run = Run("python-small", None)
    run.reports.clear()
    assert [line for line in run.judge().wrong if "no report" in line]


def test_a_report_that_is_there_twice_is_noticed() -> None:
    run = Run("python-small", None)
    run.reports *= 2
    assert [line for line in run.judge().wrong if "2 reports" in line]


def test_a_report_on_what_nobody_sent_is_noticed() -> None:
    run = Run("python-small", None)
    run.reports.append({**run.reports[0], "flow_id": "x", "cos": {"operation": "X", "key": "y"}})
    assert [line for line in run.judge().wrong if "nobody made" in line]


def test_an_aborted_upload_without_a_report_is_noticed() -> None:
    """It never reached the server, which therefore knows nothing of it."""
    (fault,) = (each for each in FAULTS["raw"] if each.name == "upload-aborted")
    run = Run("raw", fault)
    run.reports.clear()
    run.flows.clear()
    assert [line for line in run.judge().wrong if "has no report" in line]


def test_a_wrong_count_in_the_summary_is_noticed() -> None:
    run = Run("python-small", None)
    run.summary["counts"] = {"flows": 5}
    outcome = compare([run.act], run.flows, run.reports, run.summary)
    assert [line for line in outcome.wrong if "counts 5" in line]


@pytest.mark.parametrize("with_fault", [True, False])
def test_a_transfer_that_is_accused_wrongly_is_noticed(with_fault: bool) -> None:
    fault = FAULTS["python-multipart"][0] if with_fault else None
    run = Run("python-multipart", fault)
    accused = {"kind": "multipart-upload", "key": run.act.key}
    run.summary["transfers"].append({**accused, "findings": findings(pairs(FOREIGN))})
    assert run.judge().false_alarms == 1


def test_a_connection_that_is_accused_wrongly_is_noticed() -> None:
    run = Run("python-small", None)
    trouble = {"host": "elsewhere", "findings": findings(pairs("tls-untrusted"))}
    run.summary["connections"].append(trouble)
    assert run.judge().false_alarms == 1


def test_a_check_that_was_not_made_is_noticed() -> None:
    run = Run("python-small", None)
    run.of("flow-clean")["checks"].append({"reason": "not-inspected"})
    assert [line for line in run.judge().wrong if "was not made" in line]


def test_a_flow_that_a_reload_cut_may_say_so() -> None:
    fault = FAULTS["python-small"][0]
    run = Run("python-small", fault)
    run.of("flow-hit")["findings"].clear()
    run.of("flow-hit")["checks"].append({"reason": "proxy-stopped"})
    outcome = run.judge()
    assert outcome.wrong == []
    assert (outcome.found, outcome.cut_by_reload) == (0, 1)


@pytest.mark.parametrize("is_cut", [True, False])
def test_what_an_unchecked_upload_wrote_may_be_read_as_another_object(is_cut: bool) -> None:
    (fault,) = (each for each in FAULTS["coscmd"] if each.name == "upload-wrong-crc")
    run = Run("coscmd", fault)
    run.of("flow-clean")["findings"] = findings(pairs("object-changed notice"))
    if is_cut:
        run.of("flow-hit")["findings"].clear()
        run.of("flow-hit")["checks"].append({"reason": "proxy-stopped"})
    outcome = run.judge()
    assert outcome.false_alarms == (not is_cut)
    assert bool(outcome.wrong) is not is_cut


def test_a_retry_that_a_reload_cut_may_say_so_though_other_parts_come_later() -> None:
    (fault,) = (each for each in FAULTS["python-multipart"] if each.name == "busy-then-retried")
    run = Run("python-multipart", fault)
    run.add("flow-other-part", "UploadPart", pairs(""))
    for flow in ("flow-hit", "flow-last"):
        run.of(flow)["findings"].clear()
        run.of(flow)["checks"].append({"reason": "proxy-stopped"})
    outcome = run.judge()
    assert outcome.wrong == []
    assert outcome.cut_by_reload == outcome.faults == 2


@pytest.mark.parametrize(("after", "is_excused"), [(-60, False), (-1, True), (1, True), (3, False)])
def test_a_body_that_mitmproxy_streamed_midway_may_say_so(after: float, is_excused: bool) -> None:
    """When it was told to while the flow was under way, and not at another time."""
    run = Run("python-large", FAULTS["python-large"][0])
    run.of("flow-hit")["findings"].clear()
    run.of("flow-hit")["checks"].append({"reason": "not-captured"})
    outcome = run.judge(STARTED.timestamp() + after)
    assert outcome.streamed_midway == is_excused
    assert bool(outcome.wrong) is not is_excused


def test_a_client_that_was_harmed_is_noticed() -> None:
    run = Run("python-small", None)
    run.act.trouble = "WrongBytesError: 3 bytes came, 4 were sent"
    assert [line for line in run.judge().wrong if "3 bytes came" in line]
