"""Whether a body may be streamed: only where nobody can want it later.

mitmproxy forwards a streamed request before its ``request`` hook, and a streamed
answer before its ``response`` hook. Whoever answers, changes or holds messages
there would come too late, so for them bodies are kept whole. What each of
mitmproxy's own addons does in these hooks was read in its source (12.2 and 12.3); one
that is not known here is taken to act.
"""

import functools
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mitmproxy import ctx, http

from cos_inspect.model.flow_report import Side
from cos_inspect.proxy.other_addons import addons, has_hook

logger = logging.getLogger(__name__)

_Acts = Callable[[http.HTTPFlow, Any], str | None]
"""From a flow, and an addon of mitmproxy, to what makes the addon act on it."""


def _never(_flow: http.HTTPFlow, _addon: Any) -> None:
    """The addon only looks: at headers, or at what there is."""


def _option(name: str) -> _Acts:
    def acts(_flow: http.HTTPFlow, _addon: Any) -> str | None:
        return f"{name} is set" if getattr(ctx.options, name, None) else None

    return acts


def _intercept(_flow: http.HTTPFlow, _addon: Any) -> str | None:
    """Nothing is known of the body yet, which its filter may look at."""
    options = ctx.options
    return "intercept is set" if options.intercept_active and options.intercept else None


def _server_replay(_flow: http.HTTPFlow, addon: Any) -> str | None:
    """By option or by command; over when all of its flows were replayed."""
    return "flows are replayed (server_replay)" if addon.flowmap else None


def _app(flow: http.HTTPFlow, addon: Any) -> str | None:
    return f"an app is served as {addon.host}" if addon.should_serve(flow) else None


def _onboarding(flow: http.HTTPFlow, addon: Any) -> str | None:
    return _app(flow, addon) if ctx.options.onboarding else None


def _h2c(flow: http.HTTPFlow, _addon: Any) -> str | None:
    """What it takes away, and the preface that it refuses, stand in the headers."""
    asked = flow.request.headers.get("upgrade") == "h2c" or flow.request.method == "PRI"
    return "h2c is not supported" if asked else None


def _revocations(flow: http.HTTPFlow, addon: Any) -> str | None:
    asked = flow.request.path.endswith(addon.crl_path())
    return "mitmproxy's revocation list is asked for" if asked else None


_OWN: dict[Side, dict[str, _Acts]] = {
    "request": {
        "mitmproxy.addons.anticache.AntiCache": _option("anticache"),
        "mitmproxy.addons.anticomp.AntiComp": _option("anticomp"),
        "mitmproxy.addons.asgiapp.ASGIApp": _app,
        "mitmproxy.addons.asgiapp.WSGIApp": _app,
        "mitmproxy.addons.blocklist.BlockList": _option("block_list"),
        "mitmproxy.addons.disable_h2c.DisableH2C": _h2c,
        "mitmproxy.addons.intercept.Intercept": _intercept,
        "mitmproxy.addons.maplocal.MapLocal": _option("map_local"),
        "mitmproxy.addons.mapremote.MapRemote": _option("map_remote"),
        "mitmproxy.addons.modifybody.ModifyBody": _option("modify_body"),
        "mitmproxy.addons.onboarding.Onboarding": _onboarding,
        "mitmproxy.addons.save.Save": _never,
        "mitmproxy.addons.serverplayback.ServerPlayback": _server_replay,
        "mitmproxy.addons.stickyauth.StickyAuth": _option("stickyauth"),
        "mitmproxy.addons.stickycookie.StickyCookie": _option("stickycookie"),
        "mitmproxy.addons.tlsconfig.TlsConfig": _revocations,
    },
    "response": {
        "mitmproxy.addons.dumper.Dumper": _never,
        "mitmproxy.addons.intercept.Intercept": _intercept,
        "mitmproxy.addons.modifybody.ModifyBody": _option("modify_body"),
        "mitmproxy.addons.save.Save": _never,
        "mitmproxy.addons.savehar.SaveHar": _never,
        "mitmproxy.addons.server_side_events.ServerSideEvents": _never,
        "mitmproxy.addons.stickycookie.StickyCookie": _never,
        "mitmproxy.addons.view.View": _never,
    },
}


_OURS = ("mitmproxy.", "cos_inspect.")
"""How the names of modules begin whose hooks are known."""


class LastInChain:
    """Stands at the end of the chain, for streaming is set up when all others have seen the
    headers: they may answer there, and mitmproxy crashes where a request is both answered
    and streamed; or they stream by themselves."""

    name = "cos-inspect-behind-all"

    def __init__(
        self,
        requestheaders: Callable[[http.HTTPFlow], None],
        responseheaders: Callable[[http.HTTPFlow], None],
    ) -> None:
        self.requestheaders = requestheaders
        self.responseheaders = responseheaders


