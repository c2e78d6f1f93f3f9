"""Fuzzed: what is read of packets when it was encrypted, and HTTP/2. The secrets are those of a
connection made by hand, so that what is mutated is met behind the keys as well."""

from collections.abc import Iterator

from cos_inspect.captures.wire.http2_frames import PREFACE
from cos_inspect.captures.wire.tls_key_log import KeyLog
from cos_inspect.model.capture_account import CaptureAccount
from scripts.fuzz_judge import Target, agree, demand
from tests.saved.wire.http2_made import read_http2
from tests.saved.wire.tls_made import ByHand, Data, End, Event, Hole, read

_KEY_LOG = ByHand().key_log
_LONGEST = 128 * 1024
"""Bytes up to which no bound on what waits is met, which the split would decide on."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def events_of(data: bytes, size: int | None = None) -> Iterator[Event]:
    """Each begins with a letter (``c`` and ``s``: that side's bytes, ``C`` and ``S``: a hole) and a
    length of two bytes. ``size``: of the pieces that bytes come in."""
    at = 0
    while at + 3 <= len(data):
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 3])
        side = "client" if kind & 0x5F == ord("C") else "server"
        at += 3
        if not kind & 0x20:
            yield Hole("client" if side == "client" else "server", length)
            continue
        body = data[at : at + length]
        at += length
        for begin in range(0, len(body), size or len(body) or 1):
            piece = body[begin : begin + (size or len(body))]
            yield Data("client" if side == "client" else "server", piece)


_ENDS = (End("client"), End("server"))


def _tls(data: bytes) -> None:
    whole = read([*events_of(data), *_ENDS], _KEY_LOG)
    for side in ("client", "server"):
        told = whole.told.bytes_of("client" if side == "client" else "server")
        demand(len(told) <= len(data), f"{len(told)} bytes of {len(data)}")
    if len(data) > _LONGEST:
        return
    for size in (5,):
        pieces = read([*events_of(data, size), *_ENDS], _KEY_LOG)
        for side in ("client", "server"):
            one, other = (
                each.told.of("client" if side == "client" else "server") for each in (pieces, whole)
            )
            agree(f"what the {side} said, by {size} bytes", one, other)
        agree(f"what was not read, by {size} bytes", pieces.account.unread, whole.account.unread)


def _key_log(data: bytes) -> None:
    keys = KeyLog()
    keys.add(data)
    demand(repr(keys) == f"<KeyLog of {len(keys)} secrets>", "it shows more than a count")
    if data.startswith(_UTF16):
        return
    lines = KeyLog()
    for line in data.removeprefix(b"\xef\xbb\xbf").splitlines():
        lines.add(b"\n" + line)
    agree("odd lines, one by one", lines.odd, keys.odd)
    agree("secrets, one by one", lines._secrets == keys._secrets, True)  # noqa: SLF001


def _http2(data: bytes) -> None:
    def facts(size: int | None) -> tuple[list[object], CaptureAccount]:
        start = [Data("client", PREFACE)]
        found = read_http2([*start, *events_of(data, size), *_ENDS])
        return (
            [
                None
                if flow.exchange is None
                else (flow.exchange.request, flow.exchange.response, flow.exchange.error)
                for flow in found.flows
            ],
            found.account,
        )

    whole = facts(None)
    if len(data) <= _LONGEST:
        for size in (5,):
            agree(f"exchanges, by {size} bytes", facts(size), whole)


TARGETS = (
    Target(
        name="tls",
        parses="TLS records in packets, and what is inside of them",
        check=_tls,
        words=(
            b"c\0\5", b"s\0\5", b"C\0\1", b"S\1\0", b"\x17\x03\x03", b"\x16\x03\x03",
            b"\x14\x03\x03", b"\x15\x03\x03\x00\x02\x02\x28", b"\x00\x2b\x00\x03\x02\x03\x04",
            b"\xff\xff",
        ),
        short=200,
    ),
    Target(
        name="key-log",
        parses="key logs of TLS",
        check=_key_log,
        words=(
            b"CLIENT_RANDOM ", b"SERVER_TRAFFIC_SECRET_0 ", b"00" * 32, b"11" * 48, b"\n", b"\r\n",
            b"# ", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\x85", b"\t",
        ),
    ),
    Target(
        name="http2",
        parses="HTTP/2 in packets",
        check=_http2,
        words=(
            b"c\0\x09", b"s\0\x09", b"S\1\0", b"\0\0\1\1\5\0\0\0\1", b"\0\0\1\0\1\0\0\0\1", b"\x82",
            b"\0\0\4\3\0\0\0\0\1\0\0\0\0", b"\0\0\0\x09\4\0\0\0\1", b"\0\0\x08\7\0\0\0\0\0",
        ),
        short=200,
    ),
)  # fmt: skip
