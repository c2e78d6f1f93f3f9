"""HTTP/2 frames in the bytes of one direction (RFC 9113, 4 and 6). DATA is handed on as it comes;
other frames are taken apart by hyperframe when they are whole."""

from typing import NamedTuple

from hyperframe.exceptions import HyperframeError
from hyperframe.frame import DataFrame, ExtensionFrame, Frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client begins with (RFC 9113, 3.4)."""
_HEAD = 9
_DATA = 0
_END_STREAM, _PADDED = 0x1, 0x8
_LONGEST = 1024 * 1024
"""Bytes of a frame other than DATA: more than any SETTINGS_MAX_FRAME_SIZE that is in use."""


class NotHttp2Error(Exception):
    """What stands where a frame should be is none."""


class Data(NamedTuple):
    """A piece of a DATA frame, without padding."""

    stream: int
    data: bytes
    ends: bool
    """The frame ends here, and the stream with it."""


class Whole(NamedTuple):
    """A frame other than DATA."""

    frame: Frame
    at: int
    """Where it began: bytes of the direction before it, with those that are missing."""


class FrameSplitter:
    """Takes bytes and holes, gives frames."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._passed = 0
        """Bytes before ``_held``."""
        self._stream = 0
        self._ends = False
        self._padding: int | None = 0
        """Bytes of padding; None as long as the byte that tells it has not come."""
        self._left = 0
        """Of a DATA frame: bytes that have not come, padding included."""
        self._in_data = False

    @property
    def is_inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._held) or self._in_data

    @property
    def held(self) -> int:
        """Bytes of a frame that is not whole."""
        return len(self._held)

    def add(self, data: bytes) -> None:
        """The next bytes; only when ``next`` has given all that there was."""
        self._held += data

    def hole(self, length: int | None) -> tuple[int, int] | None:
        """So many bytes are missing; only when ``next`` has given all that there was.

        :returns: the stream, and how many bytes of its body they were. None where nobody knows
            what is missing.
        """
        if length is None or not self._in_data or self._padding is None or length > self._left:
            return None
        body = max(0, min(length, self._left - self._padding))
        self._left -= length
        self._passed += length
        return self._stream, body

    def next(self) -> Data | Whole | None:
        """None: more has to be added first.

        :raises NotHttp2Error: there is no frame here.
        """
        if self._in_data:
            return self._piece()
        held = self._held
        if len(held) < _HEAD:
            return None
        length = int.from_bytes(held[:3])
        if held[3] == _DATA:
            flags = held[4]
            self._stream = int.from_bytes(held[5:_HEAD]) & 0x7FFFFFFF
            if not self._stream:
                raise NotHttp2Error
            self._ends = bool(flags & _END_STREAM)
            self._padding = None if flags & _PADDED else 0
            self._left = length
            self._in_data = True
            self._drop(_HEAD)
            return self._piece()
        if length > _LONGEST:
            raise NotHttp2Error
        if len(held) < _HEAD + length:
            return None
        begin = self._passed
        whole = bytes(held[: _HEAD + length])
        self._drop(_HEAD + length)
        return Whole(_parsed(whole), begin)

    def _piece(self) -> Data | None:
        if self._padding is None:
            if not self._held:
                return None
            self._padding = self._held[0]
            self._left -= 1
            self._drop(1)
            if self._padding > self._left:
                raise NotHttp2Error
        body = self._left - self._padding
        took = min(len(self._held), self._left)
        data = bytes(self._held[: min(took, body)]) if body > 0 else b""
        self._drop(took)
        self._left -= took
        if self._left:
            return Data(self._stream, data, ends=False) if data else None
        self._in_data = False
        return Data(self._stream, data, ends=self._ends)

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._passed += count


def _parsed(whole: bytes) -> Frame:
    try:
        frame, _ = Frame.parse_frame_header(memoryview(whole[:_HEAD]))
        if not isinstance(frame, ExtensionFrame | DataFrame):
            frame.parse_body(memoryview(whole[_HEAD:]))
    except (HyperframeError, ValueError) as error:
        raise NotHttp2Error from error
    return frame
