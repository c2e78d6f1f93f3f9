"""Exchanges with COS as bytes, some of them damaged, and what the reader of packets makes of
them."""

import base64
import hashlib
import tempfile
from pathlib import Path
from typing import NamedTuple

from cos_inspect.analyze.reading import look_at
from cos_inspect.captures.capture_format import CapturePart
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.pcap import PCAP
from cos_inspect.captures.source import Stream
from cos_inspect.model.capture_account import CaptureAccount
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.origin.checksums import crc64
from tests.saved.wire.packets_made import Conversation, Packet, frames, pcap

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
REQUEST_ID = "NmEwMDJkYjNfNjRiODJhMDlfZDkyY182M2EwZQ=="


class Made(NamedTuple):
    request: bytes
    answer: bytes
    interim: bytes = b""
    """What the server says between head and body of the request."""
    head_length: int = 0
    """Bytes of the request before its body."""


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


def put(key: str, body: bytes, *, wrong: bool = False, expects: bool = False) -> Made:
    """An upload; a wrong one is answered with the CRC-64 of something else."""
    md5 = hashlib.md5(body).digest()
    expect = "Expect: 100-continue\r\n" if expects else ""
    head = (
        f"PUT /{key} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n{expect}"
        f"Content-MD5: {base64.b64encode(md5).decode()}\r\n\r\n"
    ).encode()
    told = crc64(body + b"x" if wrong else body)
    answer = (
        f"HTTP/1.1 200 OK\r\nServer: tencent-cos\r\nContent-Length: 0\r\n"
        f'ETag: "{md5.hex()}"\r\nx-cos-hash-crc64ecma: {told}\r\n'
        f"x-cos-request-id: {REQUEST_ID}\r\n\r\n"
    ).encode()
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" if expects else b""
    return Made(head + body, answer, interim, len(head))


def get(
    key: str, body: bytes, *, wrong: bool = False, framing: str = "length", method: str = "GET"
) -> Made:
    """A download; framing is ``length``, ``chunked`` or ``close``."""
    told = crc64(body + b"x" if wrong else body)
    length = {
        "length": f"Content-Length: {len(body)}\r\n",
        "chunked": "Transfer-Encoding: chunked\r\n",
        "close": "Connection: close\r\n",
    }[framing]
    head = (
        f"HTTP/1.1 200 OK\r\nServer: tencent-cos\r\n{length}"
        f'ETag: "{hashlib.md5(body).hexdigest()}"\r\nx-cos-hash-crc64ecma: {told}\r\n'
        f"x-cos-request-id: {REQUEST_ID}\r\n\r\n"
    ).encode()
    content = chunked(body) if framing == "chunked" else body
    request = f"{method} /{key} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    return Made(request, head if method == "HEAD" else head + content)


def refused(key: str) -> Made:
    """A 404 with the error in XML."""
    body = (
        f"<?xml version='1.0' encoding='utf-8' ?><Error><Code>NoSuchKey</Code>"
        f"<Message>The specified key does not exist.</Message><Resource>/{key}</Resource>"
        f"<RequestId>{REQUEST_ID}</RequestId><TraceId>OGVm</TraceId></Error>"
    ).encode()
    head = (
        f"HTTP/1.1 404 Not Found\r\nServer: tencent-cos\r\nContent-Length: {len(body)}\r\n"
        f"x-cos-request-id: {REQUEST_ID}\r\nx-cos-trace-id: OGVm\r\n\r\n"
    ).encode()
    return Made(f"GET /{key} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(), head + body)


def nothing(key: str) -> Made:
    """A deletion, answered 204 though with a length."""
    answer = (
        f"HTTP/1.1 204 No Content\r\nServer: tencent-cos\r\nContent-Length: 0\r\n"
        f"x-cos-request-id: {REQUEST_ID}\r\n\r\n"
    ).encode()
    return Made(f"DELETE /{key} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(), answer)


def converse(conversation: Conversation, made: list[Made], *, pipelined: int = 1) -> None:
    """Sends the exchanges one after another, so many requests at a time."""
    for at in range(0, len(made), pipelined):
        group = made[at : at + pipelined]
        for each in group:
            if each.interim:
                conversation.send("client", each.request[: each.head_length])
                conversation.send("server", each.interim)
                conversation.send("client", each.request[each.head_length :])
            else:
                conversation.send("client", each.request)
        for each in group:
            conversation.send("server", each.answer)


class Read(NamedTuple):
    flows: list[CapturedFlow]
    account: CaptureAccount
    remarks: InputRemarks
    error: CaptureError | None

    @property
    def left_out(self) -> int:
        return sum(self.account.left_out.values())

    @property
    def reports(self) -> dict[str, FlowReport]:
        """By flow id; no flow stands twice."""
        found: dict[str, FlowReport] = {}
        for flow in self.flows:
            assert flow.exchange is not None
            look = look_at(flow.exchange, AnalysisSettings(), flow.recognised)
            assert look is not None
            assert flow.flow_id not in found
            found[flow.flow_id] = look.report
        return found

    @property
    def findings(self) -> set[tuple[str, str]]:
        """Flow ids and rules."""
        return {
            (flow_id, finding.rule)
            for flow_id, report in self.reports.items()
            for finding in report.findings
        }


def read(data: bytes, *, again: bool = False) -> Read:
    """What the reader makes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "made.pcap")
        path.write_bytes(data)
        stream = Stream(str(path))
        part = CapturePart(path=str(path), name="made.pcap", format=PCAP, asked_again=again)
        remarks = InputRemarks("made.pcap")
        flows: list[CapturedFlow] = []
        error = None
        try:
            flows += PCAP.read(stream, part, (), remarks)
        except CaptureError as ended:
            error = ended
        finally:
            stream.close()
        assert remarks.account is not None
        return Read(flows, remarks.account, remarks, error)


def read_whole(packets: list[Packet]) -> Read:
    found = read(pcap(frames(packets)))
    assert found.error is None
    return found


def statuses(found: Read) -> list[tuple[str, str, int | None]]:
    return [
        (
            exchange.request.method,
            exchange.request.target,
            exchange.response.status if exchange.response else None,
        )
        for flow in found.flows
        if (exchange := flow.exchange) is not None
    ]


ALL = [
    put("a", b"a" * 4000),
    get("a", b"a" * 4000, framing="chunked"),
    get("a", b"a" * 4000, method="HEAD"),
    refused("b"),
    nothing("a"),
    put("c", b"c" * 4000, expects=True),
    get("c", b"c" * 4000, framing="close"),
]
ANSWERED = [
    ("PUT", "/a", 200),
    ("GET", "/a", 200),
    ("HEAD", "/a", 200),
    ("GET", "/b", 404),
    ("DELETE", "/a", 204),
    ("PUT", "/c", 200),
    ("GET", "/c", 200),
]


def targets(packets: list[Packet]) -> list[str]:
    """Of the exchanges that are read from these packets, in order."""
    found = read(pcap(frames(packets)))
    assert found.error is None
    return [flow.exchange.request.target for flow in found.flows if flow.exchange is not None]
