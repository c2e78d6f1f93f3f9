"""Rules about speed."""

from collections.abc import Iterator
from typing import Any

from cos_inspect.model.flow_report import Finding, Severity
from cos_inspect.rules.rule import Rule
from cos_inspect.transfers.observation import Observation
from cos_inspect.transfers.pace import SLOW_BY_COS, Slowness, judge_pace

SLOW_TRANSFER = Rule(
    id="slow-transfer",
    group="transfer",
    severity=Severity.NOTICE,
    title="The transfer was slow",
    when="the first byte came later than 3 s, or a body over 1 MiB ran slower than 100 KiB/s",
    cause="As the evidence says: a traffic limit that was asked for, a wait for the server, a"
    " client that sends slowly, the network, or many tries.",
    fix="For traffic-limit, look at x-cos-traffic-limit; for server-wait, give COS support the"
    " request id; for client-stall and network, try another network, or global acceleration"
    " across borders; for many-tries, look at why the tries failed.",
    example="GetObject, 5,242,880 bytes in 54 s: 95 KiB/s, x-cos-traffic-limit 819200",
)
_REASON_TEXTS = {
    "traffic-limit": "x-cos-traffic-limit asks for it",
    "server-wait": "the server took its time",
    "client-stall": "the client sent slowly",
    "network": "the network, or the client that reads, is slow",
    "many-tries": "most of the time went into tries that failed",
}


def slow_alone(seen: Observation) -> Iterator[Finding]:
    """What one exchange alone shows."""
    slow = judge_pace(seen)
    if slow is not None:
        yield slow_transfer(slow)


def slow_transfer(slow: Slowness) -> Finding:
    because = _REASON_TEXTS[slow.reason]
    evidence: dict[str, Any] = {"reason": slow.reason}
    if slow.wait is not None:
        evidence["wait_ms"] = round(slow.wait * 1000, 3)
    if slow.traffic_limit is not None:
        evidence["traffic_limit"] = slow.traffic_limit
    if slow.bytes_per_second is None:
        detail = f"The first byte came after {slow.wait or 0:.1f} s: {because}."
    else:
        evidence |= _speed(slow.bytes_per_second) | {"body": slow.side, "size": slow.size}
        detail = (
            f"{slow.size} bytes ran at {slow.bytes_per_second / 1024:.0f} KiB/s: {because}."
            " COS's documents call less than 8 Mbit/s slow."
        )
    return SLOW_TRANSFER.finding(detail, **evidence)


def slow_altogether(size: int, seconds: float, bytes_per_second: float, reason: str) -> Finding:
    """For a transfer of several exchanges."""
    return SLOW_TRANSFER.finding(
        f"{size} bytes took {seconds:.1f} s of exchanges, {bytes_per_second / 1024:.0f} KiB/s:"
        f" {_REASON_TEXTS[reason]}. COS's documents call less than 8 Mbit/s slow.",
        reason=reason,
        size=size,
        **_speed(bytes_per_second),
    )


def _speed(bytes_per_second: float) -> dict[str, Any]:
    bits = bytes_per_second * 8
    return {
        "bytes_per_second": round(bytes_per_second),
        "below_8_mbit": bits < SLOW_BY_COS,
    }
