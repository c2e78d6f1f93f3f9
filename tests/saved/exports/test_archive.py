"""Zip archives of strangers."""

import contextlib
import io
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.exports.archive import Archive, ArchiveError, names_in, session_name


def zipped(content: bytes, how: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as packed:
        packed.writestr("a", content)
    return file


@given(st.binary(max_size=1000), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_members_come_in_pieces(content: bytes, how: int) -> None:
    archive = Archive(zipped(content, how))
    (member,) = archive.members
    assert b"".join(archive.chunks(member)) == content
    assert archive.read(member, 10) == content[:10]


@given(st.binary(max_size=300))
def test_anything_is_an_archive_or_is_said(data: bytes) -> None:
    for given_data in (data, b"PK\x03\x04" + data, data + zipped(data).getvalue()):
        with contextlib.suppress(ArchiveError):
            archive = Archive(io.BytesIO(given_data))
            for member in archive.members:
                archive.read(member, 100)


def test_a_length_that_is_wrong_is_said() -> None:
    data = bytearray(zipped(b"x" * 1000).getvalue())
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 5)
    archive = Archive(io.BytesIO(bytes(data)))
    with pytest.raises(ArchiveError, match="damaged"):
        archive.read(archive.members[0], 2000)


def test_members_that_lie_in_each_other_are_not_read() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a", b"x" * 100)
        packed.writestr("b", b"y" * 100)
    data = bytearray(file.getvalue())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    archive = Archive(io.BytesIO(bytes(data)))
    assert len(archive.members) == 2
    with pytest.raises(ArchiveError):
        archive.read(archive.members[1], 100)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("raw/1_c.txt", (1, "c.txt")),
        ("raw/0001_S.TXT", (1, "s.txt")),
        ("raw\\2_m.xml", (2, "m.xml")),
        ("a/b/raw/3_whistle.json", (3, "whistle.json")),
        ("../raw/1_c.txt", None),
        ("a/../raw/1_c.txt", None),
        ("/raw/1_c.txt", None),
        ("raw/1_c.txt/", None),
        ("raw/1234567890_c.txt", None),
        ("raw/_c.txt", None),
        ("1_c.txt", None),
        ("raw/1_x.txt", None),
    ],
)
def test_names_of_sessions(name: str, found: tuple[int, str] | None) -> None:
    assert session_name(name) == found


def test_names_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(b"").getvalue())
    assert names_in(str(path)) == ["a"]
    path.write_bytes(b"PK\x03\x04")
    assert names_in(str(path)) is None
    assert names_in(str(tmp_path / "none")) is None
