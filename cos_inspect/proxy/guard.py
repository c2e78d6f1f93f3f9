"""No fault of ours goes further than the hook that it happened in.

mitmproxy would log it as well, but then passes over every script that stands behind ours.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

from mitmproxy import flow, hooks, tls
from mitmproxy.connection import Connection
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

_REFUSING = frozenset({"load", "configure"})
"""These may refuse what they are given."""


class _Failing(Protocol):
    is_over: bool

    def hook_failed(self, hook: str, about: object) -> None: ...


def guarded[C: _Failing](kind: type[C]) -> type[C]:
    """Has each hook of a class hand its faults to ``hook_failed``, with what it was given, and
    do nothing once the addon is over: connections outlive it by a moment."""
    for name in hooks.all_hooks:
        hook = getattr(kind, name, None)
        if hook is not None and name not in _REFUSING:
            setattr(kind, name, _guarded(name, hook))
    return kind


def _guarded(name: str, hook: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(hook)
    def call(self: _Failing, *arguments: Any) -> None:
        if self.is_over:
            return
        try:
            hook(self, *arguments)
        except Exception:
            self.hook_failed(name, arguments[0] if arguments else None)

    return call


def harmless[F: flow.Flow](
    hook: Callable[[F], None], failed: Callable[[F], None]
) -> Callable[[F], None]:
    """The same for a hook of a flow that another addon of ours has; ``failed`` is called
    within the exception."""

    def call(about: F) -> None:
        try:
            hook(about)
        except Exception:
            failed(about)

    return call


def name_of(about: object) -> str:
    """What a hook was about, by the id that mitmproxy gives it."""
    match about:
        case flow.Flow():
            return f"flow {about.id}"
        case Connection():
            return f"connection {about.id}"
        case ServerConnectionHookData():
            return f"connection {about.client.id}"
        case tls.ClientHelloData() | tls.TlsData():
            return f"connection {about.context.client.id}"
        case _:
            return "COS inspection"
