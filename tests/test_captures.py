"""Every capture in ``tests/captures`` is found to be what its comments say, and no more."""

import json
from functools import cache
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest

from cos_inspect.cos.cos_exchange import read_exchange
from cos_inspect.inspection.first_look import first_look
from cos_inspect.inspection.session import Session
from cos_inspect.model.exchange import Body, BodyEnd, Exchange
from cos_inspect.model.flow_report import CheckName, Finding, FlowReport, SkipReason
from cos_inspect.model.schema import schema
from cos_inspect.rules.checks import run_checks
from cos_inspect.rules.precondition import preconditions_of
from cos_inspect.rules.registry import FLOW_RULES, finders
from tests.captures_reader import CAPTURES, captures, read_capture

_SEVERAL_FLOWS = frozenset({"multipart-crc64", "multipart-etags", "range-crc64", "signature"})


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema())


def valid(report: FlowReport) -> dict[str, Any]:
    """The report as it would be written, held against the schema."""
    written: dict[str, Any] = json.loads(msgspec.json.encode(report))
    _validator().validate(written)
    return written


def _line(finding: Finding) -> str:
    return f"{finding.rule} {finding.severity}"


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_capture(path: Path) -> None:
    capture = read_capture(path)
    inspection = first_look(capture.exchange, hosts=capture.hosts)
    if capture.verdict == "not-cos":
        assert inspection is None
        return
    assert inspection is not None
    report = inspection.report
    assert sorted(map(_line, report.findings)) == sorted(capture.findings), report.findings
    assert report.verdict == capture.verdict
    checks = {
        " ".join(filter(None, (check.check, check.body, check.status, check.reason)))
        for check in report.checks
    }
    assert set(capture.checks) <= checks
    for line in capture.evidence:
        rule, _, wanted = line.partition(" ")
        name, _, value = wanted.partition("=")
        found = [finding.evidence.get(name) for finding in report.findings if finding.rule == rule]
        assert value in map(str, found), found
    if capture.operation is not None:
        assert report.cos.operation == capture.operation
    if capture.encryption is not None:
        assert report.encryption.mode == capture.encryption
    written = json.dumps(valid(report), ensure_ascii=False)
    for secret in capture.secrets:
        assert secret not in written
        assert secret in path.read_text("utf-8").partition("\n\n")[2], "nor in the capture"


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_nothing_is_said_where_the_recording_ended_first(path: Path) -> None:
    """Before the answer, or inside its body; alone, and beside the whole exchange."""
    capture = read_capture(path)
    whole = msgspec.structs.replace(capture.exchange, flow_id="whole")
    alone = Session(hosts=capture.hosts).inspect(whole)
    for side in ("request", "response"):
        one = stopped(capture.exchange, side)
        inspection = first_look(one, hosts=capture.hosts)
        if inspection is None:
            continue
        valid(inspection.report)
        session = Session(hosts=capture.hosts)
        beside = session.inspect(one)
        assert beside is not None
        for report in (inspection.report, beside.report):
            assert (report.verdict, report.findings, report.ticket) == ("ok", [], None)
            assert {check.reason for check in report.checks} <= {"proxy-stopped"}
        after = session.inspect(whole)
        if alone is not None and after is not None:
            assert after.revised == []
            assert after.report.findings == alone.report.findings


def stopped(exchange: Exchange, side: str) -> Exchange:
    """The same, had the recording ended inside a body."""
    end = Body(end=BodyEnd.STOPPED, size=None)
    if side == "request":
        request = msgspec.structs.replace(exchange.request, body=end)
        return msgspec.structs.replace(exchange, request=request, response=None, error=None)
    response = exchange.response and msgspec.structs.replace(exchange.response, body=end)
    return msgspec.structs.replace(exchange, response=response, error=None)


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_no_rule_is_spared_that_would_find_something(path: Path) -> None:
    capture = read_capture(path)
    cos = read_exchange(capture.exchange, capture.hosts)
    if cos is None:
        return
    checks = run_checks(cos)
    asked = finders(preconditions_of(cos, checks), frozenset())
    for rule, find in FLOW_RULES:
        if find not in asked:
            assert not list(find(cos, checks)), rule.id


def test_a_clean_flow_is_spared_most_rules() -> None:
    capture = read_capture(CAPTURES / "get-object.http")
    cos = read_exchange(capture.exchange, capture.hosts)
    assert cos is not None
    assert len(finders(preconditions_of(cos, run_checks(cos)), frozenset())) < len(FLOW_RULES) / 2


def _said(what: str) -> set[str]:
    return {line for path in captures() for line in getattr(read_capture(path), what)}


def test_every_rule_has_a_capture() -> None:
    assert {rule.id for rule, *_ in FLOW_RULES} <= {line.split()[0] for line in _said("findings")}


def test_every_check_matches_fails_and_is_skipped_somewhere() -> None:
    said = {tuple(line.split()[:3:2]) for line in _said("checks")}
    for name in get_args(CheckName):
        wanted = {"skipped"} if name in _SEVERAL_FLOWS else {"match", "mismatch", "skipped"}
        assert wanted <= {status for check, status in said if check == name}, name


def test_every_reason_to_skip_has_a_capture() -> None:
    reasons = {line.split()[3] for line in _said("checks") if "skipped" in line}
    assert reasons == set(get_args(SkipReason))


def test_every_mismatch_has_a_near_miss_that_is_clean() -> None:
    clean = [path for path in captures() if read_capture(path).verdict == "ok"]
    assert len(clean) >= len(FLOW_RULES)
