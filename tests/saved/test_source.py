import gzip
import os
import zlib
from pathlib import Path

import pytest

from cos_inspect.analyze.reading import saved_in
from cos_inspect.captures import source
from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.formats import format_of
from cos_inspect.captures.source import Stream
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.saved.flow_files import WHOLE
from tests.saved.hars import as_base64, download, har
from tests.saved.wire.exchanges_made import converse, get
from tests.saved.wire.packets_made import Conversation, frames, pcap

HAR = b'{"log": {"entries": []}}'


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress], ids=["plain", "gz", "zhar"])
def test_packed_files_are_unpacked(pack: "type[bytes]", tmp_path: Path) -> None:
    content = HAR + bytes(range(256)) * 10_000
    path = tmp_path / "no-extension"
    path.write_bytes(pack(content))
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
    assert (HAR * 1000).startswith(stream.read(1_000_000))
    for _ in range(2):
        with pytest.raises(CaptureError, match="end early"):
            stream.read(1_000_000)
    stream.close()


def _wrong_checksum(packed: bytes) -> bytes:
    return packed[:-5] + bytes([packed[-5] ^ 1]) + packed[-4:]


DAMAGED = {
    "followed": (lambda data: gzip.compress(data) + b"garbage", "stands something else, at byte"),
    "checksum": (lambda data: _wrong_checksum(gzip.compress(data)), "CRC|Incorrect|check"),
    "cut": (lambda data: gzip.compress(data)[:-4], "the compressed data end early, at byte"),
    "cut-zlib": (lambda data: zlib.compress(data)[:-2], "the compressed data end early, at byte"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("form", ["har", "mitm", "pcap"])
def test_what_comes_before_a_damage_is_read_and_the_damage_told(
    kind: str, form: str, tmp_path: Path
) -> None:
    if form == "har":
        plain = har([download(b"abc", as_base64(b"abc"))])
    elif form == "mitm":
        plain = WHOLE
    else:
        made = Conversation()
        converse(made, [get("a", b"x")])
        plain = pcap(frames(made.packets))
    damage, says = DAMAGED[kind]
    path = tmp_path / "a"
    path.write_bytes(damage(plain))
    part = CapturePart(path=str(path), name="a", format=format_of(str(path)))
    flows = saved_in(part, AnalysisSettings(), InputRemarks("a"))
    for _ in range(2 if form == "mitm" else 1):
        next(flows)
    with pytest.raises(CaptureError, match=says):
        next(flows)


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
