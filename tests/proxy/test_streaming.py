"""Who may want a message whole is asked at each flow; nobody else switches streaming off."""

import asyncio
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from mitmproxy import addonmanager, addons, http, master, options
from mitmproxy.addons import asgiapp, intercept, script, tlsconfig
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpResponseHeadersHook
from mitmproxy.test import taddons, tflow, tutils
from mitmproxy.tools.console.master import ConsoleMaster
from mitmproxy.tools.dump import DumpMaster
from mitmproxy.tools.web.master import WebMaster

from cos_inspect.model.flow_report import Side
from cos_inspect.proxy import streaming
from cos_inspect.proxy.inspector import CosInspect
from cos_inspect.proxy.streaming import LastInChain
from cos_inspect.recording.stream_tap import Tap
from tests.proxy.inspected import HOST


def _upload(size: int = 3 << 20, path: str = "/a.txt", upgrade: str = "") -> http.HTTPFlow:
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
        flow = flow or _upload()
        self.addons.trigger(HttpRequestHeadersHook(flow))
        if hook == "request":
            return bool(flow.request.stream)
        self.addons.trigger(HttpResponseHeadersHook(_answered(flow)))
        assert flow.response is not None
        return bool(flow.response.stream)

    def load(self, module: ModuleType | None) -> None:
        """Puts a script, loaded, in the place of the one before; None: without one."""
        self._holder.ns = module


@pytest.fixture(params=["before", "behind"])
def proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """With room for a script before our addon, or behind it."""
    # Its keys would have to be made.
    monkeypatch.setattr(tlsconfig.TlsConfig, "crl_path", lambda _: REVOCATIONS)
    ours = CosInspect()
    with taddons.context(loadcore=False) as context:
        for addon in addons.default_addons():
            context.master.addons.add(addon)
        context.master.addons.add(intercept.Intercept())
        loader = context.master.addons.get("scriptloader")
        holder = script.Script.__new__(script.Script)
        holder.name, holder.ns = "scriptmanager:other", None
        context.master.addons.register(ours)
        loader.addons = [holder, ours] if request.param == "before" else [ours, holder]
        context.options.update(cos_report_dir="")
        yield Proxy(context, ours, holder)
        # Its log handler would outlive its event loop.
        context.master._legacy_log_events.uninstall()


def test_all_of_mitmproxys_own_addons_are_known() -> None:
    async def found() -> dict[Side, set[str]]:
        hooks: dict[Side, set[str]] = {"request": set(), "response": set()}
        for kind in (DumpMaster, WebMaster, ConsoleMaster):
            made: master.Master = kind(options.Options())
            for addon in addonmanager.traverse(made.addons.chain):
                for hook, names in hooks.items():
                    if callable(getattr(addon, hook, None)):
                        names.add(f"{type(addon).__module__}.{type(addon).__qualname__}")
            made._legacy_log_events.uninstall()
        return hooks

    for hook, names in asyncio.run(found()).items():
        assert names <= set(streaming._OWN[hook])
        assert len(names) > 5


def test_streamed_where_nobody_acts(proxy: Proxy) -> None:
    assert proxy.streams("request")
    assert proxy.streams("response")
    proxy.options.update(save_stream_file=None, hardump="x.har")
    proxy.options.update(hardump="")
    assert proxy.streams("request")


SET: list[tuple[Side, dict[str, Any], dict[str, Any]]] = [
    ("request", {"anticache": True}, {"anticache": False}),
    ("request", {"anticomp": True}, {"anticomp": False}),
    ("request", {"block_list": ["/~u nothing/403"]}, {"block_list": []}),
    ("request", {"intercept": "~u nothing"}, {"intercept": None}),
    ("request", {"intercept": "~u nothing"}, {"intercept_active": False}),
    ("request", {"map_remote": ["|nothing|other"]}, {"map_remote": []}),
    ("request", {"modify_body": ["/a/b"]}, {"modify_body": []}),
    ("request", {"stickyauth": "~u nothing"}, {"stickyauth": None}),
    ("request", {"stickycookie": "~u nothing"}, {"stickycookie": None}),
    ("response", {"intercept": "~u nothing"}, {"intercept": None}),
    ("response", {"modify_body": ["/a/b"]}, {"modify_body": []}),
]


@pytest.mark.parametrize(("hook", "on", "off"), SET)
def test_an_option_that_acts_keeps_bodies_while_it_is_set(
    proxy: Proxy, hook: Side, on: dict[str, Any], off: dict[str, Any]
) -> None:
    proxy.options.update(**on)
    assert not proxy.streams(hook)
    proxy.options.update(**off)
    assert proxy.streams(hook)


@pytest.mark.parametrize(
    "on",
    [
        {"modify_headers": ["/~q/x-cos-meta-a/b"]},
        {"stream_large_bodies": "1m"},
        {"store_streamed_bodies": True},
        {"onboarding": True},
        {"body_size_limit": "10m"},
        {"keep_host_header": True},
    ],
)
def test_options_that_do_nothing_in_these_hooks(proxy: Proxy, on: dict[str, Any]) -> None:
    proxy.options.update(**on)
    assert proxy.streams("request")
    assert proxy.streams("response")


