"""Pictures of the report pages and of mitmweb, from real traffic: ``scripts/pictures/*.png``.

With a directory as argument, the reports are kept there, and more pictures to look at: every
page, light and dark, wide and as narrow as a phone.
"""

import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image
from qcloud_cos.cos_exception import CosClientError, CosServiceError

from scripts.demo_traffic import MIB, Story
from tests.end_to_end.browser import Browser, chromium
from tests.end_to_end.harness import (
    BUCKET,
    SECRET_ID,
    SECRET_KEY,
    Inspected,
    Report,
    cos_client,
    rules,
)
from tests.end_to_end.test_devices import clean, distrusts, pins, skewed
from tests.end_to_end.web import Web
from tests.origin.damage import Damage, both, key, nth, on_request, operation, stall_upload
from tests.origin.effects import error, wrong_etag
from tests.origin.server import Origin
from tests.origin.signing import Verifier

PICTURES = Path(__file__).resolve().parent / "pictures"
WIDTH, HEIGHT = 1280, 1100
NARROW = 400
WEB_HEIGHT = 800
COMPARE_HEIGHT = 680
SHOWN_IN_MITMWEB = "damaged/etag.txt"
LARGEST = 150_000
SKEWED = "notes/done.txt"


def trouble(origin: Origin, proxy: Inspected, folder: Path) -> None:
    """An upload with slow, refused and wrong parts, and a signature that does not hold."""
    client = cos_client(proxy)
    part = both(key("videos/holiday.mp4"), operation("UploadPart"))
    origin.damage(
        Damage(stall_upload(0.25), when=part),
        Damage(error("SlowDown", 503), when=nth(3, part)),
        Damage(error("InternalError", 500), when=nth(7, part)),
        Damage(wrong_etag(), when=nth(9, part)),
    )
    path = folder / "holiday.mp4"
    path.write_bytes(os.urandom(14 * MIB))
    with contextlib.suppress(CosServiceError, CosClientError):
        client.upload_file(BUCKET, "videos/holiday.mp4", str(path), PartSize=1, MAXThread=4)
    path.unlink()
    origin.damage(
        Damage(
            on_request(lambda request: request.set_header("Content-Type", "text/plain")),
            when=key("notes/plan b.txt"),
        )
    )
    origin.authorise = Verifier({SECRET_ID: SECRET_KEY})
    with contextlib.suppress(CosServiceError):
        client.put_object(
            BUCKET, b"to do", "notes/plan b.txt", ContentType="text/plain;charset=utf-8"
        )
    client.put_object(BUCKET, b"done", SKEWED)
    ahead = mock.Mock(time=lambda: time.time() + 2400)
    with mock.patch("qcloud_cos.cos_auth.time", ahead), contextlib.suppress(CosServiceError):
        client.put_object(BUCKET, b"done", SKEWED)


def traffic(folder: Path) -> Path:
    """Sends it; the report directory."""
    with Origin() as origin:
        with Inspected(
            origin,
            folder,
            "--set=cos_report_format=json",
            "--set=cos_report_format=html",
            "--set=cos_report_format=markdown",
        ) as proxy:
            story = Story(origin, proxy, folder)
            story.clean()
            trouble(origin, proxy, folder)
            origin.authorise = None
            story.damaged()
        return proxy.report_dir


def take(browser: Browser, directory: Path) -> None:
    reports = [json.loads(path.read_text()) for path in sorted(directory.glob("flows/*.json"))]
    summary: dict[str, Any] = json.loads((directory / "summary.json").read_text())
    pages = [("overview", ""), ("failed-flow", f"#{_number(reports, 'signature-mismatch')}")]
    pages += [
        ("multipart-transfer", f"#transfer={transfer['id']}")
        for transfer in summary["transfers"]
        if transfer["key"] == "videos/holiday.mp4"
    ]
    pages.append(("compare", _compared(reports)))
    for name, address in pages:
        for theme in ("light", "dark"):
            browser.theme(theme)
            browser.size(WIDTH, COMPARE_HEIGHT if name == "compare" else HEIGHT)
            browser.open(directory / "index.html", address)
            browser.wait_for("!document.querySelector('.loading')")
            _save(browser, PICTURES / f"{name}-{theme}.png")


def take_live(browser: Browser, folder: Path, more: Path | None) -> None:
    """The pages in mitmweb while four devices are connected, of which three have trouble."""
    folder.mkdir(exist_ok=True)
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    modes = ("--mode=regular", f"--mode=wireguard@{port}")
    with Origin() as origin, Web(origin, folder, *modes) as web:
        browser.theme("light")
        browser.driver.get(f"{web.address}?token={web.token}")
        browser.driver.get(f"{web.address}cos/index.html")
        browser.wait_for("cosInspect.live.isLive")
        # Whom a story trusts stands in the environment.
        os.environ.pop("REQUESTS_CA_BUNDLE", None)
        for use in (clean, distrusts, pins, skewed):
            use(web)
        Story(origin, web, folder).clean()
        trouble(origin, web, folder)
        browser.wait_for("cosInspect.store.summary.devices?.length === 5")
        browser.wait_for(f"cosInspect.store.all().filter(row => row.key === '{SKEWED}').length > 1")
        browser.wait_for("document.querySelector('.transfers .transfer')")
        for name, address in (("live", ""), ("setup", "#setup")):
            _both_themes(browser, name, address, more)


