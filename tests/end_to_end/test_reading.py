"""Saved captures, read back through mitmdump: the same findings, and no secrets left behind."""

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import requests
from mitmproxy import http
from mitmproxy.io import FlowWriter

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    SECRET_ID,
    SECRET_KEY,
    Report,
    checks,
    read_reports,
    s3_client,
)
from tests.end_to_end.lab import ADDON_ARGUMENT, Lab, found, get, mitmdump, put, saved_flows
from tests.end_to_end.test_damage_encryption import CUSTOMER, KEY
from tests.origin.content import Held
from tests.origin.damage import answer, flip_upload
from tests.origin.effects import early, error, flip_body, no_reply, truncate
from tests.origin.message import OriginRequest, Reply
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

BIG = bytes(range(256)) * 8000
TOKEN = "c2VjcmV0LXRva2VuLW9mLWEtdGVtcG9yYXJ5LWtleQ0123456789"
SIGNATURE = "c0ffee" * 6 + "abcd"
PRESIGNED = (
    f"?q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time=1700000000%3B4000000000"
    f"&q-key-time=1700000000%3B4000000000&q-header-list=&q-url-param-list="
    f"&q-signature={SIGNATURE}&x-cos-security-token={TOKEN}"
)


def signature_refused(request: OriginRequest) -> Reply:
    """COS shows what it signed, tokens and all."""
    echo = f"put\n/echoed\n\nhost={HOST}&x-cos-security-token={TOKEN}\n"
    body = (
        "<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>SignatureDoesNotMatch</Code>"
        f"<Message>The Signature you specified is invalid: {SIGNATURE}</Message>"
        f"<StringToSign>sha1\n1;2\n{SIGNATURE}\n</StringToSign>"
        f"<FormatString>{echo.replace('&', '&amp;')}</FormatString><Resource>{HOST}/echoed"
        f"</Resource><RequestId>{request.request_id}</RequestId>"
        f"<TraceId>{request.trace_id}</TraceId></Error>"
    ).encode()
    fields = [
        ("Content-Type", "application/xml"),
        ("Content-Length", str(len(body))),
        ("Server", "tencent-cos"),
        ("x-cos-request-id", request.request_id),
        ("x-cos-trace-id", request.trace_id),
    ]
    return Reply(403, fields, Held([body]))


class Recording(NamedTuple):
    """A live run: its capture, reports, and what it printed."""

    capture: Path
    reports: list[Report]
    output: str
    folder: Path
    secrets: frozenset[str]


