"""Strings of a HAR that are too large for memory are decoded in pieces."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.analyze.shards import parts_of
from cos_inspect.captures import har_entries
from cos_inspect.captures.blob import Blob
from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.har_entries import unescaped
from cos_inspect.captures.inputs import Input
from cos_inspect.captures.source import Stream
from tests.cos.splitting import cut, cuts
from tests.saved.hars import Reading, as_base64, download, har


class _Pieces:
    """Stands for a blob."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def chunks(self) -> Iterator[bytes]:
        yield from self._pieces


def decoded(pieces: list[bytes]) -> bytes:
    return b"".join(unescaped(cast(Blob, _Pieces(pieces))))


texts = st.text(st.sampled_from('\\"a/\n中😀\u2028🏳'), max_size=40)


@given(texts, cuts)
def test_pieces_give_the_whole(text: str, places: list[int]) -> None:
    written = json.dumps(text).encode()[1:-1]
    assert decoded(cut(written, places)) == text.encode()


def test_halves_of_a_pair_stay_together_wherever_they_are_cut() -> None:
    for before in range(30):
        text = "a" * before + "😀" + "b"
        written = json.dumps(text).encode()[1:-1]
        for at in range(len(written)):
            assert decoded([written[:at], written[at:]]) == text.encode()


def test_a_run_of_backslashes_is_cut_between_two() -> None:
    text = "\\" * 50 + '"'
    written = json.dumps(text).encode()[1:-1]
    for size in (1, 2, 3, 7, 13, 40):
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        assert decoded(pieces) == text.encode()


def one(number: int, *, program: str = "WebInspector", behind: str = "") -> bytes:
    """A HAR of two entries; ``behind``: members of the log that come after them."""
    content = b"%d" % number
    written = har(
        [download(content, as_base64(content), time=at) for at in range(2)], creator=program
    )
    return written.removesuffix(b"}}") + behind.encode() + b"}}"


BEHIND = ["", ', "pages": [{"id": "{"}, {}], "comment": "}{"', ', "_more": [[], []]']


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n\xef\xbb\xbf"])
@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("ahead", [7, 1024 * 1024])
def test_files_that_were_joined_are_read_to_the_end(
    between: bytes, behind: str, ahead: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(har_entries, "_AHEAD", ahead)
    joined = between.join(one(number, behind=behind) for number in range(3))
    reading = Reading(tmp_path / "a.har", joined)
    assert (len(reading.exchanges), reading.error, reading.notes) == (6, None, [])
    assert [report.verdict for report in reading.reports] == ["ok"] * 6


@pytest.mark.parametrize("rest", [b"\0\0\0", b"garbage", b'"x": 1}]}}', b"} , {", b'"' * 9])
def test_what_follows_and_is_no_document_is_left(rest: bytes, tmp_path: Path) -> None:
    reading = Reading(tmp_path / "a.har", one(1) + rest)
    assert (len(reading.exchanges), reading.error, reading.notes) == (2, None, [])


def test_a_document_without_entries_is_told(tmp_path: Path) -> None:
    reading = Reading(tmp_path / "a.har", one(1) + b'\n{"a": 1}\n')
    assert len(reading.exchanges) == 2
    assert "no list of entries" in str(reading.error)


def test_parts_of_joined_files_are_read_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    programs = ("WebInspector", "mitmproxy", "Firefox")
    path.write_bytes(b"\n".join(one(n, program=name) for n, name in enumerate(programs)))
    found: list[list[tuple[str, str | None]]] = []
    for step in (1, 10**9):
        read: list[tuple[str, str | None]] = []
        for part in parts_of(Input(path=str(path), name="a.har"), step):
            stream = Stream(str(path), begin=part.begin)
            remarks = InputRemarks("a.har")
            read += [
                (flow.flow_id, remarks.facts.program)
                for flow in part.format.read(stream, part, (), remarks)
            ]
            stream.close()
        found.append(read)
    assert found[0] == found[1]
    assert [program for _, program in found[0]] == [each for each in programs for _ in range(2)]
