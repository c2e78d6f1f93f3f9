"""Of a transfer in a capture that lost something nobody says that the rest did not happen."""

from pathlib import Path

import msgspec
from click.testing import CliRunner

from cos_inspect.cli.commands import main
from cos_inspect.model.summary import Summary
from tests.origin.checksums import crc64
from tests.saved.wire.exchanges_made import HOST, REQUEST_ID, Made, converse, get
from tests.saved.wire.packets_made import Conversation, Packet, frames, pcap

_UPLOAD = "1795779840b490b6081dfc83524562be7fbb42e0"


def _answer(body: bytes, *fields: str) -> bytes:
    more = "".join(f"{field}\r\n" for field in fields)
    return (
        f"HTTP/1.1 200 OK\r\nServer: tencent-cos\r\nx-cos-request-id: {REQUEST_ID}\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _initiate() -> Made:
    body = (
        f"<InitiateMultipartUploadResult><Bucket>examplebucket-1250000000</Bucket><Key>m</Key>"
        f"<UploadId>{_UPLOAD}</UploadId></InitiateMultipartUploadResult>"
    ).encode()
    asked = f"POST /m?uploads HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"
    return Made(asked.encode(), _answer(body, "Content-Type: application/xml"))


def _part() -> Made:
    asked = (
        f"PUT /m?partNumber=1&uploadId={_UPLOAD} HTTP/1.1\r\nHost: {HOST}\r\n"
        "Content-Length: 1\r\n\r\nx"
    )
    etag = 'ETag: "9dd4e461268c8034f5c8564e155c67a6"'
    return Made(asked.encode(), _answer(b"", etag, f"x-cos-hash-crc64ecma: {crc64(b'x')}"))


def _summary(packets: list[Packet], folder: Path) -> Summary:
    path = folder / "made.pcap"
    path.write_bytes(pcap(frames(packets)))
    reports = folder / "reports"
    arguments = ["analyze", str(path), "--report-dir", str(reports), "--format", "json"]
    CliRunner().invoke(main, arguments, catch_exceptions=False)
    return msgspec.json.decode((reports / "summary.json").read_bytes(), type=Summary)


def _packets() -> list[Packet]:
    conversation = Conversation()
    converse(conversation, [_initiate(), _part(), get("other", b"y" * 20_000)])
    conversation.close()
    return conversation.packets


def test_parts_that_nobody_completed_are_abandoned(tmp_path: Path) -> None:
    found = _summary(_packets(), tmp_path).transfers
    assert [(each.kind, each.state) for each in found] == [("multipart-upload", "abandoned")]
    assert [finding.rule for finding in found[0].findings] == ["multipart-abandoned"]


def test_where_the_capture_lost_packets_nobody_knows(tmp_path: Path) -> None:
    packets = [each for n, each in enumerate(_packets()) if n != 19]
    found = _summary(packets, tmp_path).transfers
    assert [(each.kind, each.state) for each in found] == [("multipart-upload", "open")]
    assert found[0].findings == []
    assert found[0].notice == "not all was captured: it may have been completed"
