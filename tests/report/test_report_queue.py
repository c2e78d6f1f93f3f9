"""What waits: nothing is forgotten, nothing counted twice, whatever comes when."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.format_writers import QueuedReport
from cos_inspect.report.report_queue import ReportQueue
from tests.report.build import flow_report

FLOWS = st.sampled_from(["a", "b", "c", "d"])


def report(flow_id: str, version: int) -> FlowReport:
    return msgspec.structs.replace(flow_report(flow_id=flow_id), started=str(version))


class Machine(RuleBasedStateMachine):
    """New reports and revisions come in, batches are tried, and some of each fail."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = ReportQueue(1000, 1 << 30)
        self.version = 0
        self.new: Counter[str] = Counter()
        self.settled: list[QueuedReport] = []
        self.latest: dict[str, int] = {}

    @rule(flow_id=FLOWS)
    def submit(self, flow_id: str) -> None:
        self.version += 1
        assert self.waiting.put(report(flow_id, self.version), is_new=True)
        self.new[flow_id] += 1
        self.latest[flow_id] = self.version

    @rule(flow_id=FLOWS)
    def revise(self, flow_id: str) -> None:
        if flow_id in self.latest:
            self.version += 1
            assert self.waiting.put(report(flow_id, self.version), is_new=False)
            self.latest[flow_id] = self.version

    @rule()
    def gather(self) -> None:
        self.waiting.gather()

    @rule(size=st.integers(1, 5), fate=st.lists(st.booleans(), max_size=30))
    def write(self, size: int, fate: list[bool]) -> None:
        fates = iter(fate)
        tried: list[int] = []
        for batch in self.waiting.batches(size):
            assert 1 <= len(batch) <= size
            for each in batch:
                tried.append(each.number)
                if next(fates, False):
                    self.waiting.settle(each)
                    self.settled.append(each)
        assert len(tried) == len(set(tried)), "one was tried twice in a turn"

    @invariant()
    def nothing_is_forgotten_or_counted_twice(self) -> None:
        settled = sum(each.is_new for each in self.settled)
        waiting = self.waiting.unsettled()
        assert settled + waiting >= sum(self.new.values())
        if not waiting:
            assert len(self.waiting) == 0
            assert settled == sum(self.new.values())

    def teardown(self) -> None:
        self.waiting.gather()
        for batch in self.waiting.batches(7):
            for each in batch:
                self.waiting.settle(each)
                self.settled.append(each)
        assert self.waiting.is_empty
        assert len(self.waiting) == 0
        assert self.waiting.unsettled() == 0
        assert Counter(each.report.flow_id for each in self.settled if each.is_new) == self.new
        # The last word of each flow was settled, in whichever report it stands.
        for flow_id, version in self.latest.items():
            seen = [each.report for each in self.settled if each.report.flow_id == flow_id]
            assert str(version) in [each.started for each in seen]


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.integers(1, 50), st.integers(0, 80))
def test_no_more_than_the_bound_waits(most: int, count: int) -> None:
    waiting = ReportQueue(most, 1 << 30)
    taken = [waiting.put(report("a", number), is_new=True) for number in range(count)]
    assert sum(taken) == len(waiting) == min(most, count)
    waiting.gather()
    for batch in waiting.batches(3):
        waiting.settle(batch[0])
        break
    assert waiting.put(report("a", 0), is_new=True) == (count < most or count > 0)


def test_nor_what_is_heavier() -> None:
    waiting = ReportQueue(1000, 100_000)
    large = report("a", 1)
    header = msgspec.structs.replace(large.request.headers[0], value="x" * 30_000)
    large = msgspec.structs.replace(
        large, request=msgspec.structs.replace(large.request, headers=[header])
    )
    assert [waiting.put(large, is_new=True) for _ in range(4)] == [True, True, False, False]
    assert waiting.put(report("a", 1), is_new=True)
    assert waiting.unsettled() == 3
