"""No bound on memory decides what is said: with every limit at 2 saved traffic gives the same
answers, and live traffic says how much it does not know.

A limit is any number above 2 with a name in capitals in a module of the package or a class in
it, the size of any cache, and any member of a struct of limits. What bounds no memory across
messages is exempt, by room or by name, and each with its reason.
"""

import ast
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import msgspec
import pytest
from mitmproxy import http

import cos_inspect
from cos_inspect.analyze.outcome import Outcome
from cos_inspect.analyze.run import analyze
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.inspection import transfer_summary
from cos_inspect.inspection.first_look import first_look
from cos_inspect.inspection.session import Bounds, Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Severity
from cos_inspect.report.baseline import Baseline
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.transfers.limits import Limits
from tests.analyze import stories
from tests.analyze.stories import Found
from tests.analyze.test_any_split import (
    ALL_BAD,
    ALL_FINE,
    JOINED,
    NOTICES,
    Answer,
    answer,
    saved,
    small_shards,
)
from tests.analyze.test_any_split import Session as Whole
from tests.inspection.test_session import Run
from tests.saved.flow_files import saved_file

SMALL = 2
UNTIL_SHOWN = {"upload-probably-completed"}
"""What is said of an upload until a read shows the object."""

ROOMS = {
    "cos_inspect.proxy": "mitmproxy's side of live traffic, which saved traffic does not meet",
    "cos_inspect.cos": "how much of one message is read; what is longer is told of it alone",
    "cos_inspect.rules": "what rules call late, long or large, and how much of a text they show",
    "cos_inspect.settings": "how large a file of keys may be",
    "cos_inspect.cli": "how large a file may be before the progress is shown",
    "cos_inspect.captures": "bytes read at a time, and what one entry or flow may be; every cut"
    " of them is tried in tests/saved",
    "cos_inspect.recording": "bytes hashed at a time, and threads",
    "cos_inspect.digests": "the arithmetic of CRC-64",
    "cos_inspect.report.closing_lines": "how much the last lines name",
    "cos_inspect.report.terminal": "columns of a line",
    **dict.fromkeys(
        [
            "cos_inspect.inspection.escapes",
            "cos_inspect.inspection.known_secrets",
            "cos_inspect.inspection.redaction",
            "cos_inspect.inspection.secret_finder",
            "cos_inspect.inspection.secret_shapes",
        ],
        "how much of one text is looked at for secrets, and how long a secret is",
    ),
}
NAMES = {
    "cos_inspect.transfers.multipart.SMALLEST_PART": "as COS documents it",
    "cos_inspect.transfers.multipart_verdict.LARGEST_PART": "as COS documents it",
    "cos_inspect.transfers.multipart.LAST_NUMBER": "as COS documents it",
    "cos_inspect.transfers.part_list.MAX_PARTS": "as COS documents it",
    "cos_inspect.transfers.part_list._MAX_LISTED": "how much of one message is read",
    "cos_inspect.transfers.part_list._MAX_BYTES": "how much of one message is read",
    "cos_inspect.transfers.part_list._MAX_FIELD": "how much of one message is read",
    "cos_inspect.transfers.part_list._MAX_DEPTH": "how much of one message is read",
    "cos_inspect.transfers.part_list._MAX_ELEMENTS": "how much of one message is read",
    "cos_inspect.transfers.observation.MAX_TEXT": "how much of one header is read",
    "cos_inspect.transfers.observe._MAX_SHOWN": "how much of a text is shown",
    "cos_inspect.transfers.observe._MOST_SHOWN": "how much of a list is shown",
    "cos_inspect.transfers.history._LONGEST_ID": "how much of a text is shown",
    "cos_inspect.transfers.tries._LONGEST_CAUSE": "how much of a text is shown",
    "cos_inspect.transfers.retries._CLOCK_SHIFT": "seconds, by which SDKs correct their clocks",
    "cos_inspect.transfers.pace.LARGE": "what is called slow",
    "cos_inspect.transfers.pace.SLOWEST": "what is called slow",
    "cos_inspect.transfers.pace.SLOW_BY_COS": "what is called slow",
    "cos_inspect.transfers.limits._NONE": "stands for no limit",
    "cos_inspect.model.target_bounds.MAX_PATH": "how much of one message is read",
    "cos_inspect.model.target_bounds.MAX_QUERY": "how much of one message is read",
    "cos_inspect.model.target_bounds._LONGEST_HOST": "how much of one message is read",
    "cos_inspect.model.target_bounds._LONGEST_METHOD": "how much of a text is shown",
    "cos_inspect.model.target_bounds._LONGEST_REASON": "how much of one message is read",
    "cos_inspect.model.target_bounds._LONGEST_ERROR": "how much of a text is shown",
    "cos_inspect.model.target_bounds._END_OF_LONG": "how much of a text is shown",
    "cos_inspect.model.target_bounds._SHOWN_OF_LONG": "how much of a text is shown",
    "cos_inspect.model.target_bounds._NO_STATUS": "stands for what is no status",
    "cos_inspect.model.headers.MAX_VALUE": "how much of one message is read",
    "cos_inspect.model.headers.MAX_FIELDS": "how much of one message is read",
    "cos_inspect.model.headers.MAX_HEAD": "how much of one message is read",
    "cos_inspect.model.headers.SHOWN_OF_LONG": "how much of a text is shown",
    "cos_inspect.model.moments._LATEST": "the last year that can be printed",
    "cos_inspect.inspection.explain._LONGEST": "how much of a text is read",
    "cos_inspect.model.time_line.MOST_BARS": "how finely time is told; has its own test",
    "cos_inspect.model.summary_merging.MOST_LISTED": "how many are listed; has its own test",
    "cos_inspect.model.summary_merging.MOST_ROWS": "how many are listed; has its own test",
    "cos_inspect.model.summary_merging.MOST_NAMED": "how many are listed; has its own test",
    "cos_inspect.model.summary._MOST_NAMES": "others are counted together",
    "cos_inspect.model.summary_delta._MOST_CONNECTIONS": "others are counted together",
    "cos_inspect.model.summary_delta._MOST_FLOWS": "how many are listed",
    "cos_inspect.report.directory._LONGEST_NUMBER": "how much of a file's beginning is read",
    "cos_inspect.report.folder._NOFOLLOW": "a flag of the system",
    "cos_inspect.report.folder._PLAIN": "a flag of the system",
    "cos_inspect.report.folder._DIRECTORY": "a flag of the system",
    "cos_inspect.report.markdown._MOST": "how much of a text is shown",
    "cos_inspect.report.pages.FLOWS_PER_FILE": "the layout of the pages",
    "cos_inspect.report.pages.ROWS_PER_FILE": "the layout of the pages",
    "cos_inspect.report.pages._LONGEST_TEXT": "how much of a text is shown",
    "cos_inspect.report.sequence_file._WIDTH": "the layout of a file",
}


