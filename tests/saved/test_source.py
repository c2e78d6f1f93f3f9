import gzip
import io
import zlib
from pathlib import Path

import pytest

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Stream, files_of, find_format, format_of, keep_stdin

FLOW = b"12:3:key;1:1#}"
HAR = b'{"log": {"entries": []}}'


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (FLOW, "mitm"),
        (HAR, "har"),
        (b"\xef\xbb\xbf\n " + HAR, "har"),
        (b"", None),
        (b"<html>", None),
        (b"2020-01-01 12:00", None),
        (b":1", None),
    ],
)
def test_the_format_is_found_by_content(head: bytes, found: str | None) -> None:
    assert find_format(head) == found


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress], ids=["plain", "gz", "zhar"])
def test_packed_files_are_unpacked(pack: "type[bytes]", tmp_path: Path) -> None:
    content = HAR + bytes(range(256)) * 10_000
    path = tmp_path / "no-extension"
    path.write_bytes(pack(content))
    assert format_of(str(path)) == "har"
    stream = Stream(str(path))
    pieces = [stream.read(5), *iter(lambda: stream.read(100_000), b"")]
    stream.close()
    assert b"".join(pieces) == content
    assert stream.offset == len(content)


def test_progress_is_told_in_bytes_of_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(bytes(1_000_000)))
    told: list[int] = []
    stream = Stream(str(path), told.append)
    while stream.read(10_000):
        pass
    stream.close()
    assert sum(told) == path.stat().st_size


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_files_that_are_cut(pack: "type[bytes]", tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(pack(HAR * 1000)[:-6])
    stream = Stream(str(path))
    with pytest.raises(CaptureError, match="end early"):
        stream.read(1_000_000)
    stream.close()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty, at byte 0"),
        (b"%PDF-1.4", "neither a flow file of mitmproxy nor a HAR"),
        (HAR.decode().encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_capture(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as raised:
        format_of(str(path))
    assert str(raised.value).startswith(f"{path}: ")
    assert what in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        format_of(str(tmp_path / "none"))


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.bin").write_bytes(FLOW)
    (tmp_path / "a.har.gz").write_bytes(gzip.compress(HAR))
    (tmp_path / "report.json").write_text('{"schema": "x"}')
    (tmp_path / "readme.txt").write_text("12 files")
    found = list(files_of(str(tmp_path)))
    assert found == [str(tmp_path / "a.har.gz"), str(tmp_path / "b" / "one.bin")]
    empty = tmp_path / "b" / "empty"
    empty.mkdir()
    with pytest.raises(CaptureError, match="no capture in this folder"):
        list(files_of(str(empty)))


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Input:
        buffer = io.BufferedReader(io.BytesIO(HAR))

    monkeypatch.setattr("sys.stdin", Input)
    path = keep_stdin(str(tmp_path))
    stream = Stream(path)
    assert stream.read(100) == HAR
    assert stream.name == "standard input"
    stream.close()
