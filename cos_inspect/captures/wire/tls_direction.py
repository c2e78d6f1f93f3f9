"""One direction of a TLS connection: what waits in it, under which keys it stands, and what its
records hold."""

from collections import deque

from cos_inspect.captures.wire.events import COST, Segment, Side, StreamEvent
from cos_inspect.captures.wire.tls_cipher import CannotOpenError, RecordCipher
from cos_inspect.captures.wire.tls_handshake import Phase
from cos_inspect.captures.wire.tls_hello import Messages
from cos_inspect.captures.wire.tls_records import LostRecord, Record, RecordSplitter
from cos_inspect.captures.wire.tls_refind import RecordFinder


class TlsDirection:
    """What is known of it so far."""

    def __init__(self, side: Side) -> None:
        self.side: Side = side
        self.queue: deque[StreamEvent] = deque()
        """What came and waits for its turn."""
        self.waiting = 0
        """Bytes in the queue."""
        self.records = RecordSplitter()
        self.messages = Messages()
        self.finder: RecordFinder | None = None
        self.phase: Phase = "plain"
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

    @property
    def held(self) -> int:
        """Bytes of memory that what waits takes, about."""
        return self.waiting + COST * len(self.queue) + self.records.held

    def put(self, event: StreamEvent) -> None:
        """What comes next, behind what waits."""
        self.queue.append(event)
        if isinstance(event, Segment):
            self.waiting += len(event.data)

    def next(self) -> StreamEvent:
        """What has waited longest."""
        event = self.queue.popleft()
        self.time = event.time
        if isinstance(event, Segment):
            self.waiting -= len(event.data)
        return event

    def begin(self, phase: Phase) -> None:
        """What comes now is under other keys."""
        self.phase = phase
        self.cipher = self.secret = None
        self.has_opened = False

    def keep(self, record: Record | LostRecord, version: int) -> None:
        """Until the key log has a secret for it; ``version``: of the key log that had none."""
        if isinstance(record, Record):
            record = record._replace(body=memoryview(bytes(record.body)))
        self.tried, self.tried_version = record, version

    def open(self, record: Record) -> tuple[int, bytes]:
        """The type of what is inside of a record, and its bytes.

        :raises CannotOpenError: where the keys do not fit, or nothing is inside.
        """
        assert self.cipher is not None
        plain = self.cipher.open(record)
        self.has_opened = True
        if not self.cipher.tls13:
            return record.type, plain
        end = len(plain)
        if not plain or not plain[-1]:
            self.has_padding = True
            end = len(plain.rstrip(b"\0"))
        if not end:
            raise CannotOpenError
        return plain[end - 1], plain[: end - 1]

    def inner_length(self, record: LostRecord) -> int:
        """How many bytes were inside of a lost record, but for padding."""
        assert self.cipher is not None
        return record.length - self.cipher.overhead - (1 if self.cipher.tls13 else 0)

    def close(self) -> None:
        """Nothing of it is told any more, and nothing need be kept."""
        self.over = True
        self.queue.clear()
        self.waiting = 0
        self.records, self.finder, self.tried = RecordSplitter(), None, None
