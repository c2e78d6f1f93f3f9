"""The formats of captures; what is in a file is found by content, whatever it is called."""

from pathlib import Path

from cos_inspect.captures.capture_format import CaptureFormat
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import HAR
from cos_inspect.captures.mitm import MITM
from cos_inspect.captures.pcap import PCAP
from cos_inspect.captures.source import Stream

CAPTURE_FORMATS: tuple[CaptureFormat, ...] = (
    MITM,
    HAR,
    PCAP,
)
"""The first one counts that recognises a file."""

HEAD = 4096
"""Bytes that tell the format."""
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
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
    finally:
        stream.close()
    return recognised(stream.name, head)


def recognised(name: str, head: bytes) -> CaptureFormat:
    """:raises CaptureError: for what is no capture."""
    found = find_format(head)
    if found is None:
        if not head:
            what = "the file is empty"
        elif head.startswith(_UTF16_BOMS):
            what = "this is UTF-16, and HAR is UTF-8: save it as UTF-8"
        else:
            what = "this is neither " + " nor ".join(each.called for each in CAPTURE_FORMATS)
        raise CaptureError(name, what, 0)
    return found


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
