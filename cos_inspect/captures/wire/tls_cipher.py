"""How the records of one direction are opened: keys of TLS 1.2 and 1.3, and AEAD.

RFC 8446 (7: key schedule, 5.2: records), RFC 5246 (5, 6.3), RFC 5288, 6655 and 7905.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from cos_inspect.captures.wire.tls_records import Record
from cos_inspect.captures.wire.tls_suites import Suite

_HASHES = {"sha256": hashes.SHA256, "sha384": hashes.SHA384}
_TAG = 16
_SHORT_TAG = 8
_NONCE = 12
_SALT = 4
_EXPLICIT = _NONCE - _SALT
"""Bytes of a nonce that stand in each record of TLS 1.2 with AES."""
HASH_LENGTHS = {"sha256": 32, "sha384": 48}

_Aead = AESGCM | AESCCM | ChaCha20Poly1305


class CannotOpenError(Exception):
    """A record that the key does not fit, or that was changed."""


class RecordCipher:
    """Opens the records of one direction, one after the other."""

    def __init__(self, suite: Suite, key: bytes, iv: bytes, *, tls13: bool) -> None:
        self._aead = _aead(suite, key)
        self._iv = iv
        self._iv_number = int.from_bytes(iv.ljust(_NONCE, b"\0"))
        self._explicit = 0 if tls13 or suite.aead == "chacha20-poly1305" else _EXPLICIT
        self.tls13 = tls13
        self._tag = _SHORT_TAG if suite.aead == "aes-ccm-8" else _TAG
        self.sequence = 0
        """Of the next record."""

    @property
    def overhead(self) -> int:
        """Bytes that a record has besides what is inside of it, without its head."""
        return self._tag + self._explicit

    def open(self, record: Record) -> bytes:
        """What is inside of the next record; of TLS 1.3 with type and padding.

        :raises CannotOpenError: the next one is still the same.
        """
        plain = self.opened(record, self.sequence)
        if plain is None:
            raise CannotOpenError
        self.sequence += 1
        return plain

    def opened(self, record: Record, sequence: int) -> bytes | None:
        """The same of the record of that number; None where it is another one."""
        body = record.body
        length = len(body) - self.overhead
        if length < 0:
            return None
        if self.tls13:
            head = record.head
        else:
            head = sequence.to_bytes(8) + record.head[:3] + length.to_bytes(2)
        if self._explicit:
            nonce = self._iv + body[:_EXPLICIT]
            body = body[_EXPLICIT:]
        else:
            nonce = (self._iv_number ^ sequence).to_bytes(_NONCE)
        try:
            return self._aead.decrypt(nonce, body, head)
        except InvalidTag:
            return None


def _aead(suite: Suite, key: bytes) -> _Aead:
    if suite.aead == "chacha20-poly1305":
        return ChaCha20Poly1305(key)
    if suite.aead == "aes-gcm":
        return AESGCM(key)
    return AESCCM(key, _SHORT_TAG if suite.aead == "aes-ccm-8" else _TAG)


def expand_label(hash_name: str, secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label of TLS 1.3, without context."""
    name = b"tls13 " + label.encode()
    info = length.to_bytes(2) + bytes([len(name)]) + name + b"\0"
    return HKDFExpand(_HASHES[hash_name](), length, info).derive(secret)


def updated_secret(suite: Suite, secret: bytes) -> bytes:
    """The traffic secret after a KeyUpdate."""
    return expand_label(suite.hash, secret, "traffic upd", HASH_LENGTHS[suite.hash])


def cipher_of_secret(suite: Suite, secret: bytes) -> RecordCipher:
    """Of TLS 1.3, for a traffic secret."""
    key = expand_label(suite.hash, secret, "key", suite.key_length)
    iv = expand_label(suite.hash, secret, "iv", _NONCE)
    return RecordCipher(suite, key, iv, tls13=True)


def ciphers_of_master_secret(
    suite: Suite, master: bytes, client_random: bytes, server_random: bytes
) -> tuple[RecordCipher, RecordCipher]:
    """Of TLS 1.2: the client's and the server's."""
    iv_length = _NONCE if suite.aead == "chacha20-poly1305" else _SALT
    key = suite.key_length
    seed = b"key expansion" + server_random + client_random
    block = _prf(suite.hash, master, seed, 2 * (key + iv_length))
    ivs = block[2 * key :]
    return (
        RecordCipher(suite, block[:key], ivs[:iv_length], tls13=False),
        RecordCipher(suite, block[key : 2 * key], ivs[iv_length:], tls13=False),
    )


def _prf(hash_name: str, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash of RFC 5246, 5."""
    digest = getattr(hashlib, hash_name)
    made, link = b"", seed
    while len(made) < length:
        link = hmac.digest(secret, link, digest)
        made += hmac.digest(secret, link + seed, digest)
    return made[:length]
