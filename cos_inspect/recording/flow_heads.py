"""A flow's heads, read: the request, the answer's fields, and what of COS they are."""

from collections.abc import Sequence
from typing import NamedTuple

from cos_inspect.cos.cos_exchange import Recognised, recognise
from cos_inspect.cos.digest_plan import DigestPlan, plan_payload, plan_response
from cos_inspect.cos.operation import Operation
from cos_inspect.cos.payload import PayloadReader, payload_reader
from cos_inspect.digests import Digester
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers
from cos_inspect.recording.flow_metadata import FlowMetadata
from cos_inspect.recording.message_heads import Fields, RequestHead, headers_of, request_of


class Heads(NamedTuple):
    """A flow's heads, read."""

    request: Request
    """Without its body."""
    answer: Headers | None
    recognised: Recognised


def read_heads(
    head: RequestHead,
    answer: Fields | None,
    patterns: Sequence[str],
    left: FlowMetadata | None = None,
    before: Heads | None = None,
) -> Heads | None:
    """Reads a flow's heads; None when it is no COS traffic, as far as it has come. Of a custom
    domain the answer alone may tell. ``before``: of the same request, read earlier."""
    request = request_of(
        head, headers_of(head.fields) if before is None else before.request.headers
    )
    if left is not None:
        request = left.received.with_line(request)
    headers = None if answer is None else headers_of(answer)
    found = recognise(
        request.host, request.method, request.target, request.headers, headers, patterns
    )
    return None if found is None else Heads(request, headers, found)


def plan_of_answer(heads: Heads, status: int) -> DigestPlan:
    """What is to be computed of an answer's body."""
    if heads.answer is None:
        return DigestPlan()
    return plan_response(heads.recognised.operation, heads.request.method, status, heads.answer)


def object_reader(operation: Operation, headers: Headers) -> PayloadReader | None:
    """For an object inside a framed body; None where the body is the object."""
    plan = plan_payload(operation, headers)
    return payload_reader(operation.name, headers, lambda: Digester(md5=plan.md5, crc64=plan.crc64))
