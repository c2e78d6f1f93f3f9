import gzip
import os
import zlib
from pathlib import Path

import pytest

from cos_inspect.captures import source
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.source import Stream, find_format, format_of

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


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_what_unpacks_to_too_much_is_not_read_on(
    pack: "type[bytes]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_UNPACKED", 1_000_000)
    path = tmp_path / "a"
    path.write_bytes(pack(HAR + bytes(20_000_000)))
    stream = Stream(str(path))
    with pytest.raises(CaptureError, match=r"compressed bytes hold more than [0-9]+ bytes"):
        read_all(stream)
    assert stream.offset < 10_000_000
    stream.close()
    path.write_bytes(pack(HAR + os.urandom(2_000_000)))
    stream = Stream(str(path))
    read_all(stream)
    stream.close()


def read_all(stream: Stream) -> None:
    while stream.read(65536):
        pass


def test_flows_that_packed_bytes_have_no_room_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(HAR))
    stream = Stream(str(path))
    stream.admit(100_000)
    with pytest.raises(CaptureError, match=r"hold more than 10000[0-9] flows"):
        stream.admit(101_000)
    stream.close()
    path.write_bytes(HAR)
    stream = Stream(str(path))
    stream.admit(10**9)
    stream.close()
