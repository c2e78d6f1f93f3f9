"""Real transfer managers through a real proxy: each transfer is one, and all of it agrees."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.end_to_end.harness import BUCKET, accused, rules, s3_client
from tests.end_to_end.lab import Lab
from tests.end_to_end.node_steps import needs_node, run_node
from tests.end_to_end.stories import MIB, Told
from tests.origin.content import Repeated
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

PARTS = 200
TAIL = 12_345
SIZE = 12 * MIB + TAIL
CONFIG = TransferConfig(multipart_threshold=MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
UPLOADS = {"python/up": PARTS, "boto3/up": 3, "node/up": 7}
DOWNLOADS = {"python/down": 13, "boto3/down": 3, "node/down": 13}


def _python(proxy: Lab, folder: Path) -> None:
    client = proxy.client()
    block = random.Random(5).randbytes(MIB)
    big = folder / "big.bin"
    with big.open("wb") as file:
        for number in range(PARTS):
            file.write(block[number:] + block[:number] if number < PARTS - 1 else block[:TAIL])
    client.upload_file(BUCKET, "python/up", str(big), PartSize=1, MAXThread=5)
    big.unlink()
    client.download_file(
        BUCKET,
        "python/down",
        str(folder / "python.bin"),
        PartSize=1,
        MAXThread=5,
        DumpRecordDir=str(folder),
    )


def _boto3(proxy: Lab, folder: Path) -> None:
    client = s3_client(proxy)
    file = folder / "boto3.bin"
    file.write_bytes(random.Random(6).randbytes(SIZE))
    client.upload_file(str(file), BUCKET, "boto3/up", Config=CONFIG)
    client.download_file(BUCKET, "boto3/down", str(file), Config=CONFIG)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("transfers")
    # Parts are hashed and thrown away, so that many of them need no memory.
    with Origin(discard_uploads_above=MIB // 2) as origin, Lab(origin, folder) as proxy:
        for key in DOWNLOADS:
            origin.put_object(BUCKET, key, Repeated(b"0123456789abcde", SIZE))
        _python(proxy, folder)
        _boto3(proxy, folder)
        ends = run_node(proxy, folder, slice="node/up", download="node/down")
        assert set(ends.values()) <= {200, 206}, ends
        proxy.stop()
        assert "Traceback" not in proxy.output
        assert not origin.faults
        yield Told(proxy.reports, proxy.summary, proxy.output)


def _of(*keys: str) -> list[Any]:
    return [pytest.param(key, marks=needs_node) if key.startswith("node/") else key for key in keys]


def test_nothing_is_accused_or_noticed(told: Told) -> None:
    assert accused(told.reports) == []
    assert {rule for report in told.reports for rule in rules(report)} == set()
    assert {transfer["verdict"] for transfer in told.summary["transfers"]} == {"ok"}
    assert told.summary["retries"] == []


@pytest.mark.parametrize("key", _of(*UPLOADS))
def test_an_upload_is_one_transfer(told: Told, key: str) -> None:
    transfer = told.transfer(key)
    assert (transfer["kind"], transfer["state"]) == ("multipart-upload", "completed")
    assert transfer["parts"] == transfer["tries"] == len(transfer["part_table"]) == UPLOADS[key]
    assert {(check["check"], check["status"]) for check in transfer["checks"]} == {
        ("multipart-crc64", "match"),
        ("multipart-etags", "match"),
    }
    assert transfer["size"] == sum(row["size"] for row in transfer["part_table"])
    assert transfer["bytes_sent_twice"] == 0
    assert transfer["throughput"] > 0


@pytest.mark.parametrize("key", _of(*UPLOADS))
def test_the_checks_stand_on_the_complete(told: Told, key: str) -> None:
    assert told.check(key, "CompleteMultipartUpload", "multipart-crc64") == "match"
    assert told.check(key, "CompleteMultipartUpload", "multipart-etags") == "match"


@pytest.mark.parametrize("key", _of(*UPLOADS))
def test_every_flow_of_an_upload_says_where_it_belongs(told: Told, key: str) -> None:
    transfer = told.transfer(key)
    places = {
        report["flow_id"]: report["transfer"]
        for report in told.flows(key).values()
        if report["transfer"] is not None
    }
    assert set(places) == set(transfer["flows"])
    assert {place["id"] for place in places.values()} == {transfer["id"]}
    numbers = sorted(place["position"] for place in places.values() if place["position"])
    assert numbers == list(range(1, UPLOADS[key] + 1))


@pytest.mark.parametrize("key", _of(*DOWNLOADS))
def test_a_ranged_download_is_one_transfer(told: Told, key: str) -> None:
    transfer = told.transfer(key)
    assert (transfer["kind"], transfer["state"]) == ("ranged-download", "complete")
    assert transfer["parts"] == DOWNLOADS[key]
    assert transfer["size"] == SIZE
    assert [(check["check"], check["status"]) for check in transfer["checks"]] == [
        ("range-crc64", "match")
    ]


@pytest.mark.parametrize("key", _of(*DOWNLOADS))
def test_the_range_that_makes_it_whole_has_the_check(told: Told, key: str) -> None:
    ranged = [report for report in told.flows(key).values() if report["transfer"] is not None]
    statuses = [
        check["reason"] or check["status"]
        for report in ranged
        for check in report["checks"]
        if check["check"] == "range-crc64"
    ]
    assert sorted(statuses) == ["match"] + ["unseen-parts"] * (DOWNLOADS[key] - 1)
    starts = sorted(report["transfer"]["position"] for report in ranged)
    step = 5 * MIB if key == "boto3/down" else MIB
    assert starts == list(range(0, SIZE, step))
