"""One run of the soak: servers, proxy, clients, disturbances; then the comparison."""

import json
import queue
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import jsonschema

from cos_inspect.model.schema import schema
from scripts.soak_compare import Outcome, Report, compare
from scripts.soak_disturbances import Disturbances, tell
from scripts.soak_faults import FAULTS
from scripts.soak_node import Node
from scripts.soak_scenarios import SCENARIOS
from scripts.soak_tools import HTTP2_HOST, Setting, Tools
from scripts.soak_truth import Act, Fault, Truth
from scripts.soak_watch import ProcessSampler, Sample, beside_reports, cpu_seconds
from tests.end_to_end.harness import SECRET_ID, SECRET_KEY
from tests.origin.gateway import Gateway
from tests.origin.proxy import Proxy
from tests.origin.server import Origin
from tests.origin.signing import Verifier

ROOT = Path(__file__).resolve().parents[1]
CONTROL = Path(__file__).with_name("soak_script.py")
OUTPUT = "mitmdump.log"
"""All that mitmdump printed, in the folder of the run."""
WORKERS = 6
RELOAD_SECONDS = 40.0
FAULT_SHARE = 0.3
"""Of the acts that are drawn by chance, so many have a fault where their scenario knows any."""
IDLE_SECONDS = 60.0
"""How long the proxy may take to close what it has open when all clients are gone."""
REST_SECONDS = 0.5
REST_SHARE = 0.1
"""At rest is a proxy that computes for less than this share of such a time."""
VALIDATED_EVERY = 10
"""Every so many reports are checked against the schema, which takes long."""

_ADDON = """\
import sys

sys.path.insert(0, {root!r})
from cos_inspect.addon import CosInspect

addons = [CosInspect()]
"""


@dataclass
class Result:
    outcome: Outcome
    seconds: float
    acts: int
    memory_before: int
    memory_start: int
    """KiB at rest after a third of the traffic: with no client, and what nothing needs given back.
    Under traffic mitmdump's own memory, with the addon or without, goes up and down by more."""
    memory_end: int
    """The same after all of it."""
    memory_peak: int
    descriptors_start: int
    descriptors_end: int
    """Without files of the report directory."""
    left_open: dict[str, int]
    """What is open at the end and was not at the begin, by name."""
    exit_status: int
    changes: int
    reloads: int
    wrong: list[str] = field(default_factory=list)
    """All that is off, one line each; empty when all is well."""


Plan = Iterator[tuple[str, Fault | None]]
"""Scenarios, with a fault or without."""


def once(seed: int, scenarios: Sequence[str]) -> Plan:
    """Each scenario clean and with each of its faults, in an order by chance."""
    all_of_them = [(name, fault) for name in scenarios for fault in (None, *FAULTS.get(name, ()))]
    random.Random(seed).shuffle(all_of_them)
    yield from all_of_them


def without_end(seed: int, scenarios: Sequence[str]) -> Plan:
    """First everything once, then by chance; the same for the same seed."""
    yield from once(seed, scenarios)
    chance = random.Random(seed)
    weights = [SCENARIOS[name][1] for name in scenarios]
    while True:
        (name,) = chance.choices(scenarios, weights)
        faults = FAULTS.get(name, ())
        yield name, chance.choice(faults) if faults and chance.random() < FAULT_SHARE else None


