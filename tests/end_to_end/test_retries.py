"""Real SDKs try again, switch hosts and correct their clocks: one chain each, told as that."""

import contextlib
import io
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from qcloud_cos import CosConfig, CosS3Client

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    REGION,
    SECRET_ID,
    SECRET_KEY,
    Report,
    header,
    rules,
)
from tests.end_to_end.lab import Lab, evidence, found
from tests.end_to_end.node_steps import needs_node, run_node
from tests.end_to_end.stories import MIB, Told
from tests.origin.damage import Damage, Effect, both, key, operation
from tests.origin.effects import drop_headers, error, no_reply, page
from tests.origin.message import OriginRequest
from tests.origin.server import Origin
from tests.origin.signing import Verifier

pytestmark = pytest.mark.end_to_end

SPARE_HOST = HOST.replace(".myqcloud.com", ".tencentcos.cn")
REQUEST_IDS = ("x-cos-request-id", "x-amz-request-id")
PIECES = random.Random(8).randbytes(5 * MIB + 999)
BUSY = error("SlowDown", 503)


def unmarked(request: OriginRequest) -> bool:
    return request.host == HOST


def fail(lab: Lab, name: str, *effects: Effect, times: int, step: str | None = None) -> None:
    when = key(name) if step is None else both(operation(step), key(name))
    lab.origin.damage(Damage(*effects, when=both(when, unmarked), times=times))


def python_client(lab: Lab, retry: int = 3, **settings: Any) -> CosS3Client:
    config = CosConfig(
        Region=REGION,
        SecretId=SECRET_ID,
        SecretKey=SECRET_KEY,
        Proxies=lab.proxies,
        VerifySSL=lab.ca_pem,
        **settings,
    )
    return CosS3Client(config, retry=retry)


def s3_client(lab: Lab) -> Any:
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=f"https://cos.{REGION}.myqcloud.com",
        aws_access_key_id=SECRET_ID,
        aws_secret_access_key=SECRET_KEY,
        verify=lab.ca_pem,
        config=Config(
            proxies=lab.proxies,
            s3={"addressing_style": "virtual"},
            retries={"max_attempts": 3, "mode": "standard"},
        ),
    )


def _python(lab: Lab) -> None:
    fail(lab, "python/busy", BUSY, times=2)
    python_client(lab).put_object(BUCKET, PIECES[:5000], "python/busy")
    fail(lab, "python/switched", page(502, b"Bad Gateway"), times=1)
    switching = python_client(lab, retry=1, AutoSwitchDomainOnRetry=True)
    switching.put_object(BUCKET, PIECES[:5000], "python/switched")
    fail(lab, "python/unanswered", no_reply(), times=1)
    python_client(lab, retry=1).put_object(BUCKET, PIECES[:5000], "python/unanswered")
    fail(lab, "python/given-up", BUSY, times=2)
    with contextlib.suppress(Exception):
        python_client(lab, retry=1).put_object(BUCKET, PIECES[:5000], "python/given-up")


def _boto3(lab: Lab) -> None:
    client = s3_client(lab)
    fail(lab, "boto3/busy", BUSY, times=2)
    client.put_object(Bucket=BUCKET, Key="boto3/busy", Body=PIECES[:5000])
    fail(lab, "boto3/file", BUSY, times=1, step="UploadPart")
    config = TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB)
    client.upload_fileobj(io.BytesIO(PIECES), BUCKET, "boto3/file", Config=config)


def _node(lab: Lab, folder: Path) -> dict[str, Any]:
    fail(lab, "node/busy", BUSY, times=2)
    without_id = (BUSY, drop_headers(*REQUEST_IDS))
    fail(lab, "node/switched", *without_id, times=9)
    redirect = page(302, b"", [("Location", "http://portal.example.com/")])
    fail(lab, "node/redirected", redirect, times=9)
    ends: dict[str, Any] = {}
    for name in ("busy", "switched", "redirected"):
        ends |= run_node(lab, folder, put=f"node/{name}")
    return ends | run_node(lab, folder, slow="node/slow", fast="node/fast")


def _polled(lab: Lab) -> None:
    """Asks again, but not because something failed."""
    lab.send("PUT", "polled", data=b"[Object Content]")
    for _ in range(3):
        lab.send("HEAD", "polled")
        lab.send("HEAD", "not-there")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("retries")
    with Origin() as origin, Lab(origin, folder) as lab:
        origin.authorise = Verifier({SECRET_ID: SECRET_KEY}, anonymous=True)
        # Side by side, since most of the time goes by in waiting for the next try.
        with ThreadPoolExecutor() as pool:
            others = [pool.submit(task, lab) for task in (_python, _boto3, _polled)]
            ends = _node(lab, folder)
            for task in others:
                task.result()
        lab.stop()
        assert not origin.faults
    assert set(ends.values()) <= {200}, ends
    assert "Traceback" not in lab.output
    return Told(lab.reports, lab.summary, lab.output)


def chain_of(told: Told, name: str) -> tuple[dict[str, Any], list[Report]]:
    """The only chain of a key, and its reports in order."""
    (chain,) = told.chains(name)
    by_id = {report["flow_id"]: report for report in told.flows(name).values()}
    return chain, [by_id[flow] for flow in chain["flows"]]


