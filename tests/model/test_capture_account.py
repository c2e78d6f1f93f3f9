import pytest

from cos_inspect.model.capture_account import CaptureAccount


def test_a_whole_capture_has_no_holes() -> None:
    account = CaptureAccount(format="pcap")
    account.leave_out("of another host", hides=False)
    account.give_up("SSH", hides=False)
    account.leave_out("none", 0)
    assert not account.has_holes
    assert account.left_out == {"of another host": 1}
    assert account.unread == {"SSH": 1}


@pytest.mark.parametrize(
    "lossy",
    [
        CaptureAccount(format="pcap", bytes_lost=1),
        CaptureAccount(format="pcap", packets_lost=1),
        CaptureAccount(format="pcap", hides_exchanges=True),
    ],
)
def test_what_was_lost_may_have_been_an_exchange(lossy: CaptureAccount) -> None:
    assert lossy.has_holes


def test_what_is_left_out_may_have_been_any() -> None:
    account = CaptureAccount(format="pcap")
    account.leave_out("still open", 2)
    account.leave_out("still open")
    assert account.left_out == {"still open": 3}
    assert account.has_holes
    account = CaptureAccount(format="pcap")
    account.give_up("TLS")
    assert account.has_holes