class Limit(NamedTuple):
    owner: Any
    """A module or a class."""
    name: str
    full_name: str
    """Where it is defined."""
    small: Any


@cache
def _modules() -> tuple[Any, ...]:
    names = [each.name for each in pkgutil.walk_packages(cos_inspect.__path__, "cos_inspect.")]
    # The door for mitmproxy alone: what it imports is in the list.
    return tuple(importlib.import_module(name) for name in names if name != "cos_inspect.addon")


def _origins(module: Any) -> dict[str, str]:
    """Names that a module takes from others of the package, and where they are defined."""
    found: dict[str, str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cos_inspect."):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _is_number(name: str, value: object) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value > SMALL
        and name.replace("_", "").isupper()
    )


def _every_limit() -> Iterator[Limit]:
    for module in _modules():
        origins = _origins(module)
        for name, value in vars(module).items():
            full_name = origins.get(name, f"{module.__name__}.{name}")
            if _is_number(name, value):
                yield Limit(module, name, full_name, SMALL)
            elif inspect.isclass(value) and value.__module__ == module.__name__:
                for inner, held in vars(value).items():
                    if _is_number(inner, held):
                        yield Limit(value, inner, f"{full_name}.{inner}", SMALL)
            elif _is_bounded_cache(value):
                yield Limit(module, name, full_name, lru_cache(maxsize=SMALL)(value.__wrapped__))


