"""One direction of a connection: its queue, its keys, and what its records hold."""

import pytest

from cos_inspect.captures.wire.events import COST, Segment
from cos_inspect.captures.wire.tls_cipher import CannotOpenError, cipher_of_secret
from cos_inspect.captures.wire.tls_direction import TlsDirection
from cos_inspect.captures.wire.tls_records import LostRecord, Record
from tests.saved.wire.test_tls_cipher import AES_128, sealed

SECRET = bytes(range(32))


def _under_keys() -> TlsDirection:
    half = TlsDirection("client")
    half.begin("application")
    half.cipher = cipher_of_secret(AES_128, SECRET)
    return half


def test_what_waits_is_counted_in_bytes() -> None:
    half = TlsDirection("client")
    half.put(Segment(b"abc", 1.0, 0, -1))
    half.put(Segment(b"de", 2.0, 3, -1))
    assert half.waiting == 5
    assert half.held == 5 + 2 * COST
    assert half.next() == Segment(b"abc", 1.0, 0, -1)
    assert (half.waiting, half.time) == (2, 1.0)
    half.close()
    assert half.over
    assert not half.queue
    assert half.waiting == 0


def test_the_type_stands_before_the_padding() -> None:
    half = _under_keys()
    assert half.open(sealed(SECRET, b"data\x17", 0)) == (0x17, b"data")
    assert (half.has_opened, half.has_padding) == (True, False)
    assert half.open(sealed(SECRET, b"data\x16\0\0", 1)) == (0x16, b"data")
    assert half.has_padding
    with pytest.raises(CannotOpenError):
        half.open(sealed(SECRET, b"\0\0\0", 2))
    half.begin("application")
    assert (half.cipher, half.secret, half.has_opened) == (None, None, False)


def test_a_lost_record_has_a_length_inside() -> None:
    assert _under_keys().inner_length(LostRecord(23, 5 + 1 + 16)) == 5


def test_a_record_that_waits_is_kept_whole() -> None:
    half, data = TlsDirection("client"), bytearray(b"bytes")
    half.keep(Record(23, b"head!", memoryview(data), 0, -1), 3)
    data[:] = b"other"
    assert isinstance(half.tried, Record)
    assert bytes(half.tried.body) == b"bytes"
    assert half.tried_version == 3


def test_a_lost_record_waits_as_it_is() -> None:
    half = TlsDirection("client")
    half.keep(LostRecord(23, 5), 4)
    assert half.tried == LostRecord(23, 5)
