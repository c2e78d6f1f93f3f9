"""MD5 and CRC-64/XZ for the test server.

The CRC comes from ``crcmod`` and the joining of two CRCs is written out here,
so that the product, which uses another library, is judged by a second opinion.
"""

import base64
import hashlib
from dataclasses import dataclass

import crcmod

from tests.origin.content import Buffer, Content, Repeated

MASK = (1 << 64) - 1
POLYNOMIAL = 0xC96C5795D7870F42

_crc = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=MASK, rev=True)


def crc64(data: Buffer, crc: int = 0) -> int:
    """CRC-64/XZ of ``data``, continued from the CRC of what stood before it."""
    return int(_crc(bytes(data) if isinstance(data, memoryview) else data, crc))


def _times(matrix: list[int], vector: int) -> int:
    total = 0
    for row in matrix:
        if not vector:
            break
        if vector & 1:
            total ^= row
        vector >>= 1
    return total


def _squared(matrix: list[int]) -> list[int]:
    return [_times(matrix, row) for row in matrix]


def _zero_byte_matrices() -> list[list[int]]:
    """Operators that push 2**n zero bytes through the CRC register."""
    one_bit = [POLYNOMIAL] + [1 << bit for bit in range(63)]
    matrix = _squared(_squared(_squared(one_bit)))
    matrices = []
    for _ in range(48):
        matrices.append(matrix)
        matrix = _squared(matrix)
    return matrices


_ZERO_BYTES = _zero_byte_matrices()


def combine(first: int, second: int, second_size: int) -> int:
    """CRC of A followed by B, out of the CRCs of A and B and the length of B."""
    for matrix in _ZERO_BYTES:
        if not second_size:
            break
        if second_size & 1:
            first = _times(matrix, first)
        second_size >>= 1
    return first ^ second


@dataclass(frozen=True)
class Sums:
    """Digests of some bytes; ``None`` where hashing was switched off."""

    size: int
    md5: str | None
    crc64: int | None


class Hasher:
    """Takes bytes as they come. Beyond ``limit`` bytes it only counts."""

    def __init__(self, limit: int | None = None) -> None:
        self.size = 0
        self._limit = limit
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = 0

    def update(self, data: Buffer) -> None:
        self.size += len(data)
        if self._limit is None or self.size <= self._limit:
            self._md5.update(data)
            self._crc = crc64(data, self._crc)

    def sums(self) -> Sums:
        if self._limit is not None and self.size > self._limit:
            return Sums(self.size, None, None)
        return Sums(self.size, self._md5.hexdigest(), self._crc)


def repeated_crc(pattern: bytes, size: int) -> int:
    """CRC of a pattern repeated up to ``size`` bytes, by doubling."""
    if not size:
        return 0
    times, rest = divmod(size, len(pattern))
    total, unit, length = 0, crc64(pattern), len(pattern)
    while times:
        if times & 1:
            total = combine(total, unit, length)
        unit, length = combine(unit, unit, length), length * 2
        times >>= 1
    return combine(total, crc64(pattern[:rest]), rest)


def sums_of(content: Content) -> Sums:
    """Digests of stored bytes. The CRC of a repeated pattern costs nothing."""
    if isinstance(content, Repeated):
        md5 = hashlib.md5(usedforsecurity=False)
        for piece in content.read(0, content.size):
            md5.update(piece)
        return Sums(content.size, md5.hexdigest(), repeated_crc(content.pattern, content.size))
    hasher = Hasher()
    for piece in content.read(0, content.size):
        hasher.update(piece)
    return hasher.sums()


def md5_hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def md5_base64(data: bytes) -> str:
    """The form of Content-MD5 and of an SSE-C key's MD5."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
