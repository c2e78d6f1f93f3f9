"""Cuts a body into pieces, as a network would."""

from itertools import pairwise

from hypothesis import strategies as st

cuts = st.lists(st.integers(0, 1 << 16), max_size=12)
"""Places to cut at; taken modulo the length of the body."""


def cut(body: bytes, places: list[int]) -> list[bytes]:
    """The pieces of a body in order; some may be empty."""
    points = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(points)]