def traffic(lab: Lab) -> None:
    put()(lab, "small")
    get()(lab, "small-down")
    put(BIG)(lab, "big")
    get(BIG)(lab, "big-down")
    lab.send("HEAD", "small")
    lab.send("DELETE", "small")
    lab.damage("flipped", flip_upload(1))
    put()(lab, "flipped")
    lab.damage("flipped-big", flip_body(1_000_000))
    get(BIG)(lab, "flipped-big")
    lab.damage("cut", truncate(5))
    get()(lab, "cut")
    lab.damage("cut-big", truncate(1_500_000))
    get(BIG)(lab, "cut-big")
    for name in ("up-cut", "up-cut-big"):
        size = 1000 if name == "up-cut" else 3_000_000
        with lab.raw(f"PUT /{name}\nContent-Length: {size}") as connection:
            connection.sendall(b"a" * (size // 2))
    lab.damage("dead", no_reply())
    with contextlib.suppress(requests.RequestException):
        get()(lab, "dead")
    lab.damage("early", early(error("AccessDenied"), after=65536))
    with contextlib.suppress(requests.RequestException):
        lab.send("PUT", "early", data=BIG * 2)
    lab.send("GET", "missing")
    lab.send("PUT", "encrypted", data=b"secret", headers=CUSTOMER)
    lab.send("PUT", "exposed", data=b"secret", headers=CUSTOMER, scheme="http")
    client = lab.client(Token=TOKEN)
    client.put_object(BUCKET, BIG, "sdk", EnableMD5=True)
    client.get_object(BUCKET, "sdk")["Body"].get_raw_stream().read()
    lab.origin.put_object(BUCKET, "presigned", b"abc")
    lab.send("GET", "presigned", query=PRESIGNED)
    lab.damage("echoed", answer(signature_refused))
    headers = {
        "Authorization": PRESIGNED[1:].partition("&x-cos")[0].replace("%3B", ";"),
        "x-cos-security-token": TOKEN,
    }
    lab.send("PUT", "echoed", data=b"abc", headers=headers)
    boto = s3_client(lab)
    boto.put_object(Bucket=BUCKET, Key="s3", Body=b"abc" * 1000)
    boto.close()
    for name in ("up-cut", "up-cut-big", "early"):
        lab.report_on(name)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("recording")
    capture = folder / "live.mitm"
    with Origin() as origin:
        with Lab(origin, folder, f"--save-stream-file={capture}") as lab:
            traffic(lab)
            lab.stop()
        signatures = {
            value.rpartition("ignature=")[2]
            for record in origin.requests
            for name, value in record.headers
            if name.lower() == "authorization" and "ignature=" in value
        }
        assert not origin.faults
    assert lab.status == 0
    secrets = frozenset({SECRET_KEY, TOKEN, KEY, SIGNATURE} | signatures)
    assert len(secrets) > 6
    return Recording(capture, lab.reports, lab.output, lab.report_dir, secrets)


def read(capture: Path, folder: Path, *arguments: str) -> Any:
    """mitmdump -nr, with reports below the folder."""
    return mitmdump(
        ADDON_ARGUMENT,
        f"--set=cos_report_dir={folder / 'cos-reports'}",
        "--no-server",
        f"--rfile={capture}",
        *arguments,
    )


class Second(NamedTuple):
    reports: list[Report]
    status: int
    output: str
    capture: Path
    folder: Path


@pytest.fixture(scope="module")
def second(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Second:
    folder = tmp_path_factory.mktemp("second")
    capture = folder / "again.mitm"
    done = read(recording.capture, folder, f"--save-stream-file={capture}")
    reports = read_reports(folder / "cos-reports")
    return Second(reports, done.returncode, done.stdout, capture, folder / "cos-reports")


def test_reading_ends_well_although_there_are_findings(second: Second) -> None:
    assert second.status == 0, second.output
    assert any(report["verdict"] == "error" for report in second.reports)
    assert "Traceback" not in second.output
    assert "rror(s) logged" not in second.output


def test_each_flow_once(recording: Recording, second: Second) -> None:
    """A cut flow fires response and error both, an early answer is saved twice."""
    live = sorted(report["flow_id"] for report in recording.reports)
    again = sorted(report["flow_id"] for report in second.reports)
    assert len(set(live)) == len(live)
    assert again == live


def test_same_findings_and_digests(recording: Recording, second: Second) -> None:
    again = {report["flow_id"]: report for report in second.reports}
    for report in recording.reports:
        other = again[report["flow_id"]]
        key = report["cos"]["key"]
        assert found(other) == found(report), key
        if key == "early":
            # mitmproxy saves such a flow when its answer has come, mostly before its upload ends.
            live = checks(report)["content-length", "request"]
            assert checks(other)["content-length", "request"] in ("not-captured", live)
            continue
        assert checks(other) == checks(report), key
        for side in ("request", "response"):
            if report[side] is not None:
                assert other[side]["body"] == report[side]["body"], (key, side)
                assert other[side]["headers"] == report[side]["headers"], (key, side)


def test_marker_and_comment_are_saved(recording: Recording) -> None:
    markers = {
        "ok": ":green_circle:",
        "notice": ":large_blue_circle:",
        "warning": ":orange_circle:",
        "error": ":red_circle:",
    }
    flows = {flow.id: flow for flow in saved_flows(recording.capture)}
    assert len(flows) == len(recording.reports)
    for report in recording.reports:
        flow = flows[report["flow_id"]]
        assert flow.marked == markers[report["verdict"]], report["cos"]["key"]
        first, *rest = flow.comment.splitlines()
        assert f"{report['verdict']}: " in first
        assert f"{report['cos']['operation']}" in first
        assert len(rest) == len(report["findings"])
        assert flow.metadata["cos"]["findings"] == [item["rule"] for item in report["findings"]]


def test_marks_and_comments_of_a_person_stay(recording: Recording, tmp_path: Path) -> None:
    kept = {"small", "flipped", "cut"}
    edited = tmp_path / "edited.mitm"
    with edited.open("wb") as file:
        writer = FlowWriter(file)
        for flow in saved_flows(recording.capture):
            if flow.request.path.lstrip("/") in kept:
                flow.marked, flow.comment = ":mag:", "look at this one"
            writer.add(flow)
    again = tmp_path / "again.mitm"
    assert read(edited, tmp_path, f"--save-stream-file={again}").returncode == 0
    by_person = [flow for flow in saved_flows(again) if flow.comment == "look at this one"]
    assert {flow.request.path.lstrip("/") for flow in by_person} == kept
    assert {flow.marked for flow in by_person} == {":mag:"}


def texts(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.read_text()


def left_on(flow: http.HTTPFlow) -> str:
    return flow.comment + flow.marked + json.dumps(flow.metadata, default=repr)


def test_no_secret_is_left_anywhere(recording: Recording, second: Second) -> None:
    told = [recording.output, second.output, *texts(recording.folder), *texts(second.folder)]
    told += [left_on(flow) for flow in saved_flows(recording.capture)]
    told += [left_on(flow) for flow in saved_flows(second.capture)]
    raw_key = base64.b64decode(KEY).decode()
    everything = "\n".join(told)
    assert SECRET_ID in everything
    for secret in {*recording.secrets, raw_key}:
        assert secret not in everything


def test_capture_without_what_was_met_says_so(recording: Recording, tmp_path: Path) -> None:
    """Streamed bodies are not in the capture, and here the facts about them are gone too."""
    bare = tmp_path / "bare.mitm"
    with bare.open("wb") as file:
        writer = FlowWriter(file)
        for flow in saved_flows(recording.capture):
            flow.metadata.clear()
            writer.add(flow)
    assert read(bare, tmp_path).returncode == 0
    reports = {
        (report["cos"]["key"], report["request"]["method"]): report
        for report in read_reports(tmp_path / "cos-reports")
    }
    sent, came = checks(reports["big", "PUT"]), checks(reports["big-down", "GET"])
    for check in ("crc64", "etag"):
        assert sent[check, "request"] == "not-captured"
        assert came[check, "response"] == "not-captured"
    assert found(reports["big", "PUT"]) == found(reports["big-down", "GET"]) == frozenset()
    assert found(reports["flipped-big", "GET"]) == frozenset()
    assert found(reports["cut-big", "GET"]) == {"body-truncated error"}
    assert checks(reports["small", "PUT"])["crc64", "request"] == "match"
    assert "crc64-mismatch error" in found(reports["flipped", "PUT"])


@pytest.mark.parametrize(
    "metadata",
    [
        {"cos": "other"},
        {"cos": {"version": 99}},
        {"cos": {"version": 1, "request_body": {"end": "nowhere", "size": "big"}}},
        {"cos": {"version": 1, "request_body": 7, "response_body": {"crc64": "-1"}}},
    ],
    ids=["word", "version", "broken", "odd"],
)
def test_metadata_of_strangers_is_survived(
    recording: Recording, tmp_path: Path, metadata: dict[str, Any]
) -> None:
    odd = tmp_path / "odd.mitm"
    with odd.open("wb") as file:
        writer = FlowWriter(file)
        for flow in saved_flows(recording.capture):
            if flow.request.path in ("/big", "/small"):
                flow.metadata = metadata
                writer.add(flow)
    done = read(odd, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "Traceback" not in done.stdout
    reports = read_reports(tmp_path / "cos-reports")
    assert reports
    assert all(report["verdict"] == "ok" for report in reports)


def test_capture_that_breaks_off(recording: Recording, tmp_path: Path) -> None:
    """mitmproxy complains of it; what was read before is reported."""
    broken = tmp_path / "broken.mitm"
    data = recording.capture.read_bytes()
    broken.write_bytes(data[: len(data) * 2 // 3])
    done = read(broken, tmp_path)
    assert "the inspection failed" not in done.stdout
    reports = read_reports(tmp_path / "cos-reports")
    assert 0 < len(reports) < len(recording.reports)
    assert msgspec.json.decode((tmp_path / "cos-reports" / "summary.json").read_bytes())


def test_started_is_the_recorded_time(recording: Recording, second: Second) -> None:
    live = {report["flow_id"]: report["started"] for report in recording.reports}
    assert {report["flow_id"]: report["started"] for report in second.reports} == live
    assert all(text.startswith(time.strftime("%Y-", time.gmtime())) for text in live.values())
