"""Key logs: the secrets of TLS connections, as programs write them for ``SSLKEYLOGFILE``.

The format is NSS', https://datatracker.ietf.org/doc/draft-ietf-tls-keylogfile/. What it holds
stands in no output: nothing here is shown but counts.
"""

import codecs

_RANDOM_LENGTH = 32
_SECRET_LENGTHS = frozenset({32, 48, 64})
"""Of the hashes that TLS 1.3 knows; a master secret of TLS 1.2 has 48 bytes."""
MASTER_SECRET = "CLIENT_RANDOM"
_READ = frozenset(
    {
        MASTER_SECRET,
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    }
)
"""Labels of secrets that open records; those that come later are made of the first ones."""
_OTHERS = (
    "EARLY_EXPORTER_",
    "EXPORTER_",
    "CLIENT_TRAFFIC_SECRET_",
    "SERVER_TRAFFIC_SECRET_",
    "ECH_",
    "QUIC_",
    "RSA",
    "PMS_CLIENT_RANDOM",
)
"""How lines begin that are well-formed, and not needed here."""
_LONGEST_LINE = 1024
_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class KeyLog:
    """Secrets by label and by the random bytes that the client's hello has."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, bytes], bytes] = {}
        self.odd = 0
        """Lines that are no line of a key log."""
        self.version = 0
        """Grows when there are more secrets than before."""

    def __len__(self) -> int:
        """How many secrets it holds."""
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"<KeyLog of {len(self)} secrets>"

    def copy(self) -> "KeyLog":
        """Another one that holds the same."""
        other = KeyLog()
        other._secrets = dict(self._secrets)
        other.odd = self.odd
        return other

    def add(self, text: bytes) -> None:
        """Takes the lines of a key log, whole; what is odd is counted and passed over."""
        for mark, name in _UTF16:
            if text.startswith(mark):
                text = text.decode(name, "replace").encode("utf-8", "replace")
        before = len(self._secrets)
        for line in text.removeprefix(codecs.BOM_UTF8).splitlines():
            line = line.strip(b" \t\0\xef\xbb\xbf")  # noqa: PLW2901
            if line and not line.startswith(b"#") and not self._add(line):
                self.odd += 1
        self.version += len(self._secrets) > before

    def _add(self, line: bytes) -> bool:
        if len(line) > _LONGEST_LINE:
            return False
        words = [word.decode("latin-1") for word in line.split()]
        label = words[0].upper() if words else ""
        if label not in _READ:
            return label.startswith(_OTHERS)
        if len(words) != 3:
            return False
        try:
            random, secret = bytes.fromhex(words[1]), bytes.fromhex(words[2])
        except ValueError:
            return False
        if len(random) != _RANDOM_LENGTH or len(secret) not in _SECRET_LENGTHS:
            return False
        self._secrets[label, random] = secret
        return True

    def secret(self, label: str, client_random: bytes) -> bytes | None:
        """None where the log has none for this connection."""
        return self._secrets.get((label, client_random))
