"""Key logs: what is read of them, what is passed over, and that nothing of them is shown."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.wire.tls_key_log import MASTER_SECRET, KeyLog

RANDOM = bytes(range(32))
SECRET = bytes(range(100, 148))
LINE = b"CLIENT_RANDOM %s %s\n" % (RANDOM.hex().encode(), SECRET.hex().encode())


def _of(text: bytes) -> KeyLog:
    keys = KeyLog()
    keys.add(text)
    return keys


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        LINE.rstrip(),
        LINE.replace(b"\n", b"\r\n"),
        LINE.upper(),
        b"  " + LINE.replace(b" ", b"\t"),
        codecs.BOM_UTF8 + LINE,
        codecs.BOM_UTF16_LE + LINE.decode().encode("utf-16-le"),
        codecs.BOM_UTF16_BE + LINE.decode().encode("utf-16-be"),
        b"# a comment\n\n" + LINE + LINE,
    ],
)
def test_a_secret_is_found_however_the_file_was_saved(text: bytes) -> None:
    keys = _of(text)
    assert keys.secret(MASTER_SECRET, RANDOM) == SECRET
    assert len(keys) == 1
    assert keys.odd == 0


@pytest.mark.parametrize("length", [32, 48])
@pytest.mark.parametrize(
    "label",
    [
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ],
)
def test_secrets_of_tls13_are_found_by_their_labels(label: str, length: int) -> None:
    keys = _of(f"{label} {RANDOM.hex()} {SECRET[:length].hex()}\n".encode())
    assert keys.secret(label, RANDOM) == SECRET[:length]
    assert keys.secret(MASTER_SECRET, RANDOM) is None
    assert keys.secret(label, bytes(32)) is None


@pytest.mark.parametrize(
    "line",
    [
        b"EXPORTER_SECRET aa bb",
        b"EARLY_EXPORTER_SECRET aa bb",
        b"SERVER_TRAFFIC_SECRET_1 aa bb",
        b"RSA 0102030405060708 aabb",
        b"RSA Session-ID:01 Master-Key:02",
        b"ECH_SECRET aa bb",
        b"QUIC_CLIENT_TRAFFIC_SECRET_0 aa bb",
    ],
)
def test_secrets_that_open_no_record_are_no_fault(line: bytes) -> None:
    keys = _of(line + b"\n" + LINE)
    assert len(keys) == 1
    assert keys.odd == 0


@pytest.mark.parametrize(
    "line",
    [
        b"CLIENT_RANDOM",
        b"CLIENT_RANDOM aa",
        b"CLIENT_RANDOM %s %s" % (b"zz" * 32, b"aa" * 48),
        b"CLIENT_RANDOM %s %s" % (b"aa" * 31, b"aa" * 48),
        b"CLIENT_RANDOM %s %s" % (b"aa" * 32, b"aa" * 47),
        b"CLIENT_RANDOM %s %s more" % (b"aa" * 32, b"aa" * 48),
        b"secret_id = AKID",
        b"\xff\xfe\xfd",
        b"A" * 5000,
    ],
)
def test_odd_lines_are_counted_and_passed_over(line: bytes) -> None:
    keys = _of(LINE + line + b"\n" + LINE)
    assert keys.odd == 1
    assert len(keys) == 1


def test_it_tells_when_there_is_more() -> None:
    keys = _of(LINE)
    before = keys.version
    keys.add(LINE)
    assert keys.version == before
    keys.add(LINE.replace(b"00", b"ff"))
    assert keys.version > before


def test_it_shows_no_secret() -> None:
    keys = _of(LINE)
    assert repr(keys) == str(keys) == "<KeyLog of 1 secrets>"


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(text: bytes) -> None:
    keys = _of(text)
    keys.add(LINE)
    assert keys.secret(MASTER_SECRET, RANDOM) == SECRET
