"""Keys and records against published vectors, and against what was not sealed so."""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cos_inspect.captures.wire.tls_cipher import (
    CannotOpenError,
    RecordCipher,
    _prf,
    cipher_of_secret,
    ciphers_of_master_secret,
    expand_label,
    updated_secret,
)
from cos_inspect.captures.wire.tls_records import Record
from cos_inspect.captures.wire.tls_suites import suite_of

AES_128 = suite_of(0x1301)


def sealed(secret: bytes, content: bytes, number: int) -> Record:
    key = expand_label("sha256", secret, "key", 16)
    iv = expand_label("sha256", secret, "iv", 12)
    nonce = (int.from_bytes(iv) ^ number).to_bytes(12)
    head = b"\x17\x03\x03" + (len(content) + 16).to_bytes(2)
    return Record(23, head, memoryview(AESGCM(key).encrypt(nonce, content, head)), 0, -1)


def test_keys_of_tls13_are_those_of_rfc_8448() -> None:
    # Section 3: the server's handshake traffic secret, its key and iv.
    secret = bytes.fromhex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
    assert expand_label("sha256", secret, "key", 16).hex() == "3fce516009c21727d0f2e4e86ee403bc"
    assert expand_label("sha256", secret, "iv", 12).hex() == "5d313eb2671276ee13000b30"


def test_the_prf_of_tls12_is_that_of_its_authors() -> None:
    # https://www.ietf.org/mail-archive/web/tls/current/msg03416.html: P_SHA256, 100 bytes.
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = b"test label" + bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    made = _prf("sha256", secret, seed, 100)
    assert made[:16].hex() == "e3f229ba727be17b8d122620557cd453"
    assert len(made) == 100


def test_records_open_in_their_order_alone() -> None:
    secret = hashlib.sha256(b"secret").digest()
    cipher = cipher_of_secret(AES_128, secret)
    first, second = (sealed(secret, b"content %d\x17" % n, n) for n in (0, 1))
    with pytest.raises(CannotOpenError):
        cipher.open(second)
    assert cipher.open(first) == b"content 0\x17"
    with pytest.raises(CannotOpenError):
        cipher.open(first)
    assert cipher.open(second) == b"content 1\x17"
    assert cipher.opened(first, 0) == b"content 0\x17"


def test_a_changed_or_short_record_does_not_open() -> None:
    secret = hashlib.sha256(b"secret").digest()
    good = sealed(secret, b"content\x17", 0)
    for body in (b"", bytes(5), bytes(16), bytes(good.body)[:-1], b"\0" + bytes(good.body)[1:]):
        with pytest.raises(CannotOpenError):
            cipher_of_secret(AES_128, secret).open(good._replace(body=memoryview(body)))
    with pytest.raises(CannotOpenError):
        cipher_of_secret(AES_128, secret).open(good._replace(head=b"\x17\x03\x03\x00\x19"))


def test_sides_have_keys_of_their_own() -> None:
    for number in (0xC02F, 0xC030, 0xCCA8, 0xC09C, 0xC0A0):
        suite = suite_of(number)
        client, server = ciphers_of_master_secret(suite, bytes(48), bytes(32), bytes(32))
        assert client._iv != server._iv
        assert client.overhead in (16, 24)


def test_a_secret_is_renewed() -> None:
    secret = bytes(32)
    assert updated_secret(AES_128, secret) == expand_label("sha256", secret, "traffic upd", 32)


def test_it_shows_no_key() -> None:
    cipher = RecordCipher(AES_128, b"k" * 16, b"v" * 12, tls13=True)
    assert "kkkk" not in repr(cipher)
    assert "vvvv" not in repr(cipher)
