"""HTTP/2 connections made in memory by h2, and the flows that are read of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from cos_inspect.captures.captured_flow import CapturedFlow
from cos_inspect.captures.wire.context import WireContext
from cos_inspect.captures.wire.events import Peers, Side
from cos_inspect.captures.wire.http2 import Http2Reader
from cos_inspect.model.capture_account import CaptureAccount
from cos_inspect.model.exchange import Exchange
from tests.saved.wire.tls_made import Data, End, Event, Hole

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
Pairs = Sequence[tuple[str, str]]


class Http2Pair:
    """Both ends; what each sends is noted as the other one takes it."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._ends = {
            "client": h2.connection.H2Connection(h2.config.H2Configuration(client_side=True)),
            "server": h2.connection.H2Connection(h2.config.H2Configuration(client_side=False)),
        }
        for side in ("client", "server"):
            self._ends[side].initiate_connection()
        self.pass_on()

    @property
    def client(self) -> h2.connection.H2Connection:
        return self._ends["client"]

    @property
    def server(self) -> h2.connection.H2Connection:
        return self._ends["server"]

    def pass_on(self) -> None:
        """Until nobody has anything to say."""
        sides: tuple[Side, Side] = ("client", "server")
        said = True
        while said:
            said = False
            for side in sides:
                data = self._ends[side].data_to_send()
                if not data:
                    continue
                said = True
                self.events.append(Data(side, data))
                other = self._ends["server" if side == "client" else "client"]
                for event in other.receive_data(data):
                    if isinstance(event, h2.events.DataReceived):
                        assert event.stream_id is not None
                        size = event.flow_controlled_length or 0
                        if size:
                            other.acknowledge_received_data(size, event.stream_id)

    def send(
        self,
        side: Side,
        stream: int,
        fields: Pairs,
        body: bytes = b"",
        *,
        padding: int | None = None,
        trailers: Pairs = (),
        ends: bool = True,
    ) -> None:
        end = self._ends[side]
        end.send_headers(stream, fields, end_stream=ends and not body and not trailers)
        self.pass_on()
        for at in range(0, len(body), 16_000):
            is_last = ends and not trailers and at + 16_000 >= len(body)
            end.send_data(stream, body[at : at + 16_000], end_stream=is_last, pad_length=padding)
            self.pass_on()
        if trailers:
            end.send_headers(stream, trailers, end_stream=True)
            self.pass_on()

    def ask(self, stream: int, path: str = "/a.txt", method: str = "GET", **more: object) -> None:
        body = more.get("body", b"")
        assert isinstance(body, bytes)
        fields = [
            (":method", method),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", path),
            *([("content-length", str(len(body)))] if body else []),
        ]
        extra = more.get("fields", ())
        fields += list(extra)  # type: ignore[call-overload]
        padding = more.get("padding")
        assert padding is None or isinstance(padding, int)
        self.send(
            "client", stream, fields, body, padding=padding, ends=more.get("ends", True) is True
        )

    def answer(
        self,
        stream: int,
        body: bytes = b"",
        status: int = 200,
        *,
        fields: Pairs = (),
        padding: int | None = None,
        trailers: Pairs = (),
        ends: bool = True,
    ) -> None:
        head = [
            (":status", str(status)),
            ("content-length", str(len(body))),
            ("x-cos-request-id", "NjQyN2NjZGVfNjRhNzU4NjRfMTA0ZF8xMjM0NTY="),
            *fields,
        ]
        self.send("server", stream, head, body, padding=padding, trailers=trailers, ends=ends)

    def closed(self) -> list[Event]:
        return [*self.events, End("client"), End("server")]


@dataclass
class Read2:
    flows: list[CapturedFlow] = field(default_factory=list)
    account: CaptureAccount = field(default_factory=lambda: CaptureAccount(format="pcap"))

    @property
    def exchanges(self) -> list[Exchange]:
        return [flow.exchange for flow in self.flows if flow.exchange is not None]

    def __len__(self) -> int:
        return len(self.flows)


def read_http2(events: Iterable[Event]) -> Read2:
    found = Read2()
    context = WireContext((), found.account, found.flows.append)
    peers = Peers(client="10.0.0.5:41234", server="203.0.113.9:443", tls="TLSv1.3")
    reader = Http2Reader(context, peers, "https")
    at = {"client": 100, "server": 200}
    for number, each in enumerate(events):
        if isinstance(each, Data):
            reader.data(each.side, each.data, 1000.0 + number, at[each.side], -1)
            at[each.side] += len(each.data)
        elif isinstance(each, Hole):
            reader.hole(each.side, each.length, 1000.0 + number)
            at[each.side] += each.length or 0
        else:
            reader.end(each.side, each.how, 1000.0 + number)
    return found
