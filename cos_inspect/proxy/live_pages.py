"""The report pages inside mitmweb, at ``/cos/``, behind mitmweb's own authentication.

They are the files of the report directory, read when they are asked for.
mitmweb has no hook for this; where its application is not as known, there are
no live pages, and the same pages open from disk.

Clients of the proxy get no such pages under a name of their own: whoever may
use the proxy could read every object name of all other clients there, and any
website that such a client visits could include the data files as scripts.
"""

import asyncio
import logging
import mimetypes
from collections.abc import Callable
from pathlib import Path

import msgspec
from mitmproxy import ctx

from cos_inspect.proxy.log_guard import AS_IS
from cos_inspect.proxy.setup import advice_by_device, setup
from cos_inspect.report import pages
from cos_inspect.report.folder import read_below
from cos_inspect.report.page_changes import changes_since
from cos_inspect.report.page_lines import call

logger = logging.getLogger(__name__)

_FILE = (
    r"/cos/((?:(?:assets|data|flows)/)?[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}"
    r"\.(?:html|js|css|svg|json|jsonl|md))"
)
_SETTING = "cos_inspect_report_directory"
_TROUBLE = "cos_inspect_report_trouble"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
_NOT_YET = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=3>"
    "<title>COS report</title><p>{}</p>"
)


class LivePages:
    """Gives mitmweb the pages once its application is there.

    ``directory`` answers with the report directory and whether pages are written there,
    ``trouble`` with why nothing can be written at present, in one line.
    """

    def __init__(
        self,
        directory: Callable[[], tuple[Path | None, bool]],
        trouble: Callable[[], str | None],
    ) -> None:
        self._directory = directory
        self._trouble = trouble
        self._address: str | None = None

    def page_of(self, flow_id: str) -> str | None:
        """The address of a flow's page; None where there is none."""
        if self._address is None:
            return None
        folder, has_pages = self._directory()
        return f"{self._address}#flow={flow_id}" if folder is not None and has_pages else None

    def running(self) -> None:
        """mitmproxy's hook, when it has started: gives mitmweb the pages; other tools have none."""
        application = getattr(ctx.master, "app", None)
        if application is None:
            return
        try:
            if _SETTING not in application.settings:
                application.add_handlers(r".*", _handlers())
            # A script that is loaded anew finds the handlers of before.
            application.settings[_SETTING] = self._directory
            application.settings[_TROUBLE] = self._trouble
            where = ctx.master.web_url.replace("/?", "/cos/?", 1)  # type: ignore[attr-defined]
        except Exception:
            logger.debug("mitmweb is not as known, so there are no live pages", exc_info=True)
            return
        if "/cos/" not in where:
            where = f"{where.rstrip('/')}/cos/"
        self._address = where.partition("?")[0]
        # With the token that mitmweb prints beside it.
        logger.info("COS report pages at %s", where, extra=AS_IS)


def _handlers() -> list[tuple[str, type]]:
    # Only mitmweb has it loaded.
    from mitmproxy.tools.web.app import RequestHandler  # noqa: PLC0415

    class Base(RequestHandler):  # type: ignore[no-untyped-call]
        def set_default_headers(self) -> None:
            super().set_default_headers()  # type: ignore[no-untyped-call]
            for name, value in _HEADERS.items():
                self.set_header(name, value)

        def auth_fail(self, invalid_password: bool) -> None:  # noqa: ARG002
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.write("Log in to mitmweb first, then open this page again.")

        def is_foreign(self) -> bool:
            """Whether another site's page asks, which gets nothing. A page of another port of
            this host counts as the same site for the cookie."""
            asker = self.request.headers.get("Sec-Fetch-Site", "none")
            if asker in ("same-origin", "none"):
                return False
            self.set_status(403)
            return True

    class ChangesHandler(Base):  # type: ignore[no-untyped-call]
        async def get(self) -> None:
            if self.is_foreign():
                return
            folder, has_pages = self.settings[_SETTING]()
            if folder is None or not has_pages:
                self.set_status(404)
                return
            rows = self.get_query_argument("rows", None)
            summary = self.get_query_argument("summary", "")
            self.set_header("Content-Type", "text/javascript; charset=utf-8")
            trouble = self.settings[_TROUBLE]()
            self.write(await asyncio.to_thread(changes_since, folder, rows, summary, trouble))

    class SetupHandler(Base):  # type: ignore[no-untyped-call]
        async def get(self) -> None:
            if self.is_foreign():
                return
            self.set_header("Content-Type", "text/javascript; charset=utf-8")
            folder, _ = self.settings[_SETTING]()
            advice = await asyncio.to_thread(advice_by_device, folder)
            self.write(call("setupFacts", msgspec.json.encode(setup(advice))))

    class StartHandler(Base):  # type: ignore[no-untyped-call]
        def get(self) -> None:
            # Without what authenticated it, so that no token stays in the address bar.
            is_setup = self.request.path.endswith("/setup")
            self.redirect("/cos/index.html#setup" if is_setup else "/cos/index.html")

    class FileHandler(Base):  # type: ignore[no-untyped-call]
        async def get(self, name: str) -> None:
            if name != "index.html" and self.is_foreign():
                return
            folder, has_pages = self.settings[_SETTING]()
            content = None
            if folder is not None and has_pages:
                content = await asyncio.to_thread(read_below, folder, name)
                if content is None:
                    # Before the first flow nothing is written.
                    content = pages.empty(name)
            elif folder is not None and not name.startswith(("assets/", "data/")):
                content = await asyncio.to_thread(read_below, folder, name)
            if content is not None:
                kind = mimetypes.guess_type(name)[0] or "text/plain"
                charset = "" if kind == "image/svg+xml" else "; charset=utf-8"
                self.set_header("Content-Type", f"{kind}{charset}")
                self.write(content)
            elif name == "index.html":
                self.write(_NOT_YET.format(_why_not(folder)))
            else:
                self.set_status(404)

    return [
        (r"/cos(?:/|/setup)?", StartHandler),
        (r"/cos/setup\.js", SetupHandler),
        (r"/cos/changes\.js", ChangesHandler),
        (_FILE, FileHandler),
    ]


def _why_not(folder: Path | None) -> str:
    if folder is None:
        return "No reports are written, because cos_report_dir is empty."
    return "No pages are written, because cos_report_format is without html."
