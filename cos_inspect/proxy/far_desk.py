"""The near end of a desk in another process: hands exchanges over, hears what was found.

Judging and writing a flow costs about a quarter of what passing on a small one costs the
proxy. Under a high rate of them that is done beside the proxy, where a core is free for it.
"""

import asyncio
import collections
import contextlib
import logging
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from cos_inspect.proxy.desk import DeskSettings
from cos_inspect.proxy.desk_messages import (
    Answer,
    Begin,
    Finish,
    Flows,
    Request,
    Seen,
    answers,
    frame,
)
from cos_inspect.proxy.hashing import spare_cores
from cos_inspect.proxy.kept import Kept
from cos_inspect.session import Session

logger = logging.getLogger(__name__)

_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]);"
    " from cos_inspect.proxy.desk_process import main; main()"
)
_MOST_FLOWS = 10_000
"""That were handed over and not answered yet; some 5 KB each, at most ``LARGEST``."""
LARGEST = 16 * 1024
"""Bytes of a flow's bodies that are handed over unread."""
_FINISH_SECONDS = 60.0


class FarDesk:
    """``heard`` is called on the event loop with each answer but the last."""

    def __init__(
        self, settings: DeskSettings, session: Session, heard: Callable[[Answer], None]
    ) -> None:
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._flows: list[Seen | Kept] = []
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._handed = self._answered = self._dropped = 0
        self._answers: collections.deque[Answer] = collections.deque()
        self._latest = Answer()
        self._last: Answer | None = None
        self._is_over = threading.Event()
        self._waiting.put(Begin(pickle.dumps((settings, session))))
        threading.Thread(target=self._run, name="cos-inspect-desk", daemon=True).start()

    @staticmethod
    def is_possible() -> bool:
        """Whether there is an interpreter to start, and a core for it."""
        return bool(sys.executable) and not getattr(sys, "frozen", False) and spare_cores() > 0

    def put(self, flow: Seen | Kept) -> None:
        """Takes a flow; ``flush`` hands it over."""
        self._flows.append(flow)

    def flush(self, width: int | None, colour: bool) -> None:
        flows, self._flows = self._flows, []
        if not flows:
            return
        if self._handed - self._answered > _MOST_FLOWS:
            if not self._dropped:
                logger.error("COS reports are dropped: inspecting them cannot keep up")
            self._dropped += len(flows)
            return
        self._handed += len(flows)
        self._waiting.put(Flows(flows, width, colour))

    def finish(self, width: int | None, colour: bool) -> Answer:
        """Returns when everything is judged and on disk, with the last answer."""
        self.flush(width, colour)
        self._waiting.put(Finish())
        self._is_over.wait(_FINISH_SECONDS)
        self._deliver()
        if self._dropped:
            logger.error("%d COS reports were dropped", self._dropped)
        return self._last or self._lost()

    def _run(self) -> None:
        """Starts the process and feeds it; another thread listens."""
        try:
            # Away from the directory that the proxy was started in, whose modules may have
            # any name; in a group of its own, so that Ctrl-C ends the proxy first.
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, _ROOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except OSError as error:
            logger.warning("COS flows are inspected in the proxy's own process: %s", error)
            lost = self._lost()
            self._end(lost)
            self._say(lost)
            return
        assert process.stdin is not None
        assert process.stdout is not None
        listener = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
        listener.start()
        try:
            while True:
                request = self._waiting.get()
                process.stdin.write(_framed(request))
                process.stdin.flush()
                if isinstance(request, Finish):
                    break
            process.stdin.close()
        except OSError:
            logger.debug("the process beside the proxy has ended")
        except Exception:
            logger.exception("COS flows cannot be handed over")
            # Nothing more comes; what came is written.
            process.stdin.close()
        listener.join()
        process.stdout.close()
        process.wait()

    def _listen(self, file: BinaryIO) -> None:
        try:
            for answer in answers(file):
                if answer.state is not None:
                    self._end(answer)
                    return
                self._latest = answer
                self._answered += answer.flows
                self._say(answer)
        except Exception:
            logger.exception("the process that judges COS flows cannot be understood")
        lost = self._lost()
        self._end(lost)
        self._say(lost)

    def _say(self, answer: Answer) -> None:
        self._answers.append(answer)
        # The loop may be closed, where the proxy gave up waiting.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        """On the event loop, each answer once and in order."""
        while self._answers:
            self._heard(self._answers.popleft())

    def _lost(self) -> Answer:
        return Answer(verdicts=self._latest.verdicts, rules=self._latest.rules, is_lost=True)

    def _end(self, answer: Answer) -> None:
        self._last = answer
        self._is_over.set()


def _framed(request: Request) -> bytes:
    """Without flows that cannot be encoded, which are told."""
    try:
        return frame(request)
    except (ValueError, OverflowError):
        if not isinstance(request, Flows):
            raise
    flows = [flow for flow in request.flows if _can_be_encoded(flow)]
    return frame(Flows(flows, request.width, request.colour))


def _can_be_encoded(flow: Seen | Kept) -> bool:
    try:
        frame(Flows([flow], None, colour=False))
    except (ValueError, OverflowError):
        flow_id = flow.flow_id if isinstance(flow, Kept) else flow.exchange.flow_id
        logger.warning("flow %s: not inspected, the inspection failed", flow_id, exc_info=True)
        return False
    return True
