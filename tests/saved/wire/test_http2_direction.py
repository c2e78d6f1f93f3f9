"""What the reader keeps of one side is counted."""

import hpack

from cos_inspect.captures.wire.http2_direction import Http2Direction


def test_it_counts_what_it_holds() -> None:
    direction = Http2Direction("client")
    empty = direction.held
    direction.frames.add(b"\0\0\x10")
    with_frames = direction.held
    assert with_frames >= empty + 3
    direction.block += bytes(1000)
    assert direction.held == with_frames + 1000


def test_it_counts_the_memory_of_packed_fields_as_large_as_its_sender_makes_it() -> None:
    direction = Http2Direction("server")
    empty = direction.held
    pack = hpack.Encoder()
    pack.header_table_size = 512 * 1024
    direction.unpack.decode(pack.encode([("x-one", "1")]))
    assert direction.held - empty == 512 * 1024 - 4096
