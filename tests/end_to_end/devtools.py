"""Chromium's own developer tools, beside a page: they write the HAR, as a person has them do."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.end_to_end.browser import Browser

ARGUMENTS = ("--remote-allow-origins=*",)
"""Chromium has to be started with these."""

_HAR = """
    const done = arguments[arguments.length - 1], sanitize = arguments[0];
    (async () => {
      const {Writer} = await import(new URL("./models/har/har.js", location.href));
      const {NetworkLog} = (await import(new URL("./models/logs/logs.js", location.href)))
        .NetworkLog;
      const requests = () => NetworkLog.instance().requests();
      while (!requests().every(each => each.finished || each.failed))
        await new Promise(resolve => setTimeout(resolve, 20));
      const progress = {
        isCanceled: () => false, canceled: false, createSubProgress: () => progress,
      };
      return Writer.Writer.harStringForRequests([...requests()], {sanitize}, progress);
    })().then(text => done({text}), error => done({error: String(error)}));
"""

_ATTACHED = """
    const done = arguments[arguments.length - 1];
    (async () => {
      const {NetworkManager, TargetManager} =
        await import(new URL("./core/sdk/sdk.js", location.href));
      const target = () => TargetManager.TargetManager.instance().primaryPageTarget();
      while (!target()?.model(NetworkManager.NetworkManager))
        await new Promise(resolve => setTimeout(resolve, 20));
      await target().networkAgent().invoke_enable({});
    })().then(() => done(null), error => done(String(error)));
"""


class DevTools:
    """The tools' own window. Network traffic of the page is recorded since they opened."""

    def __init__(self, browser: Browser, window: str) -> None:
        self._browser = browser
        self._window = window

    def har(self, *, sanitize: bool) -> str:
        """What "Export HAR" saves: sanitized, or with sensitive data."""
        driver = self._browser.driver
        page = driver.current_window_handle
        driver.switch_to.window(self._window)
        try:
            said: dict[str, str] = driver.execute_async_script(_HAR, sanitize)
        finally:
            driver.switch_to.window(page)
        if "error" in said:
            raise RuntimeError(said["error"])
        return said["text"]


@contextmanager
def devtools(browser: Browser) -> Iterator[DevTools]:
    """Opens the tools for the page that the browser shows."""
    driver = browser.driver
    page = driver.current_window_handle
    address = driver.capabilities["goog:chromeOptions"]["debuggerAddress"]
    # This Chromium knows no names.
    address = address.replace("localhost", "127.0.0.1")
    driver.switch_to.new_window("window")
    window = driver.current_window_handle
    driver.get(
        "devtools://devtools/bundled/devtools_app.html"
        f"?ws={address}/devtools/page/{page}&panel=network"
    )
    failed = driver.execute_async_script(_ATTACHED)
    driver.switch_to.window(page)
    if failed:
        raise RuntimeError(failed)
    yield DevTools(browser, window)
