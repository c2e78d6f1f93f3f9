"""Mistakes of programs around real SDKs: copies from a wrong source, streams that are not rewound,
an upload that was completed although its answer says otherwise."""

import contextlib
import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from qcloud_cos.cos_exception import CosException

from tests.end_to_end.harness import BUCKET, HOST, REGION, Report, rules
from tests.end_to_end.lab import Lab, evidence, found
from tests.end_to_end.stories import MIB, Told
from tests.end_to_end.test_retries import fail, python_client, s3_client
from tests.origin.damage import Damage, both, key, operation
from tests.origin.effects import error, error_afterwards, no_reply
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

CONTENT = random.Random(15).randbytes(4096)
PIECES = random.Random(16).randbytes(2 * MIB + 999)
LARGE = random.Random(17).randbytes(16 * MIB)
"""More than what lies between the origin and a client that does not read."""
HALF = 8 * MIB
BUSY = error("ServiceUnavailable", 503)
FAILURES = (CosException, ClientError, BotoCoreError)


class Pipe:
    """A stream that a program made out of a pipe: it pretends to go back, and does not."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)
        self._size = len(content)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, place: int, whence: int = 0) -> int:
        return self.tell()

    def __len__(self) -> int:
        return self._size - self.tell()

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(1024):
            yield piece


def _copies(lab: Lab) -> None:
    lab.origin.put_object(BUCKET, "source/照片 1.png", CONTENT)
    client, s3 = lab.client(), s3_client(lab)
    right = {"Bucket": BUCKET, "Key": "source/照片 1.png", "Region": REGION}
    client.copy_object(BUCKET, "copy/right", right)
    s3.copy_object(
        Bucket=BUCKET, Key="copy/s3-right", CopySource={"Bucket": BUCKET, "Key": right["Key"]}
    )
    with contextlib.suppress(*FAILURES):
        client.copy_object(BUCKET, "copy/no-appid", right | {"Bucket": "examplebucket"})
    with contextlib.suppress(*FAILURES):
        client.copy_object(BUCKET, "copy/gone", right | {"Key": "source/gone.txt"})
    with contextlib.suppress(*FAILURES):
        s3.copy_object(
            Bucket=BUCKET, Key="copy/s3-gone", CopySource={"Bucket": BUCKET, "Key": "gone.txt"}
        )
    begun = client.create_multipart_upload(BUCKET, "copy/parts")
    with contextlib.suppress(*FAILURES):
        client.upload_part_copy(
            BUCKET, "copy/parts", 1, begun["UploadId"], right | {"Key": "source/gone.txt"}
        )
    client.abort_multipart_upload(BUCKET, "copy/parts", begun["UploadId"])


def _streams(lab: Lab, folder: Path) -> None:
    for name, effect in (("busy", BUSY), ("unanswered", no_reply())):
        fail(lab, f"stream/{name}", effect, times=1)
        with contextlib.suppress(*FAILURES):
            python_client(lab, retry=1).put_object(BUCKET, Pipe(CONTENT), f"stream/{name}")
    fail(lab, "stream/rewound", BUSY, times=1)
    python_client(lab, retry=1).put_object(BUCKET, io.BytesIO(CONTENT), "stream/rewound")
    # The program's own loop, with a file that was read half before the second try.
    path = folder / "half.bin"
    path.write_bytes(CONTENT)
    fail(lab, "stream/half", BUSY, times=1)
    with path.open("rb") as file:
        for start in (0, 2048):
            file.seek(start)
            with contextlib.suppress(*FAILURES):
                lab.client().put_object(BUCKET, file, "stream/half")


def _completed(lab: Lab, folder: Path) -> None:
    path = folder / "pieces.bin"
    path.write_bytes(PIECES)
    for name in ("complete/python", "complete/boto3", "complete/nobody-looks"):
        lab.origin.damage(
            Damage(
                error_afterwards("ServiceUnavailable", 503),
                when=both(operation("CompleteMultipartUpload"), key(name)),
                times=1,
            )
        )
    client = python_client(lab, retry=1)
    for name in ("complete/python", "complete/nobody-looks"):
        with contextlib.suppress(*FAILURES):
            client.upload_file(BUCKET, name, str(path), PartSize=1, MAXThread=1)
    client.head_object(BUCKET, "complete/python")
    config = TransferConfig(multipart_threshold=MIB, multipart_chunksize=MIB, use_threads=False)
    s3 = s3_client(lab)
    with contextlib.suppress(*FAILURES):
        s3.upload_fileobj(io.BytesIO(PIECES), BUCKET, "complete/boto3", Config=config)
    s3.head_object(Bucket=BUCKET, Key="complete/boto3")


def _resumed(lab: Lab) -> None:
    """A download is stopped, and goes on: from its start, or where it had ended."""
    for name, headers in (("resume/whole", {}), ("resume/rest", {"Range": f"bytes={HALF}-"})):
        lab.origin.put_object(BUCKET, name, LARGE)
        answer = lab.send("GET", name, stream=True)
        assert answer.raw.read(65_536) == LARGE[:65_536]
        answer.close()
        lab.report_on(name)
        assert lab.send("GET", name, headers=headers).content == LARGE[HALF if headers else 0 :]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("mistakes")
    with Origin() as origin, Lab(origin, folder) as lab:
        _copies(lab)
        _streams(lab, folder)
        _completed(lab, folder)
        _resumed(lab)
        lab.stop()
        assert not origin.faults
    assert "Traceback" not in lab.output
    return Told(lab.reports, lab.summary, lab.output)


def only(told: Told, name: str) -> Report:
    (report,) = told.flows(name).values()
    return report


@pytest.mark.parametrize("name", ["copy/right", "copy/s3-right"])
def test_a_right_copy_is_fine(told: Told, name: str) -> None:
    assert only(told, name)["verdict"] == "ok"


@pytest.mark.parametrize(
    ("name", "expected", "code", "bucket", "key"),
    [
        (
            "copy/no-appid",
            {"error-response warning", "header-malformed warning"},
            "NoSuchBucket",
            "examplebucket",
            "source/照片 1.png",
        ),
        ("copy/gone", {"error-response warning"}, "NoSuchKey", BUCKET, "source/gone.txt"),
        ("copy/s3-gone", {"error-response warning"}, "NoSuchKey", BUCKET, "gone.txt"),
    ],
)
def test_a_copy_from_a_wrong_source(
    told: Told, name: str, expected: set[str], code: str, bucket: str, key: str
) -> None:
    report = only(told, name)
    assert found(report) == expected
    (facts,) = evidence(report, "error-response")
    assert (facts["code"], facts["source_bucket"], facts["source_key"]) == (code, bucket, key)
    assert "source" in report["error"]["meaning"]


def test_a_part_from_a_wrong_source(told: Told) -> None:
    report = told.flows("copy/parts")["UploadPartCopy"]
    assert found(report) == {"error-response warning"}
    (facts,) = evidence(report, "error-response")
    assert facts["source_key"] == "source/gone.txt"
    assert HOST in facts["copy_source"]


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("stream/busy", "empty", 0),
        ("stream/unanswered", "empty", 0),
        ("stream/half", "shorter", 2048),
    ],
)
def test_a_stream_that_was_not_rewound(told: Told, name: str, kind: str, size: int) -> None:
    first, second = told.flows(name).values()
    assert second["response"]["status"] == 200
    assert "mismatch" not in {check["status"] for check in second["checks"]}
    assert "retry-body-differs error" in found(second), second["findings"]
    (facts,) = evidence(second, "retry-body-differs")
    assert (facts["difference"], facts["sizes"]) == (kind, [len(CONTENT), size])
    assert facts["before"] == first["flow_id"]


def test_a_stream_that_was_rewound(told: Told) -> None:
    _, second = told.flows("stream/rewound").values()
    assert rules(second) == ["retried"]


@pytest.mark.parametrize("name", ["complete/python", "complete/boto3"])
def test_a_complete_that_worked_though_it_was_answered_503(told: Told, name: str) -> None:
    transfer = told.transfer(name)
    assert (transfer["state"], transfer["verdict"]) == ("completed", "ok"), transfer["findings"]
    assert "shows the object" in transfer["notice"]
    completes = [
        report
        for flow, report in told.flows(name).items()
        if flow.startswith("CompleteMultipartUpload")
    ]
    assert [report["response"]["status"] for report in completes] == [503, 404]
    assert [report["verdict"] for report in completes] == ["notice", "notice"]
    for report in completes:
        assert "completed all the same" in report["findings"][0]["detail"]


def test_a_complete_that_nobody_looked_after(told: Told) -> None:
    transfer = told.transfer("complete/nobody-looks")
    assert transfer["state"] == "probably-completed"
    second = told.flows("complete/nobody-looks")["CompleteMultipartUpload#2"]
    assert "upload-probably-completed warning" in found(second)


def test_what_was_stored_and_lost_is_what_the_store_holds(told: Told) -> None:
    """The tests above are about real losses: the SDK raised nothing."""
    assert {
        name: told.flows(name)[last]["response"]["status"]
        for name, last in (("stream/busy", "PutObject#2"), ("stream/half", "PutObject#2"))
    } == {"stream/busy": 200, "stream/half": 200}


def test_a_download_that_begins_again_from_its_start(told: Told) -> None:
    stopped, whole = told.flows("resume/whole").values()
    assert "body-truncated" in rules(stopped)
    assert "retried" in rules(whole), whole["findings"]
    (facts,) = evidence(whole, "retried")
    assert 65_536 <= facts["bytes_again"] < len(LARGE)
    assert stopped["transfer"]["healed"] is True
    assert whole["transfer"]["earlier_tries"] == [stopped["flow_id"]]


def test_a_download_that_goes_on_where_it_ended(told: Told) -> None:
    _, rest = told.flows("resume/rest").values()
    assert "retried" not in rules(rest)
