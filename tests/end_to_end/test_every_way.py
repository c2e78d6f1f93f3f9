"""One session, five ways: live, ``mitmdump -nr``, ``analyze`` of the flow file, mitmweb loading
it, and ``analyze`` of the HAR that mitmproxy wrote of it. They say the same, field by field."""

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from boto3.s3.transfer import TransferConfig

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    SECRET_ID,
    SECRET_KEY,
    Report,
    read_reports,
    s3_client,
)
from tests.end_to_end.lab import ADDON_ARGUMENT, Lab, found, mitmdump
from tests.end_to_end.stories import FIRST, LAST, Uploading
from tests.end_to_end.test_clean_coscmd import CONFIGURATION, SMALL, coscmd
from tests.end_to_end.test_clean_node import missing as node_is_missing
from tests.end_to_end.test_clean_node import run_session
from tests.end_to_end.test_live_and_later import analyze, without
from tests.end_to_end.test_signatures import expect_signed, free_port, sdk, upload
from tests.end_to_end.ways import (
    OF_A_RUN,
    Run,
    assert_flow_file_says_it,
    assert_mitmweb_says_it,
    but_for_the_run,
    by_flow,
    by_request,
    summary_in,
)
from tests.origin.damage import Damage, both, flip_upload, key, method
from tests.origin.effects import (
    chunked,
    drop_headers,
    error,
    error_in_success,
    flip_body,
    gzip_body,
    no_reply,
    replace_element,
    truncate,
    wrong_crc,
    wrong_etag,
)
from tests.origin.server import Origin
from tests.origin.signing import Verifier

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 6000
"""1.5 MB, streamed."""
TEXT = b"a few bytes\n"
LATIN = "Grün".encode("latin-1")
BINARY = bytes(range(256)) * 4
OTHER = "otherbucket-1250000000"

OF_A_HAR = (
    *OF_A_RUN,
    "flow_id",
    "transfer.id",  # by the client's address
    "connection",
    "timing.connect_ms",
    "timing.tls_ms",
)
"""What a HAR does not hold, or names otherwise."""
OF_BODIES = ("checks", "findings", "verdict", "transfer", "ticket", "error")
"""What rests on bodies, and is compared apart."""
OF_A_FAILURE = ("timing.total_ms", "timing.response_ms")
"""mitmproxy does not write when an exchange failed."""
TAKEN_AWAY = "Expect"
"""A header that mitmproxy answers itself, and does not write."""
REWRITTEN = ("reversed",)
"""Of these the proxy wrote Host, which the HAR does not say: what was signed cannot be told."""
SENT_ON = ("mapped",)
"""Of what an option rewrote a HAR has what was sent on, to another bucket."""
NOT_HELD = frozenset({"not-captured", "re-encoded", "unseen-parts", "incomplete"})
"""Why a check is not made of a HAR that was made live."""


def python_sdk(lab: Lab, folder: Path) -> None:
    """Uploads, downloads, lists and copies as users write them."""
    client = lab.client()
    for name, body in (("small.txt", TEXT), ("binary.bin", BINARY), ("big.bin", BIG)):
        client.put_object(BUCKET, body, f"sdk/{name}")
        answer = client.get_object(BUCKET, f"sdk/{name}")
        assert answer["Body"].get_raw_stream().read() == body
    source = folder / "parts.bin"
    source.write_bytes(BIG + BIG + TEXT)
    client.upload_file(BUCKET, "sdk/parts.bin", str(source), PartSize=1, MAXThread=2)
    client.download_file(BUCKET, "sdk/parts.bin", str(folder / "back"), PartSize=1, MAXThread=2)
    client.list_objects(BUCKET, Prefix="sdk/")
    copied = {"Bucket": BUCKET, "Key": "sdk/small.txt", "Region": "ap-guangzhou"}
    client.copy_object(BUCKET, "sdk/copy.txt", copied)
    client.append_object(BUCKET, "sdk/log", 0, TEXT)
    client.append_object(BUCKET, "sdk/log", len(TEXT), BINARY)
    client.delete_objects(BUCKET, {"Object": [{"Key": "sdk/copy.txt"}, {"Key": "sdk/log"}]})
    client.delete_object(BUCKET, "sdk/small.txt")


