"""One HTTP exchange as plain, immutable data.

This is the only thing that the protocol knowledge and the rules look at, so
that live traffic and saved captures give the same report. A body is present
as facts about it (length, digests, how it ended), never as the whole of its
bytes. Absence has a reason: a value that is ``None`` because nobody could
know it is told apart from one that was not there.

The structs hold no cycles and are left to reference counting alone: many are
kept for a while, and the collector would look at each of them again and again.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from cos_inspect.model.headers import Headers


class BodyEnd(StrEnum):
    """How a body ended, or why nothing is known of it."""

    COMPLETE = "complete"
    """All of it was seen (an empty body is complete)."""
    CUT = "cut"
    """The connection ended, or the flow was given up, inside the body."""
    NOT_CAPTURED = "not-captured"
    """There was a body, but whoever recorded the exchange did not keep it."""
    NOT_INSPECTED = "not-inspected"
    """All of it passed and was counted; what was to compute its digests has failed."""
    RE_ENCODED = "re-encoded"
    """The bytes at hand are not those of the wire (an exporter decoded them)."""
    STOPPED = "stopped"
    """The proxy ended, or was loaded anew, inside the body; what came of it is not known."""


class PayloadKind(StrEnum):
    """What stands between the body on the wire and the bytes of the object."""

    AWS_CHUNKED = "aws-chunked"
    FORM_FILE = "form-file"


class FormField(msgspec.Struct, frozen=True, gc=False):
    """A field of a form upload, other than the file."""

    name: str
    value: str


class Payload(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The object's bytes inside a framed body, met as the body passed."""

    kind: PayloadKind
    size: int
    md5: str | None = None
    """Lower-case hex; None when it was not asked for."""
    crc64: int | None = None
    complete: bool = True
    """False when the framing ended early or is broken."""
    problem: str | None = None
    """What is wrong with the framing, in a few words."""
    fields: tuple[FormField, ...] = ()
    """``form-file``: the form's fields before the file, in order."""
    file_name: str | None = None
    """``form-file``: the file part's filename parameter."""
    trailers: tuple[tuple[str, str], ...] = ()
    """``aws-chunked``: the trailer lines behind the last chunk."""


class Body(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of one body. Digests are of the bytes on the wire after
    transfer framing was taken off; content coding is left on."""

    end: BodyEnd = BodyEnd.COMPLETE
    size: int | None = 0
    """Bytes seen; None when the body was not captured."""
    md5: str | None = None
    """Lower-case hex; None when nothing needed it."""
    crc64: int | None = None
    sample: bytes | None = None
    """The whole body where it was small and worth reading (XML, JSON); else its
    beginning, or None."""
    sample_is_whole: bool = False
    payload: Payload | None = None

    @property
    def complete(self) -> bool:
        """Whether all of it was met, or nobody looked at it."""
        return self.end in (BodyEnd.COMPLETE, BodyEnd.NOT_INSPECTED)

    @property
    def text(self) -> bytes | None:
        """The whole body where it was kept, else None."""
        return self.sample if self.sample_is_whole else None


EMPTY_BODY = Body(sample=b"", sample_is_whole=True)


ChangedPart = Literal["method", "url", "header", "body"]
Actor = Literal["client", "server", "proxy"]
Answerer = Literal["server", "proxy"]
"""The client, the server or the network before it, and the proxy that recorded the exchange."""


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the proxy, or whoever uses it, made of a part of the client's request."""

    part: ChangedPart
    name: str | None = None
    """Of a header."""
    client: str | None = None
    """As the client sent it; None where it had none, or where that is not known. Of a body its
    size and MD5 in words."""
    sent: str | None = None
    """As it went to the server; None where it was taken away."""
    by: str
    """An option of mitmproxy (``map_remote``), or who else, in a few words."""


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """As the client sent it, but for the body, which is the one that went to the server."""

    method: str
    """As sent; upper case for every known method."""
    scheme: str
    host: str
    """Lower case, without port: the Host header or :authority, else the peer's name."""
    port: int
    target: str
    """Path and query exactly as sent, percent escapes kept; of those longer than any server takes
    no more than ``target_bounds.target_within`` keeps."""
    http_version: str
    headers: Headers
    body: Body = EMPTY_BODY
    dropped_headers: tuple[tuple[str, str], ...] = ()
    """Headers that the client sent and the proxy did not pass on as they came (Expect)."""
    changes: tuple[Change, ...] = ()
    """What the proxy made of the request before it went to the server."""
    resigned: "Resigned | None" = None
    """It was signed anew on command, and sent again."""
    unread_target: str = ""
    """Path or query as sent, where ``target`` has not all of it."""

    @property
    def url(self) -> str:
        """The absolute URL as it was asked for; the scheme's own port is left out."""
        default = {"http": 80, "https": 443}.get(self.scheme)
        port = "" if self.port == default else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.target}"


