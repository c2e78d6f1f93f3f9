"""Every file that people send is named by what is in it, with a way to a capture."""

import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.formats import format_of
from cos_inspect.captures.inputs import inputs_of
from cos_inspect.captures.other_files import other_file
from tests.saved.exports.archives import Session, archive, get

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, b"x")
    return file.getvalue()


FILES: dict[str, tuple[str, bytes, Sequence[str]]] = {
    "charles": ("a.chls", b"\xac\xed\x00\x05sr\x00\x1fcom.xk72.charles.model", ["Charles", "HAR"]),
    "charles, renamed": ("a.bin", b"\xac\xed\x00\x05sr\x00\x1fcom.xk72.charles", ["Charles"]),
    "java": ("a.bin", b"\xac\xed\x00\x05sr\x00\x10java.util.HashMap", ["Java"]),
    "charles 5": ("a.chlz", zipped("session.bin"), ["Charles 5", "HAR"]),
    "charles 5, no zip": ("a.chlz", b"\x01\x02\x00", ["Charles 5"]),
    "charles xml": ("a.chlsx", b"<?xml version='1.0'?>\n<?charles serialisation?>", ["Charles"]),
    "proxyman": ("a.proxymanlogv2", zipped("request_1.json"), ["Proxyman", "HAR"]),
    "burp": (
        "a.xml",
        b'<?xml version="1.0"?>\n<!DOCTYPE items [\n<!ELEMENT items (item*)>\n]>\n<items>',
        ["Burp", "HAR"],
    ),
    "net log": (
        "netlog.json",
        b'{"constants":{"activeFieldTrialGroups":[],"logEventTypes":{"A":1}},\n"events": [',
        ["Chromium", "HAR with content"],
    ),
    "png": ("a.png", PNG, ["picture (PNG)", "HAR"]),
    "png named as a har": ("a.har", PNG, ["picture (PNG)"]),
    "jpeg": ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF", ["picture (JPEG)"]),
    "heic": ("a.heic", b"\x00\x00\x00\x18ftypheic", ["picture (HEIC)"]),
    "film": ("a.mp4", b"\x00\x00\x00\x18ftypmp42", ["film"]),
    "pdf": ("a.pdf", b"%PDF-1.7\n", ["PDF"]),
    "html": ("a.html", b"\n<!doctype HTML><html>", ["HTML"]),
    "sqlite": ("a.db", b"SQLite format 3\x00", ["SQLite"]),
    "zip": ("a.zip", zipped("a.txt", "b.txt"), ["zip archive of 2 files", "unpack"]),
    "zip of captures": ("a.zip", zipped("x/a.har", "b.pcapng"), ["'x/a.har'", "unpack"]),
    "empty zip": ("a.zip", zipped(), ["holds nothing"]),
    "word": ("a.docx", zipped("word/document.xml"), ["Word"]),
    "7-zip": ("a.7z", b"7z\xbc\xaf\x27\x1c\x00\x04", ["7-Zip", "unpack"]),
    "tar": ("a.tar", b"a".ljust(257, b"\x00") + b"ustar\x00", ["tar", "unpack"]),
    "network monitor": ("a.cap", b"GMBU\x00\x02", ["Network Monitor", "Wireshark"]),
    "pdml": ("a.pdml", b'<?xml version="1.0"?>\n<pdml version="0">', ["Wireshark"]),
    "packets as json": (
        "a.json",
        b'[{"_index": "packets", "_type": "d", "_source": {',
        ["Wireshark"],
    ),
    "etl": ("a.etl", b"\x00\x00\x01\x00\x00", ["ETL", "etl2pcap"]),
    "okhttp": ("a.txt", b"D/OkHttp: --> PUT https://a.example/b\nHost: a", ["OkHttp"]),
    "curl": ("a.txt", b"> PUT /a HTTP/1.1\n> Host: a\n> \n< HTTP/1.1 200 OK\n", ["curl"]),
    "sdk log": ("a.log", b"2026-11-27 INFO qcloud_cos.cos_client put object\n", ["COS SDK"]),
    "key log": ("keys.log", b"CLIENT_RANDOM " + b"0" * 64 + b" " + b"1" * 96, ["TLS keys"]),
    "text": ("a.txt", b"it does not work\n", ["a text"]),
    "xml of cos": ("a.xml", b"<?xml version='1.0'?><Error><Code>x</Code></Error>", ["COS"]),
    "postman": ("a.json", b'{"info": {"_postman_id": "x"}, "item": []}', ["Postman"]),
    "own report": ("a.json", b'{"schema":"cos-inspect/flow/1","flow_id":"x"}', ["cos_inspect"]),
    "utf-16": ("a.har", '{"log": {}}'.encode("utf-16"), ["UTF-16", "UTF-8"]),
    "packed picture": ("a.gz", gzip.compress(PNG), ["gzip", "picture (PNG)"]),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_named_in_one_sentence(name: str, tmp_path: Path) -> None:
    file, content, words = FILES[name]
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(CaptureError) as raised:
        format_of(str(path))
    said = str(raised.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    "content",
    [b'{"log": {"entries": []}}', b'{"entries": []}', b"[]", b"[{}]", b"{}", b"12:3:key;1:1#}"],
)
def test_what_may_be_a_capture_is_not_named(content: bytes) -> None:
    assert other_file(content, "a.json") is None or content.startswith(b"1")


def test_texts_that_begin_as_pictures_do() -> None:
    for content in (b"BMW is a car", b"MZ\n", b"BZh?"):
        other = other_file(content, "a.txt")
        assert other is not None
        assert other.what == "a text"


def test_a_folder_says_what_it_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.har").write_bytes(b'{"log": {"entries": []}}')
    (tmp_path / "b.bin").write_bytes(archive([Session(get())]))
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    (tmp_path / "c.chls").write_bytes(FILES["charles"][1])
    (tmp_path / "d.zip").write_bytes(zipped("a.txt"))
    (tmp_path / "e").write_bytes(b"")
    problems: list[CaptureError] = []
    notes: list[str] = []
    found = [each.path for each in inputs_of(str(tmp_path), "", problems.append, notes.append)]
    assert found == [str(tmp_path / "a.har"), str(tmp_path / "b.bin")]
    assert not problems
    assert notes == [
        f"{tmp_path / 'c.chls'}: passed over, this is a session of Charles in its own form (.chls):"
        " export it in Charles (File, Export Session) as HAR or as a JSON session",
        f"{tmp_path}: passed over 5 files that are no captures: 3 times a picture (PNG), a zip"
        " archive of 1 files, none of which is a session of Fiddler, an empty file",
    ]


def test_a_folder_without_a_capture_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "c.chls").write_bytes(FILES["charles"][1])
    problems: list[CaptureError] = []
    notes: list[str] = []
    assert not list(inputs_of(str(tmp_path), "", problems.append, notes.append))
    assert "there is no capture in this folder" in str(problems[0])
    assert len(notes) == 1


@given(st.binary(max_size=300), st.sampled_from(["a", "a.chls", "a.json", "a.zip", "a.xml"]))
def test_anything_is_named_or_not(content: bytes, name: str) -> None:
    for head in (content, b"{" + content, b"<" + content, b"PK\x03\x04" + content):
        found = other_file(head, name, lambda: [content.decode("latin-1")])
        assert found is None or found.sentence.startswith("this is ")


def test_reports_are_told_from_captures() -> None:
    report = json.dumps({"schema": "cos-inspect/summary/1", "counts": {}}).encode()
    other = other_file(report, "summary.json")
    assert other is not None
    assert "report of cos_inspect" in other.what
