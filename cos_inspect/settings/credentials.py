"""The file of keys that signatures are recomputed with."""

import configparser
import os
import stat
from pathlib import Path

from cos_inspect.model.plain_text import escaped

_LARGEST = 1024 * 1024


class CredentialsError(ValueError):
    """One line that names the file and what is wrong, without anything that stands in it."""


def read_credentials(path: str | Path) -> dict[str, str]:
    """SecretKeys by SecretId, from INI sections with ``secret_id`` and ``secret_key``
    (the form of coscmd's ``~/.cos.conf``); other entries are passed over.

    :raises CredentialsError: the file is missing, unreadable, malformed, or can be read by
        others than its owner.
    """
    if "\0" in str(path):
        raise CredentialsError("a path with a zero byte names no file")
    try:
        file = Path(path).expanduser()
    except RuntimeError:
        raise CredentialsError(f"{_shown(path)}: there is no such user") from None
    shown = _shown(file)
    text = _private_text(file)
    parser = configparser.ConfigParser(
        interpolation=None, default_section="", empty_lines_in_values=False
    )
    try:
        parser.read_string(text)
    except configparser.Error:
        # The parser's own words repeat the line, which may hold a key.
        raise CredentialsError(f"{shown}: is no INI file with sections") from None
    keys: dict[str, str] = {}
    for name in parser.sections():
        section = parser[name]
        secret_id = section.get("secret_id", "").strip()
        secret_key = section.get("secret_key", "").strip()
        if not secret_id and not secret_key:
            continue
        if not secret_id or not secret_key:
            missing = "secret_key" if secret_id else "secret_id"
            raise CredentialsError(f"{shown}: section [{escaped(name)}] has no {missing}")
        if keys.get(secret_id, secret_key) != secret_key:
            raise CredentialsError(
                f"{shown}: two keys for the SecretId of section [{escaped(name)}]"
            )
        keys[secret_id] = secret_key
    if not keys:
        raise CredentialsError(f"{shown}: has no section with secret_id and secret_key")
    return keys


def _shown(path: str | Path) -> str:
    """In one line, whatever the name holds."""
    return escaped(str(path))


def _private_text(file: Path) -> str:
    shown = _shown(file)
    try:
        # Opened before it is looked at, so that both are about the same file; a pipe
        # would block.
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise CredentialsError(f"{shown}: {error.strerror or 'cannot be read'}") from None
    except UnicodeEncodeError:
        raise CredentialsError(f"{shown}: a name that no file can have") from None
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        os.close(handle)
        raise CredentialsError(f"{shown}: is not a file")
    with os.fdopen(handle, "rb") as opened:
        if os.name == "posix" and state.st_mode & (stat.S_IRGRP | stat.S_IROTH):
            raise CredentialsError(f"{shown}: others than its owner can read it; chmod 600 it")
        try:
            data = opened.read(_LARGEST + 1)
        except OSError as error:
            raise CredentialsError(f"{shown}: {error.strerror or 'cannot be read'}") from None
    if len(data) > _LARGEST:
        raise CredentialsError(f"{shown}: is larger than 1 MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CredentialsError(f"{shown}: is not UTF-8 text") from None
