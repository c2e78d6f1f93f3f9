"""An exchange as another program exports it, and the flow that it is."""

import re
from collections.abc import Sequence

import msgspec

from cos_inspect.captures.captured_flow import CapturedFlow, Marks
from cos_inspect.captures.exports.exported_body import (
    NO_BODY,
    ExportedBody,
    marks_of,
    met_body,
)
from cos_inspect.cos.digest_plan import plan_request
from cos_inspect.model.exchange import Body, BodyEnd, BrokeOff, Timing
from cos_inspect.model.headers import Headers
from cos_inspect.recording.actors import Peers
from cos_inspect.recording.flow_heads import Heads, object_reader, plan_of_answer
from cos_inspect.recording.message_heads import (
    DEFAULT_PORTS,
    AnswerHead,
    RequestHead,
    headers_of,
    parse_authority,
    request_of,
)
from cos_inspect.recording.recorded_flow import RecordedFlow

TUNNEL = "tunnel (CONNECT)"
WEB_SOCKET = "WebSocket"
CACHED = "answered out of Fiddler's cache"
OTHER_SCHEME = "of another scheme than HTTP"
"""Why a session has no report, in the summary."""

_BODY_METHODS = frozenset({"PUT", "POST", "PATCH"})


class LeftOutError(Exception):
    """A session has no report; the text is one of the reasons above."""


class ExportedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange, before it is known whether it is one of COS."""

    flow_id: str
    head: RequestHead
    answer: AnswerHead | None
    """None where there was none, or where it is not held."""
    sent: ExportedBody = NO_BODY
    received: ExportedBody = NO_BODY
    timing: Timing
    error: str | None = None
    """What ended it early, in the program's words."""
    broke_off: BrokeOff | None = None
    cut: bool = False
    """The answer broke off before its end."""
    answered_by: str | None = None
    """Who answered in the server's place."""
    peers: Peers | None = None
    client_address: str | None = None
    server_address: str | None = None

    def captured(
        self, hosts: Sequence[str], *, offset: int, entry: int | None = None
    ) -> CapturedFlow:
        """The flow, with what its bodies are.

        :raises CaptureError: where the file is damaged.
        """
        flow = RecordedFlow(
            flow_id=self.flow_id,
            head=self.head,
            answer=self.answer,
            sent=None,
            received=None,
            timing=self.timing,
            error=self.error,
            broke_off=self.broke_off,
            answered_by=self.answered_by,
            peers=self.peers,
            client_address=self.client_address,
            server_address=self.server_address,
        )
        heads = flow.heads(hosts)
        if heads is None:
            host = request_of(self.head, headers_of(self.head.fields)).host
            return CapturedFlow(
                flow_id=self.flow_id, exchange=None, offset=offset, entry=entry, host=host
            )
        response_body = self._response_body(heads)
        found = flow.read(
            heads, request_body=self._request_body(heads), response_body=response_body
        )
        marks: Marks | None = None
        if (
            self.answer is not None
            and self.answer.status == 206
            and response_body is not None
            and response_body.end is BodyEnd.COMPLETE
        ):
            marks = self._marks
        return CapturedFlow(
            flow_id=self.flow_id,
            exchange=found.exchange,
            recognised=found.recognised,
            offset=offset,
            entry=entry,
            marks=marks,
        )

    def _request_body(self, heads: Heads) -> Body:
        headers, operation = heads.request.headers, heads.recognised.operation

        framed = object_reader(operation, headers) is not None
        return met_body(
            self.sent,
            headers,
            plan_request(operation, headers, framed=framed),
            may_have=heads.request.method in _BODY_METHODS,
            new_reader=lambda: object_reader(operation, headers),
            answer=heads.answer,
        )

    def _response_body(self, heads: Heads) -> Body | None:
        if self.answer is None or heads.answer is None:
            return None
        status = self.answer.status
        plan = plan_of_answer(heads, status)
        without = heads.request.method == "HEAD" or status in (204, 304) or status < 200
        if without:
            return met_body(NO_BODY, Headers(), plan, may_have=False)
        if self.cut:
            return Body(end=BodyEnd.CUT, size=None)
        return met_body(self.received, heads.answer, plan, may_have=True, answer=heads.answer)

    def _marks(self, offsets: Sequence[int]) -> list[tuple[int, int]]:
        headers = headers_of(() if self.answer is None else self.answer.fields)
        return marks_of(self.received, headers, offsets)


def split_url(url: str, *, tls: bool = False) -> tuple[str, str, int, str]:
    """Scheme, host, port and target of an absolute URL; of a path alone the host is empty and
    the scheme follows from ``tls``. Other schemes come out as they are."""
    url = url.partition("#")[0]
    scheme, colon, rest = url.partition("://")
    if not colon or not scheme.isalnum():
        scheme = "https" if tls else "http"
        return scheme, "", DEFAULT_PORTS[scheme], url if url.startswith("/") else f"/{url}"
    scheme = {"ws": "http", "wss": "https"}.get(scheme.lower(), scheme.lower())
    cut = min((at for at in map(rest.find, "/?") if at >= 0), default=len(rest))
    host, port = parse_authority(rest[:cut].rpartition("@")[2])
    target = rest[cut:]
    return (
        scheme,
        host,
        port or DEFAULT_PORTS.get(scheme, 0),
        target if target.startswith("/") else f"/{target}",
    )


def peer(address: object, port: object) -> str | None:
    """Address and port of a peer; None where the address is none, and without a port where that
    is none."""
    if not isinstance(address, str) or not address:
        return None
    shown = plain_address(address)
    if ":" in shown:
        shown = f"[{shown}]"
    known = isinstance(port, str | int) and not isinstance(port, bool) and str(port).isdecimal()
    number = int(port) if known and isinstance(port, str | int) and len(str(port)) < 6 else 0
    return f"{shown}:{number}" if 0 < number < 65536 else shown


def plain_address(address: str) -> str:
    """Without the prefix of an IPv4 address in IPv6, without brackets and port."""
    # Halves of pairs cannot be written, and no address is longer than this.
    address = address[:_LONGEST_ADDRESS].encode("utf-8", "replace").decode().strip()
    address = _IPV4_WITH_PORT.sub(r"\1", address)
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    return address[7:] if address.lower().startswith("::ffff:") and "." in address else address


_LONGEST_ADDRESS = 255
_IPV4_WITH_PORT = re.compile(r"^([0-9.]+):[0-9]+$")
"""As Whistle writes the server's where a rule of its own has led there."""
