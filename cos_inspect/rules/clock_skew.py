"""The rule about clocks: which one is wrong, of the device, the proxy and the server."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from cos_inspect.cos.clock import http_date, iso_date
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.refusal import clocks_of
from cos_inspect.rules.rule import Rule

_WARNING = 5 * 60
_ERROR = 15 * 60
"""Seconds; COS refuses requests from 15 minutes on (error RequestTimeTooSkewed)."""
_ROUNDING = 90
"""Seconds by which SDKs let a signature begin early (cos-python-sdk-v5: 60)."""

CLOCK_SKEW = Rule(
    id="clock-skew",
    group="tracing",
    severity=Severity.WARNING,
    title="A clock is wrong",
    when="the clocks of device, proxy and server (Date, request id, a header signature that begins"
    " in the future or is refused for its time) differ by more than 5 minutes; an error from 15"
    " minutes on",
    cause="The clock of the device or of the proxy's machine is wrong, or a time zone was taken for"
    " another. A header signature that was made earlier and still holds is none of that.",
    fix="Set the clock that is named by network time. COS refuses signatures whose time is 15"
    " minutes off.",
    example="Date: 10:00:00, signature from 10:20:00: the device's clock is ahead",
    of_clock=True,
)

Clock = Literal["device", "proxy", "device and proxy", "date", "request id"]


class _Times(msgspec.Struct, frozen=True):
    """Seconds since the epoch, by each clock."""

    began: float
    answered: float
    """When the answer came, by the proxy's clock."""
    date: float | None
    """Of the answer."""
    arrival: float | None
    """In the request id, which is made when the request arrives."""
    sent: float | None
    """By the request's Date, which is the device's clock."""
    signed: float | None
    """Where a header signature begins: the device's clock now or earlier."""
    refused_for_time: bool

    @property
    def taken(self) -> float:
        return self.answered - self.began


