import pytest

from cos_inspect.model.capture_account import ANSWER_LOST, STILL_OPEN
from tests.saved.wire.exchanges_made import converse, get, put, read, targets
from tests.saved.wire.packets_made import Conversation, frames, pcap


@pytest.mark.parametrize("missing", [0, 1, 2, (0, 2), (1, 2)])
def test_a_handshake_that_is_not_whole(missing: int | tuple[int, ...]) -> None:
    lost = (missing,) if isinstance(missing, int) else missing
    made = Conversation()
    converse(made, [put("a", b"a" * 3000), get("a", b"a" * 3000)])
    packets = [each for number, each in enumerate(made.packets) if number not in lost]
    assert targets(packets) == ["/a", "/a"]


def test_a_reset_inside_of_a_body_cuts_it() -> None:
    made = Conversation()
    exchange = get("a", b"a" * 3000)
    made.send("client", exchange.request)
    made.send("server", exchange.answer[:2000])
    made.reset("server")
    found = read(pcap(frames(made.packets)))
    assert found.left_out == 0
    (report,) = found.reports.values()
    assert [finding.rule for finding in report.findings] == ["body-truncated"]
    assert found.flows[0].exchange is not None
    assert found.flows[0].exchange.broke_off is not None
    assert found.flows[0].exchange.broke_off.by == "server"
    made.packets[-1] = made.packets[-1]._replace(
        source=made.ends["client"], target=made.ends["server"], sequence=made.numbers["client"]
    )
    found = read(pcap(frames(made.packets)))
    assert found.flows[0].exchange is not None
    assert found.flows[0].exchange.broke_off is not None
    assert found.flows[0].exchange.broke_off.by == "client"


def test_a_server_that_never_answered_is_a_failed_connection() -> None:
    made = Conversation()
    made.send("client", get("a", b"").request)
    made.close("server")
    found = read(pcap(frames(made.packets)))
    assert {rule for _, rule in found.findings} == {"connection-failed"}


def test_the_end_of_the_capture_is_no_failure() -> None:
    made = Conversation()
    made.send("client", get("a", b"").request)
    found = read(pcap(frames(made.packets)))
    assert found.flows == []
    assert found.account.left_out == {STILL_OPEN: 1}


def test_a_lost_answer_is_no_failure() -> None:
    made = Conversation()
    converse(made, [get("a", b"x"), get("b", b"x")])
    made.close()
    packets = [each for each in made.packets if not each.data.startswith(b"HTTP/1.1")]
    found = read(pcap(frames(packets)))
    assert found.flows == []
    assert found.account.left_out == {ANSWER_LOST: 2}
