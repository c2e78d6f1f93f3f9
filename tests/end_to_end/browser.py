"""A real Chromium without a window, which reaches nothing but the disk and this machine."""

import base64
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_OF_OTHERS = re.compile(r"http://[^/]+/src/css/vendor\.less - Failed to load resource|chrome://")
"""mitmweb 12.3.1 asks for a style sheet of its own that it does not bring. A page of the browser's
own, the one of a new tab, may complain of a slow machine."""
AXE = Path(__file__).with_name("node") / "node_modules" / "axe-core" / "axe.min.js"


def missing() -> str | None:
    """Why there can be no tests in a browser; None in CI, where they have to run."""
    if os.environ.get("CI") == "true":
        return None
    if _binary() is None or shutil.which("chromedriver") is None:
        return "chromium and chromedriver are not installed"
    if not AXE.is_file():
        return "axe-core is not installed; run npm install in tests/end_to_end/node"
    return None


def _binary() -> str | None:
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Browser:
    """One window."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, fragment: str = "") -> None:
        """Opens a page from disk, anew."""
        self.driver.get("about:blank")
        self.driver.get(page.as_uri() + fragment)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns; where it is a promise, what that becomes."""
        return self.driver.execute_script(script, *arguments)

    def wait_for(self, condition: str, *arguments: object) -> Any:
        """Until a JavaScript expression is true; its value."""
        script = f"""
            const given = [...arguments];
            return new Promise((resolve, reject) => {{
              const begin = performance.now();
              const look = () => {{
                const found = (function () {{ return {condition}; }}).apply(null, given);
                if (found) resolve(found);
                else if (performance.now() - begin > 20000) reject(new Error("waited in vain"));
                else setTimeout(look, 10);
              }};
              look();
            }});"""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        text: str = self.run(
            "return document.querySelector(arguments[0])?.innerText ?? ''", selector
        )
        return text

    def console(self) -> list[str]:
        """What was written to the console since the last call; also refused resources."""
        lines = [entry["message"] for entry in self.driver.get_log("browser")]
        return [line for line in lines if not _OF_OTHERS.match(line)]

    def size(self, width: int, height: int) -> None:
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def theme(self, name: str) -> None:
        """``light`` or ``dark``, as the system would ask for it."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self._devtools("Emulation.setEmulatedMedia", {"features": [feature]})

    def paper(self, width: int, height: int) -> None:
        """Shows the page as it is printed, by one whose system is dark."""
        self.size(width, height)
        feature = {"name": "prefers-color-scheme", "value": "dark"}
        self._devtools("Emulation.setEmulatedMedia", {"media": "print", "features": [feature]})

    def screen(self, width: int, height: int) -> None:
        """Ends that, and the theme that was set."""
        self._devtools("Emulation.setEmulatedMedia", {"media": "", "features": []})
        self.size(width, height)

    def violations(self) -> list[str]:
        """What axe-core finds on the page as it is."""
        self.run(AXE.read_text("utf-8"))
        result = self.run(
            "return axe.run(document, {preload: false, resultTypes: ['violations']})"
            ".then(result => result.violations)"
        )
        return [
            f"{found['id']}: {found['help']}: {[node['html'][:200] for node in found['nodes'][:5]]}"
            for found in result
        ]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        taken = self._devtools(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole}
        )
        path.write_bytes(base64.b64decode(taken["data"]))

    def printed(self, path: Path) -> tuple[int, int]:
        """Prints the page to a PDF; its pages, and how many of them have next to nothing."""
        taken = self._devtools("Page.printToPDF", {"printBackground": True})
        path.write_bytes(base64.b64decode(taken["data"]))
        content = path.read_bytes()
        pages = re.findall(rb"/Type\s*/Page\b[^s].*?/Contents\s+(\d+) 0 R", content, re.DOTALL)
        blank = 0
        for number in pages:
            stream = re.search(
                rb"\n%b 0 obj.*?stream\r?\n(.*?)endstream" % number, content, re.DOTALL
            )
            assert stream is not None
            # What draws text is Tj or TJ.
            blank += not re.search(rb"T[jJ]\b", zlib.decompress(stream[1]))
        return len(pages), blank

    def _devtools(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, arguments)
        return answer


@contextmanager
def chromium(profile: Path, *arguments: str) -> Iterator[Browser]:
    """A Chromium that keeps its files in ``profile``; ``arguments`` go to it too."""
    options = webdriver.ChromeOptions()
    binary = _binary()
    if binary is None:
        raise FileNotFoundError("chromium is not installed")
    options.binary_location = binary
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        driver.set_script_timeout(60)
        yield Browser(driver)
    finally:
        driver.quit()
