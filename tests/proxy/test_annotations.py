"""Marks, comments and metadata: a person's are kept, ours are renewed."""

import io
import json

import msgspec
from mitmproxy import http
from mitmproxy import io as flow_io
from mitmproxy.test import tflow

from cos_inspect.model.exchange import Body, BodyEnd, FormField, Payload, PayloadKind
from cos_inspect.model.flow_report import Check, FlowReport, Severity
from cos_inspect.proxy import annotations
from cos_inspect.proxy.annotations import comment_of
from cos_inspect.proxy.flows import request_head
from cos_inspect.recording.flow_metadata import read_flow_metadata
from tests.report.build import error_report, finding, flow_report, healed_try

BODY = Body(size=5, md5="00" * 16, crc64=2**64 - 1)


def _leave(flow: object, report: FlowReport, *, visibly: bool = True, body: Body = BODY) -> None:
    annotations.write(
        flow,  # type: ignore[arg-type]
        report,
        visibly=visibly,
        request_body=body,
        response_body=Body(end=BodyEnd.CUT, size=3),
    )


def test_the_verdict_is_seen_at_a_glance() -> None:
    flow = tflow.tflow(resp=True)
    _leave(flow, flow_report(findings=[finding()]))
    assert flow.marked == ":red_circle:"
    assert flow.comment.splitlines()[0] == "etag-mismatch (COS error: PutObject)"
    assert flow.metadata["cos"]["verdict"] == "error"


def test_of_a_flow_that_is_fine_the_first_signs_say_what_was_verified() -> None:
    flow = tflow.tflow(resp=True)
    checks = [
        Check(check="content-length", body="response", status="match"),
        Check(check="crc64", body="response", status="match"),
    ]
    _leave(flow, msgspec.structs.replace(flow_report(), checks=checks))
    assert flow.comment == "✓ CRC-64 ✓ length (COS ok: PutObject)"
    # mitmweb's column shows some 18 signs.
    assert flow.comment[:18] == "✓ CRC-64 ✓ length "


def test_what_a_person_set_is_kept() -> None:
    flow = tflow.tflow(resp=True)
    flow.marked, flow.comment = ":star:", "look here"
    _leave(flow, flow_report())
    assert (flow.marked, flow.comment) == (":star:", "look here")


def test_our_own_is_renewed() -> None:
    flow = tflow.tflow(resp=True)
    _leave(flow, flow_report(findings=[finding()]))
    _leave(flow, flow_report())
    assert flow.marked == ":green_circle:"
    assert flow.comment == "COS ok: PutObject"


def test_nothing_is_shown_where_that_is_not_wanted() -> None:
    flow = tflow.tflow(resp=True)
    _leave(flow, flow_report(), visibly=False)
    assert (flow.marked, flow.comment) == ("", "")
    assert "cos" in flow.metadata


def test_a_replayed_flow_starts_anew() -> None:
    flow = tflow.tflow(resp=True)
    _leave(flow, flow_report())
    annotations.forget(flow)
    assert (flow.marked, flow.comment, flow.metadata) == ("", "", {})
    flow.comment = "mine"
    _leave(flow, flow_report())
    annotations.forget(flow)
    assert flow.comment == "mine"


def test_facts_survive_saving_and_loading() -> None:
    payload = Payload(
        kind=PayloadKind.FORM_FILE,
        size=2,
        md5="ff" * 16,
        crc64=2**63 + 1,
        fields=(FormField("policy", "secret"),),
    )
    body = Body(size=9, md5="00" * 16, crc64=7, payload=payload)
    flow = tflow.tflow(resp=True)
    _leave(flow, flow_report(), body=body)
    file = io.BytesIO()
    flow_io.FlowWriter(file).add(flow)
    file.seek(0)
    (loaded,) = flow_io.FlowReader(file).stream()
    assert isinstance(loaded, http.HTTPFlow)
    left = read_flow_metadata(annotations.saved(loaded), request_head(loaded.request), None)
    stored = left.request_body
    assert stored is not None
    assert (stored.size, stored.md5, stored.crc64) == (9, "00" * 16, 7)
    assert stored.payload is not None
    assert stored.payload.crc64 == 2**63 + 1
    answer = left.response_body
    assert answer is not None
    assert (answer.end, answer.size) == (BodyEnd.CUT, 3)
    assert "secret" not in json.dumps(loaded.metadata)


def test_unreadable_metadata_is_no_knowledge() -> None:
    flow = tflow.tflow(resp=True)
    for data in (None, "x", {"version": 99}, {"version": 1, "request_body": {"size": "many"}}):
        flow.metadata["cos"] = data
        found = annotations.saved(flow)
        assert read_flow_metadata(found, request_head(flow.request), None).request_body is None


def test_a_healed_try_is_seen_as_one() -> None:
    flow = tflow.tflow(resp=True)
    _leave(flow, healed_try())
    first = flow.comment.splitlines()[0]
    assert first == "error-response (COS error: PutObject), healed by a later try"


def test_the_comment_begins_with_what_is_most_telling() -> None:
    code = error_report("SignatureDoesNotMatch")
    refused = flow_report(
        findings=[
            finding("permanent-key-on-device", Severity.NOTICE, group="signature"),
            finding("error-response", Severity.WARNING, group="error"),
            finding("signature-mismatch", Severity.ERROR, group="signature"),
        ],
    )
    refused = msgspec.structs.replace(refused, error=code)
    first, page, *rest = comment_of(refused, "http://127.0.0.1:8081/cos/#flow=1").splitlines()
    assert first == (
        "SignatureDoesNotMatch, signature-mismatch, permanent-key-on-device (COS error: PutObject)"
    )
    assert page == "http://127.0.0.1:8081/cos/#flow=1"
    assert [line.partition(":")[0] for line in rest] == [
        "signature-mismatch",
        "error-response",
        "permanent-key-on-device",
    ]
    damaged = flow_report(
        findings=[
            finding("error-response", Severity.WARNING, group="error"),
            finding("crc64-mismatch", Severity.ERROR, group="integrity"),
        ],
    )
    damaged = msgspec.structs.replace(damaged, error=code)
    first = comment_of(damaged).splitlines()[0]
    assert first.startswith("crc64-mismatch, SignatureDoesNotMatch (")
