"""A copy of an answer's body on the disk, for the CRC-64 of its beginnings."""

import tempfile
from collections.abc import Sequence
from typing import IO

from cos_inspect.cos.digest_plan import DigestPlan
from cos_inspect.recording.stream_tap import BodyMeter

_CHUNK = 256 * 1024
_IN_MEMORY = 256 * 1024


class KeptBody:
    """It is gone with the object. Where there is no room on the disk, there are no marks."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115

    def write(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError:
            self._file.close()
            self._file = None

    def marks(self, offsets: Sequence[int]) -> list[tuple[int, int]]:
        """Offsets, and the CRC-64 up to each; none where the copy cannot be read. It is gone
        then."""
        if self._file is None:
            return []
        meter = BodyMeter(DigestPlan(crc64=True), None, offsets)
        try:
            self._file.seek(0)
            while data := self._file.read(_CHUNK):
                meter.feed(data)
        except OSError:
            return []
        finally:
            self._file.close()
            self._file = None
        return meter.marks
