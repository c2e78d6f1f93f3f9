"""What the rules about a refused signature ask: was it one, by which clock, what is missing."""

from collections.abc import Sequence
from typing import Any

import msgspec

from cos_inspect.cos.clock import http_date, iso_date
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.signature import is_beyond_reading, rebuild
from cos_inspect.rules.actors import changed_of_signed

_ZONE_TOLERANCE = 120
"""Seconds around whole hours: SDKs start up to 60 s early, and answers take time."""
_AHEAD = 300
"""Seconds; a start that is later than the server's clock by less is rounding and drift."""
_REFUSALS = frozenset((400, 401, 403))
OTHER_REASONS = frozenset(
    (
        "AccessForbidden",
        "InvalidObjectState",
        "InvalidURI",
        "PathStyleDomainForbidden",
    )
)
"""Codes of refusals that the signature has no part in."""


def code_of(cos: CosExchange) -> str | None:
    """The code of a refusal; COS may put it into Message under a general code."""
    error = cos.error
    if error is None:
        return None
    named = (code for code in _NAMED_IN_MESSAGE if error.is_about(code))
    return next(named, error.code)


_NAMED_IN_MESSAGE = frozenset(
    ("SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed", "ExpiredToken")
)


def refused(cos: CosExchange) -> bool:
    """COS refused the request, and perhaps for its signature."""
    return (
        cos.signed.scheme == "cos"
        and cos.failed
        and cos.status in _REFUSALS
        and (cos.status != 400 or code_of(cos) in ("InvalidArgument", "InvalidRequest", None))
        and code_of(cos) not in OTHER_REASONS
    )


_AFTER_THE_SIGNATURE = frozenset((404, 409, 412, 416))
"""Answers that COS gives to a request only when it has taken its signature, but for those about
a bucket that does not exist."""


def accepted(cos: CosExchange) -> bool:
    """COS took the signature, whether or not it then did what was asked."""
    status = cos.status
    if cos.signed.scheme != "cos" or status is None:
        return False
    if status < 400:
        return cos.succeeded or status in (200, 304)
    return cos.failed and status in _AFTER_THE_SIGNATURE and code_of(cos) != "NoSuchBucket"


def mismatched(cos: CosExchange) -> bool:
    """Whether COS answered SignatureDoesNotMatch to a signature of its own scheme."""
    return cos.failed and cos.signed.scheme == "cos" and code_of(cos) == "SignatureDoesNotMatch"


def _server_clock(cos: CosExchange) -> tuple[str, float] | None:
    """What COS took for now, and where it says so; None where it does not."""
    if cos.error is not None:
        moment = iso_date(cos.error.server_time)
        if moment is not None:
            return "ServerTime", moment
    response = cos.response
    if response is None or cos.through_cdn or not cos.from_cos:
        return None
    moment = http_date(response.headers.get("date"))
    return None if moment is None else ("Date", moment)


class Clocks(msgspec.Struct, frozen=True):
    """A signature's window, and the clocks that it can be held against; seconds since the epoch."""

    start: int
    end: int
    sent: float | None
    """By the clock of whoever recorded the request."""
    server: float | None
    source: str
    """Whose clock decides."""
    earliest: float
    """The deciding clock when the request was sent."""
    latest: float
    """The deciding clock when the answer came."""
    about_time: bool
    """COS itself named time as its reason."""

    @property
    def evidence(self) -> dict[str, Any]:
        """What findings about the window name of it, in Unix seconds."""
        return {
            "start": self.start,
            "end": self.end,
            "sent": None if self.sent is None else round(self.sent),
            "server_time": None if self.server is None else round(self.server),
        }


def clocks_of(cos: CosExchange) -> Clocks | None:
    """None where COS did not refuse, or nothing tells the time."""
    if cos.response is not None and not refused(cos):
        return None
    signature = cos.signature
    if signature is None:
        return None
    windows = [window for window in (signature.sign_time, signature.key_time) if window]
    if not windows:
        return None
    timing = cos.exchange.timing
    sent = timing.request_start
    answered = timing.response_start or timing.response_end
    taken = max(0.0, answered - sent) if sent is not None and answered is not None else 0.0
    server = _server_clock(cos)
    if server is not None:
        source, latest = server
        earliest = latest - taken
    elif sent is not None:
        source, earliest, latest = "the recorded clock", sent, sent + taken
    else:
        return None
    error = cos.error
    said = f"{error.code} {error.message}".lower() if error else ""
    return Clocks(
        start=max(window.start for window in windows),
        end=min(window.end for window in windows),
        sent=sent,
        server=server[1] if server else None,
        source=source,
        earliest=earliest,
        latest=latest,
        about_time="request has expired" in said or "requesttimetooskewed" in said,
    )


