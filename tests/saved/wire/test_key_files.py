"""Files of key logs: read together, refused when they are none, shown by nobody."""

import os
from pathlib import Path

import pytest

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.wire.key_files import check_key_log, key_log_of
from cos_inspect.captures.wire.tls_key_log import MASTER_SECRET


def _line(random: bytes) -> str:
    return f"CLIENT_RANDOM {random.hex()} {'ab' * 48}\n"


FIRST, SECOND, THIRD = bytes(32), bytes([1] * 32), bytes([2] * 32)


def test_several_files_are_one_log(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(_line(FIRST))
    two.write_text("odd\n" + _line(SECOND))
    keys = key_log_of([str(one), str(two)])
    assert len(keys) == 2
    assert check_key_log(str(one)) == 0
    assert check_key_log(str(two)) == 1


def test_what_one_capture_adds_is_not_of_another(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(_line(FIRST))
    keys = key_log_of([str(path)])
    keys.add(_line(SECOND).encode())
    assert key_log_of([str(path)]).secret(MASTER_SECRET, SECOND) is None


def test_no_files_are_an_empty_log() -> None:
    assert len(key_log_of(())) == 0


@pytest.mark.parametrize("text", ["", "[a]\nsecret_key = nobody may see this\n", "EXPORTER_SECRET"])
def test_what_is_no_key_log_is_refused_without_its_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(CaptureError, match="no key log of TLS") as told:
        check_key_log(str(path))
    assert "nobody" not in str(told.value)
    assert str(path) in str(told.value)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path / "nowhere", tmp_path, pipe, Path("a\0b")):
        with pytest.raises(CaptureError):
            key_log_of([str(path)])
