"""TLS connections made in memory by OpenSSL, and what a ``StreamReader`` was told."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL, crypto

from cos_inspect.captures.wire.events import Peers, Side, StreamEnd
from cos_inspect.captures.wire.tls_key_log import KeyLog
from cos_inspect.captures.wire.tls_reader import TlsReader
from cos_inspect.model.capture_account import CaptureAccount

_NAME = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
_BUFFER = 64 * 1024


@dataclass(frozen=True)
class Sent:
    """What a side sends inside of the connection."""

    side: Side
    data: bytes


@dataclass(frozen=True)
class Data:
    side: Side
    data: bytes


@dataclass(frozen=True)
class Hole:
    side: Side
    length: int | None


@dataclass(frozen=True)
class End:
    side: Side
    how: StreamEnd = StreamEnd.FIN


Event = Data | Hole | End


@dataclass
class Made:
    """A connection as its packets would tell it."""

    events: list[Event] = field(default_factory=list)
    key_log: bytes = b""
    suite: str = ""
    session: Any = None

    def bytes_of(self, side: Side) -> bytes:
        return b"".join(
            each.data for each in self.events if isinstance(each, Data) and each.side == side
        )


@functools.cache
def _certificates() -> tuple[trustme.CA, dict[str, trustme.LeafCert]]:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    return ca, {
        "ecdsa": ca.issue_cert(_NAME, key_type=trustme.KeyType.ECDSA),
        "rsa": ca.issue_cert(_NAME, key_type=trustme.KeyType.RSA),
    }


def server_context(
    kind: Literal["ecdsa", "rsa"] = "ecdsa", alpn: bytes | None = None
) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    leaf = _certificates()[1][kind]
    chain = [
        crypto.load_certificate(crypto.FILETYPE_PEM, blob.bytes()) for blob in leaf.cert_chain_pems
    ]
    context.use_certificate(chain[0])
    context.use_privatekey(
        crypto.load_privatekey(crypto.FILETYPE_PEM, leaf.private_key_pem.bytes())
    )
    context.set_session_id(b"tests")
    if alpn is not None:
        context.set_alpn_select_callback(lambda _connection, _offered: alpn)
    return context


def client_context(
    version: int = SSL.TLS1_3_VERSION, suites: str | None = None, alpn: Sequence[bytes] = ()
) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    if alpn:
        context.set_alpn_protos(list(alpn))
    _choose(context, version, suites)
    return context


def _choose(context: SSL.Context, version: int, suites: str | None) -> None:
    if suites is None:
        return
    if version == SSL.TLS1_3_VERSION:
        context.set_tls13_ciphersuites(suites.encode())
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
    else:
        context.set_cipher_list(f"{suites}:@SECLEVEL=0".encode())


def connect(
    inside: Iterable[Sent],
    *,
    version: int = SSL.TLS1_3_VERSION,
    suites: str | None = None,
    kind: Literal["ecdsa", "rsa"] = "ecdsa",
    alpn: bytes | None = None,
    session: Any = None,
    client: SSL.Context | None = None,
    server: SSL.Context | None = None,
    closes: Sequence[Side] = ("client", "server"),
) -> Made:
    """Shakes hands, sends what is inside in this order, and closes."""
    made = Made()
    if client is None:
        client = client_context(version, suites, [alpn] if alpn else ())
    if server is None:
        server = server_context(kind, alpn)
        server.set_min_proto_version(SSL.TLS1_VERSION)
        _choose(server, version, suites)
    lines: list[bytes] = []
    client.set_keylog_callback(lambda _connection, line: lines.append(line))
    ends: dict[Side, SSL.Connection] = {
        "client": SSL.Connection(client, None),
        "server": SSL.Connection(server, None),
    }
    ends["client"].set_connect_state()
    ends["client"].set_tlsext_host_name(_NAME.encode())
    ends["server"].set_accept_state()
    if session is not None:
        ends["client"].set_session(session)

    def shake(side: Side) -> None:
        try:
            ends[side].do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            failed.append(side)
        pump(side)

    def pump(side: Side) -> None:
        other: Side = "server" if side == "client" else "client"
        while True:
            try:
                data = ends[side].bio_read(_BUFFER)
            except SSL.WantReadError:
                return
            made.events.append(Data(side, data))
            ends[other].bio_write(data)

    failed: list[Side] = []
    for _ in range(6):
        shake("client")
        shake("server")
        if failed:
            break
    if not failed:
        received = {"client": b"", "server": b""}
        for each in inside:
            view = each.data
            other: Side = "server" if each.side == "client" else "client"
            while view:
                sent = ends[each.side].send(view[:_BUFFER])
                view = view[sent:]
                pump(each.side)
                received[other] += _read(ends[other])
        _read(ends["client"])
        made.suite = ends["client"].get_cipher_name() or ""
        made.session = ends["client"].get_session()
        for side in closes:
            ends[side].shutdown()
            pump(side)
    made.events += [End("client"), End("server")]
    made.key_log = b"\n".join(lines) + b"\n"
    return made


def _read(connection: SSL.Connection) -> bytes:
    got = b""
    while True:
        try:
            got += connection.recv(_BUFFER)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            return got


@dataclass
class Told:
    """A ``StreamReader`` that keeps what it is told, data joined; and how it began."""

    events: list[Event] = field(default_factory=list)
    first: bytes | None = None
    alpn: str | None = None
    times: list[float] = field(default_factory=list)
    positions: list[tuple[Side, int]] = field(default_factory=list)

    def data(self, side: Side, data: bytes, time: float, position: int, acknowledged: int) -> None:
        assert isinstance(data, bytes)
        assert data
        self.times.append(time)
        self.positions.append((side, position))
        self.events.append(Data(side, data))

    def hole(self, side: Side, length: int | None, time: float) -> None:
        self.events.append(Hole(side, length))

    def end(self, side: Side, how: StreamEnd, time: float) -> None:
        assert not any(isinstance(e, End) and e.side == side for e in self.events), "ended twice"
        self.events.append(End(side, how))

    @property
    def held(self) -> int:
        return 0

    def of(self, side: Side) -> list[Event]:
        """What was told of one side, pieces of data joined."""
        joined: list[Event] = []
        for each in self.events:
            if each.side != side:
                continue
            before = joined[-1] if joined else None
            if isinstance(each, Data) and isinstance(before, Data):
                joined[-1] = Data(side, before.data + each.data)
            else:
                joined.append(each)
        return joined

    def bytes_of(self, side: Side) -> bytes:
        return b"".join(
            each.data for each in self.events if isinstance(each, Data) and each.side == side
        )


@dataclass
class Read:
    told: Told
    account: CaptureAccount
    peers: Peers


def read(
    events: Iterable[Event],
    key_log: bytes | KeyLog,
    *,
    before: Callable[[int, KeyLog], None] | None = None,
) -> Read:
    """Has a ``TlsReader`` read it; every event is a second after the one before."""
    if isinstance(key_log, KeyLog):
        keys = key_log
    else:
        keys = KeyLog()
        keys.add(key_log)
    account = CaptureAccount(format="pcap")
    peers = Peers(client="10.0.0.5:41234", server="203.0.113.9:443")
    told = Told()

    def inner(first: bytes, alpn: str | None) -> Told:
        assert told.first is None, "made twice"
        told.first, told.alpn = first, alpn
        return told

    reader = TlsReader(keys, peers, account, inner)
    at: dict[Side, int] = {"client": 0xFFFFFF00, "server": 5}
    for number, each in enumerate(events):
        if before is not None:
            before(number, keys)
        if isinstance(each, Data):
            other: Side = "server" if each.side == "client" else "client"
            reader.data(each.side, each.data, float(number), at[each.side], at[other])
            at[each.side] = (at[each.side] + len(each.data)) & 0xFFFFFFFF
        elif isinstance(each, Hole):
            reader.hole(each.side, each.length, float(number))
            at[each.side] = (at[each.side] + (each.length or 0)) & 0xFFFFFFFF
        else:
            reader.end(each.side, each.how, float(number))
    return Read(told, account, peers)


def raw(connection: SSL.Connection) -> Any:
    """The connection as OpenSSL's own functions take it."""
    return cast(Any, connection)._ssl