class Soak:
    """``Soak(folder, seed=1, seconds=300).run()``.

    - ``folder`` is empty at the begin.
    - ``seconds``: how long there is traffic; None: until everything was done once.
    - ``scenarios``: the names of those that are wanted; all by default.
    - ``scripts``: further mitmproxy scripts, loaded before the addon.
    - ``reload_seconds``: the addon is loaded anew every so often; None: never.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        seconds: float | None,
        scenarios: Sequence[str] = tuple(SCENARIOS),
        scripts: Sequence[Path] = (),
        reload_seconds: float | None = RELOAD_SECONDS,
        option_seconds: float = 3.0,
    ) -> None:
        self._folder = folder
        self._seed = seed
        self._seconds = seconds
        self._scenarios = scenarios
        self._scripts = scripts
        self._disturbance_seconds = (option_seconds, reload_seconds)
        self._truth = Truth()
        self._wrong: list[str] = []
        self._planning = threading.Lock()
        self._deadline: float | None = None

    def run(self) -> Result:
        with ExitStack() as stack:
            origin = stack.enter_context(Origin(keep_requests=100))
            origin.damages = self._truth
            origin.authorise = Verifier({SECRET_ID: SECRET_KEY}, anonymous=True)
            gateway = stack.enter_context(Gateway(origin))
            proxy = stack.enter_context(self._proxy(origin, gateway))
            result = self._watched(proxy, origin)
        faults = [*origin.faults, *map(repr, gateway.streams.faults)]
        result.wrong += [f"the soak's own server failed: {fault}" for fault in faults]
        return result

    def _proxy(self, origin: Origin, gateway: Gateway) -> Proxy:
        bundle = self._folder / "ca.pem"
        bundle.write_text(Path(origin.ca_pem).read_text() + Path(gateway.ca_pem).read_text())
        credentials = self._folder / "credentials"
        credentials.touch(mode=0o600)
        credentials.write_text(f"[soak]\nsecret_id = {SECRET_ID}\nsecret_key = {SECRET_KEY}\n")
        self._addon = self._folder / "addon_of_soak.py"
        self._addon.write_text(_ADDON.format(root=str(ROOT)))
        behind = SimpleNamespace(
            http_port=origin.http_port,
            https_port=origin.https_port,
            http2_host=HTTP2_HOST,
            http2_port=gateway.https_port,
            ca_pem=str(bundle),
        )
        return Proxy(
            behind,
            f"--scripts={CONTROL}",
            *(f"--scripts={script}" for script in self._scripts),
            f"--scripts={self._addon}",
            f"--set=cos_report_dir={self._folder / 'cos-reports'}",
            f"--set=cos_credentials={credentials}",
        )

    def _watched(self, proxy: Proxy, origin: Origin) -> Result:
        control_port = _control_port(proxy)
        watch = ProcessSampler(proxy.pid, self._folder / "cos-reports")
        watch.begin()
        before = watch.sample()
        option_seconds, reload_seconds = self._disturbance_seconds
        disturbances = Disturbances(
            control_port, self._addon, self._seed, option_seconds, reload_seconds
        )
        disturbances.begin()
        began = time.monotonic()
        open_before = beside_reports(before.open)
        at_rest: list[Sample] = []
        try:
            acts = self._traffic(
                proxy, origin, lambda: at_rest.append(_at_rest(watch, open_before, control_port))
            )
        finally:
            disturbances.end()
        seconds = time.monotonic() - began
        watch.end()
        after = at_rest[-1].open
        status = proxy.stop()
        reports, summary = self._read()
        outcome = compare(
            self._truth.acts.values(),
            self._truth.flows,
            reports,
            summary,
            disturbances.streaming_began,
        )
        result = Result(
            outcome=outcome,
            seconds=seconds,
            acts=acts,
            memory_before=before.memory,
            memory_start=at_rest[0].memory,
            memory_end=at_rest[-1].memory,
            memory_peak=watch.peak,
            descriptors_start=open_before,
            descriptors_end=beside_reports(after),
            left_open=dict(after - before.open),
            exit_status=status,
            changes=disturbances.changes,
            reloads=disturbances.reloads,
            wrong=[*outcome.wrong, *self._wrong, *disturbances.failures],
        )
        output = "".join(proxy.output)
        (self._folder / OUTPUT).write_text(output, "utf-8")
        at = output.find("Traceback")
        if at >= 0:
            began = output.rfind("\n", 0, max(0, output.rfind("\n", 0, at))) + 1
            result.wrong.append("mitmdump printed a traceback:\n" + output[began : at + 5000])
        if self._truth.unmarked:
            result.wrong.append(f"{self._truth.unmarked} requests were not marked by the proxy")
        return result

    def _traffic(self, proxy: Proxy, origin: Origin, rest: Callable[[], None]) -> int:
        """Runs acts in several threads until nothing is left to do, and ``rest`` after a third of
        the time and at the end. Returns how many acts."""
        with ExitStack() as stack:
            node = None
            if Node.is_there() and shutil.which("node"):
                node = stack.enter_context(Node(proxy.url, proxy.ca_pem, self._folder))
            setting = Setting(origin, proxy.url, proxy.ca_pem, self._folder, node)
            names = [name for name in self._scenarios if node or not name.startswith("node")]
            if self._seconds is None:
                acts = self._acts(setting, enumerate(once(self._seed, names), 1))
                rest()
                return acts
            plan = enumerate(without_end(self._seed, names), 1)
            acts = 0
            for share in (1 / 3, 2 / 3):
                self._deadline = time.monotonic() + self._seconds * share
                acts += self._acts(setting, plan)
                rest()
            return acts

    def _acts(
        self, setting: Setting, numbered: "Iterator[tuple[int, tuple[str, Fault | None]]]"
    ) -> int:
        counts: queue.Queue[int] = queue.Queue()
        threads = [
            threading.Thread(target=self._work, args=(setting, number, numbered, counts))
            for number in range(WORKERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts.get() for _ in threads)

    def _next(self, plan: "Iterator[tuple[int, tuple[str, Fault | None]]]") -> Act | None:
        """Of the plan that all threads share; None where there is nothing more to do."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            return None
        with self._planning:
            for number, (scenario, fault) in plan:
                return Act(number, scenario, fault, self._seed)
        return None

    def _work(
        self,
        setting: Setting,
        worker: int,
        plan: "Iterator[tuple[int, tuple[str, Fault | None]]]",
        counts: "queue.Queue[int]",
    ) -> None:
        tools = Tools(setting, worker)
        done = 0
        while (act := self._next(plan)) is not None:
            self._truth.begin(act)
            try:
                SCENARIOS[act.scenario][0](act, tools)
            except Exception as failure:
                if act.fault is None:
                    act.trouble = f"{type(failure).__name__}: {failure}"
            self._truth.end(act)
            done += 1
        tools.close()
        counts.put(done)

    def _read(self) -> tuple[list[Report], Report]:
        folder = self._folder / "cos-reports"
        validator = jsonschema.Draft202012Validator(schema())
        reports: list[Report] = []
        for number, path in enumerate(sorted((folder / "flows").glob("*.json"))):
            report = json.loads(path.read_text())
            if number % VALIDATED_EVERY == 0 and not validator.is_valid(report):
                self._wrong.append(f"{path.name} is not valid against the schema")
            reports.append(report)
        summary = json.loads((folder / "summary.json").read_text())
        if not validator.is_valid(summary):
            self._wrong.append("summary.json is not valid against the schema")
        return reports, summary


def _control_port(proxy: Proxy) -> int:
    deadline = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"soak control port (\d+)", "".join(proxy.output))
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise RuntimeError("the soak's script does not run in the proxy")


def _at_rest(watch: ProcessSampler, wanted: int, control_port: int) -> Sample:
    """The proxy when its clients are gone and its allocator has given back what it could."""
    _idle(watch, wanted)
    tell(control_port, None)
    return _idle(watch, wanted)


def _idle(watch: ProcessSampler, wanted: int) -> Sample:
    """The proxy once as little is open as wanted and it computes next to nothing (behind the
    traffic it still writes reports and pages), or the time for it is over."""
    deadline = time.monotonic() + IDLE_SECONDS
    computed = cpu_seconds(watch.pid)
    while True:
        time.sleep(REST_SECONDS)
        before, computed = computed, cpu_seconds(watch.pid)
        found = watch.sample()
        at_rest = computed - before <= REST_SECONDS * REST_SHARE
        if (at_rest and beside_reports(found.open) <= wanted) or time.monotonic() > deadline:
            return found
