"""Who may want a message whole is asked at each flow; nobody else switches streaming off."""

import asyncio
import logging
from functools import partial
from typing import Any

import pytest
from mitmproxy import addonmanager, master, options
from mitmproxy.addons import asgiapp
from mitmproxy.test import tflow
from mitmproxy.tools.console.master import ConsoleMaster
from mitmproxy.tools.dump import DumpMaster
from mitmproxy.tools.web.master import WebMaster

from cos_inspect.model.flow_report import Side
from cos_inspect.proxy import streaming
from tests.proxy.inspected import HOST
from tests.proxy.scripted import REVOCATIONS, Proxy, looks_on, script_with, upload


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
    unknown = upload()
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
    assert not proxy.streams("request", upload(upgrade="h2c"))
    assert not proxy.streams("request", upload(path=REVOCATIONS))
    proxy.options.update(onboarding_host=HOST.decode())
    assert not proxy.streams("request")
    proxy.options.update(onboarding=False)
    assert proxy.streams("request")


class _Both:
    request = response = staticmethod(looks_on)


@pytest.mark.parametrize("hook", ["request", "response"])
def test_a_script_with_the_hook_keeps_bodies_while_it_is_there(proxy: Proxy, hook: Side) -> None:
    proxy.load(script_with(**{hook: looks_on}))
    assert not proxy.streams(hook)
    assert proxy.streams("response" if hook == "request" else "request")
    proxy.load(script_with(error=looks_on, requests=looks_on, server_connect=looks_on))
    assert proxy.streams(hook)
    proxy.load(script_with(addons=[script_with(addons=[_Both()])]))
    assert not proxy.streams(hook)
    proxy.load(script_with(request=asyncio, response=asyncio))
    assert proxy.streams(hook), "a module that a script imports is no hook"
    proxy.load(None)
    assert proxy.streams(hook)


def test_an_app_of_a_script_keeps_what_it_serves(proxy: Proxy) -> None:
    proxy.load(script_with(addons=[asgiapp.WSGIApp(None, "app.example.com", 80)]))
    assert proxy.streams("request")
    proxy.load(script_with(addons=[asgiapp.WSGIApp(None, HOST.decode(), None)]))
    assert not proxy.streams("request")


def test_an_addon_that_cannot_be_asked_is_taken_to_act(proxy: Proxy) -> None:
    proxy.addons.get("serverplayback").__dict__.pop("flowmap")
    assert not proxy.streams("request")


def test_who_is_the_cause_is_logged_once(proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    proxy.load(script_with(request=looks_on, response=looks_on))
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


@pytest.mark.parametrize("hook", ["request", "response"])
@pytest.mark.parametrize("name", ["save", "proxyauth"])
@pytest.mark.parametrize("made", ["function", "partial"])
def test_a_hook_put_into_a_class_of_mitmproxys(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, hook: Side, name: str, made: str
) -> None:
    def theirs(*_given: object) -> None:
        """Acts, for all that is known."""

    kind = type(proxy.addons.get(name))
    assert proxy.streams(hook)
    with monkeypatch.context() as patch:
        patch.setattr(kind, hook, theirs if made == "function" else partial(theirs), raising=False)
        assert not proxy.streams(hook)
    assert proxy.streams(hook)
