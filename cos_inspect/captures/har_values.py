"""What the members of a HAR's entry hold, whatever form an exporter gave them."""

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cos_inspect.captures.har_entries import OddEntryError, RawEntry, blob_of, unescaped
from cos_inspect.model.headers import Headers
from cos_inspect.model.moments import known_moment
from cos_inspect.model.target_bounds import method_within
from cos_inspect.recording.message_heads import DEFAULT_PORTS, asked_host, parse_authority

_VERSIONS = {
    "h2": "HTTP/2.0",
    "http/2": "HTTP/2.0",
    "http/2.0": "HTTP/2.0",
    "h3": "HTTP/3",
    "http/3": "HTTP/3",
    "http/3.0": "HTTP/3",
    "http/1.1": "HTTP/1.1",
    "http/1.0": "HTTP/1.0",
}
_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_FROM_CACHE = frozenset({"memory cache", "disk cache", "memory", "disk"})


def as_object(value: object, name: str) -> dict[str, Any]:
    """:raises OddEntryError: for what is no object; ``name`` is what it says of it."""
    if not isinstance(value, dict):
        raise OddEntryError(f"{name} is {'missing' if value is None else 'no object'}")
    return value


def as_text(value: object) -> str:
    """Lone surrogates, which cannot be written, become U+FFFD."""
    if not isinstance(value, str):
        return ""
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def number_of(value: object) -> float | None:
    """None for what is no number, or none that a time, a size or a status has."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e15 < value < 1e15 else None


def method_of(value: object) -> str:
    """GET where nothing says otherwise.

    :raises OddEntryError: for what is no text.
    """
    if value is not None and not isinstance(value, str):
        raise OddEntryError("its method is no text")
    return method_within(as_text(value)) or "GET"


def status_of(value: object) -> int | None:
    """None where there was no answer, for which exporters write 0, -1 or nothing.

    :raises OddEntryError: for what is no status.
    """
    number = number_of(value)
    if (number is None and value is None) or value == "":
        return None
    if number is None or number >= 1000 or 0 < number < 100:
        raise OddEntryError("its status is none")
    return int(number) if number >= 100 else None


def span_of(timings: dict[str, Any], name: str) -> float | None:
    """Milliseconds; -1 stands for what did not happen."""
    number = number_of(timings.get(name))
    return number if number is not None and number >= 0 else None


_JOINED = re.compile(r"(?<!\r)\n(?![ \t])")


def headers_of(
    fields: object, raw: RawEntry, *, joined: bool = True
) -> tuple[Headers, dict[str, str]]:
    """Header fields, and the pseudo header fields of HTTP/2 by name. A list of objects or
    of pairs, or one object. ``joined``: a line end in a value may stand between two fields."""
    plain: list[tuple[str, str]] = []
    pseudo: dict[str, str] = {}
    items = list(fields.items()) if isinstance(fields, dict) else fields
    if items is not None and not isinstance(items, list):
        raise OddEntryError("its headers are no list")
    for item in items or ():
        if isinstance(item, dict):
            name, value = item.get("name"), item.get("value")
        elif isinstance(item, list | tuple) and len(item) == 2:
            name, value = item
        else:
            continue
        name = as_text(name)
        if not name:
            continue
        value = _beginning(as_text(value), raw) if isinstance(value, str) else _shown(value)
        if name.startswith(":"):
            pseudo[name] = value
            continue
        # Chromium joins repeated fields of answers by bare line ends; others belong to the value.
        plain += [(name, each) for each in (_JOINED.split(value) if joined else (value,))]
    return Headers(plain), pseudo


def _beginning(value: str, raw: RawEntry) -> str:
    """The value itself, but for one that is too long to be kept."""
    blob = blob_of(raw, value)
    if blob is None:
        return value
    return next(unescaped(blob), b"").decode("utf-8", "replace")


def _shown(value: object) -> str:
    """Of a header whose value is no text: a number or a word, as it stands in JSON."""
    return json.dumps(value) if isinstance(value, bool) or number_of(value) is not None else ""


def address_of_request(
    url: str, scheme: str, headers: Headers, authority: str
) -> tuple[str, int, str]:
    """Host, port and target; ``authority``: the pseudo header field of HTTP/2.

    :raises OddEntryError: where nothing says the host.
    """
    url = as_text(url).partition("#")[0]
    after = url[len(scheme) + 1 :].removeprefix("//")
    cut = min((at for at in map(after.find, "/?") if at >= 0), default=len(after))
    target = after[cut:] or "/"
    if not target.startswith("/"):
        target = "/" + target
    url_host, url_port = parse_authority(after[:cut].rpartition("@")[2])
    if not (url_host or authority or headers.get("host")):
        raise OddEntryError("its URL has no host")
    port = url_port or DEFAULT_PORTS[scheme]
    host, port = asked_host(scheme, headers, authority.encode(), url_host, port)
    return host, port, target


def version_of(value: object) -> str:
    """As HTTP spells it: Chromium writes ``h2``."""
    text = as_text(value)
    return _VERSIONS.get(text.lower(), text)


def address_of(value: object) -> str | None:
    """An IP address, without the brackets of IPv6."""
    return as_text(value).removeprefix("[").removesuffix("]") or None


def moment_of(value: object, answer: Headers) -> float | None:
    """Seconds since the epoch; where nothing says when, the answer's Date. None for a moment
    that can be none."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            return known_moment(
                (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            )
        except (ValueError, OverflowError):
            pass
    number = number_of(value)
    if number is not None and number > 0:
        return known_moment(number / 1000 if number > 1e11 else number)
    try:
        return known_moment(parsedate_to_datetime(answer.get("date") or "").timestamp())
    except (ValueError, OverflowError):
        raise OddEntryError("it does not say when it was") from None


def failure_of(entry: dict[str, Any], answer: dict[str, Any], status: int | None) -> str | None:
    """What ended the exchange early, in the exporter's words; None where it was answered, or
    nothing says that it failed: the recording may have ended before it did."""
    for holder in (answer, entry):
        for name in ("_error", "error"):
            value = holder.get(name)
            if isinstance(value, str) and value:
                return as_text(value)
    if status is not None:
        return None
    return as_text(answer.get("statusText")) or as_text(answer.get("comment")) or None


def is_left_out(entry: dict[str, Any], message: dict[str, Any], name: str) -> bool:
    """HTTP Toolkit says so when it left a body out."""
    return any(
        as_text(holder.get(name)).startswith("discarded")
        for holder in (entry, message)
        if isinstance(holder.get(name), str)
    )


def is_from_cache(entry: dict[str, Any]) -> bool:
    """Answered by the browser itself: ``_fromCache`` (Chromium), ``_fetchType`` (Safari)."""
    return (
        any(
            as_text(entry.get(name)).lower() in _FROM_CACHE for name in ("_fromCache", "_fetchType")
        )
        or as_text(_dict(entry.get("response")).get("_fetchType")).lower() in _FROM_CACHE
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
