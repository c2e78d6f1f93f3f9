"""mitmproxy's own addons, ours and a script among them, without a network."""

from types import ModuleType
from typing import Any

from mitmproxy import http
from mitmproxy.addons import script
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpResponseHeadersHook
from mitmproxy.test import taddons, tflow, tutils

from cos_inspect.model.flow_report import Side
from cos_inspect.proxy.inspector import CosInspect
from tests.proxy.inspected import HOST


def upload(size: int = 3 << 20, path: str = "/a.txt", upgrade: str = "") -> http.HTTPFlow:
    request = tutils.treq(
        method=b"PUT",
        host=HOST.decode(),
        path=path.encode(),
        headers=http.Headers(host=HOST.decode(), content_length=str(size), upgrade=upgrade),
    )
    flow = tflow.tflow(req=request)
    flow.live = True
    return flow


def _answered(flow: http.HTTPFlow) -> http.HTTPFlow:
    headers = http.Headers(server="tencent-cos", content_length=str(3 << 20))
    flow.response = tutils.tresp(headers=headers, content=None)
    return flow


REVOCATIONS = "/mitmproxy-1.crl"


class Proxy:
    """mitmdump's own addons and ours among them, without a network."""

    def __init__(self, context: taddons.context, ours: CosInspect, holder: script.Script) -> None:
        self.options = context.options
        self.addons: Any = context.master.addons
        self.ours = ours
        self._holder = holder

    def streams(self, hook: Side, flow: http.HTTPFlow | None = None) -> bool:
        flow = flow or upload()
        self.addons.trigger(HttpRequestHeadersHook(flow))
        if hook == "request":
            return bool(flow.request.stream)
        self.addons.trigger(HttpResponseHeadersHook(_answered(flow)))
        assert flow.response is not None
        return bool(flow.response.stream)

    def load(self, module: ModuleType | None) -> None:
        """Puts a script, loaded, in the place of the one before; None: without one."""
        self._holder.ns = module


def script_with(**members: Any) -> ModuleType:
    module = ModuleType("__mitmproxy_script__.other")
    module.name = "other.py"  # type: ignore[attr-defined]
    vars(module).update(members)
    return module


def looks_on(flow: http.HTTPFlow) -> None:
    """A hook that does nothing."""
