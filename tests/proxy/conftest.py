"""A proxy with a script."""

from collections.abc import Iterator

import pytest
from mitmproxy import addons
from mitmproxy.addons import intercept, script, tlsconfig
from mitmproxy.test import taddons

from cos_inspect.proxy.inspector import CosInspect
from tests.proxy.scripted import REVOCATIONS, Proxy


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
