"""What really happened: every act of the soak, the flows it made, and the faults put in.

A script in the proxy marks each request with its flow's id (``soak_script.py``), and the
server notes it here together with what it did to the answer.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.origin.damage import DamageList, Effect, Plan
from tests.origin.message import OriginRequest

MARKER = "x-soak-flow"
TOLERATED = frozenset({"slow-transfer notice"})
"""True of a machine that is busy, whatever the traffic."""

Pairs = frozenset[str]
"""``rule severity`` pairs; a rule alone stands for any severity, ``a|b`` for one of two."""


def pairs(text: str) -> Pairs:
    """From a comma-separated list."""
    return frozenset(pair.strip() for pair in text.split(",") if pair.strip())


@dataclass(frozen=True)
class Fault:
    """A kind of fault and where it shows.

    - ``operation``: the requests that it is done to, the ``nth`` of them (from 1), so many
      ``times``. None: the client does it, and it shows on every flow of the act.
    - ``effects``: what the server does; none where the client does it.
    - ``found``: exactly what is to be found on these flows.
    - ``also``: what may be found there besides.
    - ``last``: exactly what is to be found on one later flow of the operation (the retry, the
      range that completes the download).
    - ``around``: what may also be found on other flows of the act, as a consequence.
    - ``transfer``: what may be found on the act's transfers in the summary.
    - ``connection``: what must be found on a connection to the act's own host.
    """

    name: str
    found: Pairs
    operation: str | None = None
    effects: Callable[[random.Random, int], Sequence[Effect]] | None = None
    nth: int = 1
    times: int = 1
    also: Pairs = frozenset()
    last: Pairs | None = None
    around: Pairs = frozenset()
    transfer: Pairs = frozenset()
    connection: Pairs = frozenset()


@dataclass
class Seen:
    """One request as the server met it."""

    flow: str
    operation: str
    request_id: str


@dataclass
class Act:
    """A piece of traffic on one object, by one client, with at most one fault."""

    number: int
    scenario: str
    fault: Fault | None
    seed: int
    key: str = ""
    seen: list[Seen] = field(default_factory=list)
    """In order of arrival."""
    hits: set[str] = field(default_factory=set)
    """Flows that the fault was done to."""
    began: float = 0.0
    ended: float = 0.0
    trouble: str | None = None
    """Why the client failed where nothing was wrong, or got other bytes than it should."""

    def __post_init__(self) -> None:
        self.key = f"soak/{self.number:06}-{self.scenario}"
        self.random = random.Random(f"{self.seed} {self.key}")
        """For the client; the server has its own, for it runs beside."""
        self.damage_random = random.Random(f"{self.seed} {self.key} damage")

    @property
    def host(self) -> str:
        """A host that nobody else asks."""
        return f"act{self.number:06}-1250000000.cos.ap-guangzhou.myqcloud.com"

    def content(self, size: int, salt: str = "") -> bytes:
        return content(self.key + salt, size)


def content(name: str, size: int) -> bytes:
    """Bytes that follow from a name; ``soak_node.js`` makes the same."""
    line = hashlib.sha256(name.encode()).hexdigest().encode()
    return (line * (size // len(line) + 1))[:size]


def act_key(key: str | None) -> str:
    """The act's own key of any object key that belongs to it: its first two steps."""
    return "/".join((key or "").split("/")[:2])


class Truth(DamageList):
    """Takes the place of an origin's list of damages: it sees every request."""

    def __init__(self) -> None:
        super().__init__()
        self._changing = threading.Lock()
        self.acts: dict[str, Act] = {}
        """By key."""
        self.flows: dict[str, Act | None] = {}
        """Flows that reached the server, and the acts they belong to; None for requests that
        are about no single object."""
        self.unmarked = 0
        """Requests that came without the proxy's mark; there must be none."""
        self._met: dict[tuple[str, str], int] = {}

    def begin(self, act: Act) -> None:
        act.began = time.time()
        with self._changing:
            self.acts[act.key] = act

    def end(self, act: Act) -> None:
        act.ended = time.time()

    def plan(self, request: OriginRequest) -> Plan:
        """Notes the request, and does to it what its act's fault says."""
        plan = super().plan(request)
        flow = request.header(MARKER)
        with self._changing:
            act = self._act_of(request)
            if not flow:
                self.unmarked += 1
                return plan
            self.flows[flow] = act
            if act is None:
                return plan
            act.seen.append(Seen(flow, request.operation, request.request_id))
            fault = act.fault
            if fault is None or fault.effects is None or fault.operation != request.operation:
                return plan
            number = self._met[act.key, request.operation] = (
                self._met.get((act.key, request.operation), 0) + 1
            )
            if not fault.nth <= number < fault.nth + fault.times:
                return plan
            act.hits.add(flow)
        size = int(request.header("content-length") or 0)
        for effect in fault.effects(act.damage_random, size):
            effect(plan)
        return plan

    def _act_of(self, request: OriginRequest) -> Act | None:
        return self.acts.get(act_key(request.key) or act_key(request.param("prefix")))
