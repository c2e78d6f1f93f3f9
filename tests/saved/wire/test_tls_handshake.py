"""What a handshake tells, step by step, and which keys follow from it."""

from cos_inspect.captures.wire.events import Peers
from cos_inspect.captures.wire.tls_handshake import BEGUN_BEFORE, Handshake
from cos_inspect.captures.wire.tls_key_log import KeyLog
from tests.saved.wire.tls_made import ByHand, client_hello, server_hello


def _shaken(made: ByHand, *, suite: int = 0x1301, version: int = 0x0304) -> Handshake:
    keys = KeyLog()
    keys.add(made.key_log)
    peers = Peers(client="127.0.0.1:5000", server="127.0.0.1:443")
    said = Handshake(keys, peers)
    assert said.why_unread == BEGUN_BEFORE
    said.take_hello("client", 1, client_hello(made.random, early_data=True), 10.0)
    assert said.offers_early_data
    assert said.why_unread == BEGUN_BEFORE
    said.take_hello("server", 2, server_hello(suite, version), 10.1)
    said.tell_duration(10.5)
    assert peers.tls_ms == 500.0
    return said


def test_early_data_is_open_until_the_server_has_said_so() -> None:
    said = _shaken(ByHand())
    assert (said.is_tls13, said.is_tls12, said.is_early_open) == (True, False, True)
    before = said.known
    said.take_extensions(b"\0\0")
    assert said.takes_early_data is False
    assert not said.is_early_open
    assert said.known != before
    said.take_extensions(b"\0\x04\0\x2a\0\0")
    assert said.takes_early_data


def test_each_phase_has_keys_of_its_own() -> None:
    said = _shaken(ByHand())
    assert said.why_unread is None
    found = [
        keys.secret
        for side, phase in (
            ("client", "early"),
            ("client", "handshake"),
            ("client", "application"),
            ("server", "handshake"),
            ("server", "application"),
        )
        if (keys := said.keys_of(side, phase)) is not None  # type: ignore[arg-type]
    ]
    assert len(set(found)) == 5
    assert found[0] is not None
    renewed = said.updated(found[0])
    assert renewed.secret not in found
    stranger = ByHand()
    stranger.random = bytes(32)
    assert _shaken(stranger).keys_of("client", "application") is not None
    unknown = Handshake(KeyLog(), Peers(client="a:1", server="b:2"))
    unknown.take_hello("client", 1, client_hello(bytes(32)), 0.0)
    unknown.take_hello("server", 2, server_hello(0x1301, 0x0304), 0.0)
    assert unknown.keys_of("client", "application") is None


def test_what_cannot_be_read_is_named() -> None:
    assert _shaken(ByHand(), suite=0xC013, version=0x0303).why_unread == (
        "TLS: cipher suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"
    )
    assert _shaken(ByHand(), version=0x0301).why_unread == "TLS: version TLSv1"
    assert _shaken(ByHand(), version=0x7F12).why_unread == "TLS: version 0x7f12"
