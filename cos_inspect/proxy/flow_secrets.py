"""What is secret in a flow, whether it is COS traffic or not."""

from mitmproxy import http

from cos_inspect.inspection.redaction import LONGEST, Redactor
from cos_inspect.recording.message_heads import headers_of


def redactor_of(flow: http.HTTPFlow, *, longest: int = LONGEST) -> Redactor:
    """Knows the secrets of a flow's heads, and those that its bodies name in their first
    ``longest`` bytes, to find them in other texts about it."""
    redactor = Redactor(longest=longest)
    request, response = flow.request, flow.response
    redactor.learn_head(request.path, headers_of(request.headers.fields))
    if response is not None:
        redactor.learn_head("", headers_of(response.headers.fields))
    for message in (request, response):
        content = message.get_content(strict=False) if message is not None else None
        if content:
            redactor.learn_from(content[:longest].decode("utf-8", "surrogateescape"))
    return redactor
