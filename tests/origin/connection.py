"""One client connection: requests in, replies out, damage in between."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qsl

from tests.origin import handlers, hosts, routing, wire
from tests.origin.damage import Plan
from tests.origin.errors import OriginError
from tests.origin.intake import Intake, Upload
from tests.origin.message import OriginRequest, Record, Reply
from tests.origin.replies import error_reply, finish

if TYPE_CHECKING:
    from tests.origin.server import Origin

WRITE_BUFFER = 1 << 22
Outcome = Literal["whole", "answered", "ended"]
"""Of reading a body: all of it is there, an answer went out on the way, nothing can follow."""

LINGER = 0.1
"""Seconds between an early answer and the close, so that the client can read it."""

SILENCE = 0.5
"""Seconds without a byte after which nothing more of a refused body is waited for."""

DISCARD = 1 << 26
"""Bytes of a refused body that are read only to be thrown away."""


@dataclass(frozen=True)
class Options:
    hash_limit: int | None
    keep_limit: int | None


class Connection:
    def __init__(
        self,
        origin: "Origin",
        scheme: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._origin = origin
        self._scheme = scheme
        self._reader = reader
        self._writer = writer

    async def run(self) -> None:
        try:
            self._writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)
            while await self._exchange():
                pass
        except (OSError, wire.GoneError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise
        except Exception:
            self._origin.note_fault()
        finally:
            with contextlib.suppress(OSError, ssl.SSLError):
                self._writer.close()
                await self._writer.wait_closed()

    async def _exchange(self) -> bool:
        """One request and its reply. Returns whether another one may follow."""
        try:
            head = await wire.read_head(self._reader)
            if head is None:
                return False
        except OriginError as error:
            request = self._request(wire.Head("GET", "/", "HTTP/1.0", []))
            return await self._refuse(error, request, Plan())
        request = self._request(head)
        plan = self._origin.damages.plan(request)
        for edit in plan.request_edits:
            edit(request)
        record = Record(
            method=head.method,
            host=request.host,
            target=head.target,
            headers=list(head.headers),
            scheme=self._scheme,
            operation=request.operation,
            request_id=request.request_id,
        )
        self._origin.requests.append(record)
        asked_to_close = head.get("connection").lower() == "close"
        alive = await self._answer(head, request, plan, record)
        return alive and not asked_to_close

    def _request(self, head: wire.Head) -> OriginRequest:
        path, _, query = head.target.partition("?")
        authority = head.get("host")
        if path.startswith(("http://", "https://")):
            authority, _, rest = path.partition("://")[2].partition("/")
            path = "/" + rest
        host = authority.rpartition(":")[0] if ":" in authority else authority
        parameters = parse_qsl(query, keep_blank_values=True, errors="surrogateescape")
        names = {name for name, _ in parameters}
        ids = self._origin.ids
        request = OriginRequest(
            scheme=self._scheme,
            method=head.method,
            target=head.target,
            version=head.version,
            headers=list(head.headers),
            path=path,
            query=parameters,
            host=host.lower(),
            address=hosts.parse(host, path, self._origin.custom_domains),
            request_id=ids.request_id(),
            trace_id=ids.trace_id(),
            moment=self._origin.now(),
            s3=head.get("authorization").startswith("AWS")
            or bool(names & {"X-Amz-Signature", "AWSAccessKeyId"}),
        )
        request.operation = routing.operation(request)
        return request

    async def _answer(
        self, head: wire.Head, request: OriginRequest, plan: Plan, record: Record
    ) -> bool:
        try:
            length = wire.body_length(head)
        except OriginError as error:
            record.status = error.status
            return await self._refuse(error, request, plan)
        refusal = self._refusal(request, length)
        if head.get("expect").lower() == "100-continue":
            if refusal is not None:
                reply = error_reply(refusal, request)
                reply.delivery.close = True
                record.status = reply.status
                return await self._send(reply, request, plan, failure=True)
            if plan.early_after is None:
                self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        intake = Intake(
            framed=_is_framed(request),
            flips=plan.flips,
            hash_limit=self._origin.options.hash_limit,
            keep_limit=self._origin.options.keep_limit,
        )
        try:
            outcome = await self._receive(length, intake, request, plan, record)
        except OriginError as error:
            record.status = error.status
            return await self._refuse(error, request, plan)
        if outcome != "whole":
            return outcome == "answered"
        if plan.instead is not None:
            return await self._deliver(plan.instead(request), request, plan, record)
        failure = True
        if refusal is None:
            try:
                reply = await self._handle(request, await intake.finish())
                failure = reply.status >= 400
            except OriginError as error:
                refusal = error
            except Exception:
                self._origin.note_fault()
                refusal = OriginError("InternalError")
        if refusal is not None:
            reply = error_reply(refusal, request)
        finish(reply, request, failure, self._origin.now())
        return await self._deliver(reply, request, plan, record)

    async def _receive(
        self,
        length: int | None,
        intake: Intake,
        request: OriginRequest,
        plan: Plan,
        record: Record,
    ) -> Outcome:
        """Reads the body, with the damage that is due while it arrives."""
        answered = False
        if plan.early_after == 0:
            answered = await self._early(request, plan, record)
            if not answered:
                return "ended"
        async for piece in wire.read_body(self._reader, length):
            await intake.feed(piece)
            if plan.abort_after is not None and intake.received >= plan.abort_after:
                if plan.abort_by_reset:
                    wire.reset(self._writer)
                return "ended"
            if plan.stall_reading is not None and intake.received >= plan.stall_reading[0]:
                await asyncio.sleep(plan.stall_reading[1])
                plan.stall_reading = None
            if plan.early_after and not answered and intake.received >= plan.early_after:
                answered = await self._early(request, plan, record)
                if not answered:
                    return "ended"
        await intake.settle()
        sums = intake.wire_sums()
        record.body_size, record.body_md5, record.complete = sums.size, sums.md5, True
        return "answered" if answered else "whole"

    def _refusal(self, request: OriginRequest, length: int | None) -> OriginError | None:
        if self._origin.authorise is not None:
            refused = self._origin.authorise(request)
            if refused is not None:
                return refused
        try:
            handlers.check_head(request, length)
        except OriginError as error:
            return error
        return None

    async def _handle(self, request: OriginRequest, upload: Upload) -> Reply:
        if request.operation in handlers.SLOW:
            return await asyncio.to_thread(handlers.handle, self._origin.service, request, upload)
        return handlers.handle(self._origin.service, request, upload)

    async def _early(self, request: OriginRequest, plan: Plan, record: Record) -> bool:
        """Answers inside the upload. Returns whether the body is to be read on."""
        if plan.instead is None:
            raise RuntimeError("an early answer needs error(…), page(…) or answer(…)")
        reply = plan.instead(request)
        if not plan.keep_reading:
            reply.delivery.close = True
            reply.set("Connection", "close")
        alive = await self._deliver(reply, request, plan, record)
        if not plan.keep_reading:
            await asyncio.sleep(LINGER)
        return alive and plan.keep_reading

    async def _refuse(self, error: OriginError, request: OriginRequest, plan: Plan) -> bool:
        """Refuses what cannot be read to its end, and closes. What still arrives is taken in
        until the client has fallen silent: a close with bytes unread is a reset, which can
        overtake the answer."""
        reply = error_reply(error, request)
        reply.delivery.close = True
        await self._send(reply, request, plan, failure=True)
        left = DISCARD
        with contextlib.suppress(TimeoutError):
            while left > 0:
                piece = await asyncio.wait_for(self._reader.read(1 << 16), SILENCE)
                if not piece:
                    break
                left -= len(piece)
        return False

    async def _send(self, reply: Reply, request: OriginRequest, plan: Plan, failure: bool) -> bool:
        finish(reply, request, failure, self._origin.now())
        return await self._deliver(reply, request, plan, None)

    async def _deliver(
        self, reply: Reply, request: OriginRequest, plan: Plan, record: Record | None
    ) -> bool:
        for edit in plan.reply_edits:
            edit(reply, request)
        if record is not None and not reply.delivery.no_reply:
            record.status = reply.status
        return await wire.write_reply(self._writer, reply, request.method == "HEAD")


def _is_framed(request: OriginRequest) -> bool:
    """Whether an S3 client put aws-chunked framing around the body."""
    hashed = request.header("x-amz-content-sha256")
    return hashed.startswith("STREAMING-") or "aws-chunked" in request.header("content-encoding")
