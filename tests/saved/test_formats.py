"""The table of capture formats, and that a row of it is all that a format needs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from cos_inspect.analyze import shards
from cos_inspect.analyze.run import analyze
from cos_inspect.captures import formats
from cos_inspect.captures.capture_format import CaptureFormat, CapturePart, Cutter
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.formats import CAPTURE_FORMATS, find_format, format_of, is_named_so
from cos_inspect.captures.source import Stream
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.saved.test_source import HAR

_FIRST = ("a flow file of mitmproxy", "a HAR")
FLOW = b"12:3:key;1:1#}"


def test_each_format_has_a_name_and_suffixes_of_its_own() -> None:
    names = [each.name for each in CAPTURE_FORMATS]
    suffixes = [
        suffix for each in CAPTURE_FORMATS for suffix in each.suffixes + each.packed_suffixes
    ]
    assert len(names) == len(set(names))
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in suffixes)


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
    recognised = find_format(head)
    assert (recognised and recognised.name) == found


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty, at byte 0"),
        (b"%PDF-1.4", "this is a document (PDF): "),
        (b"\x00\x01", "neither a flow file of mitmproxy nor a HAR nor a session archive"),
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


@pytest.mark.parametrize("name", ["a.mitm", "a.FLOWS", "a.har", "a.b.har.gz", "a.zhar"])
def test_names_that_promise_a_capture(name: str) -> None:
    assert is_named_so(Path(name))


@pytest.mark.parametrize("name", ["har", "a.json", "a.gz", "a.har.txt", "a.harx"])
def test_names_that_promise_none(name: str) -> None:
    assert not is_named_so(Path(name))


def read_toy(
    stream: Stream, part: CapturePart, hosts: Sequence[str], remarks: InputRemarks
) -> Iterator[CapturedFlow]:
    """A line ``toy``, then one host a line; ``?`` stands for one that cannot be read, ``%``
    breaks the file. A part is told how many lines stand before it."""
    assert hosts == ("*.example",)
    at = part.begin
    size = 10_000 if part.end is None else part.end - part.begin
    lines = stream.read(size).splitlines(keepends=True)
    first = part.before if isinstance(part.before, int) else 0
    for number, line in enumerate(lines, start=first):
        host = line.decode().strip()
        if host == "%":
            raise CaptureError(stream.name, "broken", at)
        if host == "?":
            remarks.lose("no host", at)
        elif host != "toy":
            flow_id = f"{part.path}:{number}"
            yield CapturedFlow(flow_id=flow_id, exchange=None, offset=at, host=host)
        at += len(line)


def cut_toy(part: CapturePart, stream: Stream, step: int) -> Iterator[CapturePart]:
    """Lines are longer than the test's ``step``."""
    at = 0
    for number, line in enumerate(stream.read(10_000).splitlines(keepends=True)):
        assert len(line) >= step
        end = at + len(line)
        yield msgspec.structs.replace(part, begin=at, end=end, before=number)
        at = end


def recognises_toy(head: bytes) -> bool:
    return head.startswith(b"toy\n")


TOY = CaptureFormat(
    name="toy",
    called="a toy",
    recognises=recognises_toy,
    suffixes=(".toy",),
    read=read_toy,
)


@pytest.mark.parametrize(
    ("jobs", "cut"), [(1, None), (1, cut_toy), (2, cut_toy)], ids=["whole", "parts", "processes"]
)
def test_a_format_is_one_row(
    jobs: int, cut: Cutter | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = msgspec.structs.replace(TOY, cut=cut)
    monkeypatch.setattr(formats, "CAPTURE_FORMATS", (*CAPTURE_FORMATS, toy))
    monkeypatch.setattr(shards, "_SMALLEST", 2)
    monkeypatch.setattr(shards, "_LARGEST", 2)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "one.toy").write_bytes(b"toy\na.example.com\n?\nb.example.com\n%\n")
    (folder / "three.toy").write_bytes(b"\x00 no toy")
    (folder / "unnamed").write_bytes(b"toy\na.example.com\n")
    settings = AnalysisSettings(report_dir=None, hosts=("*.example",), jobs=jobs)
    outcome = analyze([str(folder)], settings, print, print)
    assert outcome.hosts == {"a.example.com": 2, "b.example.com": 1}
    assert outcome.others == 3
    assert outcome.lost.count == 1
    # The two that most people know come first, the others as in the table.
    known = sorted((each.called for each in CAPTURE_FORMATS), key=_FIRST.__contains__, reverse=True)
    assert outcome.errors == [
        f"{folder / 'three.toy'}: this is neither {' nor '.join(known)} nor a toy, at byte 0",
        f"{folder / 'one.toy'}: no host, at byte 18",
        f"{folder / 'one.toy'}: broken, at byte 34",
    ]
