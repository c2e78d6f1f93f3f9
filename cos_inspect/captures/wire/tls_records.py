"""TLS records in the bytes of one direction, also where some of these are missing."""

from typing import NamedTuple

HEAD = 5
LONGEST = 16384 + 2048
"""Bytes of a record behind its head (RFC 5246, 6.2.3); TLS 1.3 allows fewer."""
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
TYPES = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT})
TLCP = b"\x01\x01"
"""The version of China's own protocol (GB/T 38636), which has records of the same form."""


class NotTlsError(Exception):
    """What stands where a record should begin is none."""


class Record(NamedTuple):
    """A whole record; its bytes are views, good until the next one is asked for."""

    type: int
    head: bytes
    body: memoryview
    position: int
    """TCP sequence number of its first byte."""
    acknowledged: int
    """As its first packet says."""


class LostRecord(NamedTuple):
    """One whose head is there, and bytes behind it are not."""

    type: int
    length: int
    """Behind the head."""


class RecordSplitter:
    """Takes bytes and holes, gives records. Bytes are copied where a record does not lie in one
    piece of them."""

    def __init__(self) -> None:
        self._view = memoryview(b"")
        """What came last, from where the next record begins."""
        self._held = bytearray()
        """The beginning of a record whose rest has not come; then ``_view`` is what follows."""
        self._missing = 0
        """Bytes of that record that nobody has: then no more than its head is held."""
        self._counted = 0
        """Bytes of that record that came behind what is missing."""
        self._position = 0
        self._acknowledged = -1
        self._held_position = 0
        self._held_acknowledged = -1

    @property
    def is_inside(self) -> bool:
        """Whether a record has begun and not ended."""
        return bool(self._held or self._view)

    @property
    def held(self) -> int:
        """Bytes of a record that is not whole."""
        return len(self._held)

    @property
    def begun(self) -> int:
        """Bytes of the record that has begun, with those that are missing; only when ``next`` has
        given all that there was."""
        return len(self._held) + self._missing + self._counted

    def add(self, data: bytes | memoryview, position: int, acknowledged: int) -> None:
        """The next bytes; only when ``next`` has given all that there was."""
        self._view = memoryview(data)
        self._position, self._acknowledged = position, acknowledged

    def hole(self, length: int | None) -> bool:
        """So many bytes are missing here; only when ``next`` has given all that there was.

        :returns: False where the next record's place is not known any more.
        """
        if length is None or len(self._held) < HEAD:
            return False
        left = self._needed()
        if length > left:
            return False
        self._counted += len(self._held) - HEAD
        del self._held[HEAD:]
        self._missing += length
        return True

    def _needed(self) -> int:
        """Bytes that the held record lacks, or its head."""
        if len(self._held) < HEAD:
            return HEAD - len(self._held)
        length = int.from_bytes(self._held[3:HEAD])
        return length - (len(self._held) - HEAD) - self._missing - self._counted

    def next(self) -> Record | LostRecord | None:
        """None: more has to be added first.

        :raises NotTlsError: there is no record here.
        """
        if self._held:
            return self._rest_of_held()
        view = self._view
        if len(view) >= HEAD:
            length = _length(view)
            if len(view) >= HEAD + length:
                record = Record(
                    view[0],
                    bytes(view[:HEAD]),
                    view[HEAD : HEAD + length],
                    self._position,
                    self._acknowledged,
                )
                self._pass(HEAD + length)
                return record
        if view:
            self._held = bytearray(view)
            self._held_position, self._held_acknowledged = self._position, self._acknowledged
            self._pass(len(view))
        return None

    def _rest_of_held(self) -> Record | LostRecord | None:
        while True:
            if len(self._held) >= HEAD:
                length = _length(self._held)
            needed = self._needed()
            if needed == 0 and len(self._held) >= HEAD:
                break
            if not self._view:
                return None
            piece = self._view[:needed]
            if self._missing:
                self._counted += len(piece)
            else:
                self._held += piece
            self._pass(len(piece))
        held, self._held = self._held, bytearray()
        missing, self._missing, self._counted = self._missing, 0, 0
        if missing:
            return LostRecord(held[0], length)
        body = memoryview(held)[HEAD:]
        head = bytes(held[:HEAD])
        return Record(held[0], head, body, self._held_position, self._held_acknowledged)

    def _pass(self, count: int) -> None:
        self._view = self._view[count:]
        self._position = (self._position + count) & 0xFFFFFFFF


def _length(head: bytearray | memoryview) -> int:
    length = int.from_bytes(head[3:HEAD])
    version = bytes(head[1:3])
    if head[0] not in TYPES or length > LONGEST or not (version[0] == 3 or version == TLCP):
        raise NotTlsError
    return length


def looks_like_tls(first: bytes | bytearray) -> bool:
    """By the first three bytes of a direction; also where a connection began before."""
    if len(first) < 3 or first[0] not in TYPES:
        return False
    return (first[1] == 3 and first[2] <= 4) or first[1:3] == TLCP
