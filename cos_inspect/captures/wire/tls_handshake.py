"""What both sides of a TLS connection say in their handshake, and the keys that follow."""

from typing import Literal, NamedTuple

from cos_inspect.captures.wire.events import Peers, Side
from cos_inspect.captures.wire.tls_cipher import (
    RecordCipher,
    cipher_of_secret,
    ciphers_of_master_secret,
    updated_secret,
)
from cos_inspect.captures.wire.tls_hello import (
    CLIENT_HELLO,
    SERVER_HELLO,
    TLS13,
    ClientHello,
    ServerHello,
    read_client_hello,
    read_encrypted_extensions,
    read_server_hello,
)
from cos_inspect.captures.wire.tls_key_log import MASTER_SECRET, KeyLog
from cos_inspect.captures.wire.tls_suites import Suite, suite_of

BEGUN_BEFORE = "TLS: the handshake is not in the capture"

Phase = Literal["plain", "early", "handshake", "application", "protected"]
"""Which keys a direction has. ``protected`` is all that comes after ChangeCipherSpec in TLS 1.2."""

_VERSIONS = {
    0x0300: "SSLv3",
    0x0301: "TLSv1",
    0x0302: "TLSv1.1",
    0x0303: "TLSv1.2",
    TLS13: "TLSv1.3",
}
_TLS12 = 0x0303
_TLCP = 0x0101
_SECRETS: dict[tuple[Side, Phase], str] = {
    ("client", "early"): "CLIENT_EARLY_TRAFFIC_SECRET",
    ("client", "handshake"): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    ("server", "handshake"): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    ("client", "application"): "CLIENT_TRAFFIC_SECRET_0",
    ("server", "application"): "SERVER_TRAFFIC_SECRET_0",
}


class PhaseKeys(NamedTuple):
    """Of one direction."""

    cipher: RecordCipher
    secret: bytes | None
    """Of TLS 1.3."""


class Handshake:
    """Of one connection. Fills in of ``peers`` what it learns."""

    def __init__(self, keys: KeyLog, peers: Peers) -> None:
        self._keys = keys
        self._peers = peers
        self._begun: float | None = None
        self.client_hello: ClientHello | None = None
        self.server_hello: ServerHello | None = None
        self._suite: Suite | None = None
        self.is_retried = False
        """The server asked for another hello."""
        self.has_second_hello = False
        self.takes_early_data: bool | None = None
        """Whether the server said that it takes what the client sent early; None before it did."""
        self.alpn: str | None = None

    @property
    def known(self) -> tuple[bool | None, ...]:
        """What a side may wait for; it changes as something is learned."""
        return (
            self.client_hello is None,
            self.server_hello is None,
            self.is_retried,
            self.has_second_hello,
            self.takes_early_data,
        )

    @property
    def is_tls13(self) -> bool:
        """As the server chose."""
        return self.server_hello is not None and self.server_hello.version == TLS13

    @property
    def is_tls12(self) -> bool:
        """Or an older one, as the server chose."""
        return self.server_hello is not None and not self.is_tls13

    @property
    def offers_early_data(self) -> bool:
        """The client may have sent data before it heard anything."""
        return self.client_hello is not None and self.client_hello.early_data

    @property
    def is_early_open(self) -> bool:
        """Whether the client may have sent data early, and nobody knows whether it counts."""
        return (
            self.offers_early_data
            and self.is_tls13
            and not self.is_retried
            and self.takes_early_data is None
        )

    def take_hello(self, side: Side, kind: int, body: bytes, time: float) -> None:
        """A message of the handshake that is not under keys.

        :raises BadHandshakeError: where it is none.
        """
        if side == "client":
            if kind == CLIENT_HELLO:
                if self.client_hello is None:
                    self.client_hello = read_client_hello(body)
                    self._begun = time
                    self._peers.sni = self.client_hello.sni or self._peers.sni
                else:
                    self.has_second_hello = True
        elif kind == SERVER_HELLO:
            hello = read_server_hello(body)
            if hello.is_retry:
                self.is_retried = True
                return
            self.server_hello = hello
            self._peers.tls = _VERSIONS.get(hello.version)
            self._suite = suite_of(hello.suite)
            self.alpn = hello.alpn

    def take_extensions(self, body: bytes) -> None:
        """The server's EncryptedExtensions.

        :raises BadHandshakeError: where it is none.
        """
        said = read_encrypted_extensions(body)
        self.alpn = said.alpn
        self.takes_early_data = said.early_data

    def tell_duration(self, time: float) -> None:
        """From the client's hello to the last Finished, which came then."""
        if self._begun is not None:
            self._peers.tls_ms = max(0.0, (time - self._begun) * 1000)

    @property
    def why_unread(self) -> str | None:
        """Why nothing can be opened, whatever the key log has."""
        if self.client_hello is None or self.server_hello is None or self._suite is None:
            return BEGUN_BEFORE
        version = self.server_hello.version
        if version not in (_TLS12, TLS13):
            name = "TLCP" if version == _TLCP else _VERSIONS.get(version, f"0x{version:04x}")
            return f"TLS: version {name}"
        return None if self._suite.aead is not None else f"TLS: cipher suite {self._suite.name}"

    def keys_of(self, side: Side, phase: Phase) -> PhaseKeys | None:
        """Of a direction in a phase; None where the key log does not have them."""
        hello, answer, suite = self.client_hello, self.server_hello, self._suite
        if hello is None or answer is None or suite is None:
            return None
        if self.is_tls13:
            secret = self._keys.secret(_SECRETS[side, phase], hello.random)
            return None if secret is None else PhaseKeys(cipher_of_secret(suite, secret), secret)
        master = self._keys.secret(MASTER_SECRET, hello.random)
        if master is None:
            return None
        ciphers = ciphers_of_master_secret(suite, master, hello.random, answer.random)
        return PhaseKeys(ciphers[side == "server"], None)

    def updated(self, secret: bytes) -> PhaseKeys:
        """Those behind a KeyUpdate, of TLS 1.3."""
        assert self._suite is not None
        secret = updated_secret(self._suite, secret)
        return PhaseKeys(cipher_of_secret(self._suite, secret), secret)