def boto3_client(lab: Lab) -> None:
    client = s3_client(lab)
    client.put_object(Bucket=BUCKET, Key="s3/small", Body=TEXT)
    config = TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=5 << 20)
    client.upload_fileobj(io.BytesIO(BIG * 4), BUCKET, "s3/parts", Config=config)
    client.get_object(Bucket=BUCKET, Key="s3/parts")["Body"].read()
    client.list_objects_v2(Bucket=BUCKET, Prefix="s3/")


def bodies(lab: Lab) -> None:
    """Of many kinds, whole and damaged."""
    origin = lab.origin
    effects = {
        "flip": flip_body(1),
        "crc": wrong_crc(),
        "etag": wrong_etag(),
        "no-id": drop_headers("x-cos-request-id"),
        "gzip": gzip_body(),
        "chunked": chunked(),
        "denied": error("AccessDenied"),
        "none": no_reply(),
        "cut": truncate(3),
    }
    for kind, body in (("txt", TEXT), ("latin", LATIN), ("bin", BINARY), ("big", BIG)):
        origin.put_object(BUCKET, f"whole.{kind}", body)
        lab.send("GET", f"whole.{kind}")
        lab.send("HEAD", f"whole.{kind}")
        for name, effect in effects.items():
            target = f"{name}.{kind}"
            origin.put_object(BUCKET, target, body)
            lab.damage(target, effect)
            with contextlib.suppress(requests.RequestException):
                lab.send("GET", target)
        lab.damage(f"up.{kind}", flip_upload(1))
        lab.send("PUT", f"up.{kind}", data=body)
        lab.send("PUT", f"packed.{kind}", data=body, headers={"Content-Encoding": "gzip"})


def control_answers(lab: Lab) -> None:
    """Lists, copies and Completes of unknown length, failed within a success or not."""
    origin = lab.origin
    for number in range(200):
        origin.put_object(BUCKET, f"many/{number:04}", b"")
    origin.damage(Damage(chunked(), when=both(method("GET"), lambda r: "prefix=many" in r.target)))
    lab.send("GET", "", query="?prefix=many")
    origin.put_object(BUCKET, "source.bin", BIG)
    lab.send("HEAD", "source.bin")
    source = {"x-cos-copy-source": f"{HOST}/source.bin"}
    for name, damages in {
        "copied": (),
        "copy-failed": (error_in_success(),),
        "copy-wrong": (replace_element("CRC64", "7"),),
    }.items():
        lab.damage(name, *damages, chunked())
        lab.send("PUT", name, headers=source)
    for name, damages in {
        "done": (),
        "done-failed": (error_in_success(),),
        "done-wrong": (wrong_crc(),),
        "done-number": (replace_element("ETag", f'"{"0" * 32}-7"'),),
    }.items():
        made = Uploading(lab, name)
        made.part(1, FIRST)
        made.part(2, LAST)
        lab.damage(name, *damages, chunked())
        made.complete()


def joined(lab: Lab) -> None:
    """What several exchanges say together."""
    origin = lab.origin
    for name, effect in (("ranges", None), ("ranges-bad", flip_body(1))):
        origin.put_object(BUCKET, name, BINARY)
        spans = ((0, 399), (400, 799), (800, len(BINARY) - 1))
        for number, (first, last) in enumerate(spans):
            if effect is not None and number == 1:
                origin.damage(Damage(effect, when=both(key(name), method("GET")), times=1))
            lab.send("GET", name, headers={"Range": f"bytes={first}-{last}"})
    origin.put_object(BUCKET, "overlaps", BINARY)
    for first, last in ((0, 599), (500, len(BINARY) - 1)):
        lab.send("GET", "overlaps", headers={"Range": f"bytes={first}-{last}"})
    for name, effect in (("again", error("SlowDown", 503)), ("unheard", no_reply())):
        origin.damage(Damage(effect, when=key(name), times=1))
        for _ in range(2):
            with contextlib.suppress(requests.RequestException):
                lab.send("PUT", name, data=TEXT)
    for name, body in (("written", TEXT), ("rewritten", BINARY)):
        lab.send("PUT", name, data=body)
        if name == "rewritten":
            origin.put_object(BUCKET, name, TEXT)
        lab.send("GET", name)


