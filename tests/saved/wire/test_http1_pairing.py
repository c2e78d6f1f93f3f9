"""Which answer belongs to which request, behind heads that the capture has lost."""

from cos_inspect.model.capture_account import ANSWER_LOST, REQUEST_LOST
from tests.saved.wire.exchanges_made import (
    converse,
    get,
    read_whole,
    statuses,
)
from tests.saved.wire.packets_made import Conversation


def test_behind_a_lost_answer_the_next_are_paired_again() -> None:
    made = Conversation()
    converse(made, [get("a", b"a" * 300), get("b", b"b" * 300, wrong=True), get("c", b"c" * 300)])
    made.close()
    heads = [n for n, each in enumerate(made.packets) if each.data[:5] == b"HTTP/"]
    found = read_whole([each for n, each in enumerate(made.packets) if n != heads[0]])
    assert statuses(found) == [("GET", "/b", 200), ("GET", "/c", 200)]
    assert found.account.left_out == {ANSWER_LOST: 1}
    assert {rule for _, rule in found.findings} == {"crc64-mismatch"}


def test_behind_a_lost_request_the_next_are_paired_again() -> None:
    made = Conversation()
    converse(made, [get(name, b"x" * 300) for name in "abcde"])
    made.close()
    heads = [n for n, each in enumerate(made.packets) if each.data[:5] == b"GET /"]
    found = read_whole([each for n, each in enumerate(made.packets) if n != heads[1]])
    assert [target for _, target, _ in statuses(found)] == ["/a", "/c", "/d", "/e"]
    assert found.account.left_out == {REQUEST_LOST: 1}


def test_behind_two_lost_requests_the_second_is_paired_again() -> None:
    """The first may have been asked in one breath with the latter of them."""
    made = Conversation()
    converse(made, [get(name, b"x" * 300) for name in "abcdef"])
    made.close()
    heads = [n for n, each in enumerate(made.packets) if each.data[:5] == b"GET /"]
    found = read_whole([each for n, each in enumerate(made.packets) if n not in heads[1:3]])
    assert [target for _, target, _ in statuses(found)] == ["/a", "/e", "/f"]
    assert found.account.left_out == {REQUEST_LOST: 3}


def test_a_pipelining_client_is_not_paired_by_guess() -> None:
    made = Conversation()
    many = [get(f"{n}", f"{n}".encode() * 300, wrong=n % 2 == 0) for n in range(8)]
    converse(made, many, pipelined=4)
    made.close()
    whole = read_whole(made.packets)
    for lost, packet in enumerate(made.packets):
        if packet.data:
            found = read_whole([each for n, each in enumerate(made.packets) if n != lost])
            assert found.findings <= whole.findings