def _is_bounded_cache(value: Any) -> bool:
    if inspect.ismodule(value) or not hasattr(value, "cache_parameters"):
        return False
    return value.cache_parameters()["maxsize"] is not None


def _is_exempt(limit: Limit) -> bool:
    if limit.small is not SMALL:
        return False
    return limit.full_name in NAMES or any(limit.full_name.startswith(f"{room}.") for room in ROOMS)


@contextmanager
def small_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for limit in list(_every_limit()):
            if not _is_exempt(limit):
                patch.setattr(limit.owner, limit.name, limit.small)
        yield


def _of_everything(alike: Answer) -> dict[str, Any]:
    return {"reports": alike.reports, "summary": alike.summary}


def test_what_is_exempt_is_there() -> None:
    limits = {limit.full_name for limit in _every_limit()}
    assert set(NAMES) <= limits
    for room in ROOMS:
        assert any(name.startswith(f"{room}.") for name in limits), room
    taken = {limit.full_name for limit in _every_limit() if not _is_exempt(limit)}
    assert {
        "cos_inspect.analyze.joining._LARGE",
        "cos_inspect.analyze.ordered_writing._PER_CHUNK",
        "cos_inspect.analyze.shards._MOST_PARTITIONS",
        "cos_inspect.cos.endpoint._place",
        "cos_inspect.transfers.limits.JudgingBudget.FREE",
    } <= taken


@pytest.mark.parametrize("whole", [ALL_BAD, ALL_FINE], ids=["bad", "fine"])
def test_saved_traffic_has_the_same_answers(whole: Whole, tmp_path: Path) -> None:
    captures = saved(tmp_path, [whole.flows[::2], whole.flows[1::2]])
    expected = answer(captures)
    assert expected.found == whole.found
    with small_limits():
        assert _of_everything(answer(captures[::-1])) == _of_everything(expected)


