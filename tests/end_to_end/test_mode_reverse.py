"""A reverse proxy in front of one bucket."""

from pathlib import Path

import pytest

from tests.end_to_end.harness import BUCKET, HOST, header
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import Sdk, all_names_are, exercise, judge
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end


@pytest.mark.parametrize("keep", ["true", "false"])
def test_client_that_names_the_proxy(origin: Origin, tmp_path: Path, keep: str) -> None:
    """With ``keep_host_header`` the server sees the proxy's name, which then has to be a
    custom domain of the bucket: the flows are known by what it answers."""
    origin.custom_domains["localhost"] = BUCKET
    arguments = (f"--mode=reverse:https://{HOST}", f"--set=keep_host_header={keep}")
    with Lab(origin, tmp_path, *arguments) as lab:
        store = Sdk(lab.ca_pem, Domain=f"localhost:{lab.port}", Scheme="http")
        exercise(origin, store)
        lab.stop()
    reports = lab.reports
    judge(origin, reports, bucket=BUCKET if keep == "false" else None)
    kept = {(header(report, "request", "Host") or {}).get("value") for report in reports}
    assert kept == {f"localhost:{lab.port}" if keep == "true" else HOST}
    assert {record.host for record in origin.requests} == {"localhost" if keep == "true" else HOST}
    assert "Traceback" not in lab.output


@pytest.mark.parametrize("keep", ["true", "false"])
def test_client_whose_name_lookup_leads_to_the_proxy(
    origin: Origin, tmp_path: Path, keep: str
) -> None:
    arguments = (f"--mode=reverse:https://{HOST}", f"--set=keep_host_header={keep}")
    with Lab(origin, tmp_path, *arguments) as lab, all_names_are("127.0.0.1"):
        exercise(origin, Sdk(lab.ca_pem, Domain=f"{HOST}:{lab.port}"))
        lab.stop()
    judge(origin, lab.reports)
    assert {record.host for record in origin.requests} == {HOST}
    assert "Traceback" not in lab.output
