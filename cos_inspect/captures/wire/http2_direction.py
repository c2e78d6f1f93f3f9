"""What one side of an HTTP/2 connection sends: its frames, and the memory of its packed fields."""

from hpack import Decoder

from cos_inspect.captures.wire.events import Side, StreamEnd
from cos_inspect.captures.wire.http2_frames import FrameSplitter, Whole

_LARGEST_FIELDS = 256 * 1024
_LARGEST_TABLE = 1024 * 1024
"""Of the memory that fields are packed with. How much the other side allows need not be known: who
packs says in the same stream how much is used, and never more than is allowed."""


class Http2Direction:
    """What is known of it."""

    def __init__(self, side: Side) -> None:
        self.side: Side = side
        self.frames = FrameSplitter()
        self.unpack = Decoder(max_header_list_size=_LARGEST_FIELDS)
        self.unpack.max_allowed_table_size = _LARGEST_TABLE
        self.block = bytearray()
        self.begun: Whole | None = None
        """The HEADERS or PUSH_PROMISE whose CONTINUATION has to come."""
        self.time = 0.0
        self.position = 0
        """The sequence number of what came last, less what came before it: so that the place of a
        frame in the direction gives its own."""
        self.came = 0
        self.end: StreamEnd | None = None

    @property
    def held(self) -> int:
        """Bytes of memory, at most, that what is kept of it takes."""
        return self.frames.held + len(self.block) + self.unpack.header_table_size
