"""Every hook of the addon, with a fault of ours in it."""

import logging
from typing import Any

import pytest
from mitmproxy import hooks
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons, tflow
from mitmproxy.tls import ClientHelloData, TlsData

from cos_inspect.proxy import guard
from cos_inspect.proxy.inspector import CosInspect
from tests.proxy.inspected import cos_flow

REFUSING = {"load", "configure"}
OURS = sorted(
    name for name in hooks.all_hooks if hasattr(CosInspect, name) and name not in REFUSING
)


class Faulty:
    """In the place of whatever a hook makes use of."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"a fault at {name}")


def given_to(hook: str) -> Any:
    flow = cos_flow()
    flow.live = True
    client, server = tflow.tclient_conn(), tflow.tserver_conn()
    if hook.startswith("tls_"):
        context = Context(client, Options())
        if hook == "tls_clienthello":
            return ClientHelloData(context, client_hello=None)  # type: ignore[arg-type]
        return TlsData(conn=client, context=context)
    if hook == "client_disconnected":
        return client
    if hook.startswith("server_"):
        return ServerConnectionHookData(server=server, client=client)
    return flow


def test_all_hooks_are_known() -> None:
    assert len(OURS) >= 16
    assert {"requestheaders", "request", "responseheaders", "response", "error"} <= set(OURS)


@pytest.mark.parametrize("hook", OURS)
def test_a_fault_in_a_hook_goes_no_further(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, with the id of what it was about, and the script behind ours is
    called."""
    called: list[object] = []
    other = type("Other", (), {hook: lambda _self, *given: called.append(given)})()
    addon = CosInspect()
    with taddons.context(addon, other) as context:
        context.configure(addon, cos_report_dir="")
        for name in (
            "_connection_tracker", "_reporting", "_memory", "_snapshots", "_pending",
            "_stop_signal", "_stream_setup", "_streaming", "_batch",
        ):  # fmt: skip
            setattr(addon, name, Faulty())
        about = () if hook in ("running", "done") else (given_to(hook),)
        with caplog.at_level(logging.WARNING):
            getattr(addon, hook)(*about)
            context.master.addons.trigger(hooks.all_hooks[hook](*about))
        context.master._legacy_log_events.uninstall()
    assert called
    said = [record for record in caplog.records if record.exc_info]
    assert said
    assert all(record.name.startswith("cos_inspect") for record in said)
    for one in about:
        assert all(guard.name_of(one) in record.getMessage() for record in said)
