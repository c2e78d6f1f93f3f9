"""Observations as plain data."""

import msgspec
import pytest

from cos_inspect.transfers.observation import Observation, plain_etag
from tests.transfers.build import complete, crc64, part, ranged, seen

DATA = b"[Object Content]"


def test_plain_data_that_survives_encoding() -> None:
    for one in (
        seen(part("f", 3, DATA, 1.0)),
        seen(complete("c", [(1, "a")], crc64(DATA), 1.0)),
        seen(ranged("r", DATA, 8, 15, 0.0)),
    ):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Observation) == one


@pytest.mark.parametrize(
    ("sent", "plain"),
    [('"AB"', "ab"), ("ab", "ab"), ('W/"ab"', "ab"), ("", ""), ('"ab-2"', "ab-2")],
)
def test_plain_etag(sent: str, plain: str) -> None:
    assert plain_etag(sent) == plain
