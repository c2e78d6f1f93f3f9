"""Secrets that no name tells are known by their shape; see ``test_secret_finder`` for how they
are found in texts."""

import base64

import pytest

from cos_inspect.inspection.escapes import decode
from cos_inspect.inspection.secret_shapes import (
    base64_runs,
    by_shape,
    credentials_begin,
    has_base64,
    has_fields,
    is_base64,
    of_basic,
    parts_of,
)

BASIC = base64.b64encode(b"user:pass-word-12")


def found(text: str) -> list[bytes]:
    return [secret.value for secret in by_shape(decode(text))]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("https://user:pa55word@h/a@b", [b"pa55word"]),
        ("https://user:pa55%40word@h/", [b"pa55@word"]),
        ("https%3A%2F%2Fuser%3Apa55word%40h%2F", [b"pa55word"]),
        ("https://user:pa/ss@h/", [b"pa/ss"]),
        ("https://user:4pa/ss@h/", [b"4pa/ss"]),
        ("https://h:443/4a:b@c", []),
        ("https://token-alone@h/", [b"token-alone"]),
        ("https://h:443/a@b", []),
        ("https://[::1]:443/a@b", []),
        ("https://h/a:b@c", []),
        ("mailto:a@b.example", []),
        ("Bearer a1b2c3d4", [b"a1b2c3d4"]),
        ("bearer+a1b2c3d4", [b"a1b2c3d4"]),
        ("Bearer of good news", []),
        ('Bearer error="invalid_token"', []),
        (f"Basic {BASIC.decode()}", [BASIC]),
        ("Basic information1 is here", []),
    ],
)
def test_passwords_and_schemes(text: str, secrets: list[bytes]) -> None:
    assert found(text) == secrets


def test_a_password_is_known_by_itself() -> None:
    assert of_basic(BASIC) == (b"user:pass-word-12", b"pass-word-12")
    assert of_basic(b"bm8gY29sb24=") == ()
    assert of_basic(b"no base64!") == ()


@pytest.mark.parametrize(
    ("value", "begin"),
    [
        (b"AWS AKIDx:abc", 10),
        (b"Bearer abc", 7),
        (b"TC3-HMAC-SHA256 abc", 16),
        (b"abc", 0),
        (b"aword abc", 0),
        (b"aword+abc", 0),
    ],
)
def test_only_known_schemes_are_shown(value: bytes, begin: int) -> None:
    assert credentials_begin(value) == begin


def test_named_fields_are_told_from_other_credentials() -> None:
    assert has_fields(b"q-sign-algorithm=sha1&q-ak=a")
    assert has_fields(b"AWS4-HMAC-SHA256 Credential=a")
    assert not has_fields(b"q-abc")
    assert not has_fields(b"AWS4-abc")


def test_what_a_value_is_made_of() -> None:
    assert parts_of("cookies", b'a=one; b="two"; c') == (b"one", b"two")
    assert parts_of("value", b"Bearer abc") == (b"abc",)
    assert parts_of("value", b'["one","two"]') == (b"[", b"one", b"two", b"]")
    assert parts_of("value", b"onlyletters,more") == ()
    assert parts_of("value", b"onlyletters,more}", guessed=True) == (
        b"onlyletters",
        b"onlyletters,more",
        b"onlyletters,more",
    )
    key = base64.b64encode(b"a key that is a sentence of mine")
    assert parts_of("value", key) == (b"a key that is a sentence of mine",)
    assert parts_of("value", base64.b64encode(bytes(range(32)))) == ()


def test_policies_are_base64() -> None:
    assert is_base64("eyJleHBpcmF0aW9uIjoi")
    assert is_base64("eyJleHBpcmF0aW9uIjo%3D")
    assert not is_base64("allow everybody to read")
    assert not is_base64("short")


def test_runs_of_base64_in_which_more_may_stand() -> None:
    text = base64.b64encode(b'{"url":"http://h/?token=abcdefgh"}')
    (run,) = base64_runs(b"callback=" + text + b"&a=b")
    assert (run.value, run.held) == (text, b'{"url":"http://h/?token=abcdefgh"}')
    assert (run.start, run.end) == (9, 9 + len(text))
    assert has_base64(text)
    token = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVm"
    (run,) = base64_runs(token)
    assert run.held is None
    assert not has_base64(b"NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI=")
    assert not list(base64_runs(b"NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI="))