class Resigned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a request was signed anew."""

    secret_id: str
    token_removed: bool
    """It had been signed by a temporary key, whose token was taken off."""
    at: int
    """Unix seconds."""


class Response(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An answer as it was recorded, with what is known of its body."""

    status: int
    reason: str
    http_version: str
    headers: Headers
    body: Body = EMPTY_BODY
    by: Answerer = "server"
    """``proxy``: mitmproxy or an addon answered in the server's place."""
    option: str | None = None
    """The option of mitmproxy that made it answer, or who else, in a few words."""


class BrokeOff(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who ended an exchange before it was whole."""

    by: Actor
    """``server``: or the network before it."""
    option: str | None = None
    """``proxy``: the option of mitmproxy that made it."""


class Connection(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of the connections that an exchange went over."""

    client: str | None = None
    """Address and port."""
    server: str | None = None
    sni: str | None = None
    """The server name that the client gave in its TLS handshake."""
    tls: str | None = None
    """The client's version of TLS."""
    by_address: bool = False
    """The client went to an IP address; the name of the host stands in Host alone."""


class EchoTrace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a secret stands in an exchange, of which nothing else is known any more; made and
    read by ``inspection/echo_traces.py``."""

    size: int
    """Bytes."""
    check: int
    salt: str
    digest: str
    mask: str
    """What is shown in its place."""


class Timing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Moments in seconds since the epoch, by the clock of whoever recorded
    the exchange; None where it was not seen or not recorded."""

    request_start: float | None
    request_end: float | None = None
    response_start: float | None = None
    """When the response's headers were whole."""
    response_end: float | None = None
    failed: float | None = None
    """When it was given up, by whomever; None where it was not."""
    connect_ms: float | None = None
    """TCP connect to the server; only for the exchange that opened the connection."""
    tls_ms: float | None = None

    @property
    def end(self) -> float | None:
        """The last moment that is known of it, in seconds since the epoch."""
        known = (self.request_end, self.response_start, self.response_end, self.failed)
        return max((moment for moment in known if moment is not None), default=None)


class Exchange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request and what came of it, as recorded by the proxy or read from a capture."""

    flow_id: str
    request: Request
    response: Response | None
    timing: Timing
    error: str | None = None
    """What ended the exchange early, in the recorder's words."""
    client_address: str | None = None
    """IP address of the client, without port."""
    server_address: str | None = None
    upstream_proxy: str | None = None
    """Host and port of the proxy that the recorder sends everything through."""
    is_replay: bool = False
    """The recorder sent a request again that it had recorded, under the same ``flow_id``."""
    connection: Connection | None = None
    broke_off: BrokeOff | None = None
    """None where it ended as it should, and where nobody knows."""
    echoes: tuple[EchoTrace, ...] = ()
    """Secrets that it repeats and may name no more."""

    @property
    def broken_by_client(self) -> bool:
        """Whether the client ended it early."""
        return self.broke_off is not None and self.broke_off.by == "client"

    @property
    def ended_by_proxy(self) -> bool:
        """The proxy answered in the server's place, or broke it off: nothing of it is COS's."""
        if self.response is not None and self.response.by == "proxy":
            return True
        return self.broke_off is not None and self.broke_off.by == "proxy"

    @property
    def stopped(self) -> bool:
        """Whether the recording ended before the exchange did, so that what is missing says
        nothing: there is neither a failure nor an answer, or no end of the answer."""
        if self.error is not None:
            return False
        return self.response is None or self.response.body.end is BodyEnd.STOPPED
