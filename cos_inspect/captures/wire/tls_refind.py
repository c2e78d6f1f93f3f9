"""Where records go on behind bytes that the capture has lost.

Behind a hole that took the head of a record, nobody knows where the next one begins. What looks
like a head is tried with the numbers that the record there can have: only the right one opens it,
and tells how many records, and so how many bytes of what was inside, are missing.
"""

from typing import NamedTuple

from cos_inspect.captures.wire.tls_cipher import RecordCipher
from cos_inspect.captures.wire.tls_records import APPLICATION_DATA, HEAD, Record

_LOOKS = bytes([APPLICATION_DATA, 3, 3])
_LONGEST = 16384 + 256
_NUMBERS = 256
"""That are tried for what looks like a head."""
_MOST_TRIES = 4096
_MOST_BYTES = 1024 * 1024
"""What is looked through before the rest of a direction is given up."""


class Found(NamedTuple):
    """Where records go on."""

    rest: bytes
    """From the head of a record on."""
    position: int
    acknowledged: int
    records: int
    """That were lost."""
    length: int
    """Bytes that were inside of them, where none had padding."""


class RecordFinder:
    """Takes what comes behind a hole until a record opens. Its memory and work are bounded."""

    def __init__(self, cipher: RecordCipher, lost: int) -> None:
        """:param lost: bytes from the last place where a record began to the first byte that
        will be added."""
        self._cipher = cipher
        self._lost = lost
        self._held = bytearray()
        self._position = 0
        self._tries = _MOST_TRIES
        self._left = _MOST_BYTES

    @property
    def is_hopeless(self) -> bool:
        """Whether enough was tried."""
        return self._tries <= 0 or self._left <= 0

    def hole(self, length: int) -> None:
        """So many bytes are missing here."""
        self._lost += len(self._held) + length
        self._held.clear()

    def add(self, data: bytes | memoryview, position: int, acknowledged: int) -> Found | None:
        """The next bytes. None: nothing opens as yet."""
        if not self._held:
            self._position = position
        self._held += data
        self._left -= len(data)
        while not self.is_hopeless:
            at = self._held.find(_LOOKS)
            if at < 0:
                self._drop(max(0, len(self._held) - len(_LOOKS) + 1))
                return None
            self._drop(at)
            if len(self._held) < HEAD:
                return None
            length = int.from_bytes(self._held[3:HEAD])
            if self._cipher.overhead < length <= _LONGEST:
                if len(self._held) < HEAD + length:
                    return None
                number = self._opens(length)
                if number is not None:
                    return self._found(number, acknowledged)
            self._drop(1)
        return None

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._lost += count
        self._position = (self._position + count) & 0xFFFFFFFF

    @property
    def _inner_type(self) -> int:
        """Bytes that tell the type inside of a record."""
        return 1 if self._cipher.tls13 else 0

    def _opens(self, length: int) -> int | None:
        """How many records were lost, if there is one here."""
        held = bytes(self._held[: HEAD + length])
        record = Record(held[0], held[:HEAD], memoryview(held)[HEAD:], 0, 0)
        smallest = HEAD + self._cipher.overhead + self._inner_type
        fewest = -(-self._lost // (HEAD + _LONGEST))
        most = min(self._lost // smallest, fewest + _NUMBERS)
        for number in range(fewest, most + 1):
            self._tries -= 1
            if self._cipher.opened(record, self._cipher.sequence + number) is not None:
                return number
        return None

    def _found(self, records: int, acknowledged: int) -> Found:
        per_record = HEAD + self._cipher.overhead + self._inner_type
        return Found(
            bytes(self._held),
            self._position,
            acknowledged,
            records,
            self._lost - records * per_record,
        )
