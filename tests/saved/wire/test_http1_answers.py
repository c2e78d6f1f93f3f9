"""What the server sends, and how it ends."""

from tests.saved.wire.exchanges_made import (
    ALL,
    ANSWERED,
    converse,
    get,
    put,
    read_whole,
    refused,
    statuses,
)
from tests.saved.wire.packets_made import Conversation


def test_a_body_until_the_close_ends_with_it_alone() -> None:
    made = Conversation()
    converse(made, [get("c", b"c" * 4000, framing="close")])
    assert read_whole(made.packets).left_out == 1
    made.reset("server")
    assert {rule for _, rule in read_whole(made.packets).findings} >= {"body-truncated"}


def test_a_hole_and_then_a_close_inside_of_a_body_is_a_cut() -> None:
    made = Conversation()
    exchange = get("a", b"a" * 9000)
    made.send("client", exchange.request)
    made.send("server", exchange.answer[:6000])
    made.close("server")
    lost = next(n for n, each in enumerate(made.packets) if each.data[:4] == b"aaaa")
    found = read_whole([each for n, each in enumerate(made.packets) if n != lost])
    assert {rule for _, rule in found.findings} >= {"body-truncated"}


def test_an_early_refusal_is_no_cut_upload() -> None:
    made = Conversation()
    upload, answer = put("a", b"a" * 9000), refused("a").answer
    made.send("client", upload.request[:5000])
    made.send("server", answer)
    made.close("server")
    found = read_whole(made.packets)
    assert statuses(found) == [("PUT", "/a", 404)]
    assert "body-truncated" not in {rule for _, rule in found.findings}


def test_an_answer_before_its_request_waits() -> None:
    made = Conversation()
    converse(made, ALL)
    made.close("server")
    of_server = [each for each in made.packets if each.source[1] == 80]
    of_client = [each for each in made.packets if each.source[1] != 80]
    found = read_whole([*of_client[:1], *of_server, *of_client[1:]])
    assert statuses(found) == ANSWERED
