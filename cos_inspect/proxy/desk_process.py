"""A desk in a process of its own: takes exchanges from standard input, answers on standard output.

Started by the proxy under a load that would slow it down. It ends with its
standard input; whatever came before is then on disk, also where the proxy was killed.
"""

import itertools
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import BinaryIO

from cos_inspect.proxy.desk import Desk
from cos_inspect.proxy.desk_messages import (
    Answer,
    Begin,
    Finish,
    Flows,
    Request,
    Seen,
    frame,
    requests,
)
from cos_inspect.proxy.kept import Kept
from cos_inspect.proxy.terminal import flow_line, level_of
from cos_inspect.report.model import FlowReport
from cos_inspect.session import Inspected

logger = logging.getLogger(__name__)

_MOST_WAITING = 16
"""Messages; while there are more, the proxy has to keep them."""
_RENEWAL_SECONDS = 2.0
_IDLE_SECONDS = 0.5
_NICENESS = 5
_NOTHING = Flows([], None, colour=False)


class _Heard(logging.Handler):
    """Keeps what is logged, for the next answer."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self.lines.append((record.levelno, text, text))

    def take(self) -> list[tuple[int, str, str]]:
        lines, self.lines = self.lines, []
        return lines


def main() -> None:
    # Ctrl-C and service managers reach all processes; it is the proxy that ends this one.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(os, "nice"):
        # The traffic comes first.
        os.nice(_NICENESS)
    out = sys.stdout.buffer
    # Whatever else is printed must not get among the answers.
    sys.stdout = sys.stderr
    waiting: queue.Queue[Request | None] = queue.Queue(_MOST_WAITING)
    threading.Thread(target=_read, args=(sys.stdin.buffer, waiting), daemon=True).start()
    begin = waiting.get()
    if not isinstance(begin, Begin):
        return
    settings, session = pickle.loads(begin.state)
    heard = _Heard()
    logging.getLogger().addHandler(heard)
    _work(Desk(settings, session, threaded=False), waiting, out, heard)


def _read(file: BinaryIO, waiting: "queue.Queue[Request | None]") -> None:
    for request in requests(file):
        waiting.put(request)
    waiting.put(None)


def _work(desk: Desk, waiting: "queue.Queue[Request | None]", out: BinaryIO, heard: _Heard) -> None:
    told = time.monotonic()
    while True:
        try:
            request = waiting.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            request = _NOTHING
        if isinstance(request, Flows):
            lines, revised = _take(desk, request)
            answer = Answer(
                flows=len(request.flows),
                lines=lines + heard.take(),
                revised=revised,
                verdicts=dict(desk.verdicts),
                rules=dict(desk.rules),
            )
            if answer.flows or answer.lines:
                _say(out, answer)
        else:
            break
        if time.monotonic() - told >= _RENEWAL_SECONDS:
            desk.tell_session()
            told = time.monotonic()
        desk.pump()
    state = pickle.dumps(desk.state())
    if isinstance(request, Finish):
        _say(out, Answer(lines=heard.take(), state=state))


def _take(desk: Desk, request: Flows) -> tuple[list[tuple[int, str, str]], list[FlowReport]]:
    reports: list[FlowReport] = []
    foreign: list[FlowReport] = []
    for flow in request.flows:
        try:
            inspected = _inspected(desk, flow)
        except Exception:
            flow_id = flow.flow_id if isinstance(flow, Kept) else flow.exchange.flow_id
            logger.warning("flow %s: not inspected, the inspection failed", flow_id, exc_info=True)
            continue
        if inspected is not None:
            reports.append(inspected.report)
            foreign += [
                report for report in inspected.revised if not desk.has_counted(report.flow_id)
            ]
    return _lines(reports, request.width, colour=request.colour), foreign


def _inspected(desk: Desk, flow: Seen | Kept) -> Inspected | None:
    if isinstance(flow, Seen):
        return desk.take(flow.exchange, marks=flow.marks)
    return desk.take_kept(flow)


def _lines(
    reports: Sequence[FlowReport], width: int | None, *, colour: bool
) -> list[tuple[int, str, str]]:
    lines = []
    for level, group in itertools.groupby(reports, level_of):
        some = list(group)
        plain = "\n".join([flow_line(report) for report in some])
        shown = plain
        if width is not None or colour:
            shown = "\n".join([flow_line(report, width=width, colour=colour) for report in some])
        lines.append((level, plain, shown))
    return lines


def _say(out: BinaryIO, answer: Answer) -> None:
    try:
        out.write(frame(answer))
        out.flush()
    except OSError:
        # The proxy is gone; what came from it is written all the same.
        logger.debug("nobody listens")
