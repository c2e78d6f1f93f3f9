"""Published messages of real traffic, against what was worked out for them by hand."""

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.model.exchange import BodyEnd, Exchange
from cos_inspect.model.headers import Headers
from tests.captures_reader import CAPTURES, build_exchange
from tests.samples_expected import DISAGREEMENTS, FINDINGS
from tests.test_captures import valid

_NO_HOST = "host-is-not-told.example"
_ENDPOINT_KINDS = {
    "bucket": "default",
    "region-service": "service",
    "ci-bucket": "ci",
    "ci-bucket-pic": "ci",
    "ci-region": "ci",
    "bucket-legacy-v4": "legacy",
    "bucket-legacy-region": "legacy",
    "json-api-v3": "legacy",
    "json-api-v4": "legacy",
}
_SAMPLES: Path = CAPTURES / "real-traffic.jsonl"

Sample = dict[str, Any]


@cache
def samples() -> dict[str, Sample]:
    lines = _SAMPLES.read_text(encoding="utf-8").splitlines()
    return {sample["id"]: sample for sample in map(json.loads, lines)}


def _content(message: Sample) -> bytes:
    return (message["body"] or "").encode()


def _end(message: Sample, headers: Headers) -> BodyEnd:
    """A body that a page leaves out is empty only where its Content-Length says so."""
    if message["body"] is not None or headers.get("content-length") == "0":
        return BodyEnd.COMPLETE
    return BodyEnd.NOT_CAPTURED


def _clock(sample: Sample, headers: Headers) -> float:
    """Nobody recorded a time: that of the request id, else Date, else one of no meaning."""
    told = sample["expected"]["request_id_time"]
    if told is not None:
        return datetime.fromisoformat(told).timestamp()
    try:
        date = parsedate_to_datetime(headers.get("date") or "")
    except ValueError:
        return datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    return date.replace(tzinfo=UTC).timestamp()


def exchange_of(sample: Sample) -> Exchange:
    """The sample as if recorded; what it does not tell is filled in with GET, / and 200."""
    request: Sample = sample["request"] or {"headers": [], "body": None}
    response: Sample = sample["response"]
    request_headers = Headers((name, value) for name, value in request["headers"])
    response_headers = Headers((name, value) for name, value in response["headers"])
    content = _content(request)
    if (request_headers.get("content-type") or "").startswith("multipart/form-data"):
        # Pages show the form with plain line ends and without its last one.
        content = content.replace(b"\n", b"\r\n") + b"\r\n"
    return build_exchange(
        flow_id=sample["id"],
        method=request.get("method") or "GET",
        host=request.get("host") or _NO_HOST,
        target=request.get("path_and_query") or "/",
        headers=request_headers,
        content=content,
        request_end=_end(request, request_headers),
        response=(
            "HTTP/1.1",
            response["status"] or 200,
            response["reason"] or "",
            response_headers,
            _content(response),
        ),
        response_end=_end(response, response_headers),
        clock=_clock(sample, response_headers),
        hosts=(_NO_HOST,),
    )


def _where(in_header: object, in_body: object) -> list[str]:
    return [place for place, found in (("header", in_header), ("body", in_body)) if found]


def observed(inspection: FirstLook) -> Sample:
    """What the inspector says, under the samples' own names."""
    cos, report = inspection.cos, inspection.report
    response = cos.response
    assert response is not None
    read, error, headers = cos.request_id_read, cos.error, response.headers
    lengths = {
        check.status
        for check in report.checks
        if check.check == "content-length"
        and check.body == "response"
        and check.status != "skipped"
    }
    return {
        "bucket": report.cos.bucket,
        "appid": report.cos.appid,
        "region_canonical": report.cos.region,
        "host_kind": report.cos.endpoint,
        "key": report.cos.key,
        "operation": report.cos.operation,
        "sse": report.encryption.mode,
        "error_code": report.error.code if report.error else None,
        "request_id_time": report.ids.request_id_time,
        "request_id_form": read.form if read else None,
        "request_id_text": read.text if read else None,
        "request_id_where": _where(
            headers.get("x-cos-request-id") or headers.get("x-ci-request-id"),
            error and error.request_id,
        ),
        "trace_id_where": _where(headers.get("x-cos-trace-id"), error and error.trace_id),
        "content_length_matches_body": (
            False if "mismatch" in lengths else True if "match" in lengths else None
        ),
    }


def expected(sample: Sample) -> Sample:
    """What the sample says, as far as it tells what is needed to say it."""
    said = {name: sample["expected"][name] for name in observed_names()}
    said["host_kind"] = _ENDPOINT_KINDS.get(said["host_kind"])
    request = sample["request"]
    if request is None or None in (request["method"], request["path_and_query"]):
        del said["operation"]
    if request is None or request["host"] is None:
        del said["host_kind"]
    if said["content_length_matches_body"] is None:
        del said["content_length_matches_body"]
    return said


def observed_names() -> tuple[str, ...]:
    return (
        "bucket",
        "appid",
        "region_canonical",
        "host_kind",
        "key",
        "operation",
        "sse",
        "error_code",
        "request_id_time",
        "request_id_form",
        "request_id_text",
        "request_id_where",
        "trace_id_where",
        "content_length_matches_body",
    )


def _inspected(sample: Sample) -> FirstLook:
    inspection = first_look(exchange_of(sample), hosts=(_NO_HOST,))
    assert inspection is not None
    return inspection


@pytest.mark.parametrize("sample_id", samples())
def test_sample_is_read_as_by_hand(sample_id: str) -> None:
    sample = samples()[sample_id]
    inspection = _inspected(sample)
    ours = observed(inspection)
    differences = {
        name: ours[name] for name, value in expected(sample).items() if ours[name] != value
    }
    listed = {
        name: value
        for (listed_id, name), (value, _) in DISAGREEMENTS.items()
        if listed_id == sample_id
    }
    assert differences == listed


@pytest.mark.parametrize("sample_id", samples())
def test_sample_has_the_listed_findings_only(sample_id: str) -> None:
    report = _inspected(samples()[sample_id]).report
    told = {
        f"{finding.rule}({finding.evidence['header']})"
        if finding.rule == "header-malformed"
        else finding.rule
        for finding in report.findings
    }
    assert told == FINDINGS.get(sample_id, {}).keys()
    valid(report)


def test_the_tables_name_samples_that_exist() -> None:
    assert {sample_id for sample_id, _ in DISAGREEMENTS} | FINDINGS.keys() <= samples().keys()
    assert len(samples()) == 73
