"""A zip archive that somebody sent: its members, read in pieces, with bounds on what a few bytes
of it may cost. Nothing is ever unpacked to a disk."""

import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.places import open_to_read, reason_of
from cos_inspect.captures.source import Stream

ZIP_HEADS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_CHUNK = 256 * 1024
_LARGEST_DIRECTORY = 64 * 1024 * 1024
"""Bytes of the list of members: of a million with names of the usual length."""
_UNPACKED, _UNPACKED_RATIO = 1024**3, 200
"""Bytes that any member may unpack to, and for each of its own; deflate cannot do more than a
thousandfold, and an object that is empty all through does nearly that."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_AES = 99
_ENCRYPTED = 0x1
_END = struct.Struct("<4s4H2LH")
_LONGEST_END = 65_535 + _END.size
_UNKNOWN_SIZE = 0xFFFF_FFFF
_END_64 = struct.Struct("<4sQ2H2L4Q")
_PLACE_64 = struct.Struct("<4sLQL")


class ArchiveError(Exception):
    """What is wrong with an archive, or with one of its members, in words."""


class Archive:
    """``with Archive.opened(stream) as archive:``."""

    def __init__(self, file: IO[bytes]) -> None:
        """:raises ArchiveError: for what is no zip archive, or one that is damaged."""
        try:
            if _directory_size(file) > _LARGEST_DIRECTORY:
                raise ArchiveError("its list of members is longer than that of any capture")
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, zipfile.LargeZipFile) as error:
            raise ArchiveError(f"the zip archive is damaged or cut ({error})") from None
        except (OSError, ValueError, struct.error, NotImplementedError, OverflowError) as error:
            raise ArchiveError(f"the zip archive cannot be read ({error})") from None
        self.members = [each for each in self._zip.infolist() if not each.is_dir()]
        """In the order of the archive's list."""
        self.comment = self._zip.comment.decode("utf-8", "replace")

    @classmethod
    @contextmanager
    def opened(cls, stream: Stream) -> Iterator["Archive"]:
        """The archive that a stream holds.

        :raises CaptureError: where it cannot be read.
        """
        with _seekable(stream) as file:
            try:
                archive = cls(file)
            except ArchiveError as error:
                raise CaptureError(stream.name, str(error)) from None
            try:
                yield archive
            finally:
                archive.close()

    def close(self) -> None:
        """Closes it."""
        self._zip.close()

    def chunks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """The content of a member, in pieces.

        :raises ArchiveError: where it is encrypted, damaged, or larger than it can be.
        """
        why = refusal_of(member)
        if why is not None:
            raise ArchiveError(why)
        try:
            with self._zip.open(member) as file:
                while data := file.read(_CHUNK):
                    yield data
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            NotImplementedError,
            ValueError,
            struct.error,
        ) as error:
            what = "it ends early" if isinstance(error, EOFError) else str(error)
            raise ArchiveError(f"{member.filename!a} is damaged ({what})") from None

    def read(self, member: zipfile.ZipInfo, most: int) -> bytes:
        """The beginning of a member, up to ``most`` bytes.

        :raises ArchiveError: as ``chunks`` does.
        """
        found = bytearray()
        for data in self.chunks(member):
            found += data
            if len(found) >= most:
                break
        return bytes(found[:most])


def encryption_of(member: zipfile.ZipInfo) -> str | None:
    """How a member is encrypted; None where it is not."""
    if member.compress_type == _AES:
        return "AES"
    return "ZipCrypto" if member.flag_bits & _ENCRYPTED else None


def refusal_of(member: zipfile.ZipInfo) -> str | None:
    """Why a member is not read, without a look at its content; None where it is."""
    encryption = encryption_of(member)
    if encryption is not None:
        return f"{member.filename!a} is encrypted ({encryption})"
    if member.compress_type not in _METHODS:
        return f"{member.filename!a} is packed by a method that no Fiddler uses"
    if member.file_size > _UNPACKED + member.compress_size * _UNPACKED_RATIO:
        return (
            f"{member.filename!a} says that its {member.compress_size} bytes hold"
            f" {member.file_size}, as those of no capture do"
        )
    return None


def is_zip(head: bytes) -> bool:
    """Whether a file is a ZIP archive, by its first bytes."""
    return head.startswith(ZIP_HEADS)


def names_in(path: str) -> list[str] | None:
    """The names of a zip file's members; None where it cannot be read."""
    try:
        with open_to_read(path) as file:
            return [member.filename for member in Archive(file).members]
    except (OSError, ArchiveError):
        return None


@contextmanager
def _seekable(stream: Stream) -> Iterator[IO[bytes]]:
    """The file itself; of one that is packed once more a copy without that."""
    if stream.seekable:
        try:
            with open_to_read(stream.path) as file:
                yield file
        except OSError as error:
            raise CaptureError(stream.name, reason_of(error)) from error
        return
    with tempfile.TemporaryFile() as copy:
        try:
            while data := stream.read(_CHUNK):
                copy.write(data)
        except OSError as error:
            what = f"no copy of it can be made in {tempfile.gettempdir()}"
            raise CaptureError(stream.name, f"{what}: {error.strerror or error}") from error
        copy.seek(0)
        yield copy


def _directory_size(file: IO[bytes]) -> int:
    """Bytes that the archive's end says of the list of members, which is read as a whole; 0
    where there is no end."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _LONGEST_END - _PLACE_64.size))
    tail = file.read()
    file.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        return 0
    found: int = _END.unpack_from(tail, at)[5]
    place = tail[max(0, at - _PLACE_64.size) : at]
    if found == _UNKNOWN_SIZE and place.startswith(b"PK\x06\x07") and len(place) == _PLACE_64.size:
        file.seek(min(_PLACE_64.unpack(place)[2], size))
        end = file.read(_END_64.size)
        file.seek(0)
        if len(end) == _END_64.size:
            found = _END_64.unpack(end)[8]
    return found


SESSION_NAME = re.compile(
    r"(?:[^/]+/){0,8}raw/0*([0-9]{1,9})_(c\.txt|s\.txt|m\.xml|w\.txt|whistle\.json)", re.IGNORECASE
)
"""Of a session's member: its number, and what it holds."""


def session_name(name: str) -> tuple[int, str] | None:
    """The number of a session, and what of it a member holds: ``c.txt``, ``s.txt``, ``m.xml``,
    ``w.txt`` or ``whistle.json``; None for other members, and for names that lead elsewhere."""
    name = name.replace("\\", "/")
    found = SESSION_NAME.fullmatch(name)
    if found is None or any(part in ("..", ".") for part in name.split("/")):
        return None
    return int(found[1]), found[2].lower()
