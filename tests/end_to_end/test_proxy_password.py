"""A proxy that wants a password (proxyauth), and clients that have none: they are visible."""

from pathlib import Path

import pytest
import requests

from tests.conditions import wait_until
from tests.end_to_end.harness import HOST
from tests.end_to_end.lab import Lab
from tests.end_to_end.later import assert_same_later
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

REFUSES = """
from mitmproxy import http


def http_connect(flow):
    flow.response = http.Response.make(403, b"not through here")
"""


def ask(lab: Lab, scheme: str, password: str | None = None) -> int:
    proxy = lab.url.replace("//", f"//phone:{password}@") if password else lab.url
    return requests.get(
        f"{scheme}://{HOST}/a",
        proxies={"http": proxy, "https": proxy},
        verify=lab.ca_pem,
        timeout=30,
    ).status_code


def test_a_phone_without_the_password(tmp_path: Path, origin: Origin) -> None:
    capture = tmp_path / "saved.mitm"
    with Lab(
        origin, tmp_path, "--set=proxyauth=phone:secret", f"--save-stream-file={capture}"
    ) as lab:
        with pytest.raises(requests.exceptions.ProxyError):
            ask(lab, "https")
        assert ask(lab, "http") == 407
        with pytest.raises(requests.exceptions.ProxyError):
            ask(lab, "https", "wrong")
        lab.wait_for_output("COS connection proxy-password: ")
        lab.stop()
        summary, (report,) = lab.summary, lab.reports
        assert lab.output.count("COS connection proxy-password") == 2, "and once in all"
    (trouble,) = summary["connections"]
    assert (trouble["host"], trouble["client"]) == (HOST, "127.0.0.1")
    assert (trouble["failed"], trouble["count"]) == ("proxy-password", 2)
    assert trouble["detail"].startswith("407 ")
    assert "user name and password" in trouble["fix"]
    assert trouble["findings"] == []
    answer = report["response"]
    assert (answer["status"], answer["by"], answer["option"]) == (407, "proxy", "proxyauth")
    assert report["findings"] == []
    assert_same_later([report], capture, tmp_path)


def test_one_that_gives_it_when_it_is_asked(tmp_path: Path, origin: Origin) -> None:
    """Nothing is left of it in the summary, and no line is printed."""
    with Lab(origin, tmp_path, "--set=proxyauth=phone:secret") as lab:
        with pytest.raises(requests.exceptions.ProxyError):
            ask(lab, "https")
        summary = lab.report_dir / "summary.json"
        wait_until(lambda: summary.exists() and lab.summary["connections"])
        assert ask(lab, "https", "secret") == 404
        lab.report_on("a")
        lab.stop()
        assert lab.summary["connections"] == []
        assert "COS connection" not in lab.output


def test_a_script_that_refuses_tunnels(tmp_path: Path, origin: Origin) -> None:
    script = tmp_path / "refuses.py"
    script.write_text(REFUSES)
    with Lab(origin, tmp_path, scripts_before=[script]) as lab:
        with pytest.raises(requests.exceptions.ProxyError):
            ask(lab, "https")
        lab.wait_for_output("COS connection proxy-refused: ")
        lab.stop()
        (trouble,) = lab.summary["connections"]
    assert (trouble["failed"], trouble["detail"]) == ("proxy-refused", "403 Forbidden")
