"""Archives in the form of Fiddler, made by hand, and what is read of them."""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.exports.saz import SazFile
from cos_inspect.captures.source import Stream
from cos_inspect.digests import crc64
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import FlowReport

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
URL = f"https://{HOST}/a%20b/c.bin"
DATE = "Fri, 13 Nov 2020 02:00:01 GMT"
REQUEST_ID = "NWZhZGU4ODFfZDMxNGNjMGFfNDFlXzE4NDg="
"""Its time is that of ``DATE``."""
COMMENT = b"Fiddler (v5.0.20253.3311) Session Archive. See https://api.getfiddler.com/r/?fiddler"
TIMERS = {
    "ClientConnected": "2020-11-13T09:59:59.1+08:00",
    "ClientBeginRequest": "2020-11-13T10:00:00.0256586+08:00",
    "ClientDoneRequest": "2020-11-13T10:00:00.0266588+08:00",
    "TCPConnectTime": "12",
    "HTTPSHandshakeTime": "34",
    "ServerBeginResponse": "2020-11-13T10:00:01.0264004+08:00",
    "GotResponseHeaders": "2020-11-13T10:00:01.0274004+08:00",
    "ServerDoneResponse": "2020-11-13T10:00:01.0364004+08:00",
    "ClientDoneResponse": "2020-11-13T10:00:01.0464004+08:00",
}


class Session(NamedTuple):
    """One session; members that are None are left out."""

    request: bytes | None
    response: bytes | None = None
    meta: bytes | None = None
    whistle: bytes | None = None
    frames: bytes | None = None


def digests(body: bytes) -> dict[str, str]:
    """As COS answers for an object with this content."""
    return {
        "ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
        "x-cos-hash-crc64ecma": str(crc64(body)),
        "x-cos-request-id": REQUEST_ID,
        "Server": "tencent-cos",
        "Date": DATE,
    }


def message(line: str, headers: Mapping[str, str | None], body: bytes = b"") -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"{line}\r\n{fields}\r\n".encode() + body


def get(url: str = URL, **more: str | None) -> bytes:
    return message(f"GET {url} HTTP/1.1", {"Host": HOST, **_names(more)})


def put(body: bytes, url: str = URL, stored: bytes | None = None, **more: str | None) -> bytes:
    """``stored``: the bytes in the archive, where they are others."""
    headers = {"Host": HOST, "Content-Length": str(len(body)), **_names(more)}
    return message(f"PUT {url} HTTP/1.1", headers, body if stored is None else stored)


CHUNKED: Mapping[str, str | None] = {"Content-Length": None, "Transfer-Encoding": "chunked"}


def answer(
    body: bytes,
    stored: bytes | None = None,
    status: str = "200 OK",
    fields: Mapping[str, str | None] | None = None,
    **more: str | None,
) -> bytes:
    headers = {
        "Content-Length": str(len(body)),
        **digests(body),
        **(fields or {}),
        **_names(more),
    }
    return message(f"HTTP/1.1 {status}", headers, body if stored is None else stored)


def stored_answer(body: bytes) -> bytes:
    """Of an upload."""
    return message("HTTP/1.1 200 OK", {"Content-Length": "0", **digests(body)})


def _names(more: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in more.items()}


def chunked(body: bytes, size: int = 7, *, last: bytes = b"0\r\n\r\n") -> bytes:
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + last


def meta(
    transferred: int | str | None = None,
    *,
    timers: Mapping[str, str] | None = None,
    bits: int = 0,
    reused: bool = False,
    **flags: str,
) -> bytes:
    """``_m.xml`` as Fiddler writes it."""
    given = {
        "x-clientip": "10.0.0.5",
        "x-clientport": "41234",
        "x-hostip": "203.0.113.9",
        "https-client-version": "Tls12",
    }
    if transferred is not None:
        number = transferred if isinstance(transferred, str) else f"{transferred:,}"
        given["x-responsebodytransferlength"] = number
    given |= {name.replace("_", "-"): value for name, value in flags.items()}
    shown = "".join(f'<SessionFlag N="{name}" V="{value}" />' for name, value in given.items())
    times = "".join(
        f' {name}="{value}"' for name, value in (TIMERS if timers is None else timers).items()
    )
    pipe = ' Reused="true"' if reused else ""
    return (
        '\ufeff<?xml version="1.0" encoding="utf-8"?>\r\n'
        f'<Session SID="1" BitFlags="{bits:X}"><SessionTimers{times} /><PipeInfo{pipe} />'
        f"<SessionFlags>{shown}</SessionFlags></Session>"
    ).encode()


def archive(
    sessions: Iterable[Session], *, comment: bytes = COMMENT, first: int = 1, width: int = 1
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.comment = comment
        packed.writestr("[Content_Types].xml", "<Types />")
        packed.mkdir("raw")
        for number, session in enumerate(sessions, start=first):
            for suffix, content in (
                ("c.txt", session.request),
                ("s.txt", session.response),
                ("m.xml", session.meta),
                ("whistle.json", session.whistle),
                ("w.txt", session.frames),
            ):
                if content is not None:
                    packed.writestr(f"raw/{number:0{width}}_{suffix}", content)
    return file.getvalue()


class Saved(NamedTuple):
    flows: list[CapturedFlow]
    remarks: InputRemarks
    ended: str | None
    """Why it was not read to its end."""


def read(path: Path) -> Saved:
    stream = Stream(str(path))
    remarks = InputRemarks(path.name)
    flows: list[CapturedFlow] = []
    try:
        flows.extend(SazFile(stream, ()).saved(remarks))
    except CaptureError as error:
        return Saved(flows, remarks, error.what)
    finally:
        stream.close()
    return Saved(flows, remarks, None)


def read_bytes(data: bytes, folder: Path) -> Saved:
    path = folder / "a.saz"
    path.write_bytes(data)
    return read(path)


def exchange(session: Session, folder: Path) -> Exchange:
    """That of the one session of an archive."""
    saved = read_bytes(archive([session]), folder)
    assert not saved.remarks.faults
    (flow,) = saved.flows
    assert flow.exchange is not None
    return flow.exchange


def report(exchange: Exchange) -> FlowReport:
    found = first_look(exchange)
    assert found is not None
    return found.report


def checks(given: FlowReport) -> dict[tuple[str, str | None], str]:
    return {(each.check, each.body): each.reason or each.status for each in given.checks}
