"""``cos-inspect mitmdump``, ``mitmweb`` and ``mitmproxy``: the tool with the addon in it.

The addon is there before the tool reads its options, so that a wrong value or
a wrong name is always reported; a script given with ``-s`` comes too late for
that. All arguments are the tool's own.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

from mitmproxy import ctx, exceptions, master, options
from mitmproxy.tools import cmdline, main

from cos_inspect.proxy.exit_status import FailOnReached
from cos_inspect.proxy.inspector import CosInspect
from cos_inspect.proxy.options import OPTION_NAMES

DONE, REACHED, WRONG = 0, 1, 2
"""Exit statuses: done, ``cos_fail_on`` was reached, wrong usage or unreadable input."""

_BEHIND = "scriptloader"
"""The addon in whose place scripts stand: behind it come those that save flows."""


class UnknownMitmproxyError(Exception):
    """This mitmproxy is built otherwise than the ones this was made for."""


def run(tool: str, arguments: Sequence[str]) -> int:
    """Runs mitmdump, mitmweb or mitmproxy until it ends; its exit status. Messages go where
    the tool sends its own."""
    addon = CosInspect()
    try:
        kind, parser, defaults = _parts(tool)
        master_class = _with_addon(kind, addon, defaults)
    except (ImportError, AttributeError, UnknownMitmproxyError) as error:
        return _give_up(tool, error)
    before, sys.argv = sys.argv, [f"cos-inspect {tool}", *arguments]
    try:
        main.run(master_class, _without_filters(parser), list(arguments), _options_of)
    except SystemExit as end:
        if end.code in (None, 0):
            return DONE
        # While a capture is read, an unreadable one weighs more than what it held.
        if isinstance(end, FailOnReached) and not isinstance(end.__context__, SystemExit):
            return REACHED
        asked_for_help = not {"-h", "--help"}.isdisjoint(arguments)
        return DONE if asked_for_help else WRONG
    except UnknownMitmproxyError as error:
        return _give_up(tool, error)
    except AttributeError as error:
        # The console tidies up what it has not made, when it finds no terminal.
        if not isinstance(error.__context__, SystemExit):
            raise
        return WRONG
    except OSError as error:
        # mitmweb's own port is taken, for one.
        print(f"cos-inspect {tool}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return WRONG
    finally:
        sys.argv = before
    return REACHED if addon.is_failure else DONE


def _give_up(tool: str, error: Exception) -> int:
    text = (
        f"cos-inspect {tool}: this mitmproxy cannot be started from here ({error});"
        f' use {tool} -s "$(cos-inspect addon-path)"'
    )
    print(text, file=sys.stderr)  # noqa: T201
    return WRONG


Parser = Callable[[options.Options], argparse.ArgumentParser]


def _parts(tool: str) -> tuple[type[master.Master], Parser, dict[str, Callable[[Any], Any]]]:
    """The tool's class, its parser, and other defaults for its options, made of the old ones."""
    match tool:
        case "mitmdump":
            from mitmproxy.tools.dump import DumpMaster  # noqa: PLC0415

            # The addon prints a line per flow, so the tool need not.
            return DumpMaster, cmdline.mitmdump, {"flow_detail": lambda _: 0}
        case "mitmweb":
            from mitmproxy.tools.web.master import WebMaster  # noqa: PLC0415

            return WebMaster, cmdline.mitmweb, {}
        case "mitmproxy":
            from mitmproxy.tools.console.master import ConsoleMaster  # noqa: PLC0415

            return ConsoleMaster, cmdline.mitmproxy, {}
        case _:
            raise UnknownMitmproxyError("there is no such tool")


def _with_addon(
    kind: type[master.Master], addon: CosInspect, defaults: dict[str, Callable[[Any], Any]]
) -> type[master.Master]:
    class Inspecting(kind):  # type: ignore[valid-type, misc]
        def __init__(self, opts: options.Options, **settings: Any) -> None:
            super().__init__(opts, **settings)
            manager = self.addons
            scripts = manager.get(_BEHIND)
            if scripts not in manager.chain:
                raise UnknownMitmproxyError("it has no place for scripts")
            manager.register(addon)
            manager.chain.insert(manager.chain.index(scripts) + 1, addon)
            for name, better in defaults.items():
                if name in opts:
                    opts.update(**{name: better(getattr(opts, name))})  # type: ignore[no-untyped-call]

    return Inspecting


def _without_filters(parser: Parser) -> Parser:
    """``main.run`` looks at ``filter_args``, which mitmdump's parser alone knows."""

    def made(opts: options.Options) -> argparse.ArgumentParser:
        built = parser(opts)
        built.set_defaults(filter_args=[])
        return built

    return made


def _options_of(arguments: Any) -> dict[str, Any]:
    """What mitmdump makes of a filter behind its options, and a look for misspelt names."""
    for name in ctx.options.deferred:
        _refuse_misspelt(name)
    words = " ".join(arguments.filter_args)
    if not words:
        return {}
    return dict.fromkeys(("save_stream_filter", "readfile_filter", "dumper_filter"), words)


def _refuse_misspelt(name: str) -> None:
    """Options that nobody has declared are kept by mitmproxy for scripts yet to come."""
    close = get_close_matches(name, OPTION_NAMES, n=1, cutoff=0.85)
    if close or name.startswith("cos_"):
        known = f"did you mean {close[0]}?" if close else ", ".join(sorted(OPTION_NAMES))
        text = f"{name}: there is no such option; {known}"
        raise exceptions.OptionsError(text)  # type: ignore[no-untyped-call]