def other_clients(lab: Lab, folder: Path) -> None:
    """Those that are installed."""
    if importlib.util.find_spec("coscmd") is not None:
        (folder / "small.bin").write_bytes(SMALL)
        (folder / "cos.conf").write_text(CONFIGURATION)
        coscmd(lab, folder, "upload", "small.bin", "coscmd/照片 +.bin")
        coscmd(lab, folder, "download", "coscmd/照片 +.bin", "small-back.bin")
        coscmd(lab, folder, "list", "coscmd/")
        coscmd(lab, folder, "delete", "-f", "coscmd/照片 +.bin")
    if node_is_missing() is None:
        run_session(lab, folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("ways")
    mitm, har, port = folder / "saved.mitm", folder / "saved.har", free_port()
    with (
        Origin() as origin,
        Lab(
            origin,
            folder,
            "--mode=regular",
            f"--mode=reverse:https://{HOST}@{port}",
            "--set=map_remote=|~u mapped|examplebucket-|otherbucket-",
            f"--save-stream-file={mitm}",
            f"--set=hardump={har}",
        ) as lab,
    ):
        lab.wait_for_output("reverse proxy to")
        origin.make_bucket(OTHER)
        python_sdk(lab, folder)
        boto3_client(lab)
        bodies(lab)
        control_answers(lab)
        joined(lab)
        other_clients(lab, folder)
        lab.send("PUT", "mapped", data=TEXT)
        origin.authorise = Verifier({SECRET_ID: SECRET_KEY})
        expect_signed(lab, "expect")
        upload(lab, "reversed", sdk(lab, Domain=f"localhost:{port}", Scheme="http", Proxies=None))
        lab.stop()
        assert not origin.faults
        assert "Traceback" not in lab.output
        return Run(lab.reports, lab.summary, mitm, har)


def test_the_session_has_faults_of_many_kinds(run: Run) -> None:
    told = {finding["rule"] for report in run.live for finding in report["findings"]}
    assert told >= {
        "crc64-mismatch",
        "etag-mismatch",
        "body-truncated",
        "connection-failed",
        "error-response",
        "error-in-success",
        "multipart-crc64-mismatch",
        "multipart-etag-mismatch",
        "range-crc64-mismatch",
        "retried",
        "object-changed",
        "request-id-missing",
        "signature-broken-by-proxy",
    }


def test_the_flow_file_says_what_live_said(run: Run) -> None:
    assert_flow_file_says_it(run)


def test_mitmweb_loading_it_says_what_live_said(run: Run, tmp_path: Path) -> None:
    assert_mitmweb_says_it(run, tmp_path)


def test_mitmdump_reading_it_says_what_live_said(run: Run, tmp_path: Path) -> None:
    done = mitmdump("-nr", str(run.mitm), ADDON_ARGUMENT, f"--set=cos_report_dir={tmp_path}")
    assert done.returncode == 0, done.stdout
    assert by_flow(read_reports(tmp_path)) == by_flow(run.live)
    assert summary_in(tmp_path) == but_for_the_run(run.summary)


def test_the_har_says_what_live_said_of_what_it_holds(run: Run) -> None:
    hars = by_request(read_reports(analyze(run.har)))
    assert hars.keys() == by_request(run.live).keys()
    wrong = []
    for name, live in by_request(run.live).items():
        if name[1] in SENT_ON:
            assert found(hars[name]) <= found(live)
            continue
        if name[1] in REWRITTEN:
            assert found(hars[name]) - found(live) == {"signature-mismatch error"}
            continue
        # A HAR tells neither who broke off nor what the proxy took away.
        differs = [
            each
            for each in _differences(live, hars[name])
            if not str(each).startswith(("('broke_off", "('request.changes"))
        ]
        if differs:
            wrong.append((name, found(live), found(hars[name]), differs))
    assert not wrong, "\n".join(map(repr, wrong))


@pytest.mark.parametrize("keeps_host", [False, True], ids=["Host rewritten", "Host kept"])
def test_the_har_of_a_reverse_proxy_says_what_live_said(keeps_host: bool, tmp_path: Path) -> None:
    har, port = tmp_path / "saved.har", free_port()
    with (
        Origin() as origin,
        Lab(
            origin,
            tmp_path,
            f"--mode=reverse:https://{HOST}@{port}",
            f"--set=keep_host_header={str(keeps_host).lower()}",
            f"--set=hardump={har}",
        ) as lab,
    ):

        def send(method: str, name: str, data: bytes = b"", **headers: str) -> None:
            if keeps_host:
                headers |= {"Host": HOST}
            url = f"http://127.0.0.1:{port}/{name}"
            with contextlib.suppress(requests.RequestException):
                requests.request(method, url, data=data, headers=headers, timeout=30)

        for name, effects in {
            "fine": (),
            "flipped": (flip_body(1),),
            "crc": (wrong_crc(),),
            "chunked": (chunked(),),
            "denied": (error("AccessDenied"),),
            "cut": (truncate(3),),
        }.items():
            for kind, body in (("txt", TEXT), ("bin", BINARY), ("big", BIG)):
                origin.put_object(BUCKET, f"{name}.{kind}", body)
                if effects:
                    lab.damage(f"{name}.{kind}", *effects)
                send("GET", f"{name}.{kind}")
                send("HEAD", f"{name}.{kind}")
        lab.damage("up", flip_upload(1))
        send("PUT", "up", BINARY)
        send("PUT", "stored", BIG)
        for first, last in ((0, 399), (400, len(BINARY) - 1)):
            send("GET", "fine.bin", Range=f"bytes={first}-{last}")
        if not keeps_host:
            source = tmp_path / "parts.bin"
            source.write_bytes(BIG + TEXT)
            client = sdk(lab, Domain=f"localhost:{port}", Scheme="http", Proxies=None)
            client.upload_file(BUCKET, "parts.bin", str(source), PartSize=1, MAXThread=1)
        lab.stop()
        assert not origin.faults
        live = lab.reports
    told = {finding["rule"] for report in live for finding in report["findings"]}
    assert told >= {"crc64-mismatch", "error-response", "body-truncated", "etag-mismatch"}
    hars = by_request(read_reports(analyze(har)))
    assert hars.keys() == by_request(live).keys()
    wrong = []
    for asked, report in by_request(live).items():
        differs = [
            each
            for each in _differences(report, hars[asked])
            if not str(each).startswith(("('broke_off", "('request.changes"))
        ]
        if differs:
            wrong.append((asked, found(report), found(hars[asked]), differs))
    assert not wrong, "\n".join(map(repr, wrong))


def _differences(live: Report, har: Report) -> Iterator[object]:
    fields = live["request"]["headers"]
    live["request"]["headers"] = [field for field in fields if field["name"] != TAKEN_AWAY]
    if without(live, *OF_A_HAR) == without(har, *OF_A_HAR):
        return
    sides = [side for side in ("request", "response") if live[side]]
    apart = (*OF_A_HAR, *OF_BODIES, *(f"{side}.body" for side in sides))
    if "response" not in sides or not live["response"]["body"]["complete"]:
        apart += OF_A_FAILURE
    one, other = without(live, *apart), without(har, *apart)
    for name in one.keys() | other.keys():
        if one.get(name) != other.get(name):
            yield name, one.get(name), other.get(name)
    made = {(check["check"], check["body"]): check for check in live["checks"]}
    for check in har["checks"]:
        known = made.pop((check["check"], check["body"]), None)
        if check != known and check["reason"] not in NOT_HELD:
            yield check, known
    yield from made.values()
    yield from found(har) - found(live)
    if (
        live["checks"] == har["checks"]
        and live["response"]
        and live["response"]["body"]["complete"]
    ):
        yield from found(live) - found(har)