def client_hello(client_random: bytes, *, early_data: bool = False) -> bytes:
    """The body of the message; of TLS 1.3."""
    extensions = b"\x00\x2b\x00\x03\x02\x03\x04"
    if early_data:
        extensions += b"\x00\x2a\x00\x00"
    hello = b"\x03\x03" + client_random + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    return hello + len(extensions).to_bytes(2) + extensions


def server_hello(suite: int, version: int) -> bytes:
    """The body of the message; the version stands where TLS 1.3 has it."""
    hello = b"\x03\x03" + bytes(32) + b"\x00" + suite.to_bytes(2) + b"\x00"
    return hello + b"\x00\x06\x00\x2b\x00\x02" + version.to_bytes(2)


class ByHand:
    """A connection of TLS 1.3 with secrets out of the blue: for what OpenSSL does not send when it
    is asked to. Its own key schedule, by RFC 8446."""

    def __init__(self, *, hash_length: int = 32, early_data: bool = False) -> None:
        self.random = bytes(range(32))
        self._suite = 0x1301 if hash_length == 32 else 0x1302
        self._hash: hashes.HashAlgorithm = hashes.SHA256() if hash_length == 32 else hashes.SHA384()
        self._key_length = 16 if hash_length == 32 else 32
        self._secrets: dict[str, bytes] = {}
        for number, label in enumerate(
            (
                "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                "CLIENT_TRAFFIC_SECRET_0",
                "SERVER_TRAFFIC_SECRET_0",
                "CLIENT_EARLY_TRAFFIC_SECRET",
            )
        ):
            self._secrets[label] = bytes([number + 1] * hash_length)
        self._current: dict[Side, bytes] = {
            "client": self._secrets["CLIENT_HANDSHAKE_TRAFFIC_SECRET"],
            "server": self._secrets["SERVER_HANDSHAKE_TRAFFIC_SECRET"],
        }
        self._numbers: dict[Side, int] = {"client": 0, "server": 0}
        self._early = early_data

    @property
    def key_log(self) -> bytes:
        lines = [
            f"{label} {self.random.hex()} {secret.hex()}" for label, secret in self._secrets.items()
        ]
        return "\n".join(lines).encode()

    def shake(self, *, encrypted_extensions: bytes = b"\0\0") -> list[Event]:
        client = client_hello(self.random, early_data=self._early)
        server = server_hello(self._suite, 0x0304)
        events: list[Event] = [
            Data("client", _plain(22, message(1, client))),
            Data("server", _plain(22, message(2, server))),
            Data("server", _plain(20, b"\x01")),
            Data("server", self.sealed("server", 22, message(8, encrypted_extensions))),
            # Certificates are long, and nobody needs them.
            Data("server", self.sealed("server", 22, message(11, bytes(9000))[:5000])),
            Data("server", self.sealed("server", 22, message(11, bytes(9000))[5000:])),
            Data("server", self.sealed("server", 22, message(20, bytes(32)))),
        ]
        self.begin("server", "SERVER_TRAFFIC_SECRET_0")
        if not self._early:
            events += self.finish()
        return events

    def finish(self) -> list[Event]:
        """The client's last message of the handshake."""
        self.begin("client", "CLIENT_HANDSHAKE_TRAFFIC_SECRET")
        events: list[Event] = [
            Data("client", _plain(20, b"\x01")),
            Data("client", self.sealed("client", 22, message(20, bytes(32)))),
        ]
        self.begin("client", "CLIENT_TRAFFIC_SECRET_0")
        return events

    def begin(self, side: Side, label: str) -> None:
        self._current[side] = self._secrets[label]
        self._numbers[side] = 0

    def update(self, side: Side) -> bytes:
        """The record of a KeyUpdate; what follows is under the next keys."""
        record = self.sealed(side, 22, message(24, b"\0"))
        secret = self._current[side]
        self._current[side] = self._expand(secret, b"traffic upd", len(secret))
        self._numbers[side] = 0
        return record

    def sealed(self, side: Side, kind: int, content: bytes, padding: int = 0) -> bytes:
        secret = self._current[side]
        key = self._expand(secret, b"key", self._key_length)
        iv = self._expand(secret, b"iv", 12)
        number = self._numbers[side].to_bytes(12)
        self._numbers[side] += 1
        nonce = bytes(a ^ b for a, b in zip(iv, number, strict=True))
        inside = content + bytes([kind]) + bytes(padding)
        head = b"\x17\x03\x03" + (len(inside) + 16).to_bytes(2)
        return head + AESGCM(key).encrypt(nonce, inside, head)

    def _expand(self, secret: bytes, label: bytes, length: int) -> bytes:
        label = b"tls13 " + label
        info = length.to_bytes(2) + len(label).to_bytes(1) + label + b"\0"
        return HKDFExpand(self._hash, length, info).derive(secret)


def message(kind: int, body: bytes) -> bytes:
    """A message of the handshake."""
    return bytes([kind]) + len(body).to_bytes(3) + body


def _plain(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + b"\x03\x03" + len(content).to_bytes(2) + content
