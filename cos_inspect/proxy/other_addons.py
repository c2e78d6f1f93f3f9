"""Addons of others beside this one: scripts of a user, and what was added to mitmproxy."""

import functools
import logging
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import ModuleType
from typing import Any

from mitmproxy import addonmanager, ctx

from cos_inspect.recording.actors import UNKNOWN

logger = logging.getLogger(__name__)


def addons() -> Iterator[Any]:
    """All addons in the order in which mitmproxy calls them."""
    found: Iterator[Any] = addonmanager.traverse(ctx.master.addons.chain)  # type: ignore[no-untyped-call]
    return found


def has_hook(addon: Any, hook: str) -> bool:
    """As mitmproxy asks: a module of this name that a script has imported is no hook."""
    return callable(getattr(addon, hook, None))


def scripts_with(*hooks: str) -> str | None:
    """In a few words, who else than mitmproxy has one of these hooks; None where nobody has."""
    names = list(
        dict.fromkeys(
            _short_name(addon)
            for addon in addons()
            if not _room(addon).startswith(("mitmproxy.", "cos_inspect."))
            and any(has_hook(addon, hook) for hook in hooks)
        )
    )
    return " or ".join(names[:3]) if names else None


def named[**P](find: Callable[P, str]) -> Callable[P, str]:
    """Has a function name somebody at least as another addon: an addon of mitmproxy's may be
    built otherwise in another version, and nobody's report is to be lost by that."""

    @functools.wraps(find)
    def call(*args: P.args, **named: P.kwargs) -> str:
        try:
            return find(*args, **named)
        except Exception:
            logger.debug("who did it cannot be told", exc_info=True)
            return UNKNOWN

    return call


def replacements(addon: str) -> list[Any]:
    """What an addon of mitmproxy's (``maplocal``, ``mapremote``, …) has read from its option."""
    found = ctx.master.addons.get(addon)  # type: ignore[no-untyped-call]
    return list(getattr(found, "replacements", ()))


def _room(addon: Any) -> str:
    return addon.__name__ if isinstance(addon, ModuleType) else type(addon).__module__


def _short_name(addon: Any) -> str:
    if isinstance(addon, ModuleType):
        file = getattr(addon, "__file__", None)
        return f"the script {PurePath(file).name if file else addon.__name__}"
    return f"the addon {getattr(addon, 'name', type(addon).__name__)}"