CHAINS = [
    ("python/busy", ["503 SlowDown"] * 2, [HOST], True),
    ("python/switched", ["502, not from COS"], [HOST, SPARE_HOST], True),
    ("python/unanswered", None, [HOST], True),
    ("python/given-up", ["503 SlowDown"] * 2, [HOST], False),
    ("boto3/busy", ["503 SlowDown"] * 2, [HOST], True),
    ("boto3/file", ["503 SlowDown"], [HOST], True),
    ("node/busy", ["503 SlowDown"] * 2, [HOST], True),
    ("node/switched", ["503 SlowDown"] * 3, [HOST, SPARE_HOST], True),
    ("node/redirected", ["302, not from COS"], [HOST, SPARE_HOST], True),
    ("node/slow", ["403 AccessDenied"], [HOST], True),
    ("node/fast", ["403 RequestTimeTooSkewed"], [HOST], True),
]
WITH_NODE = [
    pytest.param(*row, marks=needs_node, id=row[0])
    if row[0].startswith("node/")
    else pytest.param(*row, id=row[0])
    for row in CHAINS
]


@pytest.mark.parametrize(("name", "causes", "hosts", "succeeded"), WITH_NODE)
def test_one_chain_with_its_causes_and_hosts(
    told: Told, name: str, causes: list[str] | None, hosts: list[str], succeeded: bool
) -> None:
    chain, reports = chain_of(told, name)
    if causes is None:
        assert len(chain["causes"]) == 1
        assert "closed" in chain["causes"][0] or "reset" in chain["causes"][0].lower()
    else:
        assert chain["causes"] == causes
    assert chain["hosts"] == hosts
    assert chain["succeeded"] is succeeded
    assert len(reports) == len(chain["causes"]) + succeeded
    assert [report["transfer"]["attempt"] for report in reports] == [
        number + 1 for number in range(len(reports))
    ]


@pytest.mark.parametrize(("name", "causes", "hosts", "succeeded"), WITH_NODE)
def test_retried_stands_on_the_last_try_alone(
    told: Told, name: str, causes: list[str] | None, hosts: list[str], succeeded: bool
) -> None:
    chain, reports = chain_of(told, name)
    assert ["retried" in rules(report) for report in reports] == [
        number == len(reports) for number in range(1, len(reports) + 1)
    ]
    (facts,) = evidence(reports[-1], "retried")
    assert facts["tries"] == len(reports)
    assert facts["causes"] == chain["causes"]
    assert facts["hosts"] == hosts
    assert facts["host_switches"] == len(hosts) - 1
    if succeeded:
        assert rules(reports[-1]) == ["retried"]


def test_there_are_no_other_chains(told: Told) -> None:
    known = {flow for name, *_ in CHAINS for chain in told.chains(name) for flow in chain["flows"]}
    assert {flow for chain in told.summary["retries"] for flow in chain["flows"]} == known


def test_asking_again_after_an_answer_is_no_retry(told: Told) -> None:
    for name in ("polled", "not-there"):
        assert told.chains(name) == []
        assert all("retried" not in rules(report) for report in told.flows(name).values())


def test_failed_tries_keep_their_findings(told: Told) -> None:
    _, reports = chain_of(told, "python/busy")
    assert [found(report) for report in reports[:-1]] == [{"error-response error"}] * 2
    _, reports = chain_of(told, "python/unanswered")
    assert found(reports[0]) == {"connection-failed error"}
    _, reports = chain_of(told, "python/switched")
    assert found(reports[0]) == {"not-from-cos warning"}


def test_the_wait_between_tries_is_told(told: Told) -> None:
    chain, reports = chain_of(told, "python/busy")
    assert chain["time_lost_ms"] >= 3000
    assert reports[-1]["findings"][0]["evidence"]["time_lost_ms"] == chain["time_lost_ms"]


def test_a_retry_alone_is_a_transfer_of_its_own_kind(told: Told) -> None:
    _, reports = chain_of(told, "python/busy")
    places = [report["transfer"] for report in reports]
    assert {(place["kind"], place["id"]) for place in places} == {("retry", places[0]["id"])}


def test_a_part_that_is_tried_again_stays_part_of_its_upload(told: Told) -> None:
    _, reports = chain_of(told, "boto3/file")
    transfer = told.transfer("boto3/file")
    assert {report["transfer"]["kind"] for report in reports} == {"multipart-upload"}
    assert {report["transfer"]["id"] for report in reports} == {transfer["id"]}
    assert transfer["state"] == "completed"
    assert {check["status"] for check in transfer["checks"]} == {"match"}
    assert transfer["verdict"] == "ok"
    assert transfer["tries"] == 3


@needs_node
@pytest.mark.parametrize("name", ["node/slow", "node/fast"])
def test_a_corrected_clock_is_told_as_that(told: Told, name: str) -> None:
    chain, (first, second) = chain_of(told, name)
    assert chain["clock_corrected"] is True
    assert first["response"]["status"] == 403
    assert (first["verdict"], second["verdict"]) == ("notice", "notice")
    assert {item["severity"] for item in first["findings"]} == {"notice"}
    assert "error-response" in rules(first)
    assert rules(second) == ["retried"]
    (finding,) = second["findings"]
    assert "clock" in finding["detail"]
    assert "corrected" in finding["detail"]
    (facts,) = evidence(second, "retried")
    assert facts["clock_self_corrected"] is True
    sent = header(second, "request", "x-cos-sdk-retry")
    assert sent is not None
    assert sent["value"] == "true"


def test_other_chains_say_nothing_of_a_clock(told: Told) -> None:
    clocks = ("node/slow", "node/fast")
    others = [chain for name, *_ in CHAINS if name not in clocks for chain in told.chains(name)]
    assert {chain["clock_corrected"] for chain in others} == {False}
