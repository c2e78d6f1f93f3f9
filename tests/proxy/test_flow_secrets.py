"""The secrets of a flow are known from its heads and from what its bodies name."""

import gzip

from mitmproxy import http

from cos_inspect.inspection.redaction import mask
from cos_inspect.proxy.flow_secrets import redactor_of
from tests.proxy.inspected import SIGNATURE, cos_flow

TOKEN = "Kx4PLTbOuYhLfPpbQZhFs/a+b=0zQ9"


def shown(flow: http.HTTPFlow, text: str) -> str:
    return redactor_of(flow).text(text)


def test_secrets_of_the_heads() -> None:
    flow = cos_flow()
    assert flow.response is not None
    assert shown(flow, f"it is {SIGNATURE}") == f"it is {mask(SIGNATURE)}"
    flow.response.headers["Set-Cookie"] = f"id={TOKEN}; Path=/"
    assert shown(flow, f"it is {TOKEN}") == f"it is {mask(TOKEN)}"
    flow = cos_flow()
    flow.request.path = "/a?x%2Dcos%2Dsecurity%2Dtoken=another-token"
    assert shown(flow, "it is another-token") == f"it is {mask('another-token')}"


def test_secrets_that_bodies_name() -> None:
    flow = cos_flow(content=f'{{"sessionToken":"{TOKEN}"}}'.encode())
    assert shown(flow, f"it is {TOKEN}") == f"it is {mask(TOKEN)}"
    flow = cos_flow()
    flow.request.headers["Content-Encoding"] = "gzip"
    flow.request.raw_content = gzip.compress(f"password={TOKEN}".encode())
    assert shown(flow, f"it is {TOKEN}") == f"it is {mask(TOKEN)}"


def test_what_is_missing_or_odd_is_no_fault() -> None:
    flow = cos_flow(content=None)
    flow.request.headers["Content-Encoding"] = "gzip"
    flow.request.raw_content = b"no gzip \xff"
    flow.response = None
    assert shown(flow, "it is nothing") == "it is nothing"
