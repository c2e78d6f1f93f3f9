"""The addon: what becomes of it and of its options while mitmproxy runs. Its hooks of flows and of
connections are inherited."""

import asyncio
import atexit
import functools
import logging
from pathlib import Path

from mitmproxy import contentviews, ctx, exceptions, http
from mitmproxy.addonmanager import Loader

from cos_inspect.proxy import options
from cos_inspect.proxy.commands import Commands
from cos_inspect.proxy.contentview import CosContentview
from cos_inspect.proxy.exit_status import prepare_exit
from cos_inspect.proxy.flow_hooks import FlowHooks
from cos_inspect.proxy.guard import guarded, name_of
from cos_inspect.proxy.live_pages import LivePages
from cos_inspect.proxy.log_guard import LogGuard
from cos_inspect.proxy.recheck import Recheck
from cos_inspect.proxy.reload_state import hand_over, take_over
from cos_inspect.proxy.startup import REFUSAL, show_comments, spare_startup
from cos_inspect.proxy.terminal_log import TerminalLog

logger = logging.getLogger(__name__)

_NAME = "cosinspect"
_OF_TUNNELS = frozenset({"http_connect", "http_connect_error"})
"""Hooks whose flows are not inspected."""


@guarded
class CosInspect(FlowHooks):
    """Recognises COS flows, checks them as they pass, and reports each one once."""

    def __init__(self) -> None:
        self._terminal_log = TerminalLog()
        self._log_guard = LogGuard()
        super().__init__(take_over())
        self._is_running = False
        self._connection_tracker.may_judge = lambda: self.judges_failures
        self._recheck = Recheck(self._reporting, self._batch.flush)
        self._live_pages = LivePages(self._pages, lambda: self._reporting.trouble)
        self._own_addons = [Commands(self._recheck)]
        """Few: mitmproxy asks each of them for every hook of every flow."""

    @functools.cached_property
    def name(self) -> str:
        """By which mitmproxy knows it; it refuses a second addon of the same name with a
        traceback. Asked first when the addon is given to it."""
        before = ctx.master.addons.get(_NAME)  # type: ignore[no-untyped-call]
        return _NAME if before in (None, self) else f"{_NAME}-{id(self)}"

    @property
    def _is_second(self) -> bool:
        return self.name != _NAME

    @property
    def _is_known(self) -> bool:
        """Whether mitmproxy has the addon still: it forgets a script before it loads it anew, and
        at its own end, which may come without a word, it forgets nobody."""
        return ctx.master.addons.get(_NAME) is self  # type: ignore[no-untyped-call]

    @property
    def addons(self) -> list[Commands]:
        """What mitmproxy is to load with this one: the commands."""
        return [] if self._is_second else self._own_addons

    def load(self, loader: Loader) -> None:
        """Declares the options and guards the log; a second instance does nothing."""
        if self._is_second:
            self.is_over = True
            logger.warning("cos_inspect was loaded twice; the second one does nothing")
            return
        spare_startup()
        self._log_guard.install()
        options.declare(loader)
        contentviews.add(CosContentview(self._recheck))
        self._terminal_log.load()
        for complaint in options.repeated(ctx.options):
            logger.error(complaint, extra=REFUSAL)

    def running(self) -> None:
        """Does what needs the interface's own addons, which are there now."""
        self._is_running = True
        self._prepare_exit()
        self._stop_signal.watch()
        # Where mitmproxy's log cannot print, the process ends and no addon is told.
        atexit.register(self.done)
        self._streaming.steps_back()
        self._live_pages.running()
        self._reporting.page_of = self._live_pages.page_of
        show_comments()

    def configure(self, updated: set[str]) -> None:
        """Takes the options as they are now; OptionsError refuses a wrong one."""
        if self.is_over or not updated & options.OPTION_NAMES:
            return
        self._batch.flush()
        try:
            settings = options.settings_of(ctx.options)
        except exceptions.OptionsError as error:
            if "scripts" not in updated:
                raise
            # All names at once: this script was just loaded, and mitmproxy would print a
            # traceback. An error in the log ends the start-up as well.
            logger.error("%s", error, extra=REFUSAL)
            settings = options.Settings(report_dir=None, annotate=False)
        self._settings = self._stream_setup.settings = self._recheck.settings = settings
        if self._is_running:
            self._prepare_exit()
        self._reporting.use(settings)
        self._log_guard.is_on = settings.redact
        self._connection_tracker.use(settings.hosts, settings.ignore, redact=settings.redact)

    def _prepare_exit(self) -> None:
        prepare_exit(lambda: self.is_failure, wanted=self._settings.fail_on != "never")

    def _pages(self) -> tuple[Path | None, bool]:
        return self._settings.report_dir, "html" in self._settings.formats

    def done(self) -> None:
        """Reports what is under way, and writes the end of the run."""
        atexit.unregister(self.done)
        try:
            self._stop_all()
        finally:
            self.is_over = True
            self._end()

    def _end(self) -> None:
        self._streaming.done()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        try:
            if loop is None or ctx.master.should_exit.is_set() or self._is_known:
                self._memory.close()
            else:
                # A script that is loaded anew is there before the loop's next turn.
                loop.call_soon(hand_over(self._memory))
        finally:
            self._stop_signal.done()
            self._terminal_log.done()

    @property
    def is_failure(self) -> bool:
        """A finding of the severity of ``cos_fail_on`` or a higher one was made."""
        fail_on = self._settings.fail_on
        return self._reporting.reaches(fail_on) or (
            self._connection_tracker.has_errors and options.reaches(("error",), fail_on)
        )

    def hook_failed(self, hook: str, about: object) -> None:
        """Called where a hook of this class raised; the traffic goes on without us."""
        if isinstance(about, http.HTTPFlow) and hook not in _OF_TUNNELS:
            self._failed(about)
        else:
            logger.error("%s: the hook %s failed", name_of(about), hook, exc_info=True)
