"""Options change, scripts come and go, and the addon is loaded anew between any two steps of an
exchange: the bytes are right, there is one report, and damage is found or the report says why
nothing was compared. Driven by mitmproxy's own HTTP layers."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import addons, hooks
from mitmproxy.addons import intercept, script, tlsconfig
from mitmproxy.test import taddons

from cos_inspect.model.flow_report import FlowReport, Severity
from cos_inspect.proxy.flow_batch import FlowBatch
from cos_inspect.proxy.inspector import CosInspect
from tests.proxy.scripted import REVOCATIONS, looks_on, script_with
from tests.proxy.wire import Came, Way, Wire, transfer

USUAL: Mapping[str, Any] = {
    "cos_report_dir": "",
    "cos_stream": "1k",
    "cos_annotate": "true",
    "cos_redact": "true",
    "cos_hosts": [],
    "cos_ignore": [],
    "stream_large_bodies": None,
    "store_streamed_bodies": False,
    "block_list": [],
    "modify_body": [],
    "intercept": None,
    "body_size_limit": None,
}
"""With these, what is sent here is streamed."""
NOBODY = "~d nobody.example.com"
OPTIONS: tuple[Mapping[str, Any], ...] = (
    {"cos_stream": "0"},
    {"cos_stream": "never"},
    {"cos_annotate": "false"},
    {"cos_redact": "false"},
    {"cos_hosts": ["*.example.com"]},
    {"cos_ignore": ["clock-skew"]},
    {"store_streamed_bodies": True},
    {"block_list": [f"/{NOBODY}/403"]},
    {"modify_body": [f"/{NOBODY}/a/b"]},
    {"intercept": NOBODY},
    {"body_size_limit": "10m"},
    USUAL,
)
SCRIPTS = (
    None,
    script_with(request=looks_on, response=looks_on),
    script_with(requestheaders=looks_on),
)
WAYS = tuple(
    Way(kind, client, server, early)
    for kind, client, server, early in product(
        ("put", "chunked", "aws-chunked", "get"), (False, True), (False, True), (False, True)
    )
    # HTTP/2 knows no chunks, and nobody answers a question that is not put.
    if not (kind == "chunked" and client) and not (kind == "get" and early)
)
GAPS = 24
"""About as many as an exchange has."""


class Mitmdump:
    """Its addons, with ours among them, and a script."""

    def __init__(self, context: taddons.context) -> None:
        self.master = context.master
        manager: Any = self.master.addons
        for addon in addons.default_addons():
            manager.add(addon)
        manager.add(intercept.Intercept())
        self._manager = manager
        self._scripts = manager.get("scriptloader")
        self._holder = script.Script.__new__(script.Script)
        self._holder.name, self._holder.ns = "scriptmanager:other", None
        self.ours: CosInspect | None = None
        self.reloads = 0

    def load(self, number: int) -> None:
        """Puts another script in the place of the one before."""
        self._holder.ns = SCRIPTS[number]

    def reload(self) -> None:
        """Loads our addon anew, as mitmproxy does."""
        self.reloads += 1
        if self.ours is not None:
            self._manager.remove(self.ours)
        self.ours = CosInspect()
        self._manager.register(self.ours)
        self._scripts.addons = [self.ours, self._holder]
        changed = hooks.ConfigureHook(set(self.master.options.keys()))
        self._manager.invoke_addon_sync(self.ours, changed)
        self._manager.invoke_addon_sync(self.ours, hooks.RunningHook())

    async def done(self) -> list[FlowReport]:
        """All reports, of an addon that is gone and has left nothing to a next one."""
        ours, self.ours = self.ours, None
        assert ours is not None
        self._scripts.addons = [self._holder]
        self._manager.remove(ours)
        # What nobody takes over is closed in the loop's next turn.
        await asyncio.sleep(0)
        session = ours._reporting._live_session
        reports = list(ours._reporting.remembered())
        assert session.verdicts.total() == len(reports)
        assert not session.lost.count
        return reports


@pytest.fixture(scope="module")
def mitmdump() -> Iterator[Mitmdump]:
    with pytest.MonkeyPatch.context() as patch, taddons.context(loadcore=False) as context:
        # Its keys would have to be made.
        patch.setattr(tlsconfig.TlsConfig, "crl_path", lambda _: REVOCATIONS)
        yield Mitmdump(context)
        # Its log handler would outlive its event loop.
        context.master._legacy_log_events.uninstall()


Change = Callable[[Mitmdump], None]


def _reload(mitmdump: Mitmdump) -> None:
    mitmdump.reload()


def _set(options: Mapping[str, Any]) -> Change:
    return lambda mitmdump: mitmdump.master.options.update(**options)


def _load(number: int) -> Change:
    return lambda mitmdump: mitmdump.load(number)


def _revert(mitmdump: Mitmdump) -> None:
    """As a person does it in mitmweb who has changed something."""
    assert mitmdump.ours is not None
    for snapshot in list(mitmdump.ours._snapshots.values()):
        snapshot.flow.backup()
        snapshot.flow.comment = "seen"
        snapshot.flow.revert()


_stream_large_bodies = _set({"stream_large_bodies": "2k"})
CHANGES: tuple[Change, ...] = (
    _reload,
    _revert,
    _stream_large_bodies,
    *(_set(each) for each in OPTIONS),
    *(_load(number) for number in range(len(SCRIPTS))),
)


class Steps:
    """Counts the gaps of an exchange, and has happen in each what is to happen there."""

    def __init__(self, mitmdump: Mitmdump, changes: Mapping[int, Sequence[Change]]) -> None:
        self._mitmdump = mitmdump
        self._changes = changes
        self.count = 0

    async def gap(self) -> None:
        number, self.count = self.count, self.count + 1
        for change in self._changes.get(number, ()):
            change(self._mitmdump)
            await asyncio.sleep(0)


def exchange(
    mitmdump: Mitmdump, way: Way, changes: Mapping[int, Sequence[Change]], *, damaged: bool
) -> tuple[FlowReport, int]:
    """The only report of it, and how many gaps there were."""

    async def run() -> tuple[Came, list[FlowReport], int]:
        mitmdump.reload()
        mitmdump.master.options.update(**USUAL)
        mitmdump.load(0)
        mitmdump.reloads = 0
        steps = Steps(mitmdump, changes)
        wire = Wire(mitmdump.master, steps.gap, way)
        came = await transfer(wire, way, damaged=damaged)
        return came, await mitmdump.done(), steps.count

    came, reports, gaps = mitmdump.master.event_loop.run_until_complete(run())
    assert came == Came(to_server=True, to_client=True)
    (report,) = reports
    return report, gaps


def is_judged_rightly(report: FlowReport, *, damaged: bool) -> str | None:
    """Why nothing was compared; None where all was."""
    wrong = {each.rule for each in report.findings if each.severity is not Severity.NOTICE}
    found = [each for each in report.checks if each.check in ("etag", "crc64")]
    assert len(found) == 2
    reasons = {each.reason for each in found}
    if reasons == {None}:
        assert wrong == ({"etag-mismatch", "crc64-mismatch"} if damaged else set())
        assert {each.status for each in found} == {"mismatch" if damaged else "match"}
        return None
    assert not wrong
    (reason,) = reasons
    return reason


@pytest.mark.parametrize("damaged", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_happens(mitmdump: Mitmdump, way: Way, damaged: bool) -> None:
    report, _ = exchange(mitmdump, way, {}, damaged=damaged)
    assert is_judged_rightly(report, damaged=damaged) is None


@pytest.mark.parametrize("way", [Way("put"), Way("put", True, True), Way("get")])
def test_a_reload_in_each_gap(mitmdump: Mitmdump, way: Way) -> None:
    reasons, gap, gaps = [], 0, 1
    while gap < gaps:
        report, gaps = exchange(mitmdump, way, {gap: [_reload]}, damaged=True)
        reasons.append(is_judged_rightly(report, damaged=True))
        gap += 1
    # Before it begins, while it is under way, and when it is over.
    stopped = reasons.count("proxy-stopped")
    first = reasons.index("proxy-stopped")
    after = len(reasons) - first - stopped
    assert first > 0
    assert after > 0
    assert reasons == [*[None] * first, *["proxy-stopped"] * stopped, *[None] * after]


@pytest.mark.parametrize("damaged", [True, False])
@pytest.mark.parametrize("answered_early", [True, False])
def test_mitmproxy_streams_a_body_that_has_begun(
    mitmdump: Mitmdump, answered_early: bool, damaged: bool
) -> None:
    """Of what it passes on past us the report says so."""
    way, options = Way("put", answered_early=answered_early), {"cos_stream": "never"}
    reasons = set()
    for gap in range(GAPS):
        changes = {0: [_set(options)], gap: [_stream_large_bodies]}
        report, _ = exchange(mitmdump, way, changes, damaged=damaged)
        reasons.add(is_judged_rightly(report, damaged=damaged))
    assert reasons == {None, "not-captured"}


@pytest.mark.parametrize("damaged", [True, False])
@pytest.mark.parametrize("way", [Way("put"), Way("put", True, True), Way("get")])
def test_a_flow_is_reverted_in_each_gap(mitmdump: Mitmdump, way: Way, damaged: bool) -> None:
    """What passes from then on passes past us."""
    reasons, gap, gaps = set(), 0, 1
    while gap < gaps:
        report, gaps = exchange(mitmdump, way, {gap: [_revert]}, damaged=damaged)
        reasons.add(is_judged_rightly(report, damaged=damaged))
        gap += 1
    assert reasons == {None, "not-captured"}


@pytest.mark.parametrize("kind", ["put", "chunked"])
def test_what_is_stored_of_a_reverted_flow_is_not_taken_for_all(
    mitmdump: Mitmdump, kind: str
) -> None:
    """Where it is to be stored from the middle of the body on."""
    store = _set({"store_streamed_bodies": True})
    for reverted in range(4, 8):
        for stored in range(reverted + 1, GAPS):
            changes: dict[int, list[Change]] = {reverted: [_revert], stored: [store]}
            report, _ = exchange(mitmdump, Way(kind), changes, damaged=False)
            assert is_judged_rightly(report, damaged=False) in (None, "not-captured")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(WAYS),
    st.lists(st.tuples(st.integers(0, GAPS), st.sampled_from(CHANGES)), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_whatever_happens(
    mitmdump: Mitmdump,
    way: Way,
    what: list[tuple[int, Change]],
    damaged: bool,
    gathered: bool,
) -> None:
    changes = defaultdict(list)
    for gap, change in what:
        changes[gap].append(change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FlowBatch, "is_wanted", gathered)
        report, _ = exchange(mitmdump, way, changes, damaged=damaged)
    reason = is_judged_rightly(report, damaged=damaged)
    allowed: set[str | None] = {None}
    if mitmdump.reloads:
        allowed.add("proxy-stopped")
    if {_stream_large_bodies, _revert} & {change for _, change in what}:
        allowed.add("not-captured")
    assert reason in allowed