def test_what_a_limit_would_end_only_where_it_is_kept(proxy: Proxy) -> None:
    proxy.options.update(body_size_limit="10m")
    unknown = _upload()
    del unknown.request.headers["content-length"]
    unknown.request.headers["transfer-encoding"] = "chunked"
    assert not proxy.streams("request", unknown)
    assert proxy.streams("request")


def test_flows_that_are_replayed_by_a_command(proxy: Proxy) -> None:
    replay = proxy.addons.get("serverplayback")
    replay.add_flows([tflow.tflow(resp=True)])
    assert not proxy.streams("request")
    assert proxy.streams("response")
    replay.clear()
    assert proxy.streams("request")


def test_what_stands_in_the_request(proxy: Proxy) -> None:
    assert not proxy.streams("request", _upload(upgrade="h2c"))
    assert not proxy.streams("request", _upload(path=REVOCATIONS))
    proxy.options.update(onboarding_host=HOST.decode())
    assert not proxy.streams("request")
    proxy.options.update(onboarding=False)
    assert proxy.streams("request")


def _script(**members: Any) -> ModuleType:
    module = ModuleType("__mitmproxy_script__.other")
    module.name = "other.py"  # type: ignore[attr-defined]
    vars(module).update(members)
    return module


def _hook(flow: http.HTTPFlow) -> None:
    pass


class _Both:
    request = response = staticmethod(_hook)


@pytest.mark.parametrize("hook", ["request", "response"])
def test_a_script_with_the_hook_keeps_bodies_while_it_is_there(proxy: Proxy, hook: Side) -> None:
    proxy.load(_script(**{hook: _hook}))
    assert not proxy.streams(hook)
    assert proxy.streams("response" if hook == "request" else "request")
    proxy.load(_script(error=_hook, requests=_hook, server_connect=_hook))
    assert proxy.streams(hook)
    proxy.load(_script(addons=[_script(addons=[_Both()])]))
    assert not proxy.streams(hook)
    proxy.load(_script(request=asyncio, response=asyncio))
    assert proxy.streams(hook), "a module that a script imports is no hook"
    proxy.load(None)
    assert proxy.streams(hook)


def test_an_app_of_a_script_keeps_what_it_serves(proxy: Proxy) -> None:
    proxy.load(_script(addons=[asgiapp.WSGIApp(None, "app.example.com", 80)]))
    assert proxy.streams("request")
    proxy.load(_script(addons=[asgiapp.WSGIApp(None, HOST.decode(), None)]))
    assert not proxy.streams("request")


def test_an_addon_that_cannot_be_asked_is_taken_to_act(proxy: Proxy) -> None:
    proxy.addons.get("serverplayback").__dict__.pop("flowmap")
    assert not proxy.streams("request")


class TestHeaders:
    """Others that do their work when the headers come."""

    def test_who_answers_is_not_streamed(self, proxy: Proxy) -> None:
        def requestheaders(flow: http.HTTPFlow) -> None:
            if flow.request.path == "/answered":
                flow.response = http.Response.make(200)

        proxy.load(_script(requestheaders=requestheaders))
        assert not proxy.streams("request", _upload(path="/answered"))
        assert proxy.streams("request")
        assert proxy.streams("response")

    def test_who_streams_is_tapped_and_still_called(self, proxy: Proxy) -> None:
        def theirs(data: bytes) -> bytes:
            return data.upper()

        def requestheaders(flow: http.HTTPFlow) -> None:
            flow.request.stream = theirs

        proxy.load(_script(requestheaders=requestheaders, request=_hook))
        flow = _upload(size=7)
        assert proxy.streams("request", _upload())
        assert proxy.streams("request", flow)
        tap = flow.request.stream
        assert isinstance(tap, Tap)
        assert tap.inner is theirs
        assert tap(b"abc") == b"ABC"

    def test_who_comes_still_later_may_answer(self, proxy: Proxy) -> None:
        class Late:
            @staticmethod
            def requestheaders(flow: http.HTTPFlow) -> None:
                flow.response = http.Response.make(200)

        proxy.ours.running()
        proxy.load(_script(requestheaders=_hook))
        assert proxy.streams("request")
        proxy.addons.add(Late())
        assert not proxy.streams("request")

    def test_nothing_is_left_behind(self, proxy: Proxy) -> None:
        proxy.load(_script(requestheaders=_hook))
        assert proxy.streams("request")
        proxy.ours.done()
        assert proxy.addons.get(LastInChain.name) is None


def test_who_is_the_cause_is_logged_once(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    proxy.load(_script(request=_hook, response=_hook))
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            proxy.streams("response")
    told = [record for record in caplog.records if "kept whole" in record.getMessage()]
    assert {record.levelno for record in told} == {logging.INFO}
    assert [record.getMessage().partition(": ")[2] for record in told] == [
        "the script other.py has a request hook",
        "the script other.py has a response hook",
    ]


@pytest.mark.parametrize("hook", ["request", "response"])
@pytest.mark.parametrize("name", ["save", "proxyauth"])
def test_a_hook_put_in_the_place_of_mitmproxys_own(proxy: Proxy, hook: Side, name: str) -> None:
    theirs: Any = proxy.addons.get(name)
    assert proxy.streams(hook)
    setattr(theirs, hook, lambda _flow: None)
    assert not proxy.streams(hook)
    delattr(theirs, hook)
    assert proxy.streams(hook)
