"""What was looked at before is not looked at again, and is not kept without bounds."""

import msgspec
import pytest

from cos_inspect.inspection import secret_free_texts
from cos_inspect.inspection.secret_free_texts import SECRET_FREE, names_secrets, secret_hint_of


class Holder(msgspec.Struct):
    text: str
    data: dict[str, str] = {}


def test_innocent_texts_are_remembered_and_others_are_not() -> None:
    SECRET_FREE.clear()
    assert not secret_hint_of({"nothing", "a=b"})
    assert secret_hint_of({"token=abc", "more"})
    assert {"nothing", "a=b"} == SECRET_FREE


def test_texts_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_free_texts, "MOST", 10)
    SECRET_FREE.clear()
    for number in range(100):
        secret_hint_of({f"text {number}"})
        assert len(SECRET_FREE) <= 10
    long = "a" * 100_000
    assert not secret_hint_of({long})
    assert long not in SECRET_FREE


def test_whether_a_struct_names_secrets() -> None:
    assert not names_secrets(Holder("nothing"))
    assert names_secrets(Holder("token=abc"))
    assert names_secrets(Holder("nothing", {"token": "abc"}))
    assert not names_secrets(Holder("nothing", {"key": "abc"}))
