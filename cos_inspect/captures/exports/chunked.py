"""The chunked transfer coding (RFC 9112, section 7.1), taken off as the bytes come."""

import re

_SIZE_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_LONGEST_LINE = 8192
"""Bytes of a chunk's size line, or of a line of the trailer."""


class ChunkedDecoder:
    """Takes the bytes of a body in order; gives those inside its chunks."""

    def __init__(self) -> None:
        self._left = 0
        """Bytes of the chunk that are still to come."""
        self._held = b""
        """What is not a whole line yet."""
        self._after_chunk = False
        self._in_trailer = False
        self.started = False
        """The first chunk's size was read."""
        self.complete = False
        """The last chunk and the trailer were seen."""
        self.broken = False
        """What stands there is no chunk; nothing more is given."""
        self.surplus = 0
        """Bytes behind the end."""

    def feed(self, data: bytes) -> list[bytes]:
        """The content in the next bytes."""
        found: list[bytes] = []
        data = self._held + data
        self._held = b""
        at = 0
        while at < len(data) and not self.broken:
            if self.complete:
                self.surplus += len(data) - at
                break
            if self._left:
                piece = data[at : at + self._left]
                found.append(piece)
                self._left -= len(piece)
                at += len(piece)
                self._after_chunk = not self._left
                continue
            end = data.find(b"\n", at, at + _LONGEST_LINE)
            if end < 0:
                self.broken = len(data) - at >= _LONGEST_LINE
                self._held = data[at:]
                break
            self._line(data[at : end + 1])
            at = end + 1
        return found

    def _line(self, line: bytes) -> None:
        empty = line in (b"\r\n", b"\n")
        if self._in_trailer:
            self.complete = empty
        elif self._after_chunk:
            self._after_chunk = False
            self.broken = not empty
        else:
            size = _SIZE_LINE.fullmatch(line)
            if size is None:
                self.broken = True
                return
            self.started = True
            self._left = int(size[1], 16)
            self._in_trailer = not self._left
