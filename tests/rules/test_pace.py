"""What is told of a slow exchange, and of a transfer that was slow altogether."""

from cos_inspect.rules.pace import slow_alone, slow_altogether
from tests.transfers.build import MIB, get, put, seen

BIG = bytes(MIB + 1)


def test_a_slow_body_is_told_with_its_speed_and_cause() -> None:
    (finding,) = slow_alone(seen(put("f", BIG, 0.0, took=64.0)))
    assert finding.evidence["reason"] == "client-stall"
    assert finding.evidence["body"] == "request"
    assert finding.evidence["size"] == MIB + 1
    assert f"{MIB + 1} bytes ran at 32 KiB/s: " in finding.detail


def test_a_late_first_byte_is_told_without_a_speed() -> None:
    (finding,) = slow_alone(seen(put("f", b"x", 0.0, wait=12.0)))
    assert finding.detail.startswith("The first byte came after 12.0 s: ")
    assert finding.evidence["wait_ms"] == 12_000
    assert "bytes_per_second" not in finding.evidence


def test_nothing_is_said_of_what_is_quick() -> None:
    assert not list(slow_alone(seen(put("f", BIG, 0.0, took=1.0))))
    assert not list(slow_alone(seen(get("g", b"x", 0.0, took=1.0))))


def test_what_cos_calls_slow_is_8_million_bits_a_second() -> None:
    for speed, is_below in ((999_999.0, True), (1_000_001.0, False)):
        finding = slow_altogether(10 * MIB, 30.0, speed, "network")
        assert finding.evidence["below_8_mbit"] is is_below
        assert finding.evidence["size"] == 10 * MIB
