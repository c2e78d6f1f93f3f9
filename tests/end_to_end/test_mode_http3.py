"""HTTP/3: a reverse proxy between a client and a server that speak it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.end_to_end.harness import BUCKET, HOST
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import LARGE, Http3, accusations, exercise, judge
from tests.end_to_end.test_connections import wait_until_known
from tests.origin.client_http3 import Call, send_http3
from tests.origin.gateway import Gateway
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end
MODE = f"--mode=reverse:http3://{HOST}"


@pytest.fixture
def gateway(origin: Origin) -> Iterator[Gateway]:
    with Gateway(origin) as made:
        yield made
    assert not made.streams.faults
    assert set(made.streams.protocols) == {"HTTP/3"}


def test_http3(origin: Origin, gateway: Gateway, tmp_path: Path) -> None:
    with Lab(origin, tmp_path, MODE, server=gateway) as lab:
        exercise(origin, Http3(lab.ca_pem, lab.port))
        lab.stop()
    judge(origin, lab.reports)
    for report in lab.reports:
        assert report["request"]["http_version"] == "HTTP/3"
        assert report["response"]["http_version"] == "HTTP/3"
    assert "Traceback" not in lab.output


def test_many_streams_of_one_connection(origin: Origin, gateway: Gateway, tmp_path: Path) -> None:
    names = [f"streams/{number}" for number in range(8)]
    bodies = [LARGE[number : number + 100_000] for number in range(8)]
    with Lab(origin, tmp_path, MODE, "--set=cos_stream=0", server=gateway) as lab:
        puts = [Call("PUT", f"/{name}", body) for name, body in zip(names, bodies, strict=True)]
        sent = send_http3(lab.port, HOST, lab.ca_pem, *puts)
        assert [came.status for came in sent] == [200] * 8
        gets = [Call("GET", f"/{name}") for name in names]
        came = send_http3(lab.port, HOST, lab.ca_pem, *gets)
        assert [bytes(each.body) for each in came] == bodies
        lab.stop()
    assert [origin.get_object(BUCKET, name) for name in names] == bodies
    assert len(lab.reports) == 16
    assert {accusations(report) for report in lab.reports} == {frozenset()}


def test_a_client_that_refuses_the_ca(origin: Origin, tmp_path: Path) -> None:
    """QUIC has no alert of TLS to tell it by."""
    with Gateway(origin) as server, Lab(origin, tmp_path, MODE, server=server) as lab:
        with pytest.raises(ConnectionError):
            send_http3(lab.port, HOST, origin.ca_pem, Call("GET", "/a.txt"))
        wait_until_known(lab, HOST)
        lab.stop()
    (trouble,) = lab.summary["connections"]
    assert (trouble["failed"], trouble["count"]) == ("client-refused-certificate", 1)
    assert [finding["rule"] for finding in trouble["findings"]] == ["tls-untrusted"]


def test_a_server_that_is_not_trusted(origin: Origin, tmp_path: Path) -> None:
    with Origin() as other, Gateway(origin) as gateway:
        untrusted = SimpleNamespace(
            http_port=gateway.http_port,
            https_port=gateway.https_port,
            http3_port=gateway.http3_port,
            ca_pem=other.ca_pem,
        )
        with Lab(origin, tmp_path, MODE, server=untrusted) as lab:
            (came,) = send_http3(lab.port, HOST, lab.ca_pem, Call("GET", "/a.txt"))
            assert came.status == 502
            lab.stop()
    (report,) = lab.reports
    (finding,) = report["findings"]
    assert finding["evidence"]["failed"] == "upstream-certificate"
    (trouble,) = lab.summary["connections"]
    assert (trouble["failed"], trouble["flows"]) == ("upstream-certificate", [report["flow_id"]])
