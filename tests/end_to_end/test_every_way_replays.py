"""Flows that were replayed, requests and answers, say the same live, by ``mitmdump -nr``, by
``analyze`` of their flow file and of the HAR of it, and in mitmweb; and with any hash seed."""

import time
from pathlib import Path

import pytest

from tests.analyze import stories
from tests.end_to_end.harness import BUCKET, read_reports
from tests.end_to_end.lab import ADDON_ARGUMENT, Lab, found, mitmdump, saved_flows
from tests.end_to_end.test_every_way import BIG, TEXT
from tests.end_to_end.test_live_and_later import analyze
from tests.end_to_end.ways import (
    Run,
    assert_flow_file_says_it,
    assert_mitmweb_says_it,
    but_for_the_run,
    by_flow,
    by_request,
    summary_in,
)
from tests.origin.damage import Damage, both, key, method
from tests.origin.effects import error, wrong_crc
from tests.origin.server import Origin
from tests.saved.flow_files import saved_file

pytestmark = pytest.mark.end_to_end

SCRIPT = '''
"""Sends again what came so far, when it is asked to."""

from mitmproxy import ctx

flows = []


def response(flow):
    if flow.is_replay:
        return
    if flow.request.path.startswith("/replay-all"):
        ctx.master.commands.call("replay.client", list(flows))
    elif not flow.request.path.startswith("/served"):
        flows.append(flow)
'''
REPLAYED = ("small", "big", "crc", "refused", "up")
OF_AN_OLD_ANSWER = {"clock-skew error"}
"""A HAR does not tell that the proxy answered, with what COS had said long before."""
FIRST, AGAIN, ASKED, SERVED = 5, 5, 1, 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("replays")
    script, served = folder / "script.py", folder / "served.mitm"
    script.write_text(SCRIPT)
    answer = stories.get("served", TEXT, 0.0)
    saved_file(served, answer)
    mitm, har = folder / "saved.mitm", folder / "saved.har"
    with (
        Origin() as origin,
        Lab(
            origin,
            folder,
            f"--server-replay={served}",
            f"--save-stream-file={mitm}",
            f"--set=hardump={har}",
            scripts_before=[script],
        ) as lab,
    ):
        for name in REPLAYED[:4]:
            origin.put_object(BUCKET, name, BIG if name == "big" else TEXT)
        # The first try is right and the second damaged, or the other way round.
        origin.damage(Damage(error("SlowDown", 503), when=key("refused"), times=1))
        for name in REPLAYED[:4]:
            lab.send("GET", name)
        lab.send("PUT", "up", data=BIG)
        lab.send("GET", "served")
        origin.damage(Damage(wrong_crc(), when=both(key("crc"), method("GET"))))
        lab.send("GET", "replay-all")
        deadline = time.monotonic() + 60
        while len(lab.reports) < FIRST + AGAIN + ASKED + SERVED:
            assert time.monotonic() < deadline, len(lab.reports)
            time.sleep(0.1)
        lab.stop()
        assert not origin.faults
        assert "Traceback" not in lab.output
        return Run(lab.reports, lab.summary, mitm, har)


def test_what_was_replayed_is_found(run: Run) -> None:
    told: dict[str, list[frozenset[str]]] = {}
    for report in sorted(run.live, key=lambda report: str(report["started"])):
        told.setdefault(report["cos"]["key"], []).append(found(report))
    assert told["small"] == told["big"] == told["up"] == [set(), set()]
    assert told["crc"] == [set(), {"crc64-mismatch error"}]
    assert "error-response error" in told["refused"][0]
    (served,) = [report for report in run.live if report["cos"]["key"] == "served"]
    assert served["response"]["by"] == "proxy"
    kinds = [flow.is_replay for flow in saved_flows(run.mitm)]
    assert kinds.count("request") == AGAIN
    assert kinds.count("response") == SERVED


def test_the_flow_file_and_mitmweb_say_what_live_said(run: Run, tmp_path: Path) -> None:
    assert_flow_file_says_it(run)
    assert_mitmweb_says_it(run, tmp_path)


def test_mitmdump_reading_it_says_so_with_any_hash_seed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summaries = []
    for seed in ("0", "4242"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        folder = tmp_path / seed
        done = mitmdump(
            "-nr",
            str(run.mitm),
            ADDON_ARGUMENT,
            f"--set=cos_report_dir={folder}",
        )
        assert done.returncode == 0, done.stdout
        assert by_flow(read_reports(folder)) == by_flow(run.live)
        summaries.append(summary_in(folder))
    assert summaries == [but_for_the_run(run.summary)] * 2


def test_the_har_says_what_live_said_of_what_it_holds(run: Run) -> None:
    """mitmproxy writes it at the end, when a flow that was replayed holds the replay alone: that
    stands there twice, and what was before it nowhere."""
    hars, live = by_request(read_reports(analyze(run.har))), by_request(run.live)
    assert hars.keys() == live.keys()
    for (verb, path, number), report in live.items():
        of_har = hars[verb, path, number]
        if report["response"]["by"] == "proxy":
            assert found(of_har) <= OF_AN_OLD_ANSWER
        elif number == 2 or path not in REPLAYED:
            first_is_gone = {"retried notice"}
            assert found(of_har) == found(report) - first_is_gone, path
            assert of_har["request"]["headers"] == report["request"]["headers"]
