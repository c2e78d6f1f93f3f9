"""What there is to read, and that what is left out is said."""

import gzip
import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cos_inspect.captures import inputs
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.inputs import STDIN, Input, inputs_of

FLOW = b"12:3:key;1:1#}"
HAR = b'{"log": {"entries": []}}'


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.bin").write_bytes(FLOW)
    (tmp_path / "a.har.gz").write_bytes(gzip.compress(HAR))
    (tmp_path / "report.json").write_text('{"schema": "x"}')
    (tmp_path / "readme.txt").write_text("12 files")
    problems: list[CaptureError] = []
    found = [each.path for each in inputs_of(str(tmp_path), "", problems.append)]
    assert found == [str(tmp_path / "a.har.gz"), str(tmp_path / "b" / "one.bin")]
    empty = tmp_path / "b" / "empty"
    empty.mkdir()
    assert not problems
    assert "there is no capture in this folder" in problem_with(str(empty), tmp_path)


class Given:
    """Standard input."""

    def __init__(self, content: bytes, raw: io.RawIOBase | None = None) -> None:
        self.buffer: Any = io.BytesIO(content) if raw is None else io.BufferedReader(raw)


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for number, content in enumerate((HAR, gzip.compress(HAR + os.urandom(3_000_000)))):
        monkeypatch.setattr("sys.stdin", Given(content))
        problems: list[CaptureError] = []
        (found,) = inputs_of(STDIN, str(tmp_path), problems.append)
        assert found == Input(str(tmp_path / f"{number}.copy"), "standard input")
        assert Path(found.path).read_bytes() == content


def problem_with(argument: str, folder: Path) -> str:
    problems: list[CaptureError] = []
    assert not list(inputs_of(argument, str(folder), problems.append))
    assert not list(folder.glob("*.copy"))
    (problem,) = problems
    return str(problem)


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert problem_with(STDIN, tmp_path) == "standard input: it is closed"


def test_what_is_endless_and_no_capture_is_not_copied(tmp_path: Path) -> None:
    assert "/dev/zero: this is neither" in problem_with("/dev/zero", tmp_path)
    assert "/dev/null: the file is empty" in problem_with("/dev/null", tmp_path)


def test_a_copy_leaves_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            buffer[:] = HAR[:1] * len(buffer)
            return len(buffer)

    free = iter(range(inputs._SPARE + 5_000_000, 0, -1_000_000))
    monkeypatch.setattr("sys.stdin", Given(b"", Endless()))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=next(free)))
    assert "there is no room for a copy of it in" in problem_with(STDIN, tmp_path)


def test_what_is_no_capture_but_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "a.har").write_bytes(HAR)
    (tmp_path / "b.mitm").write_bytes(b"")
    (tmp_path / "c.HAR.gz").write_bytes(gzip.compress(HAR)[:10])
    (tmp_path / "d.flows").write_text("what?")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.mitm")
    problems: list[CaptureError] = []
    (found,) = inputs_of(str(tmp_path), "", problems.append)
    assert found == Input(str(tmp_path / "a.har"), str(tmp_path / "a.har"))
    assert [Path(problem.file).name for problem in problems] == ["b.mitm", "c.HAR.gz", "d.flows"]


def test_folders_and_files_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.har").write_bytes(HAR)
    (tmp_path / "closed.har").write_bytes(HAR)
    (tmp_path / "folder").mkdir()
    scandir, opened = os.scandir, Path.open

    def closed_folder(path: str) -> Any:
        if path.endswith("folder"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    def closed_file(path: Path, *arguments: Any) -> Any:
        if path.name == "closed.har":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments)

    monkeypatch.setattr("os.scandir", closed_folder)
    monkeypatch.setattr(Path, "open", closed_file)
    problems: list[CaptureError] = []
    (found,) = inputs_of(str(tmp_path), "", problems.append)
    assert found == Input(str(tmp_path / "a.har"), str(tmp_path / "a.har"))
    assert sorted(map(str, problems)) == [
        f"{tmp_path}/closed.har: Permission denied",
        f"{tmp_path}/folder: Permission denied",
    ]


def test_a_file_that_is_called_after_a_signed_url_shows_no_secret(tmp_path: Path) -> None:
    secret = "x4PLTbOuYhLfPpbQZhFs0a1b2c3d4e5f"
    path = tmp_path / f"a.har?q-ak=AKIDexample&q-signature={secret}&x-cos-security-token={secret}"
    path.write_bytes(b"{}")
    problems: list[CaptureError] = []
    (found,) = inputs_of(str(path), str(tmp_path), problems.append)
    assert not problems
    assert found.path == str(path)
    assert secret not in found.name
    assert "q-ak=AKIDexample" in found.name
    path.unlink()
    assert not list(inputs_of(str(path), str(tmp_path), problems.append))
    (problem,) = problems
    assert "no file is called so" in str(problem)
    assert secret not in str(problem)
