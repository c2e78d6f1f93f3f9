"""What a file is that is no capture which can be read, found by its content, and how its program
gives one that can."""

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath

import msgspec

from cos_inspect.captures.capture_format import beginning
from cos_inspect.captures.exports.archive import is_zip, session_name
from cos_inspect.captures.exports.json_kinds import keys_at

_FROM_CHARLES = "export it in Charles (File, Export Session) as HAR or as a JSON session"
_FROM_PROXYMAN = (
    "export it in Proxyman (File, Export) as HAR, or by proxyman-cli export-log --format har"
)
_CAPTURE_IT = "it holds no traffic; ask for a capture of it instead: HAR with content, or packets"
_UNPACK = "unpack it, and give the captures in it, or their folder"
_NO_BODIES = "a log holds no bytes of bodies; have the traffic captured as HAR, or as packets"
_WIRESHARK = "open what it was made from in Wireshark, and save that as pcapng"
_AS_UTF8 = "HAR is UTF-8: save it as UTF-8"


class OtherFile(msgspec.Struct, frozen=True):
    """What a file is."""

    what: str
    """With an article: ``a picture (PNG)``."""
    advice: str
    """How to come by a capture that can be read."""
    is_capture: bool = False
    """It holds traffic, in a form that is not read."""

    @property
    def sentence(self) -> str:
        """What the file is, and what to do instead, as a message says it."""
        return f"this is {self.what}: {self.advice}"


class _Magic(msgspec.Struct, frozen=True):
    begins: bytes
    other: OtherFile
    at: int = 0
    binary: bool = False
    """A text may begin so as well."""


def _picture(name: str) -> OtherFile:
    return OtherFile(f"a picture ({name})", _CAPTURE_IT)


def _archive(name: str) -> OtherFile:
    return OtherFile(f"a {name} archive", _UNPACK)


_VIDEO = OtherFile("a film (MP4)", _CAPTURE_IT)
_PROGRAM = OtherFile("a program", _CAPTURE_IT)
_HTML = OtherFile("a page (HTML)", _CAPTURE_IT)
_OFFICE = OtherFile("a document of Office, or a mail", _CAPTURE_IT)
_CHLS = OtherFile("a session of Charles in its own form (.chls)", _FROM_CHARLES, True)
_CHLZ = OtherFile("a session of Charles 5 in its own form (.chlz)", _FROM_CHARLES, True)
_PROXYMAN = OtherFile("a session of Proxyman in its own form", _FROM_PROXYMAN, True)
_OWN_REPORT = OtherFile(
    "a report of cos_inspect", "give the capture that it was made from, not what was said of it"
)

_MAGICS = (
    _Magic(b"\x89PNG\r\n", _picture("PNG")),
    _Magic(b"\xff\xd8\xff", _picture("JPEG")),
    _Magic(b"GIF8", _picture("GIF")),
    _Magic(b"WEBP", _picture("WebP"), 8),
    _Magic(b"BM", _picture("BMP"), binary=True),
    _Magic(b"ftypheic", _picture("HEIC"), 4),
    _Magic(b"ftypmif1", _picture("HEIC"), 4),
    _Magic(b"ftypavif", _picture("AVIF"), 4),
    _Magic(b"ftyp", _VIDEO, 4),
    _Magic(b"\x1aE\xdf\xa3", OtherFile("a film (WebM)", _CAPTURE_IT)),
    _Magic(b"%PDF-", OtherFile("a document (PDF)", _CAPTURE_IT)),
    _Magic(b"SQLite format 3\x00", OtherFile("a database (SQLite)", _CAPTURE_IT)),
    _Magic(
        b"snoop\x00\x00\x00",
        OtherFile("a capture of packets (snoop)", f"{_WIRESHARK}", True),
    ),
    _Magic(
        b"GMBU",
        OtherFile("a capture of Microsoft's Network Monitor", _WIRESHARK, True),
    ),
    _Magic(
        b"RTSS",
        OtherFile("a capture of Microsoft's Network Monitor", _WIRESHARK, True),
    ),
    _Magic(b"7z\xbc\xaf\x27\x1c", _archive("7-Zip")),
    _Magic(b"Rar!\x1a\x07", _archive("RAR")),
    _Magic(b"\xfd7zXZ\x00", _archive("xz")),
    _Magic(b"\x28\xb5\x2f\xfd", _archive("zstd")),
    _Magic(b"BZh", _archive("bzip2"), binary=True),
    _Magic(b"ustar", _archive("tar"), 257),
    _Magic(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE),
    _Magic(b"\x7fELF", _PROGRAM),
    _Magic(b"MZ", _PROGRAM, binary=True),
    _Magic(b"\xca\xfe\xba\xbe", _PROGRAM),
    _Magic(b"\xcf\xfa\xed\xfe", _PROGRAM),
    _Magic(b"bplist00", OtherFile("a list of properties (Apple)", _CAPTURE_IT)),
)
"""How binary files begin; the first that fits counts."""

