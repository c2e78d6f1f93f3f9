"""TLS as a reader of streams: opens the records of both directions with the secrets of a key log,
and tells another reader what is inside.

It changes nothing and verifies no certificate: it only reads. TLS 1.2 and 1.3 with AEAD suites;
what it cannot read it counts with the reason, once for a connection.
"""

from collections.abc import Callable

from cos_inspect.captures.wire.events import (
    End,
    Hole,
    Peers,
    Segment,
    Side,
    StreamEnd,
    StreamEvent,
    StreamReader,
)
from cos_inspect.captures.wire.inner_reader import InnerReader
from cos_inspect.captures.wire.tls_alerts import (
    CLOSE_NOTIFY,
    FATAL,
    USER_CANCELED,
    alert_name,
)
from cos_inspect.captures.wire.tls_cipher import CannotOpenError
from cos_inspect.captures.wire.tls_direction import TlsDirection
from cos_inspect.captures.wire.tls_handshake import BEGUN_BEFORE, Handshake, Phase
from cos_inspect.captures.wire.tls_hello import (
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    END_OF_EARLY_DATA,
    FINISHED,
    KEY_UPDATE,
    BadHandshakeError,
)
from cos_inspect.captures.wire.tls_key_log import KeyLog
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
from cos_inspect.model.capture_account import CaptureAccount

NO_KEY = "TLS: no key in the key log"
NO_KEYS = "TLS: no key log was given"
WRONG_KEY = "TLS: the key log's secret opens no record"
BYTES_LOST = "TLS: the capture has lost bytes"
CHANGED = "TLS: a record cannot be opened"
NOT_TLS = "not TLS after all"
RENEGOTIATED = "TLS: the keys were negotiated anew"
EARLY_UNREAD = "TLS: early data without a key"
"""Reasons why the rest of a connection is not read; others name version, suite or alert."""

_MOST_WAITING = 256 * 1024
"""Bytes of a direction that wait for what the other one says, or for a secret that comes late."""
_SURELY_DATA = 1024
"""A lost record of so many bytes is no ticket and no KeyUpdate."""


