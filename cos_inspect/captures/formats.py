"""The formats of captures; what is in a file is found by content, whatever it is called."""

from pathlib import Path

from cos_inspect.captures.capture_format import CaptureFormat
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.exports.archive import names_in
from cos_inspect.captures.exports.charles import CHARLES
from cos_inspect.captures.exports.saz import SAZ
from cos_inspect.captures.exports.whistle import WHISTLE
from cos_inspect.captures.har import HAR
from cos_inspect.captures.mitm import MITM
from cos_inspect.captures.other_files import PLAIN_TEXT, OtherFile, other_file
from cos_inspect.captures.pcap import PCAP
from cos_inspect.captures.source import Stream

CAPTURE_FORMATS: tuple[CaptureFormat, ...] = (
    MITM,
    SAZ,
    WHISTLE,
    CHARLES,
    HAR,
    PCAP,
)
"""The first one counts that recognises a file."""

HEAD = 4096
"""Bytes that tell the format."""
_PACKED_RATIO = 10
"""Of compressed files nobody knows how long they are; ten times is usual."""


def find_format(head: bytes) -> CaptureFormat | None:
    """By the first bytes of the unpacked content."""
    return next((each for each in CAPTURE_FORMATS if each.recognises(head)), None)


def find_in_folder(head: bytes) -> CaptureFormat | None:
    """The same of a file that was not named: reports and other things lie in folders too."""
    for each in CAPTURE_FORMATS:
        if (each.recognises_in_folder or each.recognises)(head):
            return each
    return None


def format_of(path: str, name: str | None = None) -> CaptureFormat:
    """:raises CaptureError: for what is no capture, or cannot be read."""
    stream = Stream(path, name=name)
    try:
        head = stream.read(HEAD)
        packed = stream.packed
    finally:
        stream.close()
    return recognised(stream.name, head, None if packed else path, packed=packed)


def recognised(
    name: str, head: bytes, path: str | None = None, *, packed: bool = False
) -> CaptureFormat:
    """The format of a capture.

    :param path: where the whole file lies, unpacked; None where it does not.
    :raises CaptureError: for what is no capture; it says what else it is.
    """
    if not head:
        raise CaptureError(name, "the file is empty", 0)
    found = find_format(head)
    if found is not None and found not in _LOOSE:
        return found
    other = other_in(name, head, path)
    inside = "compressed by gzip; what is in it: " if packed else ""
    if other is not None and other is not PLAIN_TEXT:
        raise CaptureError(name, f"{inside}{other.sentence}")
    if found is None:
        # The two that most people know come first.
        ordered = sorted(CAPTURE_FORMATS, key=lambda each: each not in (MITM, HAR))
        known = "neither " + " nor ".join(each.called for each in ordered)
        if other is PLAIN_TEXT:
            known = f"{known}, but {other.what}; {other.advice}"
        raise CaptureError(name, f"{inside}this is {known}", 0)
    return found


def other_in(name: str, head: bytes, path: str | None) -> OtherFile | None:
    """What a file is that is no capture, by its first bytes, and the whole of it at ``path``."""
    return other_file(head, name, lambda: None if path is None else names_in(path))


_LOOSE = (SAZ, HAR)
"""Formats that recognise more than they read: any zip, any JSON."""


def looks_like_capture(path: str, name: str, head: bytes) -> bool:
    """Whether a file that was not named, as it lies in a folder, is a capture."""
    if find_in_folder(head) is not None:
        return True
    return find_format(head) is SAZ and other_in(name, head, path) is None


def is_named_so(path: Path) -> bool:
    """Whether a file's name promises a capture."""
    if path.suffix.lower() == ".gz":
        path = path.with_suffix("")
    return any(
        path.suffix.lower() in each.suffixes + each.packed_suffixes for each in CAPTURE_FORMATS
    )


def unpacked_size(path: str, size: int) -> int:
    """About how many bytes a file of ``size`` bytes holds, by its name alone."""
    plain = (".json", *(suffix for each in CAPTURE_FORMATS for suffix in each.suffixes))
    return size if path.endswith(plain) else size * _PACKED_RATIO
