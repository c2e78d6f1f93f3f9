"""What is said of changes, and of who broke off."""

import msgspec
import pytest

from cos_inspect.cos.cos_exchange import CosExchange, read_exchange
from cos_inspect.model.exchange import BrokeOff, Change, Exchange, Timing
from cos_inspect.rules import actors
from tests.captures_reader import CAPTURES, read_capture

URL = "https://examplebucket-1250000000.cos.ap-beijing.myqcloud.com/exampleobject"


def exchange(*changes: Change, **members: object) -> CosExchange:
    found = read_capture(CAPTURES / "connection-failed.http").exchange
    request = msgspec.structs.replace(found.request, changes=changes)
    made: Exchange = msgspec.structs.replace(found, request=request, **members)
    cos = read_exchange(made)
    assert cos is not None
    return cos


def moved(url: str) -> Change:
    return Change(part="url", client=URL, sent=url, by="map_remote")


def test_nothing_was_changed() -> None:
    cos = exchange()
    assert (actors.changes_words(cos), actors.changes_evidence(cos)) == ("", {})
    assert actors.sent_host(cos) is None


def test_what_mitmproxy_always_does_is_not_told() -> None:
    cos = exchange(Change(part="header", name="Expect", client="100-continue", by="mitmproxy"))
    assert actors.changes_words(cos) == ""


def test_words() -> None:
    cos = exchange(
        moved("https://other.example/x"),
        Change(part="header", name="A", client="1", by="modify_headers"),
        Change(part="header", name="B", sent="1", by="modify_headers"),
        Change(part="header", name="C", client="1", sent="2", by="the script x.py"),
        Change(part="method", client="PUT", sent="POST", by="intercept"),
    )
    assert actors.changes_words(cos) == (
        f" This proxy had changed the request: the URL was changed from {URL} to"
        " https://other.example/x (map_remote); A was taken away (modify_headers); B was added"
        " (modify_headers); C was rewritten (the script x.py); the method was changed from PUT"
        " to POST (intercept)."
    )
    assert actors.changes_evidence(cos)["changed_by_proxy"][0] == {
        "what": "url",
        "by": "map_remote",
    }


def test_many_changes_are_counted() -> None:
    many = [Change(part="header", name=f"a{n}", client="1", by="x") for n in range(50)]
    assert actors.changes_words(exchange(*many)).endswith("; 42 more.")


@pytest.mark.parametrize(
    ("sent", "elsewhere"),
    [
        ("http://127.0.0.1:9000/exampleobject", True),
        ("https://otherbucket-1250000000.cos.ap-guangzhou.myqcloud.com/x", False),
        ("/other", False),
        ("https://[::1/broken", False),
    ],
)
def test_where_it_was_sent(sent: str, elsewhere: bool) -> None:
    assert actors.sent_elsewhere(exchange(moved(sent))) is elsewhere


@pytest.mark.parametrize(
    ("sent", "failed", "words"),
    [
        (101.0, 133.0, "after it had waited 32 s for an answer; most likely its time-out"),
        (101.0, 101.4, "after it had waited 0.4 s for an answer; most likely a cancelled request"),
        (None, 103.0, "broke off after 3.0 s"),
        (None, None, "broke off: cancelled"),
    ],
)
def test_how_the_client_left(sent: float | None, failed: float | None, words: str) -> None:
    timing = Timing(request_start=100.0, request_end=sent, failed=failed)
    cos = exchange(timing=timing, broke_off=BrokeOff(by="client"))
    assert words in actors.left_words(cos)
    assert actors.broke_off_evidence(cos)["broke_off"] == "client"
