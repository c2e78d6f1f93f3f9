"""mitmproxy's flow files to exchanges, one flow after another."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from uuid import UUID

import msgspec

from cos_inspect.captures.capture_format import CaptureFormat, CapturePart, beginning
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks, Marks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.mitm_flow import (
    TooNewError,
    connection_id,
    id_of,
    recorded_flow,
    state_of,
)
from cos_inspect.captures.source import Stream
from cos_inspect.captures.tnetstring import (
    BadFlowError,
    FlowBytes,
    State,
    boundaries,
)
from cos_inspect.digests import crc64
from cos_inspect.inspection.redaction import fault_text
from cos_inspect.recording.message_heads import (
    headers_of,
    request_of,
)
from cos_inspect.recording.recorded_flow import LargeBody


class FlowFile:
    """Reads one file, or a run of whole flows of it."""

    def __init__(self, stream: Stream, hosts: Sequence[str], end: int | None = None) -> None:
        self._stream = stream
        self._hosts = hosts
        self._end = end

    def saved(self, remarks: InputRemarks) -> Iterator[CapturedFlow]:
        """:raises CaptureError: where the file is cut or broken, after what came before."""
        first = True
        remarks.facts.program = "mitmproxy"
        found_all = FlowBytes(self._stream, self._end).flows()
        for number, (offset, data) in enumerate(found_all, start=1):
            self._stream.admit(number)
            try:
                if isinstance(data, BadFlowError):
                    raise data
                found = self._one(data, offset)
            except TooNewError as error:
                if first:
                    raise CaptureError(self._stream.name, str(error), offset, loses=True) from None
                remarks.lose(str(error), offset)
            except Exception as error:
                # Anything may stand in a broken file; the next flow may be whole again.
                known = isinstance(error, BadFlowError)
                what = str(error) if known else f"a flow that cannot be read ({fault_text(error)})"
                remarks.lose(what, offset)
            else:
                if found is not None:
                    yield found
                else:
                    remarks.facts.leave_out("no HTTP (TCP, UDP, DNS, WebSocket)")
            first = False

    def _one(self, data: bytes | State, offset: int) -> CapturedFlow | None:
        state = state_of(data)
        if state is None:
            return None
        flow_id = id_of(state)
        if flow_id is None:
            place = f"{self._stream.name}:{offset}".encode("utf-8", "surrogateescape")
            flow_id = str(UUID(bytes=blake2b(place, digest_size=16).digest()))
        flow = recorded_flow(state, flow_id)
        heads = flow.heads(self._hosts)
        if heads is None:
            host = request_of(flow.head, headers_of(flow.head.fields)).host
            return CapturedFlow(flow_id=flow_id, exchange=None, offset=offset, host=host)
        found = flow.read(heads)
        marks: Marks | None = None
        if flow.received and flow.answer is not None and flow.answer.status == 206:
            marks = _marks_of(flow.received)
        elif flow.left is not None and flow.left.received.marks:
            marks = _left_marks(found.marks)
        return CapturedFlow(
            flow_id=flow_id,
            exchange=found.exchange,
            recognised=found.recognised,
            offset=offset,
            judged=flow.left is not None,
            connection=connection_id(state),
            marks=marks,
        )


def _left_marks(left: Sequence[tuple[int, int]]) -> Marks:
    """Of a streamed body, those that were asked for when it passed."""
    return lambda offsets: [mark for mark in left if mark[0] in offsets]


def _marks_of(answer: bytes | LargeBody) -> Marks:
    def marks(offsets: Sequence[int]) -> list[tuple[int, int]]:
        wanted = sorted(set(offsets))
        found: list[tuple[int, int]] = []
        at = running = 0
        for chunk in (answer,) if isinstance(answer, bytes) else answer.chunks():
            begin = 0
            while wanted and wanted[0] <= at + len(chunk):
                stop = wanted.pop(0) - at
                running = crc64(chunk[begin:stop], running)
                found.append((at + stop, running))
                begin = stop
            running = crc64(chunk[begin:], running)
            at += len(chunk)
        return found

    return marks


def _recognises(head: bytes) -> bool:
    """A number and a colon begin a flow."""
    number, colon, _ = beginning(head).partition(b":")
    return bool(colon) and number.isdigit() and len(number) <= 12


def _read(
    stream: Stream, part: CapturePart, hosts: Sequence[str], remarks: InputRemarks
) -> Iterator[CapturedFlow]:
    return FlowFile(stream, hosts, part.end).saved(remarks)


def _cut(part: CapturePart, stream: Stream, step: int) -> Iterator[CapturePart]:
    begin = 0
    for end in boundaries(stream, step):
        yield msgspec.structs.replace(part, begin=begin, end=end)
        begin = end
    yield msgspec.structs.replace(part, begin=begin, end=stream.size)


MITM = CaptureFormat(
    name="mitm",
    called="a flow file of mitmproxy",
    recognises=_recognises,
    suffixes=(".mitm", ".flow", ".flows"),
    read=_read,
    cut=_cut,
)
