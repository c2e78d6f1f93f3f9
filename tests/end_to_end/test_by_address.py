"""A client that looks names up by itself (HTTPDNS) goes to an IP address, and the name of the host
stands in Host alone. The proxy cannot verify the server then, and the app breaks because of it."""

from pathlib import Path

import pytest
from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError

from tests.end_to_end.harness import BUCKET, HOST, REGION, SECRET_ID, SECRET_KEY, rules
from tests.end_to_end.lab import Lab
from tests.end_to_end.later import assert_same_later
from tests.origin.server import Origin

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

ADDRESS = "203.0.113.9"
TO_THE_NAME = """
def requestheaders(flow):
    flow.request.host = flow.request.pretty_host
"""


@pytest.fixture(autouse=True)
def _unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate that the proxy makes for an address is not what is tried here."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")


def upload(lab: Lab, name: str, scheme: str = "https") -> None:
    """By the Python SDK, which is given the address of the host."""
    client = CosS3Client(
        CosConfig(
            Region=REGION,
            SecretId=SECRET_ID,
            SecretKey=SECRET_KEY,
            Scheme=scheme,
            Proxies=lab.proxies,
            VerifySSL=False,
            IP=ADDRESS,
        ),
        retry=0,
    )
    client.put_object(BUCKET, b"abc", name)


def test_the_proxy_is_named(tmp_path: Path, origin: Origin) -> None:
    capture = tmp_path / "saved.mitm"
    with Lab(origin, tmp_path, f"--save-stream-file={capture}") as lab:
        with pytest.raises((CosServiceError, CosClientError)):
            upload(lab, "by-address")
        report = lab.report_on("by-address")
        lab.stop()
        (trouble,) = lab.summary["connections"]
        reports = lab.reports
    assert report["connection"]["by_address"] is True
    assert report["connection"]["sni"] is None
    assert report["cos"]["bucket"] == BUCKET
    assert rules(report) == ["connection-failed"]
    (finding,) = report["findings"]
    assert "HTTPDNS" in finding["detail"]
    assert "without the proxy the request may work" in finding["detail"]
    for way in ("turn HTTPDNS off", "flow.request.host", "ssl_insecure"):
        assert way in finding["fix"]
    assert (trouble["host"], trouble["failed"]) == (HOST, "upstream-by-address")
    assert trouble["flows"] == [report["flow_id"]]
    assert "HTTPDNS" in trouble["fix"]
    assert_same_later(reports, capture, tmp_path)


@pytest.mark.parametrize("way", ["a script", "ssl_insecure"])
def test_ways_out(tmp_path: Path, origin: Origin, way: str) -> None:
    script, capture = tmp_path / "to_the_name.py", tmp_path / "saved.mitm"
    script.write_text(TO_THE_NAME)
    arguments = ["--set=ssl_insecure=true"] if way == "ssl_insecure" else []
    with Lab(
        origin,
        tmp_path,
        f"--save-stream-file={capture}",
        *arguments,
        scripts_after=[] if arguments else [script],
    ) as lab:
        upload(lab, "by-address")
        lab.report_on("by-address")
        lab.stop()
        (report,) = lab.reports
        assert lab.summary["connections"] == []
    assert origin.get_object(BUCKET, "by-address") == b"abc"
    assert report["connection"]["by_address"] is True
    assert (rules(report), report["verdict"]) == ([], "ok")
    assert_same_later([report], capture, tmp_path)


def test_over_plain_http_it_works(tmp_path: Path, origin: Origin) -> None:
    with Lab(origin, tmp_path) as lab:
        upload(lab, "plain", scheme="http")
        report = lab.report_on("plain")
    assert report["connection"]["by_address"] is True
    assert rules(report) == ["credentials-in-clear"]


def test_a_client_that_asks_by_name(tmp_path: Path, origin: Origin) -> None:
    with Lab(origin, tmp_path) as lab:
        lab.client().put_object(BUCKET, b"abc", "by-name")
        connection = lab.report_on("by-name")["connection"]
    assert connection["by_address"] is False
    assert (connection["sni"], connection["tls"]) == (HOST, "TLSv1.3")
    assert connection["client"].startswith("127.0.0.1:")
    assert connection["server"] == f"127.0.0.1:{origin.https_port}"
