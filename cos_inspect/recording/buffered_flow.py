"""Flows whose bodies were kept whole, as plain data: what needs no mitmproxy to be read."""

import msgspec

from cos_inspect.cos.cos_exchange import Recognised, recognise
from cos_inspect.cos.digest_plan import plan_payload, plan_request, plan_response
from cos_inspect.cos.operation import Operation
from cos_inspect.cos.payload import PayloadReader, payload_reader
from cos_inspect.digests import Digester
from cos_inspect.model.exchange import Body, Exchange, Headers, Request, Response, Timing
from cos_inspect.recording.message_heads import Fields, RequestHead, headers_of, request_line, word
from cos_inspect.recording.stream_tap import body_of_content


class BufferedFlow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An answered flow with both bodies."""

    flow_id: str
    head: RequestHead
    answer: Fields
    status: int
    reason: bytes
    http_version: bytes
    """Of the answer."""
    sent: bytes
    received: bytes
    timing: Timing
    client_address: str | None
    server_address: str | None
    live: bool
    is_replay: bool = False
    host_rewritten: bool
    """The proxy replaced the Host header."""

    def read(self, patterns: tuple[str, ...]) -> tuple[Exchange, Recognised] | None:
        """None when it is no COS traffic; ``patterns`` are those of further hosts."""
        headers, answer = headers_of(self.head.fields), headers_of(self.answer)
        line = request_line(self.head, headers)
        found = recognise(line.host, line.method, line.target, headers, answer, patterns)
        if found is None:
            return None
        plan = plan_response(found.operation, line.method, self.status, answer)
        exchange = Exchange(
            flow_id=self.flow_id,
            request=Request(
                method=line.method,
                scheme=line.scheme,
                host=line.host,
                port=line.port,
                target=line.target,
                http_version=line.http_version,
                headers=headers,
                body=request_body(self.sent, found.operation, headers),
                dropped_headers=dropped_headers(
                    headers, live=self.live, host_rewritten=self.host_rewritten
                ),
            ),
            response=Response(
                status=self.status,
                reason=self.reason.decode("iso-8859-1"),
                http_version=word(self.http_version),
                headers=answer,
                body=body_of_content(self.received, plan),
            ),
            timing=self.timing,
            client_address=self.client_address,
            server_address=self.server_address,
            is_replay=self.is_replay,
        )
        return exchange, found


def request_body(content: bytes, operation: Operation, headers: Headers) -> Body:
    """The facts of a request's body that was kept whole."""
    payload = object_reader(operation, headers) if content else None
    plan = plan_request(operation, headers, framed=payload is not None)
    return body_of_content(content, plan, payload)


def object_reader(operation: Operation, headers: Headers) -> PayloadReader | None:
    """For an object inside a framed body; None where the body is the object."""
    plan = plan_payload(operation, headers)
    return payload_reader(operation.name, headers, lambda: Digester(md5=plan.md5, crc64=plan.crc64))


def dropped_headers(
    headers: Headers, *, live: bool, host_rewritten: bool
) -> tuple[tuple[str, str], ...]:
    """What the client sent and the proxy did not pass on as it came."""
    dropped: tuple[tuple[str, str], ...] = ()
    expect = headers.get("expect")
    if expect is not None and expect.lower() == "100-continue" and live:
        # mitmproxy answers this one itself.
        dropped = (("Expect", expect),)
    if host_rewritten:
        # What the client sent is gone before the first hook.
        dropped = (*dropped, ("Host", ""))
    return dropped