_JAVA = b"\xac\xed\x00\x05"
_CHARLES_CLASS = b"com.xk72"
_BURP = OtherFile(
    "an export of Burp (Save items)",
    "Burp has no HAR of its own; take the traffic through mitmproxy, or export HAR by an extension",
    True,
)
_XML = (
    (re.compile(rb"<items burpVersion|<!DOCTYPE items\b"), _BURP),
    (
        re.compile(rb"<\?charles|<charles-session\b"),
        OtherFile("an XML session of Charles", _FROM_CHARLES, True),
    ),
    (
        re.compile(rb"<pdml\b|<psml\b"),
        OtherFile("Wireshark's text of packets", _WIRESHARK, True),
    ),
    (re.compile(rb"<!DOCTYPE html|<html\b", re.IGNORECASE), _HTML),
    (
        re.compile(rb"<Error>|<ListBucketResult\b"),
        OtherFile("an answer of COS (XML)", _CAPTURE_IT),
    ),
    (re.compile(rb"<\?xml\b"), OtherFile("a document (XML)", _CAPTURE_IT)),
)
"""By what stands in the beginning of a text with tags."""

_LOGS = (
    (
        re.compile(rb"--> [A-Z]{1,10} https?://|<-- [0-9]{3} "),
        OtherFile("a log of OkHttp", _NO_BODIES),
    ),
    (
        re.compile(rb"(?m)^(?:[<>*] \S.*\n){1,3}|^== Info:"),
        OtherFile(
            "a log of curl", "curl --trace keeps bytes, but nothing reads them: " + _NO_BODIES
        ),
    ),
    (
        re.compile(rb"qcloud_cos|cos_client\.py|cos-python-sdk|coscmd"),
        OtherFile("a log of a COS SDK or tool", _NO_BODIES),
    ),
    (
        re.compile(rb"(?m)^No\.\s{1,9}Time\s{1,30}Source\s{1,30}Destination"),
        OtherFile("Wireshark's list of packets, as text", _WIRESHARK, True),
    ),
    (
        re.compile(
            rb"(?m)^(?:CLIENT_RANDOM|CLIENT_HANDSHAKE_TRAFFIC_SECRET|SERVER_\w+) [0-9a-f]{64} "
        ),
        OtherFile("a log of TLS keys", "it is of use beside the capture of packets that it is for"),
    ),
    (re.compile(rb"(?m)^\{.*\}\s*$"), OtherFile("a list of JSON lines", _CAPTURE_IT)),
)
"""By lines of a text."""

PLAIN_TEXT = OtherFile("a text", _NO_BODIES)
"""Of which nothing more is known."""
_KEYS_OF_JSON: tuple[tuple[frozenset[str], OtherFile], ...] = (
    (
        frozenset({"constants", "events"}),
        OtherFile(
            "a net log of Chromium (chrome://net-export)",
            "export HAR with content in the developer tools (Network) instead, or packets",
            True,
        ),
    ),
    (
        frozenset({"info", "item"}),
        OtherFile("a collection of Postman", _CAPTURE_IT),
    ),
    (
        frozenset({"openapi", "swagger"}),
        OtherFile("the description of an API (OpenAPI)", _CAPTURE_IT),
    ),
    (frozenset({"traceEvents"}), OtherFile("a trace of Chromium (performance)", _CAPTURE_IT)),
)
_HAR_KEYS = frozenset({"log", "entries", "creator", "browser", "pages"})
_PACKET_KEYS = frozenset({"_index", "_source"})
_PROXYMAN_SUFFIXES = (".proxymanlog", ".proxymanlogv2", ".proxymansession", ".proxymansessionv2")
_CAPTURES = re.compile(
    r"\.(?:har|mitm|flows?|saz|pcap|pcapng|cap|chlsj|chls|chlz|proxymanlogv2)$", re.IGNORECASE
)
_TEXT = re.compile(rb"[\t\n\r\x0c\x1b -~\x80-\xff]*")
_BOMS = (b"\xff\xfe", b"\xfe\xff")