class Streaming:
    """Asked at each flow: options change and scripts are loaded while the proxy runs."""

    def __init__(
        self,
        addon: object,
        requestheaders: Callable[[http.HTTPFlow], None],
        responseheaders: Callable[[http.HTTPFlow], None],
    ) -> None:
        self._addon = addon
        """The one that sets up streaming."""
        self._behind = LastInChain(requestheaders, responseheaders)
        self.is_behind = False
        """Whether the hooks that were given are called, behind all other addons."""
        self._logged: set[str] = set()

    def steps_back(self) -> bool:
        """Has the hooks called from now on, and in this very event, where an addon behind
        this one looks at headers; True when that has just begun. It costs each hook of each
        flow a little, so it is not done for nothing."""
        if self.is_behind or self._header_hook_behind(self._addon) is None:
            return False
        addons: Any = ctx.master.addons
        before = addons.get(LastInChain.name)
        if before is not None:
            addons.remove(before)
        addons.add(self._behind)
        self.is_behind = True
        return True

    def done(self) -> None:
        """mitmproxy's hook, when it ends or the script is loaded anew."""
        if self.is_behind:
            self.is_behind = False
            addons: Any = ctx.master.addons
            if addons.get(LastInChain.name) is self._behind:
                addons.remove(self._behind)

    def may_stream(self, flow: http.HTTPFlow, hook: Side, *, length_known: bool) -> bool:
        """Whether nobody can want this message in its hook any more. Who does is logged,
        once each."""
        found = self._who_acts(flow, hook, length_known=length_known)
        if found is None:
            return True
        if found not in self._logged:
            self._logged.add(found)
            logger.info("COS bodies above cos_stream are kept whole for now: %s", found)
        return False

    def acts_on_answer(self, flow: http.HTTPFlow) -> bool:
        """Whether somebody may change the answer in its hook, before or behind this addon."""
        return self._who_acts(flow, "response", length_known=True) is not None

    def _who_acts(self, flow: http.HTTPFlow, hook: Side, *, length_known: bool) -> str | None:
        if not length_known and ctx.options.body_size_limit:
            # Of a body that is streamed, mitmproxy limits only what was announced.
            return "body_size_limit is set"
        for addon in addons():
            acts = _acts(addon.__class__, hook)
            if acts is not None and _is_replaced(addon, hook):
                # Somebody has put a hook of his own in the place of mitmproxy's.
                return f"{_name(addon)} has another {hook} hook"
            if acts is _never or (acts is None and not has_hook(addon, hook)):
                continue
            try:
                found = f"{_name(addon)} has a {hook} hook" if acts is None else acts(flow, addon)
            except Exception:
                # Another version of mitmproxy, whose addon is built otherwise.
                logger.debug("%s cannot be asked", _name(addon), exc_info=True)
                found = f"{_name(addon)} has a {hook} hook"
            if found is not None:
                return found
        if hook == "request" and self.is_behind:
            late = self._header_hook_behind(self._behind)
            return late and f"{late} may answer, and stands behind the addon"
        return None

    @staticmethod
    def _header_hook_behind(ours: object) -> str | None:
        """The name of the first addon behind ours that looks at headers and may do with
        them what it likes."""
        is_behind = False
        for addon in addons():
            if addon is ours:
                is_behind = True
            elif (
                is_behind
                and not _is_known(addon.__class__)
                and (has_hook(addon, "requestheaders") or has_hook(addon, "responseheaders"))
            ):
                return _name(addon)
        return None


@functools.cache
def _acts(kind: type, hook: Side) -> _Acts | None:
    """What an addon of this class does in the hook; None where the addon is to be asked
    whether it has it."""
    if kind.__module__.startswith("cos_inspect."):
        return _never
    known = _OWN[hook].get(f"{kind.__module__}.{kind.__qualname__}")
    if known is None and _is_known(kind) and not hasattr(kind, hook):
        return _never
    return known


def _is_replaced(addon: object, hook: Side) -> bool:
    """In the addon itself, or in its class."""
    if hook in getattr(addon, "__dict__", ()):
        return True
    function = getattr(addon.__class__, hook, None)
    module = getattr(function, "__module__", None)
    return function is not None and not (isinstance(module, str) and module.startswith(_OURS))


@functools.cache
def _is_known(kind: type) -> bool:
    """Whether it is a class of mitmproxy's or of ours, whose instances have no more hooks
    than the class; a script is a module."""
    return kind.__module__.startswith(_OURS)


def _name(addon: Any) -> str:
    """As mitmproxy names it; a script by its path."""
    if isinstance(addon, ModuleType):
        return f"the script {getattr(addon, 'name', addon.__name__)}"
    return f"the addon {getattr(addon, 'name', type(addon).__name__)}"
