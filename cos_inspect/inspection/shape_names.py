"""What exchanges of one shape have in common, in one tuple: all but the values that
``shape_values`` reads."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from cos_inspect.cos.cos_exchange import Recognised
from cos_inspect.inspection.plain_success import SIGNATURE
from cos_inspect.model.exchange import Body, BodyEnd, Exchange

OPERATIONS = frozenset({"GetObject", "HeadObject", "PutObject", "UploadPart"})
ERRORS = frozenset({403, 404})
"""Statuses of failures that have shapes, too."""
SENT = frozenset({"authorization", "content-length", "content-md5"})
ANSWERED = frozenset(
    {
        "content-length",
        "date",
        "etag",
        "last-modified",
        "x-cos-hash-crc64ecma",
        "x-cos-request-id",
        "x-cos-trace-id",
    }
)
"""Headers whose values differ from one exchange of a shape to the next."""
_TARGET = re.compile(
    r"/([A-Za-z0-9_-][A-Za-z0-9/_.-]{0,511})"
    r"(?:\?partNumber=([1-9][0-9]{0,4})&uploadId=([0-9a-z]{1,128}))?"
)
_ERROR = re.compile(
    rb"((?:<\?xml [^<>]{1,80}\?>)?\s{0,4}<Error>\s{0,4}<Code>[A-Za-z]{1,64}</Code>\s{0,4}"
    rb"<Message>[^<>&]{0,256}</Message>\s{0,4}<Resource>)([A-Za-z0-9/_.-]{1,600})"
    rb"(</Resource>\s{0,4}<RequestId>)([A-Za-z0-9+/]{8,200}={0,2})"
    rb"(</RequestId>\s{0,4}<TraceId>)([A-Za-z0-9+/]{170,172}={0,2})"
    rb"(</TraceId>\s{0,4}</Error>\s{0,4})"
)
"""As COS writes it. What stands in the odd groups is the same in all exchanges of a shape; so no
element but those can name what stands in the others."""
_MOST_NAMES = 64


class ErrorValues(NamedTuple):
    """What differs from one error document to the next."""

    resource: str
    request_id: str
    trace_id: str


class Shaped(NamedTuple):
    """An exchange that has a shape."""

    name: tuple[Any, ...]
    """Equal for all exchanges of it."""
    key: str
    part_number: str | None
    upload_id: str | None
    signature: re.Match[str] | None
    """In Authorization, by the groups of ``SIGNATURE``."""
    error: ErrorValues | None
    """Of a failure that has a body."""


class Places(NamedTuple):
    """Where in a message the values stand that are the same, and those that are not."""

    same: Callable[[Sequence[str]], Any]
    others: tuple[tuple[int, str], ...]
    """With the lower-case name of the header."""


@lru_cache(maxsize=256)
def places(names: tuple[str, ...], values: frozenset[str]) -> Places | None:
    """``values``: the headers whose values differ. None where a name stands twice."""
    lower = [name.lower() for name in names]
    if len(set(lower)) != len(lower):
        return None
    same = [at for at, name in enumerate(lower) if name not in values]
    others = tuple((at, name) for at, name in enumerate(lower) if name in values)
    return Places(itemgetter(*same) if same else _nothing, others)


def _nothing(_values: Sequence[str]) -> None:
    return None


def shaped(
    exchange: Exchange, recognised: Recognised, hosts: Sequence[str], ignore: frozenset[str]
) -> Shaped | None:
    """None where an exchange has no shape."""
    request, response, connection = exchange.request, exchange.response, exchange.connection
    if (
        response is None
        or (response.status != 200 and response.status not in ERRORS)
        or recognised.operation.name not in OPERATIONS
        or response.by != "server"
        or exchange.error is not None
        or exchange.broke_off is not None
        or exchange.is_replay
        or request.changes
        or request.dropped_headers
        or request.resigned is not None
        or request.unread_target
        or connection is None
    ):
        return None
    body, answer = request.body, response.body
    if (
        body.end is not BodyEnd.COMPLETE
        or answer.end is not BodyEnd.COMPLETE
        or body.payload is not None
        or answer.payload is not None
    ):
        return None
    sent, answered = request.headers.fields, response.headers.fields
    if max(len(sent), len(answered)) > _MOST_NAMES:
        return None
    names, answer_names = tuple([name for name, _ in sent]), tuple([name for name, _ in answered])
    of_request, of_answer = places(names, SENT), places(answer_names, ANSWERED)
    if of_request is None or of_answer is None:
        return None
    target = _TARGET.fullmatch(request.target)
    if target is None:
        return None
    signature, signed = None, None
    authorization = request.headers.get("authorization")
    if authorization is not None:
        signature = SIGNATURE.fullmatch(authorization)
        if signature is None:
            return None
        begin, start, end, key_start, key_end, lists, _ = signature.groups()
        if start != key_start or end != key_end:
            return None
        signed = begin, lists, int(end) - int(start)
    frame, error = None, None
    if response.status != 200:
        found = _framed(answer)
        if found is None:
            return None
        frame, error = found
    timing = exchange.timing
    name = (
        names,
        answer_names,
        of_request.same([value for _, value in sent]),
        of_answer.same([value for _, value in answered]),
        signed,
        target[2] is None,
        request.method,
        request.scheme,
        request.host,
        request.port,
        request.http_version,
        response.http_version,
        response.status,
        response.reason,
        response.option,
        frame,
        not body.size,
        body.md5 is None,
        body.crc64 is None,
        not answer.size,
        answer.md5 is None,
        answer.crc64 is None,
        timing.request_start is None,
        connection.sni,
        connection.tls,
        connection.by_address,
        exchange.upstream_proxy,
        recognised.operation.name,
        tuple(hosts),
        ignore,
    )
    key, number, upload = target.groups()
    return Shaped(name, key, number, upload, signature, error)


def _framed(answer: Body) -> tuple[tuple[bytes, ...], ErrorValues | None] | None:
    """What is the same in all error documents of a shape, and what is not; None where a body is
    none that has one."""
    sample = answer.sample
    if sample is None or not answer.sample_is_whole:
        return None
    if not sample:
        return (), None
    found = _ERROR.fullmatch(sample)
    if found is None:
        return None
    values = ErrorValues(found[2].decode(), found[4].decode(), found[6].decode())
    return (found[1], found[3], found[5], found[7]), values