class TlsReader:
    """A ``StreamReader`` of one connection."""

    def __init__(
        self,
        keys: KeyLog,
        peers: Peers,
        account: CaptureAccount,
        inner: Callable[[bytes, str | None], StreamReader],
        *,
        may_be_cos: Callable[[str | None], bool] = lambda _name: True,
    ) -> None:
        """
        :param inner: given the first bytes that are inside, of whichever side, and the protocol
            that was negotiated (ALPN), makes who reads them.
        :param may_be_cos: by the server's name (SNI), whether what cannot be read may have been
            COS traffic.
        """
        self._keys = keys
        self._may_be_cos = may_be_cos
        self._peers = peers
        self._account = account
        self._handshake = Handshake(keys, peers)
        self._inner = InnerReader(lambda data: inner(data, self._handshake.alpn))
        self._client, self._server = TlsDirection("client"), TlsDirection("server")
        self._has_counted = False

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        """The next bytes."""
        half = self._half(side)
        if not half.over:
            half.put(Segment(data, time, position, acknowledged))
            self._advance(half)

    def hole(self, side: Side, length: int | None, time: float) -> None:
        """Bytes that the capture has not."""
        half = self._half(side)
        if not half.over:
            half.put(Hole(length, time))
            self._advance(half)

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        """No more comes from this side."""
        half = self._half(side)
        half.ended = True
        if not half.over:
            half.put(End(how, time))
            self._advance(half)
        if self._client.ended and self._server.ended:
            # What still waits has nothing to wait for, unless a secret has come.
            self._advance(self._client)
            self._advance(self._server)
            for each in (self._client, self._server):
                if not each.over:
                    reason = BEGUN_BEFORE if each.tried is None else self._no_key()
                    self._lose(each, reason, each.time)

    @property
    def held(self) -> int:
        """As in ``StreamReader``."""
        return self._client.held + self._server.held + self._inner.held

    def _half(self, side: Side) -> TlsDirection:
        return self._client if side == "client" else self._server

    def _advance(self, half: TlsDirection) -> None:
        """What can be read, of this side and then of the other one, which may have waited."""
        other = self._server if half is self._client else self._client
        while self._run(half):
            half, other = other, half

    def _run(self, half: TlsDirection) -> bool:
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
            self._take_event(half, half.next())
        return self._learned != before

    @property
    def _learned(self) -> tuple[object, ...]:
        return (*self._handshake.known, self._client.over, self._server.over)

    def _is_waiting(self, half: TlsDirection) -> bool:
        if half.tried is not None and half.tried_version == self._keys.version:
            return True
        said = self._handshake
        if half is self._server:
            return said.client_hello is None and not self._client.over
        if said.client_hello is None or self._server.over:
            return False
        if said.server_hello is None:
            return not said.is_retried or said.has_second_hello
        return said.is_early_open

    # What came

    def _take_event(self, half: TlsDirection, event: StreamEvent) -> None:
        if isinstance(event, Segment):
            if half.finder is not None:
                self._find(half, half.finder, event)
            else:
                half.records.add(event.data, event.position, event.acknowledged)
        elif isinstance(event, Hole):
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

    def _take_hole(self, half: TlsDirection, hole: Hole) -> None:
        length = hole.length
        if half.finder is not None and length is not None:
            half.finder.hole(length)
            return
        begun = half.records.begun
        if half.records.hole(length):
            return
        is_past = half.phase in ("application", "protected") and half.has_opened
        if length is None or half.cipher is None or not is_past:
            known = self._handshake.client_hello is not None
            self._lose(half, BYTES_LOST if known else BEGUN_BEFORE, hole.time)
            return
        half.records = RecordSplitter()
        half.finder = RecordFinder(half.cipher, begun + length)

    def _find(self, half: TlsDirection, finder: RecordFinder, event: Segment) -> None:
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

    def _tell_hole(self, half: TlsDirection, length: int, *, sure: bool) -> None:
        """So many bytes are missing inside, where everything that is known of it is true."""
        if half.messages.is_inside or half.has_padding or not (sure or length >= _SURELY_DATA):
            self._lose(half, BYTES_LOST, half.time)
        elif self._handshake.is_tls13 and not half.has_data:
            # Tickets may have been among it.
            self._lose(half, BYTES_LOST, half.time)
        elif length:
            self._inner.hole(half.side, length, half.time)

    # Records

    def _take(self, half: TlsDirection, record: Record | LostRecord) -> None:
        said = self._handshake
        if said.client_hello is None and (half is self._server or record.type != HANDSHAKE):
            self._lose(half, BEGUN_BEFORE, half.time)
            return
        awaits_hello = said.is_retried and not said.has_second_hello
        if awaits_hello and record.type == APPLICATION_DATA:
            # Early data, which the server has refused by asking for another hello.
            return
        if half.phase == "plain" and not self._is_hidden(half, record):
            if isinstance(record, LostRecord):
                self._lose(half, BYTES_LOST, half.time)
            else:
                self._take_plain(half, record)
            return
        if half.phase == "plain":
            if half is self._client and self._handshake.is_early_open:
                self._lose(half, BEGUN_BEFORE, half.time)
                return
            half.begin(self._first_phase(half))
        if self._handshake.is_tls13 and record.type == CHANGE_CIPHER_SPEC:
            return
        if half.cipher is None and not self._has_cipher(half):
            if not half.over:
                half.keep(record, self._keys.version)
            return
        if isinstance(record, LostRecord):
            self._take_lost(half, record)
        else:
            self._open(half, record)

    def _is_hidden(self, half: TlsDirection, record: Record | LostRecord) -> bool:
        """Whether a record is under keys although nothing said so: TLS 1.3 says nothing."""
        if record.type == APPLICATION_DATA:
            return True
        return half is self._client and self._handshake.takes_early_data is True

    def _first_phase(self, half: TlsDirection) -> Phase:
        if not self._handshake.is_tls13:
            return "protected"
        return "early" if half is self._client and self._handshake.takes_early_data else "handshake"

    def _take_plain(self, half: TlsDirection, record: Record) -> None:
        if record.type == HANDSHAKE:
            for kind, body in half.messages.feed(record.body):
                self._handshake.take_hello(half.side, kind, body, half.time)
        elif record.type == ALERT and len(record.body) == 2:
            self._take_alert(half, bytes(record.body))
        elif record.type == CHANGE_CIPHER_SPEC and self._handshake.is_tls12:
            half.begin("protected")

    def _has_cipher(self, half: TlsDirection) -> bool:
        """Makes the cipher of a phase; False where that cannot be, or not yet."""
        reason = self._handshake.why_unread
        keys = self._handshake.keys_of(half.side, half.phase) if reason is None else None
        if keys is not None:
            half.cipher, half.secret = keys
        elif reason is not None:
            self._lose(half, reason, half.time)
        elif half.phase == "early":
            self._lose(half, EARLY_UNREAD, half.time)
        return keys is not None

    def _open(self, half: TlsDirection, record: Record) -> None:
        try:
            kind, plain = half.open(record)
        except CannotOpenError:
            if half is self._client and half.phase == "handshake" and self._has_early_refused:
                # What it sent early, and the server did not take: it comes again.
                return
            self._lose(half, CHANGED if half.has_opened else WRONG_KEY, half.time)
            return
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
        said = self._handshake
        is_refused = said.offers_early_data and not said.takes_early_data
        return is_refused and not self._client.has_opened

    def _take_hidden(self, half: TlsDirection, kind: int, body: bytes) -> None:
        """A message of the handshake under keys."""
        if not self._handshake.is_tls13:
            if kind == FINISHED:
                self._handshake.tell_duration(half.time)
            elif kind == CLIENT_HELLO:
                self._lose(half, RENEGOTIATED, half.time)
            return
        if kind == ENCRYPTED_EXTENSIONS and half is self._server:
            self._handshake.take_extensions(body)
        elif kind == END_OF_EARLY_DATA and half.phase == "early":
            half.begin("handshake")
        elif kind == FINISHED and half.phase == "handshake":
            half.begin("application")
            if half is self._client:
                self._handshake.tell_duration(half.time)
        elif kind == KEY_UPDATE and half.phase == "application" and half.secret is not None:
            half.cipher, half.secret = self._handshake.updated(half.secret)

    def _take_alert(self, half: TlsDirection, alert: bytes) -> None:
        level, number = alert
        if number == CLOSE_NOTIFY:
            half.over = True
            self._inner.end(half.side, StreamEnd.FIN, half.time)
        elif number != USER_CANCELED and (level == FATAL or self._handshake.is_tls13):
            half.over = True
            self._inner.end(half.side, StreamEnd.RESET, half.time)
            self._count(f"TLS: the {half.side} ended it with {alert_name(number)}")

    def _take_lost(self, half: TlsDirection, record: LostRecord) -> None:
        """Its number is known, and how much was inside, but for padding."""
        assert half.cipher is not None
        if half.phase not in ("application", "protected") or not half.has_opened:
            self._lose(half, BYTES_LOST, half.time)
            return
        half.cipher.sequence += 1
        length = half.inner_length(record)
        if record.type != APPLICATION_DATA or length < 0:
            self._lose(half, BYTES_LOST, half.time)
            return
        self._tell_hole(half, length, sure=not half.cipher.tls13)

    # What cannot be read

    def _no_key(self) -> str:
        return NO_KEY if len(self._keys) else NO_KEYS

    def _lose(self, half: TlsDirection, reason: str, time: float) -> None:
        """The rest of a direction is not read."""
        if half.over:
            return
        half.close()
        self._inner.hole(half.side, None, time)
        self._inner.end(half.side, StreamEnd.CAPTURE, time)
        self._count(reason)

    def _count(self, reason: str) -> None:
        if not self._has_counted:
            self._has_counted = True
            self._account.give_up(reason, hides=self._may_be_cos(self._peers.sni))
