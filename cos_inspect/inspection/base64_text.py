"""Base64 as it stands in texts: in both alphabets, with and without padding."""

import base64
import binascii
import re
from bisect import bisect_right

_RUN = re.compile(rb"[A-Za-z0-9+/_-]++=*+")


class Runs:
    """The runs of signs of base64 in a text, which are looked up once."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._spans: list[tuple[int, int]] | None = None

    def around(self, start: int, end: int) -> tuple[int, int]:
        """From the begin of the run in which some signs begin to the end of that in which they
        end."""
        if self._spans is None:
            self._spans = [found.span() for found in _RUN.finditer(self._data)]
        first, last = self._of(start), self._of(end - 1)
        return min(first[0], start), max(last[1], end)

    def _of(self, at: int) -> tuple[int, int]:
        spans = self._spans or [(at, at)]
        span = spans[max(bisect_right(spans, (at, len(self._data))) - 1, 0)]
        return span if span[0] <= at < span[1] else (at, at)


def from_base64(value: bytes) -> bytes | None:
    """None for what is not base64; padding may be missing."""
    value = value.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    value = value[: len(value) - (len(value) % 4 == 1)]
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
