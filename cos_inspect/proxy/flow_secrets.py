"""What is secret in a flow, whether it is COS traffic or not."""

import html
from urllib.parse import unquote

from mitmproxy import http

from cos_inspect.inspection.redaction import LONGEST, Redactor
from cos_inspect.model.target_bounds import target_within
from cos_inspect.proxy import annotations
from cos_inspect.recording.flow_metadata import echoes_left
from cos_inspect.recording.message_heads import headers_of


def redactor_of(
    flow: http.HTTPFlow, *, longest: int = LONGEST, most_read: int = LONGEST
) -> Redactor:
    """Knows the secrets of a flow's heads, and those that its bodies name in their first
    ``most_read`` bytes, to find them in other texts about it, of at most ``longest`` characters."""
    redactor = Redactor(longest=longest)
    request, response = flow.request, flow.response
    target = target_within(request.path)
    redactor.learn_head(target.text, headers_of(request.headers.fields))
    redactor.learn_unread_target(target.unread)
    if response is not None:
        redactor.learn_head("", headers_of(response.headers.fields))
    bodies = []
    for message in (request, response):
        content = message.get_content(strict=False) if message is not None else None
        if content:
            bodies.append(content[:most_read].decode("utf-8", "surrogateescape"))
            redactor.learn_from(bodies[-1])
    traces = echoes_left(annotations.saved(flow))
    if traces:
        fields = () if response is None else headers_of(response.headers.fields)
        held = [target.text, *bodies, *(value for _, value in fields)]
        # A trace was left by a text as the report has it: taken out of XML, or as it came.
        held += [html.unescape(text) for text in held if "&" in text]
        held += [unquote(text) for text in held if "%" in text]
        redactor.learn_echoes(traces, held)
    return redactor
