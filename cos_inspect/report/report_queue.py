"""Reports that wait to be written: bounded, and revised where they wait.

One thread puts reports in and waits for nothing; another one gathers and settles them.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import islice

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.format_writers import QueuedReport

_MOST_AT_ONCE = 1000
_ROUGHLY = 4096
"""Bytes of a report beside its headers, and of a header beside its value."""
_HEADER = 200


class ReportQueue:
    """``most`` reports, which take about ``heaviest`` bytes."""

    def __init__(self, most: int, heaviest: int) -> None:
        self._most = most
        self._heaviest = heaviest
        self._inbox: deque[QueuedReport] = deque()
        self._gathered: OrderedDict[int, QueuedReport] = OrderedDict()
        self._newest: dict[str, int] = {}
        """Of each flow, the last of its reports in ``_gathered``."""
        self._lock = threading.Lock()
        """Held for moments only, never while something is written."""
        # Each of these grows, and one thread alone writes it.
        self._put_in = self._put_in_weight = 0
        self._settled = self._settled_weight = 0

    def put(self, report: FlowReport, *, is_new: bool) -> bool:
        """``is_new`` False: it takes the place of an earlier report of its flow. False when
        there is no room."""
        weight = weight_of(report)
        if (
            self._put_in - self._settled >= self._most
            or self._put_in_weight - self._settled_weight + weight > self._heaviest
        ):
            return False
        self._put_in += 1
        self._put_in_weight += weight
        self._inbox.append(QueuedReport(report, is_new, weight=weight, number=self._put_in))
        return True

    def __len__(self) -> int:
        """Reports, each flow's revisions counted with it where they are gathered."""
        return self._put_in - self._settled

    def unsettled(self) -> int:
        """How many reports are lost when nothing more is written."""
        with self._lock:
            waiting = [*self._gathered.values(), *self._inbox]
        new = [name_of(each.report) for each in waiting if each.is_new]
        revised = {name_of(each.report) for each in waiting}
        return len(new) + len(revised.difference(new))

    def gather(self) -> None:
        """Takes what was put in; a revision goes to the report that waits, where one does."""
        left = len(self._inbox)
        while left > 0:
            with self._lock:
                for _ in range(min(left, _MOST_AT_ONCE)):
                    self._gather_one(self._inbox.popleft())
            left -= _MOST_AT_ONCE

    def _gather_one(self, pending: QueuedReport) -> None:
        name = pending.name = name_of(pending.report)
        waiting = self._gathered.get(self._newest.get(name, 0))
        if waiting is not None and not pending.is_new:
            waiting.revise(pending.report)
            self._count(pending)
            return
        self._gathered[pending.number] = pending
        self._newest[name] = pending.number

    def batches(self, size: int) -> Iterator[list[QueuedReport]]:
        """Each report that is gathered now, once; those that stay are last in the next turn."""
        left = len(self._gathered)
        while left > 0:
            batch = list(islice(self._gathered.values(), min(size, left)))
            yield batch
            left -= len(batch)
            for each in batch:
                if each.number in self._gathered:
                    self._gathered.move_to_end(each.number)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is gathered."""
        return not self._gathered

    def settle(self, pending: QueuedReport) -> None:
        """A report waits no more, for it is written or given up; once for each."""
        with self._lock:
            del self._gathered[pending.number]
        if self._newest.get(pending.name) == pending.number:
            del self._newest[pending.name]
        self._count(pending)

    def write_off(self) -> int:
        """How many have gone astray since the last call: taken along by a thread that was ended
        by force. They wait no more."""
        with self._lock:
            astray = self._put_in - self._settled - len(self._gathered) - len(self._inbox)
            self._settled += astray
        return astray

    def _count(self, pending: QueuedReport) -> None:
        self._settled += 1
        self._settled_weight += pending.weight


def name_of(report: FlowReport) -> str:
    """Names what a report is about: the replay of a flow has its id, and begins at another
    time."""
    return f"{report.flow_id} {report.started}"


def weight_of(report: FlowReport) -> int:
    """About how many bytes a report takes; what a stranger can make large is in it."""
    size = _ROUGHLY + len(report.request.url)
    for header in report.request.headers:
        size += _HEADER + len(header.value)
    if report.response is not None:
        for header in report.response.headers:
            size += _HEADER + len(header.value)
    return size
