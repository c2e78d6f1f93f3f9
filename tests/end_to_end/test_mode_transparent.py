"""A transparent proxy: connections are redirected to it on their way."""

from pathlib import Path

import pytest
import requests

from tests.end_to_end.harness import BUCKET, HOST, checks
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import SMALL, Sdk, all_names_are, exercise, judge
from tests.end_to_end.namespaces import ELSEWHERE, need_tools, network_namespace, run, run_or_skip
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end


def _redirect(port: int) -> None:
    """As a router does it, but for what begins here."""
    run(f"ip address add {ELSEWHERE}/32 dev lo")
    for begun in (80, 443):
        run_or_skip(
            f"iptables -t nat -A OUTPUT -p tcp -d {ELSEWHERE} --dport {begun}"
            f" -j REDIRECT --to-ports {port}"
        )


def test_transparent(tmp_path: Path) -> None:
    need_tools("ip", "iptables")
    with (
        network_namespace(),
        all_names_are(ELSEWHERE),
        Origin() as origin,
        Lab(origin, tmp_path, "--mode=transparent") as lab,
    ):
        _redirect(lab.port)
        exercise(origin, Sdk(lab.ca_pem))
        lab.stop()
        judge(origin, lab.reports)
        assert {record.scheme for record in origin.requests} == {"https"}
        assert lab.status == 0
        assert "Traceback" not in lab.output
        assert not origin.faults


def test_client_that_goes_to_an_address(tmp_path: Path) -> None:
    """Of the bucket it speaks in Host alone."""
    need_tools("ip", "iptables")
    with (
        network_namespace(),
        Origin() as origin,
        Lab(origin, tmp_path, "--mode=transparent") as lab,
    ):
        _redirect(lab.port)
        answer = requests.put(
            f"http://{ELSEWHERE}/address", data=SMALL, headers={"Host": HOST}, timeout=30
        )
        assert answer.status_code == 200
        lab.stop()
        (report,) = lab.reports
        assert report["cos"]["bucket"] == BUCKET
        assert report["verdict"] == "ok"
        assert checks(report)["crc64", "request"] == "match"
        assert origin.get_object(BUCKET, "address") == SMALL
