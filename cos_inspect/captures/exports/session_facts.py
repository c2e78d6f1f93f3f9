"""What Fiddler and Whistle note of a session beside its messages: ``_m.xml``, ``_whistle.json``."""

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from cos_inspect.captures.exports.exported_flow import peer, plain_address
from cos_inspect.model.exchange import Timing
from cos_inspect.model.moments import known_moment
from cos_inspect.recording.actors import Peers

_TAG = re.compile(r"<(Session|SessionTimers|PipeInfo|SessionFlag)\b([^<>]*)>")
_ATTRIBUTE = re.compile(r"(?<![\w.:-])([\w.:-]{1,100}+)\s{0,9}=\s{0,9}(?:\"([^\"]*)\"|'([^']*)')")
_ZONE = re.compile(r"([+-])([0-9]{1,2})(?:\.([0-9]+))?:?([0-9]{2})?$")
_LONGEST_NUMBER = 30
_TLS = {
    "ssl3": "SSLv3",
    "tls": "TLSv1",
    "tls10": "TLSv1",
    "tls11": "TLSv1.1",
    "tls12": "TLSv1.2",
    "tls13": "TLSv1.3",
}
_QUARTER = 900
"""Seconds; zones differ by whole quarters of an hour."""

# Bits of BitFlags in a Session (FiddlerCore's SessionFlags).
HTTPS = 0x1
BY_FIDDLER = 0x100
FROM_CACHE = 0x4000
ANSWER_DROPPED = 0x2_0000
WEBSOCKET = 0x4_0000
REQUEST_DROPPED = 0x10_0000


class SessionFacts(msgspec.Struct, kw_only=True):
    """What is known of a session; nothing where no file says anything."""

    timers: Mapping[str, str] = {}
    flags: Mapping[str, str] = {}
    """By names in lower case."""
    bits: int = 0
    reused: bool = False
    """Its connection to the server was there already."""
    whistle: Mapping[str, object] | None = None
    """The content of ``_whistle.json``."""

    @property
    def is_whistle(self) -> bool:
        """Whistle wrote it, with headers of its own making."""
        return self.whistle is not None or self.flags.get("x-processinfo") == "whistle"

    @property
    def transferred(self) -> int | None:
        """Bytes of the answer's body, as they were counted."""
        for name in ("x-responsebodytransferlength", "x-transfer-size"):
            found = number_of(self.flags.get(name))
            if found is not None:
                return found
        return None

    @property
    def is_over(self) -> bool:
        """The answer's end was seen."""
        return moment_of(self.timers.get("ServerDoneResponse")) is not None

    def says(self, name: str) -> bool:
        """Whether ``_whistle.json`` has a member of this name that is true: ``reqError``, say."""
        return self.whistle is not None and self.whistle.get(name) is True

    def timing(self, date: str | None) -> Timing:
        """``date``: of the answer, for times without a zone."""
        if self.whistle is not None:
            found = _times_of_whistle(self.whistle.get("times"))
            if found is not None:
                return found
        if self.is_whistle:
            # What lies between contradicts itself there.
            names: tuple[str | None, ...] = ("ClientConnected", None, None, "ClientDoneResponse")
        else:
            first = "ClientBeginRequest"
            if moment_of(self.timers.get(first)) is None:
                first = "ClientConnected"
            names = (first, "ClientDoneRequest", "GotResponseHeaders", "ServerDoneResponse")
        start, sent, answered, end = (
            None if name is None else moment_of(self.timers.get(name), date) for name in names
        )
        if answered is None and not self.is_whistle:
            answered = moment_of(self.timers.get("ServerBeginResponse"), date)
        return Timing(
            request_start=start if start is not None else _moment_of_date(date),
            request_end=sent,
            response_start=answered,
            response_end=end,
            connect_ms=None if self.reused else self._span("TCPConnectTime"),
            tls_ms=None if self.reused else self._span("HTTPSHandshakeTime"),
        )

    def _span(self, name: str) -> float | None:
        """Milliseconds; 0 stands for what did not happen."""
        return number_of(self.timers.get(name)) or None

    def peers(self, server_port: int) -> Peers:
        """The two ends, as far as they are known."""
        return Peers(
            client=peer(self.flags.get("x-clientip"), self.flags.get("x-clientport")),
            server=peer(
                self.flags.get("x-hostip"),
                number_of(self.flags.get("x-serverport")) or server_port,
            ),
            tls=_TLS.get((self.flags.get("https-client-version") or "").lower()),
        )

    def address(self, name: str) -> str | None:
        """The IP address in a flag of Fiddler's: ``x-clientip``, ``x-hostip``; None: none."""
        return plain_address(self.flags.get(name) or "") or None


