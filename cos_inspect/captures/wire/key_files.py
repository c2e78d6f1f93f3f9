"""The files of key logs that go with captures."""

import os
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.places import PlaceError, is_url, name_of, open_to_read
from cos_inspect.captures.wire.tls_key_log import KeyLog

_LARGEST = 256 * 1024 * 1024


def key_log_of(paths: Sequence[str]) -> KeyLog:
    """The secrets of all these files together; more may be added to it.

    :raises CaptureError: for one that cannot be read.
    """
    return _read(tuple(paths)).copy()


@lru_cache(maxsize=1)
def _read(paths: tuple[str, ...]) -> KeyLog:
    """Many captures may go with one key log."""
    keys = KeyLog()
    for path in paths:
        keys.add(_bytes_of(path))
    return keys


def check_key_log(path: str) -> int:
    """How many lines of a file are odd.

    :raises CaptureError: when it cannot be read, or is no key log.
    """
    keys = KeyLog()
    keys.add(_bytes_of(path))
    if not len(keys):
        what = "this is no key log of TLS: it has no line such as CLIENT_RANDOM with two numbers"
        raise CaptureError(name_of(path), what)
    return keys.odd


def _bytes_of(place: str) -> bytes:
    name = name_of(place)
    try:
        if is_url(place):
            with open_to_read(place) as file:
                text = file.read(_LARGEST + 1)
        else:
            text = _bytes_at(place)
    except PlaceError as error:
        raise CaptureError(name, error.what) from None
    except (OSError, ValueError) as error:
        raise CaptureError(name, getattr(error, "strerror", None) or "cannot be read") from None
    if len(text) > _LARGEST:
        raise CaptureError(name, "a key log of more than 256 MiB is not read")
    return text


def _bytes_at(path: str) -> bytes:
    # A pipe would block, and could be read only once.
    handle = os.open(Path(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise CaptureError(path, "a key log has to be a file")
        return file.read(_LARGEST + 1)
