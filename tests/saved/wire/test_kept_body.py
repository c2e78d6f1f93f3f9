import pytest

from cos_inspect.captures.wire.kept_body import KeptBody
from tests.origin.checksums import crc64
from tests.saved.wire.exchanges_made import Made, converse, get, read
from tests.saved.wire.packets_made import Conversation, frames, pcap

BODY = bytes(range(256)) * 4000


@pytest.mark.parametrize("size", [100, len(BODY)])
def test_marks_of_beginnings(size: int) -> None:
    kept = KeptBody()
    for at in range(0, size, 1000):
        kept.write(BODY[at : min(size, at + 1000)])
    offsets = [0, 1, 99, size]
    assert kept.marks(offsets) == [(at, crc64(BODY[:at])) for at in offsets]
    assert kept.marks(offsets) == []


def test_partial_answers_have_them_when_they_are_read_again() -> None:
    made = Conversation()
    whole = get("a", b"a" * 4000)
    answer = whole.answer.replace(b"200 OK", b"206 Partial Content")
    converse(made, [Made(whole.request, answer)])
    made.close()
    data = pcap(frames(made.packets))
    assert read(data).flows[0].marks is None
    marks = read(data, again=True).flows[0].marks
    assert marks is not None
    assert list(marks([1000])) == [(1000, crc64(b"a" * 1000))]