def _both_themes(browser: Browser, name: str, address: str, more: Path | None) -> None:
    browser.run("location.hash = arguments[0]", address)
    browser.wait_for("document.querySelector(arguments[0])", f".{name}" if address else ".overview")
    browser.run("scrollTo(0, 0)")
    for theme in ("light", "dark"):
        browser.theme(theme)
        browser.size(WIDTH, HEIGHT)
        browser.wait_for("document.fonts.status === 'loaded'")
        _save(browser, PICTURES / f"{name}-{theme}.png")
        if more is not None:
            _look(browser, more / f"{name}-{theme}")


def look_at(browser: Browser, directory: Path, more: Path) -> None:
    """Pictures of every page, to be looked at."""
    reports = [json.loads(path.read_text()) for path in sorted(directory.glob("flows/*.json"))]
    summary: dict[str, Any] = json.loads((directory / "summary.json").read_text())
    transfer = next(one["id"] for one in summary["transfers"] if one["verdict"] != "ok")
    pages = {
        "overview": "",
        "list": "#filter=",
        "flow": f"#{_number(reports, 'signature-mismatch')}",
        "transfers": "#transfers",
        "transfer": f"#transfer={transfer}",
        "compare": _compared(reports),
    }
    for name, address in pages.items():
        for theme in ("light", "dark"):
            browser.theme(theme)
            browser.open(directory / "index.html", address)
            browser.wait_for("!document.querySelector('.loading')")
            _look(browser, more / f"{name}-{theme}")


def _look(browser: Browser, path: Path) -> None:
    for width in (WIDTH, NARROW):
        browser.size(width, HEIGHT)
        browser.picture(path.with_name(f"{path.name}-{width}.png"), whole=True)


def _number(reports: Sequence[Report], rule: str) -> str:
    broken = [report for report in reports if rule in rules(report)]
    broken += [report for report in reports if report["verdict"] == "error"]
    return f"{broken[0]['sequence']:06d}"


def _compared(reports: Sequence[Report]) -> str:
    """An upload by a device whose clock is wrong, beside the same by the right clock."""
    worked, refused, *_ = (report for report in reports if report["cos"]["key"] == SKEWED)
    return f"#compare={refused['sequence']:06d},{worked['sequence']:06d}"


def _save(browser: Browser, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    browser.picture(path)
    with Image.open(path) as taken:
        true = taken.convert("RGB")
    true.save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        # Drawn to the means of what they stand for, large faces keep their own colour.
        small = true.quantize(
            256, method=Image.Quantize.MAXCOVERAGE, kmeans=8, dither=Image.Dither.NONE
        )
        small.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(PICTURES.parent.parent)}: {size // 1000} kB")
    if size > LARGEST:
        raise ValueError(f"{path} is larger than {LARGEST} bytes")


def take_mitmweb(browser: Browser, folder: Path) -> None:
    """mitmweb's list of flows, and the content view of one that went wrong.

    In one theme: mitmweb 12.2 has no other, and follows no wish of the system.
    """
    folder.mkdir(exist_ok=True)
    with Origin() as origin, Web(origin, folder) as web:
        story = Story(origin, web, folder)
        story.clean()
        with contextlib.suppress(CosServiceError):
            cos_client(web).get_object(BUCKET, "damaged/nowhere.txt")
        story.damaged()
        browser.theme("light")
        browser.size(WIDTH, WEB_HEIGHT)
        browser.driver.get(f"{web.address}?token={web.token}")
        browser.wait_for("document.querySelectorAll('.flow-table .marker').length > 5")
        browser.run("const list = document.querySelector('.flow-table'); list.scrollTop = 1e6")
        browser.wait_for(f"document.body.innerText.includes('{SHOWN_IN_MITMWEB}')")
        _save(browser, PICTURES / "mitmweb-list.png")
        browser.run(
            """[...document.querySelectorAll(".flow-table tbody tr")]
               .find(row => row.innerText.includes(arguments[0])).click()""",
            SHOWN_IN_MITMWEB,
        )
        shown = "document.querySelector('.contentview pre')"
        browser.wait_for(f"{shown}?.innerText.includes('etag-mismatch')")
        browser.run("document.querySelector('.contentview').scrollIntoView()")
        _save(browser, PICTURES / "mitmweb-content-view.png")


def main(arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="cos-pictures-") as temporary:
        folder = Path(arguments[0]).resolve() if arguments else Path(temporary)
        directory = traffic(folder)
        more = folder / "pictures" if arguments else None
        with chromium(Path(temporary) / "profile") as browser:
            take(browser, directory)
            if more is not None:
                more.mkdir(exist_ok=True)
                look_at(browser, directory, more)
            take_live(browser, folder / "live", more)
            take_mitmweb(browser, folder / "mitmweb")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
