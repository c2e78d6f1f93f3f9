"""Fuzzed: what other proxies save, and the first bytes by which any file is told."""

import io
import zipfile
from functools import partial

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.exports.charles import CharlesFile
from cos_inspect.captures.exports.json_export import JsonExport
from cos_inspect.captures.exports.saz import SazFile
from cos_inspect.captures.exports.session_facts import read_facts
from cos_inspect.captures.exports.whistle import WhistleFile
from cos_inspect.captures.other_files import other_file
from cos_inspect.captures.source import Stream
from scripts.fuzz_files import file_of, judge, understood
from scripts.fuzz_judge import Target, demand

_HOSTS = ("*.example.com",)


def _read(reader: type[JsonExport | SazFile], data: bytes) -> list[CapturedFlow]:
    stream = Stream(str(file_of(data)))
    remarks = InputRemarks("input")
    found: list[CapturedFlow] = []
    try:
        for flow in reader(stream, _HOSTS).saved(remarks):
            found.append(flow)
            if flow.exchange is not None:
                judge(flow.exchange)
            if flow.marks is not None:
                flow.marks([0, 1, 4096])
    except CaptureError as error:
        error.what.encode()
    finally:
        stream.close()
    for line in (*remarks.notes, *remarks.faults):
        line.encode()
        understood(line)
    demand(len({flow.flow_id for flow in found}) == len(found), "each flow has an id of its own")
    return found


def _session(data: bytes) -> None:
    """Request, answer, XML and JSON of one session, apart by a NUL; and as an archive itself."""
    _read(SazFile, data)
    asked, answered, xml, whistle = (*data.split(b"\x00", 3), b"", b"", b"")[:4]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in (
            ("1_c.txt", asked),
            ("1_s.txt", answered),
            ("1_m.xml", xml),
            ("1_whistle.json", whistle),
        ):
            if content:
                packed.writestr(f"raw/{name}", content)
    _read(SazFile, file.getvalue())
    read_facts(xml, whistle or None).timing(None)


def _json(reader: type[JsonExport], data: bytes) -> None:
    _read(reader, data)


def _other(data: bytes) -> None:
    for name in ("a", "a.chls", "a.zip"):
        found = other_file(data[:4096], name)
        if found is not None:
            found.sentence.encode()


TARGETS = (
    Target(
        name="saz",
        parses="sessions of Fiddler and Whistle, and every one of them judged",
        check=_session,
        words=(
            b"GET https://a.example.com/b HTTP/1.1\r\n", b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n",
            b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"5;a=b\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n", b"\x00",
            b'<SessionFlag N="x-responsebodytransferlength" V="1,234"',
            b'<SessionTimers ClientConnected="2020-11-13T10:00:00.1+08:00"', b'BitFlags="20000"',
            b'{"times":{"startTime":1}}', b"PK\x01\x02", b"&#x41;",
        ),
        short=400,
        pump_every=0,
    ),
    Target(
        name="whistle",
        parses="exports of Whistle, and every entry in them judged",
        check=partial(_json, WhistleFile),
        words=(
            b'"req":{', b'"res":{', b'"headers":{', b'"base64":"', b'"size":', b'"statusCode":',
            b'"aborted (200)"', b'"url":"https://a.example.com/b"', b"{", b"}", b"[", b"]", b"null",
        ),
        short=400,
        pump_every=0,
    ),
    Target(
        name="charles",
        parses="JSON sessions of Charles, and every entry in them judged",
        check=partial(_json, CharlesFile),
        words=(
            b'"request":{', b'"response":{', b'"header":{', b'"headers":[', b'"body":{',
            b'"text":"', b'"encoded":"', b'"decoded":true', b'"charset":"utf-16"', b"null",
            b'"status":"COMPLETE"',
            b'"firstLine":"GET /a? HTTP/1.1"', b'"sizes":{"body":', b"{", b"}", b"[", b"]",
        ),
        short=400,
        pump_every=0,
    ),
    Target(
        name="other-files",
        parses="the first bytes of any file",
        check=_other,
        words=(
            b"PK\x03\x04", b"\xac\xed\x00\x05", b"<?xml ", b"<items ", b'{"constants":', b"> GET /",
            b"[{", b"ftyp", b"\x89PNG\r\n", b"\xff\xfe", b"com.xk72",
        ),
    ),
)  # fmt: skip
