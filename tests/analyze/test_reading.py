"""Captures are read once, whatever they are, and what cannot be read costs nothing else."""

import gzip
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Exchange
from tests.analyze.runs import Run, good
from tests.saved.flow_files import cos_flow, saved_file
from tests.saved.hars import har

BROKEN = {
    "cut.har": (har([good(), good(1)])[:-200], 1, "the file ends inside the entry that begins"),
    "cut.har.gz": (gzip.compress(har([good()]), mtime=0)[:-20], 0, "the compressed data end early"),
    "not.har": (b'{"a": 1}', 0, "holds no list of entries"),
    "empty.mitm": (b"", 0, "the file is empty"),
    "what.mitm": (b"hello", 0, "neither a flow file of mitmproxy nor a HAR"),
    "cut.mitm": (b"5000:abc", 0, "the file ends inside the flow that begins"),
}


@pytest.mark.parametrize(("name", "case"), BROKEN.items())
def test_broken_files(name: str, case: tuple[bytes, int, str], tmp_path: Path) -> None:
    content, flows, what = case
    path, fine = tmp_path / name, tmp_path / "fine.har"
    path.write_bytes(content)
    fine.write_bytes(har([good(7)]))
    run = Run(tmp_path, path, fine, status=2)
    (line,) = run.result.stderr.splitlines()
    assert line.startswith(f"cos-inspect: {path}: ")
    assert what in line
    assert "at byte " in line
    assert len(run.reports) == flows + 1


def test_a_flow_that_cannot_be_inspected_costs_its_own_report(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = first_look

    def odd(exchange: Exchange, **more: Any) -> Any:
        if exchange.request.method == "PUT":
            raise RuntimeError("a fault of ours")
        return look(exchange, **more)

    monkeypatch.setattr("cos_inspect.analyze.reading.first_look", odd)
    saved_file(two[1], cos_flow(), cos_flow(method="PUT"), cos_flow())
    begin = len(saved_file(tmp_path / "one", cos_flow()).read_bytes())
    run = Run(tmp_path, *two, status=2)
    assert [report["verdict"] for report in run.reports] == ["ok", "error", "ok", "ok"]
    assert run.summary["lost"] == {"count": 1, "reasons": {"cannot be inspected": 1}}
    (line,) = run.result.stderr.splitlines()
    assert line.startswith(f"cos-inspect: {two[1]}: a flow that cannot be inspected")
    assert line.endswith(f"(RuntimeError: a fault of ours), at byte {begin}")


@pytest.mark.parametrize("jobs", [1, 2])
def test_pipes_are_read_once(jobs: int, two: tuple[Path, Path], tmp_path: Path) -> None:
    pipes = []
    for path in two:
        read, write = os.pipe()
        Thread(target=fill, args=(write, path.read_bytes())).start()
        pipes.append(read)
    run = Run(tmp_path, *(f"/dev/fd/{pipe}" for pipe in pipes), two[0], f"--jobs={jobs}")
    for pipe in pipes:
        os.close(pipe)
    # Two files hold the same flows, and which of them counts depends on their names.
    assert sorted(report["verdict"] for report in run.reports) == ["error", "ok", "ok", "ok"]
    assert not run.result.stderr


def fill(pipe: int, data: bytes) -> None:
    with os.fdopen(pipe, "wb") as file:
        file.write(data)


def test_what_a_file_says_of_its_program_is_masked(tmp_path: Path) -> None:
    secret = "x4PLTbOuYhLfPpbQZhFs0a1b2c3d4e5f"
    path = tmp_path / "a.har"
    path.write_bytes(har([good()], creator=f"An app, https://h/?token={secret}"))
    run = Run(tmp_path, path)
    (capture,) = run.summary["captures"]
    assert capture["program"].startswith("An app, https://h/?token=[masked:")
    path.write_bytes(har([good()], creator="a" * 5000))
    run = Run(tmp_path, path)
    assert run.summary["captures"][-1]["program"] == "a" * 200
