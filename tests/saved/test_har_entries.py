"""Strings of a HAR that are too large for memory are decoded in pieces."""

import json
from collections.abc import Iterator
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.blob import Blob
from cos_inspect.captures.har_entries import unescaped
from tests.cos.splitting import cut, cuts


class _Pieces:
    """Stands for a blob."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def chunks(self) -> Iterator[bytes]:
        yield from self._pieces


def decoded(pieces: list[bytes]) -> bytes:
    return b"".join(unescaped(cast(Blob, _Pieces(pieces))))


texts = st.text(st.sampled_from('\\"a/\n中😀\u2028🏳'), max_size=40)


@given(texts, cuts)
def test_pieces_give_the_whole(text: str, places: list[int]) -> None:
    written = json.dumps(text).encode()[1:-1]
    assert decoded(cut(written, places)) == text.encode()


def test_halves_of_a_pair_stay_together_wherever_they_are_cut() -> None:
    for before in range(30):
        text = "a" * before + "😀" + "b"
        written = json.dumps(text).encode()[1:-1]
        for at in range(len(written)):
            assert decoded([written[:at], written[at:]]) == text.encode()


def test_a_run_of_backslashes_is_cut_between_two() -> None:
    text = "\\" * 50 + '"'
    written = json.dumps(text).encode()[1:-1]
    for size in (1, 2, 3, 7, 13, 40):
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        assert decoded(pieces) == text.encode()
