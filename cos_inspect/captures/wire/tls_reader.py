"""TLS as a reader of streams: opens the records of both directions with the secrets of a key log,
and tells another reader what is inside.

It changes nothing and verifies no certificate: it only reads. TLS 1.2 and 1.3 with AEAD suites;
what it cannot read it counts with the reason, once for a connection.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

from cos_inspect.captures.wire.events import Peers, Side, StreamEnd, StreamReader
from cos_inspect.captures.wire.tls_alerts import (
    CLOSE_NOTIFY,
    FATAL,
    USER_CANCELED,
    alert_name,
)
from cos_inspect.captures.wire.tls_cipher import (
    CannotOpenError,
    RecordCipher,
    cipher_of_secret,
    ciphers_of_master_secret,
    updated_secret,
)
from cos_inspect.captures.wire.tls_hello import (
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    END_OF_EARLY_DATA,
    FINISHED,
    KEY_UPDATE,
    SERVER_HELLO,
    TLS13,
    BadHandshakeError,
    ClientHello,
    Messages,
    ServerHello,
    read_client_hello,
    read_encrypted_extensions,
    read_server_hello,
)
from cos_inspect.captures.wire.tls_key_log import MASTER_SECRET, KeyLog
from cos_inspect.captures.wire.tls_records import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    LostRecord,
    NotTlsError,
    Record,
    RecordSplitter,
)
from cos_inspect.captures.wire.tls_refind import RecordFinder
from cos_inspect.captures.wire.tls_suites import Suite, suite_of
from cos_inspect.model.capture_account import CaptureAccount

NO_KEY = "TLS: no key in the key log"
NO_KEYS = "TLS: no key log was given"
WRONG_KEY = "TLS: the key log's secret opens no record"
BEGUN_BEFORE = "TLS: the handshake is not in the capture"
BYTES_LOST = "TLS: the capture has lost bytes"
CHANGED = "TLS: a record cannot be opened"
NOT_TLS = "not TLS after all"
RENEGOTIATED = "TLS: the keys were negotiated anew"
EARLY_UNREAD = "TLS: early data without a key"
"""Reasons why the rest of a connection is not read; others name version, suite or alert."""

_VERSIONS = {
    0x0300: "SSLv3",
    0x0301: "TLSv1",
    0x0302: "TLSv1.1",
    0x0303: "TLSv1.2",
    TLS13: "TLSv1.3",
}
_TLS12 = 0x0303
_TLCP = 0x0101
_MOST_WAITING = 256 * 1024
"""Bytes of a direction that wait for what the other one says, or for a secret that comes late."""
_SURELY_DATA = 1024
"""A lost record of so many bytes is no ticket and no KeyUpdate."""

InnerReader = Callable[[bytes, str | None], StreamReader]
"""Given the first bytes that are inside, of whichever side, and the protocol that was negotiated
(ALPN)."""
_Phase = Literal["plain", "early", "handshake", "application", "protected"]
"""``protected`` is all that comes after ChangeCipherSpec in TLS 1.2."""
_SECRETS: dict[tuple[Side, _Phase], str] = {
    ("client", "early"): "CLIENT_EARLY_TRAFFIC_SECRET",
    ("client", "handshake"): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    ("server", "handshake"): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    ("client", "application"): "CLIENT_TRAFFIC_SECRET_0",
    ("server", "application"): "SERVER_TRAFFIC_SECRET_0",
}


class _Bytes:
    """What came and waits for its turn."""

    __slots__ = ("acknowledged", "data", "position", "time")

    def __init__(self, data: bytes, time: float, position: int, acknowledged: int) -> None:
        self.data = data
        self.time = time
        self.position = position
        self.acknowledged = acknowledged


class _Hole:
    __slots__ = ("length", "time")

    def __init__(self, length: int | None, time: float) -> None:
        self.length = length
        self.time = time


class _End:
    __slots__ = ("how", "time")

    def __init__(self, how: StreamEnd, time: float) -> None:
        self.how = how
        self.time = time


class _Half:
    """One direction."""

    def __init__(self, side: Side) -> None:
        self.side: Side = side
        self.queue: deque[_Bytes | _Hole | _End] = deque()
        self.waiting = 0
        """Bytes in the queue."""
        self.records = RecordSplitter()
        self.messages = Messages()
        self.finder: RecordFinder | None = None
        self.phase: _Phase = "plain"
        self.secret: bytes | None = None
        """Of TLS 1.3, for this phase."""
        self.cipher: RecordCipher | None = None
        self.tried: Record | LostRecord | None = None
        """The record that waits for a secret."""
        self.tried_version = -1
        """Of the key log that had none."""
        self.time = 0.0
        self.has_data = False
        """Application data was met."""
        self.has_padding = False
        self.has_opened = False
        self.over = False
        """Nothing of it is told any more."""
        self.ended = False
        """Its end has come, perhaps not its turn."""


class TlsReader:
    """A ``StreamReader`` of one connection."""

    def __init__(
        self,
        keys: KeyLog,
        peers: Peers,
        account: CaptureAccount,
        inner: InnerReader,
        *,
        may_be_cos: Callable[[str | None], bool] = lambda _name: True,
    ) -> None:
        """``may_be_cos``: by the server's name (SNI), whether what cannot be read may have been
        COS traffic."""
        self._keys = keys
        self._may_be_cos = may_be_cos
        self._peers = peers
        self._account = account
        self._inner = _Inner(inner)
        self._client, self._server = _Half("client"), _Half("server")
        self._client_hello: ClientHello | None = None
        self._server_hello: ServerHello | None = None
        self._suite: Suite | None = None
        self._retry = False
        self._second_hello = False
        self._early_taken: bool | None = None
        self._has_counted = False
        self._begun: float | None = None

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """The next bytes."""
        half = self._half(side)
        if not half.over:
            half.queue.append(_Bytes(data, time, position, acknowledged))
            half.waiting += len(data)
            self._advance(half)

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """Bytes that the capture has not."""
        half = self._half(side)
        if not half.over:
            half.queue.append(_Hole(length, time))
            self._advance(half)

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """No more comes from this side."""
        half = self._half(side)
        half.ended = True
        if not half.over:
            half.queue.append(_End(how, time))
            self._advance(half)
        if self._client.ended and self._server.ended:
            # What still waits has nothing to wait for, unless a secret has come.
            self._advance(self._client)
            self._advance(self._server)
            for each in (self._client, self._server):
                if not each.over:
                    reason = BEGUN_BEFORE if each.tried is None else self._no_key()
                    self._lose(each, reason, each.time)

    def _half(self, side: Side) -> _Half:
        return self._client if side == "client" else self._server

    def _advance(self, half: _Half) -> None:
        """What can be read, of this side and then of the other one, which may have waited."""
        other = self._server if half is self._client else self._client
        while self._run(half):
            half, other = other, half

    def _run(self, half: _Half) -> bool:
        """Whether the other side may go on by what was learned."""
        before = self._learned
        while not half.over:
            if self._is_waiting(half):
                if half.waiting > _MOST_WAITING:
                    reason = BEGUN_BEFORE if half.tried is None else self._no_key()
                    self._lose(half, reason, half.time)
                break
            try:
                record = half.tried or half.records.next()
                half.tried = None
                if record is not None:
                    self._take(half, record)
                    continue
            except NotTlsError:
                self._lose(half, NOT_TLS if half.phase == "plain" else CHANGED, half.time)
                break
            except BadHandshakeError:
                self._lose(half, NOT_TLS, half.time)
                break
            if not half.queue:
                break
            self._take_event(half, half.queue.popleft())
        return self._learned != before

    @property
    def _learned(self) -> tuple[object, ...]:
        return (
            self._client_hello is None,
            self._server_hello is None,
            self._retry,
            self._second_hello,
            self._early_taken,
            self._client.over,
            self._server.over,
        )

    def _is_waiting(self, half: _Half) -> bool:
        if half.tried is not None and half.tried_version == self._keys.version:
            return True
        if half is self._server:
            return self._client_hello is None and not self._client.over
        if self._client_hello is None or self._server.over:
            return False
        if self._server_hello is None:
            return not self._retry or self._second_hello
        return self._is_early_open

    @property
    def _is_early_open(self) -> bool:
        """Whether the client may have sent data early, and nobody knows whether it counts."""
        hello = self._client_hello
        return (
            hello is not None
            and hello.early_data
            and self._is_tls13
            and not self._retry
            and self._early_taken is None
        )

    @property
    def _is_tls13(self) -> bool:
        return self._server_hello is not None and self._server_hello.version == TLS13

    # What came

    def _take_event(self, half: _Half, event: _Bytes | _Hole | _End) -> None:
        half.time = event.time
        if isinstance(event, _Bytes):
            half.waiting -= len(event.data)
            if half.finder is not None:
                self._find(half, half.finder, event)
            else:
                half.records.add(event.data, event.position, event.acknowledged)
        elif isinstance(event, _Hole):
            self._take_hole(half, event)
        else:
            how = event.how
            if half.finder is not None:
                self._lose(half, BYTES_LOST, event.time)
                return
            if how is StreamEnd.FIN and half.records.is_inside:
                how = StreamEnd.RESET
            half.over = True
            self._inner.end(half.side, how, event.time)

    def _take_hole(self, half: _Half, hole: _Hole) -> None:
        length = hole.length
        if half.finder is not None and length is not None:
            half.finder.hole(length)
            return
        begun = half.records.begun
        if half.records.hole(length):
            return
        is_past = half.phase in ("application", "protected") and half.has_opened
        if length is None or half.cipher is None or not is_past:
            self._lose(half, BYTES_LOST if self._client_hello else BEGUN_BEFORE, hole.time)
            return
        half.records = RecordSplitter()
        half.finder = RecordFinder(half.cipher, begun + length)

    def _find(self, half: _Half, finder: RecordFinder, event: _Bytes) -> None:
        found = finder.add(event.data, event.position, event.acknowledged)
        if found is None:
            if finder.is_hopeless:
                self._lose(half, BYTES_LOST, event.time)
            return
        assert half.cipher is not None
        half.finder = None
        half.cipher.sequence += found.records
        self._tell_hole(half, found.length, sure=True)
        if not half.over:
            half.records.add(found.rest, found.position, found.acknowledged)

    def _tell_hole(self, half: _Half, length: int, *, sure: bool) -> None:
        """So many bytes are missing inside, where everything that is known of it is true."""
        if half.messages.is_inside or half.has_padding or not (sure or length >= _SURELY_DATA):
            self._lose(half, BYTES_LOST, half.time)
        elif self._is_tls13 and not half.has_data:
            # Tickets may have been among it.
            self._lose(half, BYTES_LOST, half.time)
        elif length:
            self._inner.hole(half.side, length, half.time)

    # Records

    def _take(self, half: _Half, record: Record | LostRecord) -> None:
        if self._client_hello is None and (half is self._server or record.type != HANDSHAKE):
            self._lose(half, BEGUN_BEFORE, half.time)
            return
        if self._retry and not self._second_hello and record.type == APPLICATION_DATA:
            # Early data, which the server has refused by asking for another hello.
            return
        if half.phase == "plain" and not self._is_hidden(half, record):
            if isinstance(record, LostRecord):
                self._lose(half, BYTES_LOST, half.time)
            else:
                self._take_plain(half, record)
            return
        if half.phase == "plain":
            if half is self._client and self._is_early_open:
                self._lose(half, BEGUN_BEFORE, half.time)
                return
            self._begin_phase(half, self._first_phase(half))
        if self._is_tls13 and record.type == CHANGE_CIPHER_SPEC:
            return
        if half.cipher is None and not self._has_cipher(half):
            if not half.over:
                half.tried = _kept(record)
                half.tried_version = self._keys.version
            return
        if isinstance(record, LostRecord):
            self._take_lost(half, record)
        else:
            self._open(half, record)

    def _is_hidden(self, half: _Half, record: Record | LostRecord) -> bool:
        """Whether a record is under keys although nothing said so: TLS 1.3 says nothing."""
        if record.type == APPLICATION_DATA:
            return True
        return half is self._client and self._early_taken is True

    def _first_phase(self, half: _Half) -> _Phase:
        if not self._is_tls13:
            return "protected"
        return "early" if half is self._client and self._early_taken else "handshake"

    def _take_plain(self, half: _Half, record: Record) -> None:
        if record.type == HANDSHAKE:
            for kind, body in half.messages.feed(record.body):
                self._take_hello(half, kind, body)
        elif record.type == ALERT and len(record.body) == 2:
            self._take_alert(half, bytes(record.body))
        elif record.type == CHANGE_CIPHER_SPEC and self._server_hello and not self._is_tls13:
            self._begin_phase(half, "protected")

    def _take_hello(self, half: _Half, kind: int, body: bytes) -> None:
        if half is self._client:
            if kind == CLIENT_HELLO:
                if self._client_hello is None:
                    self._client_hello = read_client_hello(body)
                    self._begun = half.time
                    self._peers.sni = self._client_hello.sni or self._peers.sni
                else:
                    self._second_hello = True
        elif kind == SERVER_HELLO:
            hello = read_server_hello(body)
            if hello.is_retry:
                self._retry = True
                return
            self._server_hello = hello
            self._peers.tls = _VERSIONS.get(hello.version)
            self._suite = suite_of(hello.suite)
            self._inner.alpn = hello.alpn

    def _begin_phase(self, half: _Half, phase: _Phase) -> None:
        half.phase = phase
        half.cipher = half.secret = None
        half.has_opened = False

    def _has_cipher(self, half: _Half) -> bool:
        """Makes the cipher of a phase; False where that cannot be, or not yet."""
        if self._client_hello is None or self._server_hello is None or self._suite is None:
            self._lose(half, BEGUN_BEFORE, half.time)
            return False
        version = self._server_hello.version
        if version not in (_TLS12, TLS13):
            name = "TLCP" if version == _TLCP else _VERSIONS.get(version, f"0x{version:04x}")
            self._lose(half, f"TLS: version {name}", half.time)
            return False
        if self._suite.aead is None:
            self._lose(half, f"TLS: cipher suite {self._suite.name}", half.time)
            return False
        random = self._client_hello.random
        if version == TLS13:
            half.secret = self._keys.secret(_SECRETS[half.side, half.phase], random)
            if half.secret is None:
                if half.phase == "early":
                    self._lose(half, EARLY_UNREAD, half.time)
                return False
            half.cipher = cipher_of_secret(self._suite, half.secret)
            return True
        master = self._keys.secret(MASTER_SECRET, random)
        if master is None:
            return False
        ciphers = ciphers_of_master_secret(self._suite, master, random, self._server_hello.random)
        half.cipher = ciphers[half is self._server]
        return True

    def _open(self, half: _Half, record: Record) -> None:
        assert half.cipher is not None
        try:
            plain = half.cipher.open(record)
        except CannotOpenError:
            if half is self._client and half.phase == "handshake" and self._has_early_refused:
                # What it sent early, and the server did not take: it comes again.
                return
            self._lose(half, CHANGED if half.has_opened else WRONG_KEY, half.time)
            return
        half.has_opened = True
        kind = record.type
        if half.cipher.tls13:
            end = len(plain)
            if not plain or not plain[-1]:
                half.has_padding = True
                end = len(plain.rstrip(b"\0"))
            if not end:
                self._lose(half, CHANGED, half.time)
                return
            kind, plain = plain[end - 1], plain[: end - 1]
        if kind == APPLICATION_DATA:
            if plain:
                half.has_data = True
                self._inner.data(half.side, plain, half.time, record.position, record.acknowledged)
        elif kind == HANDSHAKE:
            for message, body in half.messages.feed(plain):
                self._take_hidden(half, message, body)
        elif kind == ALERT and len(plain) == 2:
            self._take_alert(half, plain)

    @property
    def _has_early_refused(self) -> bool:
        hello = self._client_hello
        return (
            hello is not None
            and hello.early_data
            and not self._early_taken
            and not self._client.has_opened
        )

    def _take_hidden(self, half: _Half, kind: int, body: bytes) -> None:
        """A message of the handshake under keys."""
        if not self._is_tls13:
            if kind == FINISHED:
                self._tell_duration(half)
            elif kind == CLIENT_HELLO:
                self._lose(half, RENEGOTIATED, half.time)
            return
        if kind == ENCRYPTED_EXTENSIONS and half is self._server:
            said = read_encrypted_extensions(body)
            self._inner.alpn = said.alpn
            self._early_taken = said.early_data
        elif kind == END_OF_EARLY_DATA and half.phase == "early":
            self._begin_phase(half, "handshake")
        elif kind == FINISHED and half.phase == "handshake":
            self._begin_phase(half, "application")
            if half is self._client:
                self._tell_duration(half)
        elif kind == KEY_UPDATE and half.phase == "application" and half.secret is not None:
            assert self._suite is not None
            half.secret = updated_secret(self._suite, half.secret)
            half.cipher = cipher_of_secret(self._suite, half.secret)

    def _tell_duration(self, half: _Half) -> None:
        """From the client's hello to the last Finished."""
        if self._begun is not None:
            self._peers.tls_ms = max(0.0, (half.time - self._begun) * 1000)

    def _take_alert(self, half: _Half, alert: bytes) -> None:
        level, number = alert
        if number == CLOSE_NOTIFY:
            half.over = True
            self._inner.end(half.side, StreamEnd.FIN, half.time)
        elif number != USER_CANCELED and (level == FATAL or self._is_tls13):
            half.over = True
            self._inner.end(half.side, StreamEnd.RESET, half.time)
            self._count(f"TLS: the {half.side} ended it with {alert_name(number)}")

    def _take_lost(self, half: _Half, record: LostRecord) -> None:
        """Its number is known, and how much was inside, but for padding."""
        assert half.cipher is not None
        if half.phase not in ("application", "protected") or not half.has_opened:
            self._lose(half, BYTES_LOST, half.time)
            return
        half.cipher.sequence += 1
        length = record.length - half.cipher.overhead - (1 if half.cipher.tls13 else 0)
        if record.type != APPLICATION_DATA or length < 0:
            self._lose(half, BYTES_LOST, half.time)
            return
        self._tell_hole(half, length, sure=not half.cipher.tls13)

    # What cannot be read

    def _no_key(self) -> str:
        return NO_KEY if len(self._keys) else NO_KEYS

    def _lose(self, half: _Half, reason: str, time: float) -> None:
        """The rest of a direction is not read."""
        if half.over:
            return
        half.over = True
        half.queue.clear()
        half.records, half.finder, half.tried = RecordSplitter(), None, None
        self._inner.hole(half.side, None, time)
        self._inner.end(half.side, StreamEnd.CAPTURE, time)
        self._count(reason)

    def _count(self, reason: str) -> None:
        if not self._has_counted:
            self._has_counted = True
            self._account.give_up(reason, hides=self._may_be_cos(self._peers.sni))


def _kept(record: Record | LostRecord) -> Record | LostRecord:
    if isinstance(record, LostRecord):
        return record
    return record._replace(body=memoryview(bytes(record.body)))


class _Inner:
    """The reader of what is inside, from its first byte on: before, nobody knows who it is."""

    def __init__(self, make: InnerReader) -> None:
        self._make = make
        self._reader: StreamReader | None = None
        self._before: list[Callable[[StreamReader], None]] = []
        self.alpn: str | None = None

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        if self._reader is None:
            self._reader = self._make(data[:64], self.alpn)
            for tell in self._before:
                tell(self._reader)
            self._before.clear()
        self._reader.data(side, data, time, position, acknowledged)

    def hole(self, side: Side, length: int | None, time: float) -> None:
        if self._reader is None:
            self._before.append(lambda reader: reader.hole(side, length, time))
        else:
            self._reader.hole(side, length, time)

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        if self._reader is None:
            self._before.append(lambda reader: reader.end(side, how, time))
        else:
            self._reader.end(side, how, time)
