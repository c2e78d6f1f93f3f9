"""What a reader of captures hands out, one by one."""

from collections.abc import Callable, Sequence

import msgspec

from cos_inspect.exchange import Exchange

Note = Callable[[str], None]
"""Takes a line about something that was left out."""
Marks = Callable[[Sequence[int]], list[tuple[int, int]]]


class Saved(msgspec.Struct, frozen=True):
    """One flow or entry of a capture."""

    flow_id: str
    exchange: Exchange | None
    """None when it is not COS traffic."""
    judged: bool = False
    """An earlier run left on it what it had learned."""
    marks: Marks | None = None
    """The CRC-64 of the answer's body up to each of some offsets; None where its bytes are
    not at hand."""