def clock_skew(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    times = _times(cos)
    if times is None:
        return
    odd = _odd_mark(times)
    if odd is not None and not times.refused_for_time:
        yield odd
        return
    # The id's time is that of the arrival, and nobody on the way writes it anew as Date.
    server = times.arrival if times.arrival is not None else times.date
    if server is None:
        ahead = _device_ahead(times, times.began, times.answered)
        if abs(ahead) > _WARNING:
            yield _finding("device", "proxy", ahead, ". COS did not answer with a time of its own.")
        return
    # Negative: the proxy's clock is behind.
    proxy = -_apart(server, times.began, times.answered)
    device = _device_ahead(times, server - times.taken, server)
    proxy_is_off, device_is_off = abs(proxy) > _WARNING, abs(device) > _WARNING
    if proxy_is_off and device_is_off:
        others = f". The proxy's is {_span(abs(proxy))} {_direction(proxy)} it."
        yield _finding("device and proxy", "server", device, others, proxy_seconds=round(proxy))
    elif proxy_is_off:
        agrees = times.sent is not None
        yield _finding(
            "proxy",
            "server",
            proxy,
            ". The device's agrees with the server's." if agrees else ".",
            fix="Set the clock of the machine that the proxy runs on (or that recorded this) by"
            " network time; COS does not see it, but times in these reports are by it.",
        )
    elif device_is_off:
        reused = times.sent is None and device < 0
        yield _finding(
            "device",
            "server",
            device,
            ", or its signature was made long before it was used." if reused else ".",
        )


def device_clock(cos: CosExchange, findings: Sequence[Finding]) -> int | None:
    """By how many seconds the device's clock is ahead of the recorder's, as far as one request
    tells; 0: not more than rounding. None where nothing tells: a signature may have been made
    long before it was used. ``findings`` are those of the exchange."""
    for finding in findings:
        if finding.rule != CLOCK_SKEW.id:
            continue
        seconds, proxy = finding.evidence["seconds"], finding.evidence.get("proxy_seconds", 0)
        match finding.evidence["clock"]:
            case "device":
                return int(seconds)
            case "device and proxy":
                return int(seconds - proxy)
            case "proxy":
                return -int(seconds)
    began = cos.exchange.timing.request_start
    if began is None:
        return None
    headers = cos.request.headers
    sent = http_date(headers.get("date"))
    if sent is None:
        sent = iso_date(headers.get("x-amz-date"))
    if sent is not None:
        apart = round(sent - began)
        return 0 if abs(apart) <= 1 else apart
    if cos.signed.place != "header" or cos.signed.start is None:
        return None
    apart = round(cos.signed.start - began)
    if apart < -_ROUNDING:
        return None
    return max(0, apart) if apart != 1 else 0


def _times(cos: CosExchange) -> _Times | None:
    response, timing = cos.response, cos.exchange.timing
    began = timing.request_start
    if began is None:
        # How long the answer took is not known either.
        return None
    date = arrival = None
    if response is not None and cos.from_cos and not cos.through_cdn:
        date = http_date(response.headers.get("date"))
        if cos.request_id_read is not None and cos.request_id_read.time is not None:
            arrival = float(cos.request_id_read.time)
    is_signed = cos.signed.place == "header" and cos.signed.start is not None
    return _Times(
        began=began,
        answered=max(began, timing.response_start or timing.response_end or began),
        date=date,
        arrival=arrival,
        sent=http_date(cos.request.headers.get("date")),
        signed=float(cos.signed.start or 0) if is_signed else None,
        refused_for_time=_refused_for_time(cos),
    )


def _refused_for_time(cos: CosExchange) -> bool:
    clocks = clocks_of(cos)
    return cos.failed and clocks is not None and (clocks.about_time or clocks.earliest > clocks.end)


def _odd_mark(times: _Times) -> Finding | None:
    """Date and request id of one answer disagree, so one of them is no clock's."""
    date, arrival = times.date, times.arrival
    if date is None or arrival is None:
        return None
    ahead = _apart(arrival, date - times.taken, date)
    if abs(ahead) <= _WARNING:
        return None
    by_date = abs(_apart(date, times.began, times.answered))
    by_id = abs(_apart(arrival, times.began, times.answered))
    words = (
        f"the time in the request id is {_span(abs(ahead))} {_direction(ahead)} the answer's Date"
    )
    if by_id <= by_date:
        agrees = ", and the proxy's clock agrees with the id" if by_id <= _WARNING else ""
        return CLOCK_SKEW.finding(
            f"Date is wrong: {words}{agrees}. Something on the way wrote it, or took local time"
            " for GMT.",
            severity=_severity(ahead),
            fix="Look at what stands between COS and the client and writes Date.",
            clock="date",
            against="request id",
            seconds=round(-ahead),
        )
    agrees = ", and the proxy's clock agrees with Date" if by_date <= _WARNING else ""
    return CLOCK_SKEW.finding(
        f"The request id is another request's: {words}{agrees}. A cache on the way answers with"
        " an old one.",
        severity=_severity(ahead),
        fix="Look at what stands between COS and the client and keeps answers.",
        clock="request id",
        against="date",
        seconds=round(ahead),
    )


def _device_ahead(times: _Times, first: float, last: float) -> float:
    """By how many seconds the device's clock is ahead of one that went from first to last;
    0 where nothing speaks of it."""
    by_signature = 0.0 if times.signed is None else _apart(times.signed, first, last)
    if by_signature > _WARNING:
        return by_signature
    if times.sent is not None:
        return _apart(times.sent, first, last)
    # An app may use a signature for as long as it holds.
    return by_signature if times.refused_for_time else 0.0


def _apart(moment: float, first: float, last: float) -> float:
    """Seconds from a span to a moment: negative before it, positive after it, 0 inside."""
    if moment < first:
        return moment - first
    return max(0.0, moment - last)


_NAMES: dict[Clock, str] = {
    "device": "The device's clock is",
    "proxy": "The proxy's clock is",
    "device and proxy": "Device and proxy are both off: the device's clock is",
}


def _finding(
    clock: Clock,
    against: str,
    seconds: float,
    more: str,
    *,
    fix: str | None = None,
    proxy_seconds: int | None = None,
) -> Finding:
    largest = max(abs(seconds), abs(proxy_seconds or 0))
    further: dict[str, Any] = {} if proxy_seconds is None else {"proxy_seconds": proxy_seconds}
    return CLOCK_SKEW.finding(
        f"{_NAMES[clock]} {_span(abs(seconds))} {_direction(seconds)} the {against}'s{more}",
        severity=_severity(largest),
        fix=fix,
        clock=clock,
        against=against,
        seconds=round(seconds),
        **further,
    )


def _severity(seconds: float) -> Severity:
    return Severity.ERROR if abs(seconds) >= _ERROR else Severity.WARNING


def _direction(seconds: float) -> str:
    return "ahead of" if seconds > 0 else "behind"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