def read_facts(xml: bytes | None, whistle: bytes | None) -> SessionFacts:
    """Of files that may be missing, or hold anything."""
    facts = SessionFacts()
    if xml is not None:
        timers: dict[str, str] = {}
        flags: dict[str, str] = {}
        for tag, inner in _TAG.findall(_text_of(xml)):
            given = {
                name: html.unescape(one or other) for name, one, other in _ATTRIBUTE.findall(inner)
            }
            if tag == "SessionTimers":
                timers |= given
            elif tag == "SessionFlag":
                flags[given.get("N", "").lower()] = given.get("V", "")
            elif tag == "PipeInfo":
                facts.reused = given.get("Reused", "").lower() == "true"
            else:
                facts.bits = _bits_of(given.get("BitFlags"))
        facts.timers, facts.flags = timers, flags
    if whistle is not None:
        try:
            found = msgspec.json.decode(whistle)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        facts.whistle = found if isinstance(found, dict) else {}
    return facts


def _text_of(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    return data.decode(encoding, "replace")


def _bits_of(text: str | None) -> int:
    """Written as a hexadecimal number."""
    try:
        return int(text or "0", 16)
    except ValueError:
        return 0


def number_of(text: str | None) -> int | None:
    """A number as any locale writes it, with separators of thousands and digits of its own; None
    for what is none, or less than nothing."""
    text = (text or "").strip()
    if not text or len(text) > _LONGEST_NUMBER or text.startswith(("-", "\N{MINUS SIGN}")):
        return None
    digits = "".join(sign for sign in text if sign.isdecimal())
    rest = {sign for sign in text if not sign.isdecimal()}
    if not digits or any(sign.isalnum() for sign in rest) or not text[-1].isdecimal():
        return None
    return int(digits)


def moment_of(text: str | None, date: str | None = None) -> float | None:
    """Seconds since the epoch; None for ``0001-01-01T00:00:00``, which stands for never, and for
    what is no time. What has no zone is local time: ``date``, the Date of the answer, tells the
    zone, else it is UTC."""
    text = (text or "").strip()
    if not text or len(text) > _LONGEST_NUMBER + 10 or text.startswith("0001-"):
        return None
    found = _iso(text)
    if found is None:
        return None
    try:
        if found.tzinfo is not None:
            return known_moment(found.timestamp())
        local = found.replace(tzinfo=UTC).timestamp()
    except (OverflowError, ValueError, OSError):
        return None
    known = _moment_of_date(date)
    if known is None:
        return known_moment(local)
    return known_moment(local + round((known - local) / _QUARTER) * _QUARTER)


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    # Whistle writes half an hour of a zone as a fraction.
    zone = _ZONE.search(text, 11)
    if zone is None:
        return None
    hours = float(f"{zone[2]}.{zone[3] or 0}")
    offset = timedelta(hours=hours, minutes=int(zone[4] or 0))
    if offset >= timedelta(hours=24):
        return None
    try:
        plain = datetime.fromisoformat(text[: zone.start()])
        return plain.replace(tzinfo=UTC) - (offset if zone[1] == "+" else -offset)
    except (ValueError, OverflowError):
        return None


def _moment_of_date(date: str | None) -> float | None:
    try:
        return known_moment(parsedate_to_datetime(date or "").timestamp())
    except (ValueError, OverflowError, TypeError, OSError):
        return None


def _times_of_whistle(times: object) -> Timing | None:
    return None if not isinstance(times, dict) else times_of(times)


def times_of(times: Mapping[str, object]) -> Timing | None:
    """Of Whistle's ``startTime``, ``requestTime``, ``responseTime`` and ``endTime``, which are
    milliseconds; None without the first."""
    start, sent, answered, end = (
        _milliseconds(times.get(name))
        for name in ("startTime", "requestTime", "responseTime", "endTime")
    )
    if start is None:
        return None
    if sent is not None and answered is not None:
        # What it calls the request's end comes after the answer's begin where nothing was sent.
        sent = min(sent, answered)
    return Timing(request_start=start, request_end=sent, response_start=answered, response_end=end)


def _milliseconds(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known_moment(value / 1000) if known and isinstance(value, int | float) else None
