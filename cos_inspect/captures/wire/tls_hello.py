"""What the first messages of a TLS handshake say, and messages in pieces.

RFC 8446, 4 and RFC 5246, 7.4; the extensions by their RFCs.
"""

from collections.abc import Iterator

import msgspec

CLIENT_HELLO, SERVER_HELLO, END_OF_EARLY_DATA, ENCRYPTED_EXTENSIONS = 1, 2, 5, 8
FINISHED, KEY_UPDATE = 20, 24
_READ = frozenset({CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS})
"""Messages that are kept until they are whole; of others only the type counts."""
_LONGEST_READ = 128 * 1024
_HEAD = 4
_SNI, _ALPN, _EARLY_DATA, _SUPPORTED_VERSIONS = 0, 16, 42, 43
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
TLS13 = 0x0304


class BadHandshakeError(Exception):
    """A message that is no such message, or longer than any."""


class ClientHello(msgspec.Struct, frozen=True, kw_only=True):
    """What the client asks for."""

    random: bytes
    sni: str | None
    early_data: bool


class ServerHello(msgspec.Struct, frozen=True, kw_only=True):
    """What the server chose."""

    random: bytes
    version: int
    suite: int
    alpn: str | None
    """Of TLS 1.2; later versions hide it in EncryptedExtensions."""

    @property
    def is_retry(self) -> bool:
        """Whether it asks for another ClientHello (RFC 8446, 4.1.4)."""
        return self.random == _RETRY_RANDOM


class EncryptedExtensions(msgspec.Struct, frozen=True, kw_only=True):
    """What the server of TLS 1.3 says under the handshake's keys."""

    alpn: str | None
    early_data: bool
    """Whether what the client sent early is taken."""


class Messages:
    """Joins the messages of one direction, which records cut as they like."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skip = 0

    @property
    def is_inside(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._held or self._skip)

    def forget(self) -> None:
        """A piece of one was lost; what comes begins anew."""
        self._held.clear()
        self._skip = 0

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """Types and bodies of messages that have ended; the body is empty where only the type
        counts.

        :raises BadHandshakeError: when one is too long.
        """
        view = memoryview(data)
        while view:
            if self._skip:
                passed = min(self._skip, len(view))
                self._skip -= passed
                view = view[passed:]
                if not self._skip:
                    yield self._type, b""
                continue
            if len(self._held) < _HEAD:
                piece = view[: _HEAD - len(self._held)]
                self._held += piece
                view = view[len(piece) :]
                if len(self._held) < _HEAD:
                    return
            self._type = self._held[0]
            length = int.from_bytes(self._held[1:_HEAD])
            if self._type not in _READ:
                self._held.clear()
                self._skip = length
                if not length:
                    yield self._type, b""
                continue
            if length > _LONGEST_READ:
                raise BadHandshakeError
            piece = view[: length - (len(self._held) - _HEAD)]
            self._held += piece
            view = view[len(piece) :]
            if len(self._held) == _HEAD + length:
                body = bytes(self._held[_HEAD:])
                self._held.clear()
                yield self._type, body

    _type = 0


class _Reader:
    """Takes fields off the beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise BadHandshakeError
        self._at += count
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def read_client_hello(body: bytes) -> ClientHello:
    """:raises BadHandshakeError: when it is none."""
    reader = _Reader(body)
    reader.take(2)
    random = reader.take(32)
    reader.vector(1)
    reader.vector(2)
    reader.vector(1)
    extensions = _extensions(reader)
    return ClientHello(
        random=random, sni=_sni(extensions.get(_SNI)), early_data=_EARLY_DATA in extensions
    )


def read_server_hello(body: bytes) -> ServerHello:
    """:raises BadHandshakeError: when it is none."""
    reader = _Reader(body)
    version = reader.number(2)
    random = reader.take(32)
    reader.vector(1)
    suite = reader.number(2)
    reader.take(1)
    extensions = _extensions(reader)
    if _SUPPORTED_VERSIONS in extensions:
        version = _Reader(extensions[_SUPPORTED_VERSIONS]).number(2)
    return ServerHello(
        random=random, version=version, suite=suite, alpn=_alpn(extensions.get(_ALPN))
    )


def read_encrypted_extensions(body: bytes) -> EncryptedExtensions:
    """:raises BadHandshakeError: when it is none."""
    extensions = _extensions(_Reader(body))
    return EncryptedExtensions(
        alpn=_alpn(extensions.get(_ALPN)), early_data=_EARLY_DATA in extensions
    )


def _extensions(reader: _Reader) -> dict[int, bytes]:
    if not reader.left:
        return {}
    inside = _Reader(reader.vector(2))
    found = {}
    while inside.left:
        kind = inside.number(2)
        found[kind] = inside.vector(2)
    return found


def _sni(extension: bytes | None) -> str | None:
    """RFC 6066, 3."""
    if not extension:
        return None
    names = _Reader(_Reader(extension).vector(2))
    while names.left:
        kind = names.number(1)
        name = names.vector(2)
        if kind == 0:
            return _text(name)
    return None


def _alpn(extension: bytes | None) -> str | None:
    """RFC 7301, 3.1: the server names one."""
    if not extension:
        return None
    return _text(_Reader(_Reader(extension).vector(2)).vector(1))


def _text(name: bytes) -> str | None:
    """Names are of ASCII (RFC 6066, 3); what is not is nobody's name."""
    text = name.decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() and text else None
