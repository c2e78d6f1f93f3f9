"""A desk in a real process of its own, without a proxy."""

import asyncio
import json
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cos_inspect.exchange import Exchange
from cos_inspect.proxy import far_desk
from cos_inspect.proxy.desk import Desk, DeskSettings, DeskState
from cos_inspect.proxy.desk_messages import Answer, Finish, Flows, Seen, answers, frame, requests
from cos_inspect.proxy.far_desk import FarDesk
from cos_inspect.proxy.glance import Glance
from cos_inspect.proxy.kept import Kept
from cos_inspect.session import Session
from tests.proxy.inspected import cos_flow
from tests.transfers.build import get, put


def kept() -> Kept:
    glance = Glance(cos_flow(), ())
    glance.seal()
    found = glance.kept(opened_connection=False)
    assert found is not None
    return found


def work(
    settings: DeskSettings, do: Callable[[FarDesk], None], session: Session | None = None
) -> tuple[list[Answer], Answer]:
    """The answers that came before the last one, and the last one."""

    async def run() -> tuple[list[Answer], Answer]:
        heard: list[Answer] = []
        far = FarDesk(settings, session or Session(), heard.append)
        do(far)
        last = await asyncio.to_thread(far._is_over.wait, 0.0) and far._last
        return heard, last or far.finish(None, False)

    return asyncio.run(run())


def state(answer: Answer) -> DeskState:
    assert answer.state is not None
    found = pickle.loads(answer.state)
    assert isinstance(found, DeskState)
    return found


def test_exchanges_are_judged_counted_and_written(tmp_path: Path) -> None:
    def do(far: FarDesk) -> None:
        far.put(Seen(put("put-0001", b"body", 0.0)))
        far.put(kept())
        far.flush(None, False)
        far.put(msgspec.structs.replace(kept(), flow_id="other", answer=()))

    settings = DeskSettings(report_dir=tmp_path, formats=("json",))
    heard, last = work(settings, do)
    assert sum(answer.flows for answer in heard) == 3
    lines = [line for answer in heard for line in answer.lines]
    assert [level for level, _, _ in lines] == [logging.INFO, logging.WARNING]
    assert "PutObject" in lines[0][1]
    assert lines[0][1] == lines[0][2]
    found = state(last)
    assert sum(found.verdicts.values()) == 3
    assert len(found.written) == 3
    written = [json.loads(path.read_text()) for path in sorted((tmp_path / "flows").iterdir())]
    assert [report["sequence"] for report in written] == [1, 2, 3]
    assert json.loads((tmp_path / "summary.json").read_text())["counts"]["flows"] == 3


def test_lines_are_laid_out_for_the_terminal() -> None:
    def do(far: FarDesk) -> None:
        far.put(Seen(put("put-0001", b"body", 0.0)))
        far.flush(40, True)

    heard, _ = work(DeskSettings(), do)
    ((_, plain, shown),) = heard[0].lines
    assert "\x1b" in shown
    assert "\x1b" not in plain
    assert len(plain.splitlines()) == 1


def test_what_was_known_before_is_known_there_and_comes_back(tmp_path: Path) -> None:
    settings = DeskSettings(report_dir=tmp_path, formats=("json",))
    near = Desk(settings)
    first = near.take(put("try-0001", b"body", 0.0, status=503, error="busy"))
    assert first is not None

    def do(far: FarDesk) -> None:
        far.put(Seen(put("try-0002", b"body", 1.0)))

    heard, last = work(settings, do, near.session)
    revised = [report for answer in heard for report in answer.revised]
    assert [report.flow_id for report in revised] == ["try-0001"]
    near.revise(revised)
    near.adopt(state(last))
    assert sum(near.verdicts.values()) == 2
    assert near.rules["retried"] == 1
    (chain,) = near.session.summary().retries
    assert chain.flows == ["try-0001", "try-0002"]
    near.end_session()
    near.close()
    (told,) = json.loads((tmp_path / "summary.json").read_text())["retries"]
    assert told["flows"] == ["try-0001", "try-0002"]


