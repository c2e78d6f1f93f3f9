"""How fast one exchange was, and what the wire shows as the reason when it was slow."""

from typing import Literal

import msgspec

from cos_inspect.model.flow_report import Side
from cos_inspect.transfers.observation import Observation

LATEST_FIRST_BYTE = 3.0
"""Seconds between the request's end and the answer's headers."""
LARGE = 1024 * 1024
"""Bytes; of less than that no speed is told."""
SLOWEST = 100 * 1024
"""Bytes per second."""
SLOW_BY_COS = 8_000_000
"""Bits per second below which COS's documents call an upload over a public network slow."""
_NEAR = 1.3
"""A throttled transfer runs up to a third above its limit before the brake takes hold."""

PaceReason = Literal["traffic-limit", "server-wait", "client-stall", "network", "many-tries"]


class Slowness(msgspec.Struct, frozen=True, kw_only=True):
    """Why an exchange was slow, and the figures it is told by."""

    reason: PaceReason
    side: Side | None
    """The body that was slow; None when only the first byte was late."""
    wait: float | None
    """Seconds until the answer's headers."""
    size: int | None
    """Bytes of that body."""
    bytes_per_second: float | None
    traffic_limit: int | None
    """Bits per second."""


def judge_pace(seen: Observation) -> Slowness | None:
    """None when it was not slow, or no times are known.

    An upload is read from the client and sent on in one go, so where it is
    slow the client sends slowly, or has a slow path: ``client-stall``. A
    download is slow on either side of the proxy: ``network``.
    """
    wait = None
    if seen.sent is not None and seen.answered is not None:
        wait = max(0.0, seen.answered - seen.sent)
    for side, size, seconds in (
        ("request", seen.sent_size, _between(seen.started, _sent(seen))),
        ("response", seen.answer_size, _between(seen.answered, seen.ended)),
    ):
        if size is None or size <= LARGE or not seconds or size / seconds >= SLOWEST:
            continue
        speed = size / seconds
        limit = seen.traffic_limit
        limited = limit is not None and speed * 8 <= limit * _NEAR
        reason: PaceReason = "client-stall" if side == "request" else "network"
        return Slowness(
            reason="traffic-limit" if limited else reason,
            side="request" if side == "request" else "response",
            wait=wait,
            size=size,
            bytes_per_second=speed,
            traffic_limit=limit,
        )
    if wait is not None and wait > LATEST_FIRST_BYTE and not _waited_for_body(seen):
        return Slowness(
            reason="server-wait",
            side=None,
            wait=wait,
            size=None,
            bytes_per_second=None,
            traffic_limit=seen.traffic_limit,
        )
    return None


_BODY_LATE = frozenset(
    {
        "RequestTimeout",
        "RequestTimeOut",
        "UserNetworkTooSlow",
        "IncompleteBody",
        "ImcompleteBody",
        "EntitySizeNotMatch",
    }
)
"""What COS answers when it has waited for a body in vain."""


def _waited_for_body(seen: Observation) -> bool:
    """The server had to wait for a body that did not come, whole or in time."""
    if seen.error_code in _BODY_LATE:
        return True
    return (seen.announced or 0) > (seen.sent_size or 0) and (seen.status or 0) >= 400


def _sent(seen: Observation) -> float | None:
    """When the request's last byte had passed; of one that nobody answered, when it broke off."""
    return seen.ended if seen.sent is None and seen.status is None else seen.sent


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start
