"""MD5 and CRC-64 of bytes as they pass, and the CRC-64 of joined pieces.

The CRC is CRC-64/XZ: the polynomial of ECMA-182, reflected, with all ones
before and after. COS sends it as an unsigned decimal in
``x-cos-hash-crc64ecma``. Its value for no bytes is 0.
"""

import hashlib
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import import_module
from typing import NamedTuple

Bytes = bytes | memoryview
"""A piece of a body; a memoryview has items of one byte."""

_POLYNOMIAL = 0x42F0E1EBA9EA3693
_REFLECTED = 0xC96C5795D7870F42
_ALL_ONES = 0xFFFFFFFFFFFFFFFF


class Backend(NamedTuple):
    """One way to compute the CRC."""

    name: str
    crc64: Callable[[Bytes, int], int]
    """CRC of what had the given CRC, followed by the bytes."""


def fastcrc_backend() -> Backend:
    """The fast one, which lets other threads run while it works.

    :raises ImportError: where there is no wheel and it could not be compiled.
    """
    return Backend("fastcrc", import_module("fastcrc").crc64.xz)


def crcmod_backend() -> Backend:
    """The one that works everywhere, since crcmod comes with pure Python too."""
    crcmod = import_module("crcmod")
    crc64 = crcmod.mkCrcFun((1 << 64) | _POLYNOMIAL, initCrc=0, rev=True, xorOut=_ALL_ONES)
    return Backend("crcmod", crc64)


def load_backend() -> Backend:
    """The fastest backend that can be imported here."""
    try:
        return fastcrc_backend()
    except ImportError:
        return crcmod_backend()


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials modulo that of the CRC.

    Bit 63 is the coefficient of x^0, as in every reflected CRC.
    """
    product = 0
    while a:
        if a >> 63:
            product ^= b
        a = (a << 1) & _ALL_ONES
        b = (b >> 1) ^ (_REFLECTED if b & 1 else 0)
    return product


@cache
def _power(exponent: int) -> int:
    """x to the power of two to the power of ``exponent``."""
    if exponent == 0:
        return 1 << 62
    root = _power(exponent - 1)
    return _multiply(root, root)


@lru_cache(maxsize=256)
def _shift(length: int) -> int:
    """What a CRC is multiplied by when ``length`` bytes follow: x^(8 length)."""
    factor = 1 << 63
    for place in range(length.bit_length()):
        if length >> place & 1:
            factor = _multiply(factor, _power(place + 3))
    return factor


BACKEND = load_backend()
_crc64 = BACKEND.crc64


def crc64(data: Bytes, crc: int = 0) -> int:
    """CRC-64 of ``data``; with ``crc``, of what had that CRC followed by ``data``."""
    return _crc64(data, crc)


def combine_crc64(crc_a: int, crc_b: int, length_b: int) -> int:
    """CRC-64 of A followed by B, where B is ``length_b`` bytes long.

    Costs microseconds however long B is. It is associative, so neighbours may
    be joined in any order; an empty piece (CRC 0, length 0) changes nothing.
    """
    # What all ones put in before and after cancels out when the two are added.
    return _multiply(crc_a, _shift(length_b)) ^ crc_b


class Digester:
    """Size, MD5 and CRC-64 of bytes fed in order.

    It may be fed from any thread, one call at a time: MD5 lets other threads
    run while it works on more than 2 KiB. Results are read when the last
    ``feed`` has returned, and may be read in between.
    """

    __slots__ = ("_crc64", "_md5", "size")

    def __init__(self, md5: bool, crc64: bool) -> None:
        self.size = 0
        """Bytes fed so far."""
        # The MD5 here is a checksum that COS chose, so FIPS mode may allow it.
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._crc64: int | None = 0 if crc64 else None

    def feed(self, chunk: Bytes) -> None:
        """Take the next bytes."""
        self.size += len(chunk)
        if self._md5 is not None:
            self._md5.update(chunk)
        if self._crc64 is not None:
            self._crc64 = _crc64(chunk, self._crc64)

    def md5_hex(self) -> str | None:
        """Lower-case hex; None when MD5 was not asked for."""
        return None if self._md5 is None else self._md5.hexdigest()

    def crc64_value(self) -> int | None:
        """None when the CRC was not asked for."""
        return self._crc64
