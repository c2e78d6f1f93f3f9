"""What is counted is what the reports say, also after they were revised."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import Check, FlowReport, Severity
from cos_inspect.telemetry.counts import MOST_HOSTS, FlowCounts, Names, Tally, status_class
from cos_inspect.telemetry.signals import BODY_IO, DURATION, FLOWS, METRICS, OTHER, WAIT
from tests.report.build import finding, flow_report
from tests.telemetry.build import asking, changed

FINDINGS = st.lists(
    st.builds(finding, st.sampled_from(["a", "b"]), st.sampled_from(list(Severity))), max_size=3
)
CHECKS = st.lists(
    st.builds(
        Check,
        check=st.sampled_from(["crc64", "etag"]),
        body=st.just("request"),
        status=st.sampled_from(["match", "mismatch"]),
    ),
    max_size=3,
)
REPORTS = st.builds(
    lambda number, findings, checks, status: changed(
        flow_report(flow_id=str(number), findings=findings, status=status), checks=checks
    ),
    st.integers(0, 5),
    FINDINGS,
    CHECKS,
    st.sampled_from([200, 404, None]),
)


def _counted(reports: Sequence[FlowReport]) -> dict[tuple[str, tuple[str, ...]], int]:
    tally = Tally()
    for report in reports:
        tally.add(report)
    return {name: value for name, value in tally.take().items() if name[0] != BODY_IO.name}


@given(st.lists(REPORTS, max_size=12), st.data())
def test_a_revised_flow_counts_once(reports: list[FlowReport], data: st.DataObject) -> None:
    tally = Tally()
    known: dict[str, FlowCounts] = {}
    newest: dict[str, FlowReport] = {}
    sums: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for report in reports:
        before = known.get(report.flow_id)
        known[report.flow_id] = (
            tally.add(report) if before is None else tally.revise(before, report)
        )
        newest[report.flow_id] = report
        if data.draw(st.booleans()):
            sums.update(tally.take())
    sums.update(tally.take())
    told = {name: value for name, value in sums.items() if value and name[0] != BODY_IO.name}
    assert told == _counted(list(newest.values()))
    durations = [metric for metric, _, _ in tally.durations]
    assert durations == [DURATION, WAIT] * len(newest)


def test_each_metric_gets_as_many_values_as_it_has_attributes() -> None:
    tally = Tally()
    checks = [Check(check="etag", body="request", status="match")]
    tally.add(changed(flow_report(findings=[finding()]), checks=checks))
    wanted = {metric.name: len(metric.attributes) for metric in METRICS}
    taken = tally.take()
    assert {name for name, _ in taken} == {"cos.flows", "cos.findings", "cos.checks", "cos.body.io"}
    for name, values in taken:
        assert len(values) == wanted[name]
    for metric, _, values in tally.durations:
        assert len(values) == len(metric.attributes)


def test_hosts_are_bounded() -> None:
    tally = Tally()
    for number in range(MOST_HOSTS + 20):
        tally.add(asking(f"http://host-{number}.example/", flow_id=str(number)))
    hosts = Counter(
        {values[4]: value for (name, values), value in tally.take().items() if name == FLOWS.name}
    )
    assert len(hosts) == MOST_HOSTS + 1
    assert hosts[OTHER] == 20


def test_a_name_that_is_known_stays() -> None:
    names = Names(1)
    assert [names.of(each) for each in ("a", "b", "a", None, "")] == [
        "a",
        "other",
        "a",
        "none",
        "none",
    ]


def test_classes_of_statuses() -> None:
    assert [status_class(flow_report(status=each)) for each in (206, 404, 503, 700, None)] == [
        "2xx",
        "4xx",
        "5xx",
        "other",
        "none",
    ]
