"""Fuzzed: captures of packets, and the HTTP inside of them."""

from unittest.mock import patch

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.pcap import PacketFile
from cos_inspect.captures.source import Stream
from cos_inspect.captures.wire import frames
from cos_inspect.model.capture_account import CaptureAccount
from scripts.fuzz_files import file_of, judge
from scripts.fuzz_judge import Target, agree, demand

_HOSTS = ("*.example.com",)


def _read(data: bytes) -> tuple[list[CapturedFlow], CaptureAccount, list[str]]:
    stream = Stream(str(file_of(data)))
    remarks = InputRemarks("input")
    found: list[CapturedFlow] = []
    ended: list[str] = []
    try:
        found.extend(PacketFile(stream, _HOSTS, remarks).saved())
    except CaptureError as error:
        ended.append(error.what)
    finally:
        stream.close()
    account = remarks.account
    demand(account is not None, "a reader that gives no account")
    return found, account or CaptureAccount(format=""), [*remarks.notes, *remarks.faults, *ended]


def _pcap(data: bytes) -> None:
    found, account, lines = _read(data)
    for flow in found:
        if flow.exchange is not None:
            judge(flow.exchange)
    for line in lines:
        line.encode()
    agree("flows that were counted", account.exchanges, len(found))
    demand(account.bytes_lost >= 0, "fewer bytes than none were lost")
    demand(min(account.left_out.values(), default=1) > 0, "a reason without an exchange")
    with patch.object(frames, "_CHUNK", 16):
        again, counted, others = _read(data)
    agree("flows, read in small pieces", again, found)
    agree("what was counted", counted, account)
    agree("what is said of the rest", others, lines)


TARGETS = (
    Target(
        name="pcap",
        parses="captures of packets, down to every exchange in them, judged",
        check=_pcap,
        words=(
            b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a", b"\x4d\x3c\x2b\x1a", b"\x06\x00\x00\x00",
            b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"GET / HTTP/1.1\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n", b"Transfer-Encoding: chunked\r\n",
            b"Content-Length: 9\r\n", b"Host: a.example.com\r\n", b"\r\n\r\n",
            b"ffffffffffffffff\r\n", b"0\r\n\r\n", b"\x45\x00", b"\x60\x00", b"\x08\x00",
            b"\x86\xdd", b"\x81\x00", b"\x50\x04", b"\x50\x11", b"\xff\xff\xff\xff",
            b"\x20\x00", b"\x00\x00\x00\x00",
        ),
        short=800,
        pump_every=0,
    ),
)  # fmt: skip
