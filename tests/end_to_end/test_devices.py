"""Who is connected: four clients that behave differently give four rows, as they come."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.end_to_end import browser
from tests.end_to_end.harness import BUCKET, HOST, SECRET_ID
from tests.end_to_end.test_connected import (
    CLEAN,
    DISTRUSTS,
    PINS,
    SKEWED,
    pin_from,
    sdk_from,
    session_from,
)
from tests.end_to_end.web import Web
from tests.origin.server import Origin

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(browser.missing() is not None, reason=browser.missing() or "nothing"),
]


def clean(web: Web) -> None:
    sdk_from(CLEAN, web).put_object(BUCKET, b"x", "clean.txt")


def distrusts(web: Web) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        session_from(DISTRUSTS).get(f"https://{HOST}/a", proxies=web.proxies, timeout=30)


def pins(web: Web) -> None:
    """Completes the handshake, and hangs up when it has seen the certificate."""
    for _ in range(3):
        pin_from(PINS, web)


def skewed(web: Web) -> None:
    start = int(time.time()) + 7200
    window = f"{start};{start + 600}"
    authorization = (
        f"q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={window}&q-key-time={window}"
        f"&q-header-list=host&q-url-param-list=&q-signature={'0' * 40}"
    )
    session_from(SKEWED).put(
        f"https://{HOST}/skewed.txt",
        data=b"x",
        headers={"Authorization": authorization, "User-Agent": "cos-android-sdk-5.9.51"},
        proxies=web.proxies,
        verify=web.ca_pem,
        timeout=30,
    )


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    with browser.chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened.size(1280, 900)
        yield opened


ROW = """
    const row = document.querySelector(`.devices tr[data-address="${arguments[0]}"]`);
    return row ? [...row.cells].map(cell => cell.innerText) : null;
"""


def test_four_clients_give_four_rows(tmp_path: Path, chromium: browser.Browser) -> None:
    with Origin() as origin, Web(origin, tmp_path / "web") as web:
        chromium.driver.get(f"{web.address}?token={web.token}")
        chromium.driver.get(f"{web.address}cos/setup")
        chromium.wait_for("document.querySelector('.setup .code svg')")
        assert "No device" in chromium.text("#devices-title")
        for use in (clean, distrusts, pins, skewed):
            use(web)
        shown = "document.querySelectorAll('.devices tbody tr').length === arguments[0]"
        chromium.wait_for(shown, 4)
        told = (
            "document.querySelector('.devices tr[data-address=\"' + arguments[0] + '\"]')"
            "?.innerText.includes(arguments[1])"
        )
        for address, words in (
            (CLEAN, "trusted"),
            (DISTRUSTS, "CA not trusted"),
            (PINS, "pinned"),
            (SKEWED, "ahead"),
        ):
            chromium.wait_for(told, address, words)
        (_, client, tls, flows, _, clock, advice) = chromium.run(ROW, CLEAN)
        assert client.startswith("cos-python-sdk-v5 ")
        assert (tls.strip(), flows, clock.strip(), advice) == ("trusted", "1 COS flow", "right", "")
        assert "install mitmproxy's CA" in chromium.run(ROW, DISTRUSTS)[-1]
        assert "without pinning" in chromium.run(ROW, PINS)[-1]
        assert "7,200 s ahead" in chromium.run(ROW, SKEWED)[5].replace("7,199", "7,200")
        assert "network time" in chromium.run(ROW, SKEWED)[-1]
        assert chromium.violations() == []
        assert chromium.console() == []
