"""What stands in the place of a secret in everything that is written or shown."""

import re

_MASK = re.compile(r"\[masked:(?:[0-9a-f]{8}|short)\]")


def is_mask(text: str) -> bool:
    """Whether a text is a mask and nothing else."""
    return _MASK.fullmatch(text) is not None


def is_masked(text: str) -> bool:
    """Whether a part of it was masked before it was recorded: then it says nothing of what was
    sent, and nothing is wrong with it."""
    return "[masked:" in text and _MASK.search(text) is not None
