"""What an earlier run left on a flow that was saved, in the metadata under ``cos``: facts of
bodies that were streamed and are gone, and what came where the flow holds something else.

Plain data with a version; anything may stand there instead.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from cos_inspect.model.exchange import Body, BrokeOff, Change, EchoTrace, Request
from cos_inspect.model.target_bounds import target_within
from cos_inspect.recording.message_heads import Fields, RequestHead

METADATA_KEY = "cos"
METADATA_VERSION = 1

LINE_MEMBERS = ("method", "scheme", "host", "port", "http_version")
_KINDS = {**dict.fromkeys((*LINE_MEMBERS, "target"), str), "port": int}

LONGEST_VALUE = 2048
"""Characters of a value in a change that are kept; what is longer is told by its length."""
_MASK = "[masked:"
_PLACE = re.compile(r"[a-z]{1,8}://[^/?#]{0,300}")

Pairs = list[tuple[str, str]]
Entries = list[tuple[str, str | None]]
"""Header fields in order. One without a value is the flow's next one of this name."""


class Received(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came, where the flow does not hold it any more."""

    request: Entries | None = None
    line: dict[str, str | int] = {}
    """Members of the request that differ from what the flow says."""
    of_request: str | None = None
    """The flow's own head then; where it was edited since, what came counts no more."""
    dropped: Pairs | None = None
    """What the client sent and the proxy did not pass on."""
    answer: Entries | None = None
    of_answer: str | None = None
    """As above. None where the answer was to be changed: then what came counts all the same."""
    sample: str | None = None
    """The beginning of an answer's body, where the flow does not hold it."""
    sample_is_whole: bool = False
    marks: list[tuple[int, str]] | None = None
    """Offsets in an answer's body, and the CRC-64 up to each."""
    changes: tuple[Change, ...] = ()
    """What the proxy made of the request, and who did it."""
    answered_by: str | None = None
    """Who answered in the server's place."""
    broke_off: BrokeOff | None = None
    """Who ended the flow early."""
    by_address: bool = False
    """The client went to an IP address, and the name stood in Host alone."""
    echoes: tuple[EchoTrace, ...] = ()
    """Secrets that the answer repeats, and the flow may name no more."""

    def request_head(self, held: RequestHead) -> RequestHead:
        """The head as it came, of which the flow holds ``held``."""
        return held._replace(fields=_as_they_came(self.request, held.fields))

    def answer_fields(self, held: Fields) -> Fields:
        """The same of an answer's header fields."""
        return _as_they_came(self.answer, held)

    def with_line(self, request: Request) -> Request:
        """The request with the members that came."""
        if not self.line:
            return request
        request = msgspec.structs.replace(request, **self.line)
        target = target_within(request.target)
        if target.unread:
            return msgspec.structs.replace(request, target=target.text, unread_target=target.unread)
        return request

    def with_sample(self, body: Body) -> Body:
        """The facts of an answer's body, and its beginning where that was left."""
        if self.sample is None or body.sample is not None:
            return body
        return msgspec.structs.replace(
            body, sample=self.sample.encode(), sample_is_whole=self.sample_is_whole
        )

    def crc_marks(self) -> list[tuple[int, int]]:
        """``marks`` as numbers, those that are none left out."""
        return [
            (offset, int(crc64))
            for offset, crc64 in self.marks or ()
            if crc64.isascii() and crc64.isdigit() and len(crc64) <= 20
        ]


_NOTHING = Received()


class FlowMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be read of what was left."""

    request_body: Body | None = None
    response_body: Body | None = None
    received: Received = _NOTHING
    stopped: bool = False
    """The proxy ended, or was loaded anew, before the flow did: what became of it later, its
    failure too, says nothing."""
    as_it_is: bool = False
    """A body that the flow holds counts, whatever the earlier run has met."""


def saved_data(metadata: Mapping[Any, Any], started: object) -> dict[str, Any]:
    """What stands in a flow's metadata; empty when nothing readable is there, or when the
    request was sent again since. ``started``: when it was sent."""
    data = metadata.get(METADATA_KEY)
    if not isinstance(data, dict) or data.get("version") != METADATA_VERSION:
        return {}
    since = data.get("started")
    return data if since is None or since == started else {}


def read_flow_metadata(
    data: Mapping[str, Any], head: RequestHead, answer: Fields | None, *, as_it_is: bool = False
) -> FlowMetadata:
    """What can be read of ``saved_data``, as far as the flow was not edited since.

    :param head: the request as the flow holds it.
    :param answer: its answer's header fields.
    :param as_it_is: of an answer that may have been changed, take what the flow holds.
    """
    return FlowMetadata(
        request_body=_body(data.get("request_body")),
        response_body=_body(data.get("response_body")),
        received=_received(data.get("received"), head, answer, as_it_is=as_it_is),
        stopped=data.get("proxy_stopped") is True,
        as_it_is=as_it_is,
    )


def echoes_left(data: Mapping[str, Any]) -> tuple[EchoTrace, ...]:
    """Traces of secrets in ``saved_data``."""
    received = data.get("received")
    if not isinstance(received, dict):
        return ()
    try:
        return msgspec.convert(received.get("echoes", ()), tuple[EchoTrace, ...])
    except msgspec.ValidationError:
        return ()


def fingerprint(*parts: object) -> str:
    """Tells a head from an edited one: 16 hex digits."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _body(data: object) -> Body | None:
    if not isinstance(data, dict):
        return None
    try:
        return msgspec.convert(data, Body, strict=False)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None


def _received(
    data: object, head: RequestHead, answer: Fields | None, *, as_it_is: bool
) -> Received:
    if not isinstance(data, dict):
        return _NOTHING
    try:
        received = msgspec.convert(data, Received)
    except msgspec.ValidationError:
        return _NOTHING
    if received.of_request is not None:
        line = received.line
        known = all(name in _KINDS and isinstance(line[name], _KINDS[name]) for name in line)
        if not known or received.of_request != fingerprint(*head):
            received = msgspec.structs.replace(received, request=None, line={}, changes=())
    if received.changes:
        changes = tuple([_as_sent(change, head) for change in received.changes])
        received = msgspec.structs.replace(received, changes=changes)
    if received.of_answer is None:
        return msgspec.structs.replace(received, answer=None) if as_it_is else received
    if answer is None or received.of_answer != fingerprint(answer):
        received = msgspec.structs.replace(received, answer=None)
    return received


def _as_sent(change: Change, head: RequestHead) -> Change:
    """What was sent, and left without its secrets, is what the flow holds; who reads it can
    find them again where else they stand."""
    if change.sent is None or _MASK not in change.sent:
        return change
    if change.part == "url":
        place = _PLACE.match(change.sent)
        sent = (place[0] if place else "") + head.path.decode("utf-8", "replace")
    elif change.name is not None:
        name = change.name.lower().encode("utf-8", "replace")
        values = [value for field, value in head.fields if field.lower() == name]
        sent = b", ".join(values).decode("utf-8", "replace")
    else:
        return change
    # What is longer was cut.
    return msgspec.structs.replace(change, sent=sent) if 0 < len(sent) <= LONGEST_VALUE else change


def _as_they_came(entries: Iterable[tuple[str, str | None]] | None, fields: Fields) -> Fields:
    if entries is None:
        return fields
    held: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        held.setdefault(name.lower(), []).append(value)
    made: list[tuple[bytes, bytes]] = []
    for text, explicit in entries:
        field = text.encode("utf-8", "replace")
        left = held.get(field.lower())
        if explicit is not None:
            made.append((field, explicit.encode("utf-8", "replace")))
        elif left:
            made.append((field, left.pop(0)))
    return tuple(made)
