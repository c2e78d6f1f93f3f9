import inspect

import pytest

from cos_inspect.captures.wire.events import StreamReader
from cos_inspect.captures.wire.http1 import Http1Reader
from cos_inspect.captures.wire.protocol import ProtocolReader


@pytest.mark.parametrize("reader", [Http1Reader, ProtocolReader])
@pytest.mark.parametrize("name", ["data", "hole", "end"])
def test_all_readers_are_told_the_same(reader: type, name: str) -> None:
    assert inspect.signature(getattr(reader, name)) == inspect.signature(
        getattr(StreamReader, name)
    )