def test_a_later_revision_reaches_what_the_process_wrote(tmp_path: Path) -> None:
    settings = DeskSettings(report_dir=tmp_path, formats=("json",))

    def do(far: FarDesk) -> None:
        far.put(Seen(put("try-0001", b"body", 0.0, status=503, error="busy")))

    _, last = work(settings, do)
    near = Desk(settings)
    near.adopt(state(last))
    near.take(put("try-0002", b"body", 1.0))
    near.end_session()
    near.close()
    written = [json.loads(path.read_text()) for path in sorted((tmp_path / "flows").iterdir())]
    assert [(one["sequence"], one["flow_id"]) for one in written] == [
        (1, "try-0001"),
        (2, "try-0002"),
    ]
    assert written[0]["transfer"]["kind"] == "retry"


def test_flows_that_cannot_be_encoded_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    odd: Exchange = msgspec.structs.replace(get("odd-flow", b"x", 0.0), error="\udcff")

    def do(far: FarDesk) -> None:
        for flow in (odd, get("a", b"x", 0.0), odd):
            far.put(Seen(flow))
        far.flush(None, False)

    heard, last = work(DeskSettings(), do)
    assert sum(answer.flows for answer in heard) == 1
    assert last.state is not None
    assert caplog.text.count("flow odd-flow: not inspected") == 2


def test_a_process_that_cannot_be_started_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    heard, last = work(DeskSettings(), lambda far: far.put(Seen(get("a", b"x", 0.0))))
    assert last.is_lost
    assert [answer.is_lost for answer in heard] == [True]


def test_a_process_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far_desk, "_PROGRAM", "raise SystemExit(3)")
    _, last = work(DeskSettings(), lambda far: far.put(Seen(get("a", b"x", 0.0))))
    assert last.is_lost


def test_a_process_that_speaks_in_tongues_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    odd = "import sys; sys.stdin.buffer.read(9); print('\\0' * 7 + 'hello' * 9, flush=True)"
    monkeypatch.setattr(far_desk, "_PROGRAM", f"{odd}; sys.stdin.buffer.read()")
    _, last = work(DeskSettings(), lambda far: far.put(Seen(get("a", b"x", 0.0))))
    assert last.is_lost


def test_what_cannot_be_taken_in_is_dropped_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(far_desk, "_MOST_FLOWS", 2)

    def do(far: FarDesk) -> None:
        for number in range(9):
            far.put(Seen(get(str(number), b"x", 0.0)))
            far.flush(None, False)

    heard, _ = work(DeskSettings(), do)
    assert sum(answer.flows for answer in heard) == 3
    assert "inspecting them cannot keep up" in caplog.text
    assert "6 COS reports were dropped" in caplog.text


@pytest.mark.parametrize(
    ("frozen", "executable", "cores", "possible"),
    [(False, "python", 1, True), (True, "python", 1, False), (False, "", 1, False),
     (False, "python", 0, False)],
)  # fmt: skip
def test_where_it_is_possible(
    monkeypatch: pytest.MonkeyPatch, frozen: bool, executable: str, cores: int, possible: bool
) -> None:
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(far_desk, "spare_cores", lambda: cores)
    assert FarDesk.is_possible() is possible


def test_messages_survive_the_pipe(tmp_path: Path) -> None:
    sent: list[Any] = [
        Flows([Seen(put("p", b"body", 0.0), ((1, 2**64 - 1),)), kept()], 80, True),
        Finish(),
    ]
    path = tmp_path / "frames"
    path.write_bytes(b"".join(map(frame, sent)) + frame(Finish())[:-1])
    with path.open("rb") as file:
        assert list(requests(file)) == sent
    answer = Answer(lines=[(20, "a", "b")], verdicts={"ok": 2}, state=b"\xff")
    path.write_bytes(frame(answer) + b"\x01")
    with path.open("rb") as file:
        assert list(answers(file)) == [answer]


def test_the_process_needs_no_mitmproxy_but_its_urls() -> None:
    program = (
        "import cos_inspect.proxy.desk_process, sys;"
        " print(*(name for name in sys.modules if name.startswith('mitmproxy')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not [name for name in done.stdout.split() if name.startswith("mitmproxy.proxy")]
    assert "mitmproxy.http" not in done.stdout.split()