@pytest.mark.parametrize("most", [1, 3])
def test_lists_hold_the_worst_and_say_how_many_they_do_not(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures = saved(tmp_path, [ALL_BAD.flows])
    whole = answer(captures).summary
    monkeypatch.setattr(transfer_summary.SummaryLists.__init__, "__defaults__", (most,))
    for ways in ((1, 1), (400_000, 3)):
        with small_shards(*ways):
            summary = answer(captures).summary
        assert len(summary["transfers"]) == most
        assert summary["left_out"] == len(whole["transfers"]) - most
        assert summary["retries_left_out"] == max(0, len(whole["retries"]) - most)
        assert {each["verdict"] for each in summary["transfers"]} == {"error"}
        assert summary["counts"] == whole["counts"]
    wrong = Counter(each["verdict"] for each in whole["transfers"] if each["verdict"] != "ok")
    assert whole["counts"]["transfers"] == wrong


def test_what_is_not_listed_fails_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads that are wrong, of which one is listed: the others are in no baseline."""
    wrong = [stories.abandoned(number, bad=True, at=float(number)) for number in range(4)]
    captures = saved(tmp_path, [[flow for story in wrong for flow in story.flows]])
    monkeypatch.setattr(transfer_summary.SummaryLists.__init__, "__defaults__", (1,))

    def outcome(**more: Any) -> Outcome:
        chosen = AnalysisSettings(report_dir=tmp_path / "r", formats=("junit",), quiet=True, **more)
        chosen = msgspec.structs.replace(chosen, fail_on=Severity.NOTICE)
        return analyze(list(map(str, captures)), chosen, print, print)

    alone = outcome(keeps_findings=True)
    known = {entry for entry in alone.found if entry.rule == "multipart-abandoned"}
    assert len(known) == 4
    assert alone.session.left_out == 3
    others = [entry for entry in alone.found if entry not in known]
    (listed,) = alone.session.transfers
    first = {entry for entry in known if entry.key == listed.key}
    assert outcome(baseline=Baseline([*others, *first])).failing == 3
    root = ElementTree.parse(tmp_path / "r" / "junit.xml").getroot()
    (last,) = root.findall("testsuite[@name='transfers that are not listed']")[-1:]
    assert last.get("failures") == "1"
    assert "3 transfers are not listed" in ElementTree.tostring(last, "unicode")
    assert outcome(baseline=Baseline([*others, *known])).failing == 0


def live(flows: Sequence[http.HTTPFlow], folder: Path, session: Session) -> Run:
    """As they end."""
    ordered = sorted(flows, key=_end_of)
    return Run(exchanges(ordered, folder), session)


def exchanges(flows: Sequence[http.HTTPFlow], folder: Path) -> list[Exchange]:
    with captured(flows, folder) as found:
        return [each.exchange for each in found if each.exchange is not None]


@contextmanager
def captured(flows: Sequence[http.HTTPFlow], folder: Path) -> Iterator[list[CapturedFlow]]:
    """As a flow file has them, which stays open."""
    stream = Stream(str(saved_file(folder / "live.mitm", *flows)))
    try:
        yield list(FlowFile(stream, ()).saved(InputRemarks("live.mitm")))
    finally:
        stream.close()


def _end_of(flow: http.HTTPFlow) -> float:
    if flow.response is None:
        assert flow.error is not None
        return flow.error.timestamp
    return flow.response.timestamp_end or 0.0


def _rules_of(run: Run) -> Found:
    return {
        (flow_id, finding.rule)
        for flow_id, report in run.reports.items()
        for finding in report.findings
        if finding.severity.value != "notice" or finding.rule in NOTICES
    }


def _least[S: msgspec.Struct](kind: type[S]) -> S:
    return kind(**dict.fromkeys(kind.__struct_fields__, SMALL))


def test_live_with_room_for_all_finds_all(tmp_path: Path) -> None:
    run = live(ALL_BAD.flows, tmp_path, Session())
    summary = run.close()
    # What is joined where bodies overlap needs their bytes while they pass.
    overlapping = {each for each in ALL_BAD.found if each[0].startswith("overlap")}
    assert _rules_of(run) == ALL_BAD.found - overlapping
    assert (summary.left_out, summary.forgotten) == (0, 0)


@pytest.mark.parametrize("whole", [ALL_BAD, ALL_FINE], ids=["bad", "fine"])
def test_live_what_is_known_no_more_is_counted_and_accuses_nobody(
    whole: Whole, tmp_path: Path
) -> None:
    with small_limits():
        session = Session(limits=_least(Limits), bounds=_least(Bounds))
        run = live(whole.flows, tmp_path, session)
        summary = run.close()
    found = _rules_of(run)
    # What a flow shows alone is said until others take it back, and stays where it was forgotten.
    looks = [first_look(each) for each in exchanges(whole.flows, tmp_path)]
    alone = {
        (look.report.flow_id, finding.rule)
        for look in looks
        if look is not None
        for finding in look.report.findings
    }
    later = {each for each in found if each[1] in UNTIL_SHOWN}
    assert found <= whole.found | alone | later, found - whole.found
    assert found >= {each for each in whole.found if each[1] not in JOINED}
    if found != whole.found:
        assert summary.left_out + summary.forgotten > 0
    keys = [(each.kind, each.id) for each in summary.transfers]
    assert len(keys) == len(set(keys)), "no transfer is listed twice"
    for transfer in summary.transfers:
        for finding in transfer.findings:
            name = transfer.id if transfer.kind == "multipart-upload" else transfer.key
            shown = {rule for flow, rule in alone if flow in transfer.flows}
            if finding.rule in JOINED - shown - UNTIL_SHOWN:
                assert (name, finding.rule) in whole.of_transfers
