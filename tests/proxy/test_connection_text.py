"""What mitmproxy's texts about handshakes and connections mean."""

import pytest

from cos_inspect.proxy.connection_text import (
    client_failure,
    connect_failure,
    quic_failure,
    server_failure,
)
from cos_inspect.rules.connection_cause import Failure


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("self-signed certificate in certificate chain", "client-refused-certificate"),
        ("unable to get local issuer certificate", "client-refused-certificate"),
        ("27:TLS handshake failure (ENCRYPTION_HANDSHAKE) 46: certificate unknown",
         "client-refused-certificate"),
        ("tls: unknown_ca", "client-refused-certificate"),
        ("unknown error (0x12a)", "client-refused-certificate"),
        ("unknown error (0x130)", "client-refused-certificate"),
        ("unknown error (0x128)", "client-handshake"),
        ("no common application protocol", "client-handshake"),
        ("connection closed", "client-closed-in-handshake"),
    ],
)  # fmt: skip
def test_a_client_over_quic(text: str, failed: Failure) -> None:
    assert quic_failure(text, hello=True) == failed


def test_before_its_hello_a_client_has_seen_nothing() -> None:
    assert quic_failure("connection closed", hello=False) is None
    text = "The client disconnected during the handshake."
    assert client_failure(text, hello=False) is None
    assert client_failure(text, hello=True) == "client-closed-in-handshake"


@pytest.mark.parametrize(
    ("text", "is_quic", "failed"),
    [
        ("Certificate verify failed: self-signed certificate", False, "upstream-certificate"),
        ("unable to get local issuer certificate", True, "upstream-certificate"),
        ("hostname 'a.example' doesn't match 'b.example'", True, "upstream-certificate"),
        ("idle timeout", True, "upstream-tls"),
        ("connection closed", False, "upstream-tls"),
    ],
)
def test_a_server(text: str, is_quic: bool, failed: Failure) -> None:
    assert server_failure(text, is_quic=is_quic) == failed


def test_a_connection_that_could_not_be_made() -> None:
    assert connect_failure("[Errno 111] Connect call failed") == "upstream-refused"
    assert connect_failure("something timed out") == "upstream-timeout"
    assert connect_failure("something else") == "upstream-connect"
