"""What rules say of who did something: what the proxy changed, and who broke an exchange off."""

from typing import Any
from urllib.parse import urlsplit

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.operation import read_query
from cos_inspect.cos.signature import Signature, encode, wire_path
from cos_inspect.model.exchange import Change
from cos_inspect.model.plain_text import shortened

_MOST_CHANGES = 8
_LONGEST_URL = 300
_PATIENT_SECONDS = 5.0
"""Who waits for longer without a sign of life, and then leaves, had a time-out."""


def changes_words(cos: CosExchange) -> str:
    """A sentence, after a blank, that says what the proxy changed; empty where nothing was."""
    changes = told_changes(cos)
    if not changes:
        return ""
    told = [_words(change) for change in changes[:_MOST_CHANGES]]
    more = len(changes) - len(told)
    if more:
        told.append(f"{more} more")
    return f" This proxy had changed the request: {'; '.join(told)}."


def told_changes(cos: CosExchange) -> list[Change]:
    """Without what mitmproxy always does, and nothing but a signature can suffer from."""
    return [change for change in cos.request.changes if change.by != "mitmproxy"]


def changes_evidence(cos: CosExchange) -> dict[str, Any]:
    """Empty where nothing was changed."""
    changes = told_changes(cos)
    if not changes:
        return {}
    return {"changed_by_proxy": [{"what": what_of(each), "by": each.by} for each in changes]}


def what_of(change: Change) -> str:
    """The part in a word or two."""
    return (change.name or "a header") if change.part == "header" else change.part


def _words(change: Change) -> str:
    match change.part:
        case "header" if change.sent is None:
            return f"{what_of(change)} was taken away ({change.by})"
        case "header" if change.client is None and change.by != "keep_host_header":
            return f"{what_of(change)} was added ({change.by})"
        case "header":
            return f"{what_of(change)} was rewritten ({change.by})"
        case "url":
            there = f" to {_shortened(change.sent)}" if change.sent else ""
            return (
                f"the URL was changed from {_shortened(change.client or '')}{there} ({change.by})"
            )
        case _:
            return (
                f"the {change.part} was changed from {change.client} to {change.sent} ({change.by})"
            )


def _shortened(url: str) -> str:
    return shortened(url, _LONGEST_URL)


def sent_host(cos: CosExchange) -> str | None:
    """The host that the proxy sent the request to, where it is not the client's."""
    for change in cos.request.changes:
        if change.part == "url" and change.sent and "://" in change.sent:
            host = _host_of(change.sent)
            if host and host != cos.request.host:
                return host
        if change.part == "header" and (change.name or "").lower() == "host" and change.client:
            return change.sent
    return None


def sent_elsewhere(cos: CosExchange) -> bool:
    """The proxy sent the request to a host that is none of COS's."""
    host = sent_host(cos)
    return host is not None and read_endpoint(host, "/", ()) is None


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def changed_of_signed(cos: CosExchange, signature: Signature) -> tuple[str, ...]:
    """What was signed, and what the proxy sent otherwise than the client."""
    names: list[str] = []
    made = cos.recomputed
    for change in cos.request.changes:
        if made is not None and made.same and change.client is None:
            # The Host that the proxy wrote is the one that was signed.
            continue
        if change.part == "method":
            names.append("the method")
        elif change.part == "url":
            names += _of_url(change, signature, cos.request.headers.get("host"))
        elif change.part == "header" and (change.name or "").lower() in signature.headers:
            names.append((change.name or "").lower())
    return tuple(dict.fromkeys(names))


def _of_url(change: Change, signature: Signature, asked: str | None) -> list[str]:
    """``asked``: the client's Host header, which is what is signed; in reverse mode its URL has
    the proxy's own host."""
    client, sent = change.client or "", change.sent or ""
    names = []
    signed_host = _host_of(client) if asked is None else asked.lower().partition(":")[0]
    if "host" in signature.headers and _host_of(sent) not in (None, signed_host):
        names.append("host")
    before, after = _target_of(client), _target_of(sent)
    if wire_path(before) != wire_path(after):
        names.append("the path")
    had, has = (
        {encode(name).lower(): value for name, value in read_query(target).first.items()}
        for target in (before, after)
    )
    names += [
        f"the parameter {name}" for name in signature.parameters if had.get(name) != has.get(name)
    ]
    return names


def _target_of(url: str) -> str:
    place = url.partition("://")[2]
    if not place:
        return url
    slash = place.find("/")
    return place[slash:] if slash >= 0 else "/"


def wait_of(cos: CosExchange) -> tuple[float | None, float | None]:
    """Seconds until the exchange was broken off: from its begin, and from the end of its
    request, where no answer had come."""
    timing = cos.exchange.timing
    failed, begun, sent = timing.failed, timing.request_start, timing.request_end
    after = None if failed is None or begun is None else max(0.0, failed - begun)
    waited = None
    if cos.response is None and failed is not None and sent is not None:
        waited = max(0.0, failed - sent)
    return after, waited


def left_words(cos: CosExchange) -> str:
    """How the client itself broke off, as a sentence."""
    after, waited = wait_of(cos)
    if waited is not None:
        likely = "its time-out" if waited >= _PATIENT_SECONDS else "a cancelled request"
        return (
            f"The client itself gave up after it had waited {seconds_text(waited)} for an answer;"
            f" most likely {likely}."
        )
    when = "" if after is None else f" after {seconds_text(after)}"
    return f"The client itself broke off{when}: cancelled, or timed out."


def seconds_text(seconds: float) -> str:
    """A duration in words: ``2.4 s``, from ten seconds on without a fraction."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def broke_off_evidence(cos: CosExchange) -> dict[str, Any]:
    """Who ended it, and when, for a finding's evidence; milliseconds."""
    who = cos.exchange.broke_off
    after, waited = wait_of(cos)
    return {
        "broke_off": None if who is None else who.by,
        "after_ms": None if after is None else round(after * 1000),
        "waited_ms": None if waited is None else round(waited * 1000),
    }
