"""The file of keys: read, or refused in one line that repeats nothing of it."""

import os
from pathlib import Path

import pytest

from cos_inspect.settings.credentials import CredentialsError, read_credentials

ID = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234"
KEY = "KEYEXAMPLEKEYEXAMPLEKEYEXAMPLE12"


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "cos.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_the_form_of_coscmd(tmp_path: Path) -> None:
    text = (
        f"[common]\nsecret_id = {ID}\nsecret_key = {KEY}\nbucket = b-1250000000\n"
        "region = ap-beijing\nmax_thread = 5\nanonymous = False\n"
    )
    assert read_credentials(written(tmp_path, text)) == {ID: KEY}


def test_several_sections_and_signs_of_interpolation(tmp_path: Path) -> None:
    text = (
        f"[a]\nsecret_id={ID}\nsecret_key=%(x)s%\n\n"
        f"[b]\nsecret_id=other\nsecret_key={KEY}\n[c]\nx=1\n"
    )
    assert read_credentials(str(written(tmp_path, text))) == {ID: "%(x)s%", "other": KEY}


def test_default_is_a_section_like_others(tmp_path: Path) -> None:
    text = f"[DEFAULT]\nsecret_id={ID}\nsecret_key={KEY}\n"
    assert read_credentials(written(tmp_path, text)) == {ID: KEY}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path, f"[a]\nsecret_id={ID}\nsecret_key={KEY}\n", mode)
    with pytest.raises(CredentialsError, match="others than its owner"):
        read_credentials(path)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (f"secret_id={ID}\nsecret_key={KEY}\n", "no INI file"),
        (f"[a]\nsecret_id={ID}\n{KEY}\n", "no INI file"),
        (f"[a]\nsecret_id={ID}\n", "has no secret_key"),
        (f"[a]\nsecret_key={KEY}\n", "has no secret_id"),
        (f"[a]\nsecret_id={ID}\nsecret_key=\n", "has no secret_key"),
        ("[a]\nx=1\n", "has no section"),
        ("", "has no section"),
        (f"[a]\nsecret_id={ID}\nsecret_key=x\n[b]\nsecret_id={ID}\nsecret_key={KEY}\n", "two keys"),
        (b"[a]\nsecret_id=\xff\xfe\n", "not UTF-8"),
        (b"#" * (1 << 20) + b"\n", "larger than"),
    ],
)
def test_malformed(tmp_path: Path, text: str | bytes, wrong: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CredentialsError, match=wrong) as caught:
        read_credentials(path)
    told = str(caught.value)
    assert str(path) in told
    assert "\n" not in told
    assert KEY not in told
    assert caught.value.__cause__ is None


def test_missing_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="No such file"):
        read_credentials(tmp_path / "absent")
    with pytest.raises(CredentialsError, match="is not a file"):
        read_credentials(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(CredentialsError, match="not a file"):
        read_credentials(tmp_path / "pipe")