def other_file(
    head: bytes, name: str, members: Callable[[], Sequence[str] | None] = lambda: None
) -> OtherFile | None:
    """What a file is, by its first bytes, its ``name`` where they leave it open, and the names
    of the ``members`` of a zip; None for what may be a capture, or anything.

    JSON is looked at as well: None for what can be a HAR.
    """
    if is_zip(head):
        return _zip(name, members())
    for each in _MAGICS:
        fits = head.startswith(each.begins, each.at)
        if fits and (not each.binary or _TEXT.fullmatch(head) is None):
            return each.other
    suffix = PurePath(name).suffix.lower()
    if head.startswith(_JAVA):
        if _CHARLES_CLASS in head or suffix == ".chls":
            return _CHLS
        return OtherFile("a stream of Java objects", _CAPTURE_IT)
    if head.startswith(_BOMS):
        return OtherFile("a text in UTF-16", _AS_UTF8)
    start = beginning(head)
    if start[:1] in (b"{", b"["):
        return _json(head)
    if start[:1] == b"<":
        return next((other for pattern, other in _XML if pattern.search(start)), None)
    return _by_name(suffix) or _text(head)


def _by_name(suffix: str) -> OtherFile | None:
    if suffix == ".chls":
        return _CHLS
    if suffix == ".chlz":
        return _CHLZ
    if suffix in _PROXYMAN_SUFFIXES:
        return _PROXYMAN
    if suffix == ".etl":
        what = "a trace of Windows (ETL)"
        return OtherFile(what, "make pcapng of it: pktmon etl2pcap, or etl2pcapng", True)
    return None


def _text(head: bytes) -> OtherFile | None:
    if not head.strip() or _TEXT.fullmatch(head) is None:
        return None
    for pattern, other in _LOGS:
        if pattern.search(head):
            return other
    return PLAIN_TEXT


def _json(head: bytes) -> OtherFile | None:
    keys, opening = keys_at(head, 1)
    if opening == b"[":
        inner, _ = keys_at(head, 2)
        if set(inner) >= _PACKET_KEYS:
            return OtherFile("Wireshark's text of packets (JSON)", _WIRESHARK, True)
        return None
    found = set(keys)
    if b'"cos-inspect/' in head and "schema" in found:
        return _OWN_REPORT
    if found & _HAR_KEYS:
        return None
    return next((other for wanted, other in _KEYS_OF_JSON if found & wanted), None)


def _zip(name: str, members: Sequence[str] | None) -> OtherFile | None:
    """None for what is a session archive, and for what cannot be listed."""
    suffix = PurePath(name).suffix.lower()
    if members is None:
        return _by_name(suffix)
    if any(session_name(each) is not None for each in members):
        return None
    named = _by_name(suffix)
    if named is not None:
        return named
    for found, what in (
        ("word/document.xml", "a document of Word"),
        ("xl/workbook.xml", "a table of Excel"),
        ("ppt/presentation.xml", "slides of PowerPoint"),
        ("AndroidManifest.xml", "an Android app"),
        ("META-INF/MANIFEST.MF", "a Java program"),
    ):
        if found in members:
            return OtherFile(what, _CAPTURE_IT)
    captures = [each for each in members if _CAPTURES.search(each)]
    if captures:
        shown = ", ".join(repr(each) for each in captures[:3])
        more = f" and {len(captures) - 3} more" if len(captures) > 3 else ""
        return OtherFile(f"a zip archive that holds {shown}{more}", _UNPACK, True)
    if not members:
        return OtherFile("a zip archive that holds nothing", _CAPTURE_IT)
    return OtherFile(
        f"a zip archive of {len(members)} files, none of which is a session of Fiddler", _UNPACK
    )