def whole_hours(cos: CosExchange, offset: float) -> int | None:
    """How many hours a clock is off when a time zone was taken for another."""
    if cos.signed.place not in ("header", "form"):
        # A URL is used long after it was signed.
        return None
    hours = round(offset / 3600)
    return hours if hours and abs(offset - hours * 3600) <= _ZONE_TOLERANCE else None


def zone_words(hours: int | None) -> str:
    """A sentence to be added, with a blank before it; empty for None."""
    if hours is None:
        return ""
    return (
        f" That is {abs(hours)} h {'ahead' if hours > 0 else 'behind'}, a whole number of hours:"
        " local time was taken for UTC, or another time zone."
    )


def is_early(clocks: Clocks) -> bool:
    """Whether the window had not begun when the answer came."""
    ahead = clocks.start - clocks.latest
    return ahead > (1 if clocks.about_time else _AHEAD)


def over_policy(cos: CosExchange) -> bool:
    """Whether a form's policy is what was signed."""
    signature = cos.signature
    return signature is not None and signature.over_policy


def broken_by_proxy(cos: CosExchange) -> tuple[str, ...]:
    """Signed headers that the proxy took away or rewrote, of a refused request."""
    dropped = {name.lower(): value for name, value in cos.request.dropped_headers}
    if not dropped and not cos.request.changes:
        return ()
    made = cos.recomputed
    if not (made is not None and made.needs_dropped) and (
        not refused(cos) or code_of(cos) not in (None, "SignatureDoesNotMatch", "AccessDenied")
    ):
        return ()
    signature = cos.signature
    if signature is None:
        return ()
    names = [name for name in dropped if name in signature.headers]
    if made is not None and made.same:
        # What was signed stands in the request: a header that was only taken away after it
        # was recorded may be missed by COS, a rewritten one is right as it is.
        names = [name for name in names if cos.request.headers.get(name) == dropped[name]]
    return tuple(dict.fromkeys([*names, *changed_of_signed(cos, signature)]))


def proved_by_key(cos: CosExchange) -> bool:
    """The signature is right for the request with what the proxy took away."""
    made = cos.recomputed
    return made is not None and (made.needs_dropped or made.same)


def missing_of(cos: CosExchange) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Headers and parameters that the signature lists and the request does not have, but for what
    the proxy took away; None where there are none, or the signature is over more than is read."""
    signature = cos.signature
    if signature is None or signature.over_policy or is_beyond_reading(signature, cos.request):
        return None
    wire = rebuild(signature, cos.request)
    blanks = rebuild(signature, cos.request, plus_is_blank=True)
    if len(blanks.missing_parameters) < len(wire.missing_parameters):
        wire = blanks
    dropped = {name.lower() for name, _ in cos.request.dropped_headers}
    headers = tuple(name for name in wire.missing_headers if name not in dropped)
    if not headers and not wire.missing_parameters:
        return None
    return headers, wire.missing_parameters


def explained(cos: CosExchange) -> bool:
    """What comes first explains the refusal: the fields, or what the lists name."""
    signature = cos.signature
    return signature is not None and (bool(signature.problems) or missing_of(cos) is not None)


_PLACES = {
    "header": "in Authorization",
    "query": "in the URL's parameters",
    "sign": "in the parameter sign",
    "form": "in the form",
    "none": "nowhere",
}


def place_of(cos: CosExchange) -> str:
    """Where the signature stands, in words that follow a verb."""
    return _PLACES[cos.signed.place]


def listed(names: Sequence[str]) -> str:
    """Names as they are listed in a sentence: ``a, b and c``; twelve at most."""
    shown = [name[:60] for name in names[:12]]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
