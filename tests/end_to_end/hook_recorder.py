"""A mitmproxy script that writes down each hook before any addon gets it.

It has no hooks of its own but ``done``: with a ``request`` hook beside it, the addon would
stream nothing.
"""

import json
from typing import Any

from mitmproxy import connection, ctx, flow
from mitmproxy.addonmanager import Loader
from mitmproxy.hooks import Hook


def load(loader: Loader) -> None:
    loader.add_option("hooks_file", str, "", "Where hooks are written down.")
    addons: Any = ctx.master.addons
    inner = addons.handle_lifecycle

    async def recorded(hook: Hook) -> None:
        _note(hook.name, *hook.args())
        await inner(hook)

    addons.handle_lifecycle = recorded


def done() -> None:
    _note("done")


def _note(hook: str, about: Any = None) -> None:
    client = getattr(about, "client_conn", None) or getattr(about, "client", None) or about
    if not isinstance(client, connection.Client):
        client = getattr(getattr(about, "context", None), "client", None)
    line = {
        "hook": hook,
        "flow": about.id if isinstance(about, flow.Flow) else "",
        "client": client.id if client else "",
        "path": getattr(getattr(about, "request", None), "path", ""),
    }
    with open(ctx.options.hooks_file, "a") as file:  # noqa: PTH123
        file.write(json.dumps(line) + "\n")
