"""Request ids, trace ids, version ids and upload ids of the shapes that COS sends."""

import base64
import random
from collections.abc import Callable
from itertools import count

TRACE_PREFIX = "8efc6b2d3b069ca89454d10b9ef00187"
TRACE_SECOND = ("350f630fd416d28469d5626f8e4de947", "49ddf94d356b53a614ecc3d8f6b91b59")
FRONT_END = "64b82a09"
"""9.42.184.100 as a little-endian hex number, as front-ends of COS are named in ids."""


class Ids:
    """Makes ids from a clock and a seeded source of chance."""

    def __init__(self, chance: random.Random, clock: Callable[[], float]) -> None:
        self.chance = chance
        self.clock = clock
        self._process = f"{chance.randrange(0x100, 0xFFFF):x}"
        self._counter = count(chance.randrange(0x1000, 0xFFFFF))

    def request_id(self, moment: float | None = None) -> str:
        """Base64 of ``time_ip_process_counter``, each in lower-case hex."""
        seconds = int(self.clock() if moment is None else moment)
        text = f"{seconds:08x}_{FRONT_END}_{self._process}_{next(self._counter):x}"
        return base64.b64encode(text.encode()).decode()

    def trace_id(self) -> str:
        """Base64 of 128 hex characters of which the first 32 never change."""
        second = self.chance.choice(TRACE_SECOND)
        text = TRACE_PREFIX + second + self.hex(64)
        return base64.b64encode(text.encode()).decode()

    def version_id(self) -> str:
        """Unpadded base64 of 2**64 - 1 minus the microseconds since the epoch."""
        number = (1 << 64) - 1 - int(self.clock() * 1_000_000)
        return base64.b64encode(f"{number:020d}".encode()).decode().rstrip("=")

    def upload_id(self) -> str:
        """Ten digits of Unix seconds, then 64 hex characters."""
        return f"{int(self.clock()):010d}{self.hex(64)}"

    def hex(self, digits: int) -> str:
        return f"{self.chance.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        text = self.hex(32)
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
