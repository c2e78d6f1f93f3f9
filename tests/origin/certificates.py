"""A CA, and a certificate for whatever server name a client asks for."""

import ssl
from pathlib import Path

import trustme


class Certificates:
    """``protocol`` is what its servers agree to speak (ALPN)."""

    def __init__(self, protocol: str = "http/1.1") -> None:
        self._ca = trustme.CA()
        self._protocol = protocol
        self._contexts: dict[str, ssl.SSLContext] = {}

    def write_ca(self, path: str) -> None:
        self._ca.cert_pem.write_to_path(path)

    def write_certificate(self, chain: Path, key: Path, *names: str) -> None:
        """A certificate for these names, in two files."""
        issued = self._ca.issue_cert(*names)
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())

    def server_context(self) -> ssl.SSLContext:
        context = self._context("127.0.0.1", "localhost")
        context.sni_callback = self._choose
        return context

    def _context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names).configure_cert(context)
        context.set_alpn_protocols([self._protocol])
        return context

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        if name:
            if name not in self._contexts:
                self._contexts[name] = self._context(name)
            connection.context = self._contexts[name]
        return None
