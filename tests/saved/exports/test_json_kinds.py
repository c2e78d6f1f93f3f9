"""What JSON it is, by its first bytes."""

import json

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.exports.json_kinds import (
    CHARLES_KEYS,
    WHISTLE_KEYS,
    has_keys,
    keys_at,
)


def test_keys() -> None:
    text = json.dumps({"a": {"b": 1}, "c": [{"d": 1}], 'e"\\': "f: {", "g": None}).encode()
    assert keys_at(text, 1) == (["a", "c", 'e\\"\\\\', "g"], b"{")
    assert keys_at(b'\xef\xbb\xbf [{"a": 1, "b": {"c": 2}}, {"d": 1}]', 2) == (["a", "b"], b"[")
    assert keys_at(b"[1, 2]", 2) == ([], b"[")


def test_lists_of_objects_alone_have_the_keys() -> None:
    entry = dict.fromkeys(list(CHARLES_KEYS)[:4], 1)
    assert has_keys(json.dumps([entry]).encode(), CHARLES_KEYS)
    assert not has_keys(json.dumps([entry]).encode(), WHISTLE_KEYS)
    assert not has_keys(json.dumps(entry).encode(), CHARLES_KEYS)
    assert not has_keys(json.dumps([[entry]]).encode(), CHARLES_KEYS)


@given(st.binary(max_size=200))
def test_anything(data: bytes) -> None:
    for depth in (1, 2):
        keys_at(b"[" + data, depth)
