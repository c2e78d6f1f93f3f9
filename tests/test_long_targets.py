"""Paths and queries longer than any that a server takes: little of them is read, nothing is
held against them, no two of them are mixed up, and their secrets stay as secret."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner

from cos_inspect.cli.commands import main
from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.inspection.session import Session
from cos_inspect.model.schema import schema
from cos_inspect.model.target_bounds import MAX_PATH, MAX_QUERY, is_read_in_part
from cos_inspect.report.curl import curl_script
from cos_inspect.report.markdown import to_markdown
from tests.growth import assert_linear
from tests.rules.exchanges import CONTENT, CRC64, ETAG, error_xml, exchange
from tests.saved.flow_files import cos_flow, saved_file
from tests.saved.hars import URL, download, text
from tests.saved.wire.exchanges_made import Made, converse, get
from tests.saved.wire.packets_made import Conversation, frames, pcap
from tests.test_growth import SIGNED, Work, judged

SECRET = "Kx4PLTbOuYhLfPpbQZhFs9a8b0zQ9"
KEYS = {"AKIDexample": "secretsecretsecret"}
FILLINGS = (
    "a",
    "%41",
    "%2541",
    "腾",
    "%E8%85%BE",
    "a/",
    "%zz%",
    "\\\\",
    "&quot;",
    "token=abcdefgh/",
)
LONG = {
    "path": f"/a/{'%41' * MAX_PATH}",
    "query": f"/a?{'b=c&' * MAX_QUERY}",
    "both": f"/a/{'b/' * MAX_PATH}?{'b=c&' * MAX_QUERY}",
}


def looked(target: str, **more: object) -> FirstLook:
    look = first_look(exchange(target=target, **more), keys=KEYS)  # type: ignore[arg-type]
    assert look is not None
    return look


@pytest.mark.parametrize("kind", LONG)
@pytest.mark.parametrize("status", [200, 403])
def test_a_signature_over_it_is_not_judged(kind: str, status: int) -> None:
    signed = SIGNED.format(headers="host", parameters="b;z")
    refused = error_xml("SignatureDoesNotMatch").replace(
        b"</Error>",
        b"<StringToSign>sha1\n1577957984;1577961584\n%b\n</StringToSign>"
        b"<FormatString>get\n/a\n\nhost=b\n</FormatString></Error>" % (b"5e" * 20),
    )
    look = looked(
        LONG[kind],
        headers=(("Authorization", signed),),
        status=status,
        answer=refused if status == 403 else b"",
    )
    (check,) = [each for each in look.report.checks if each.check == "signature"]
    assert check.reason == "not-inspected"
    rules = {finding.rule for finding in look.report.findings if finding.group == "signature"}
    assert rules <= {"clock-skew"}, rules


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("kind", ["path", "query"])
@pytest.mark.parametrize("status", [200, 404])
def test_reports_are_valid_and_short(filling: str, kind: str, status: int) -> None:
    target = f"/k{'?' if kind == 'query' else '/'}{filling * 30_000}"
    report = looked(target, status=status, answer=error_xml() if status == 404 else b"").report
    written = msgspec.json.encode(report)
    jsonschema.Draft202012Validator(schema()).validate(json.loads(written))
    assert len(written) < 60_000
    assert len(to_markdown(report)) < 60_000
    assert is_read_in_part(report.request.url)
    assert curl_script(report) is None


@pytest.mark.parametrize("place", ["begin", "edge", "end"])
@pytest.mark.parametrize("kind", ["path", "query"])
@pytest.mark.parametrize("form", ["token={}", "x%2Dsecret%2Dtoken%3D{}", "https://u:{}@h"])
def test_its_secrets_are_found_wherever_they_are_repeated(kind: str, place: str, form: str) -> None:
    filling = {"begin": 0, "edge": 1024 if kind == "path" else MAX_QUERY, "end": 50_000}[place]
    separator = "/" if kind == "path" else "&"
    named = form.format(SECRET)
    for shift in range(0, len(named), 7):
        before = ("ab" * filling)[: filling - shift] if filling > shift else ""
        target = f"/k{'/' if kind == 'path' else '?'}{before}{separator}{named}{separator}"
        target += f"cd{separator}" * 40_000
        report = looked(
            target, status=404, answer=error_xml(message=f"what was said: {SECRET}")
        ).report
        written = msgspec.json.encode(report).decode()
        assert SECRET not in written
        assert SECRET[:12] not in written
        assert SECRET[-12:] not in written


def retried(*targets: str) -> list[list[str]]:
    """The chains of tries of an upload that is refused each time but the last."""
    session = Session()
    for number, target in enumerate(targets):
        status = 503 if number < len(targets) - 1 else 200
        one = exchange(target=target, status=status, clock=1577957984.0 + number)
        session.inspect(msgspec.structs.replace(one, flow_id=f"flow-{number}"))
    session.settle()
    return [chain.flows for chain in session.close().retries]


@pytest.mark.parametrize("kind", ["/", "?"])
def test_one_is_a_try_anew_of_the_same_alone(kind: str) -> None:
    begin = f"/k{kind}{'b=c&' * 2 * MAX_QUERY}"
    assert retried(begin, begin) == [["flow-0", "flow-1"]]
    assert retried(f"{begin}1", f"{begin}2") == []


def test_two_that_begin_alike_are_two_objects() -> None:
    begin = f"/k/{'a' * 2 * MAX_PATH}"
    good = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))
    keys = {looked(f"{begin}{end}", answer_headers=good, answer=CONTENT).seen.key for end in "121"}
    assert len(keys) == 2


@pytest.mark.parametrize("kind", LONG)
def test_every_kind_of_capture_gives_the_same(kind: str, tmp_path: Path) -> None:
    target = LONG[kind][:100_000]
    flow = cos_flow()
    flow.request.path = target
    saved_file(tmp_path / "a.mitm", flow)
    entry = download(b"abc", text(b"abc"))
    entry["request"]["url"] = URL.partition("/a%20b")[0] + target
    (tmp_path / "b.har").write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    made = Conversation()
    plain = get("k", b"abc")
    converse(made, [Made(plain.request.replace(b"/k ", target.encode() + b" ", 1), plain.answer)])
    made.close()
    (tmp_path / "c.pcap").write_bytes(pcap(frames(made.packets)))
    reports = tmp_path / "reports"
    result = CliRunner().invoke(
        main, ["analyze", str(tmp_path), "--report-dir", str(reports), "--format", "json"]
    )
    assert result.exit_code == 0, result.output
    found = [json.loads(path.read_bytes()) for path in (reports / "flows").iterdir()]
    assert len(found) == 3, result.output
    assert len({each["cos"]["key"] for each in found}) == 1
    assert len({each["request"]["url"].partition("://")[2] for each in found}) == 1


def test_explain_says_that_it_is_none() -> None:
    for target in LONG.values():
        result = CliRunner().invoke(main, ["explain", URL.partition("/a%20b")[0] + target])
        assert result.exit_code == 2
        assert result.output.startswith("cos-inspect explain: nothing is known of ")
        assert len(result.output) < 200


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("kind", ["path", "query"])
def test_time_is_in_proportion(kind: str, filling: str) -> None:
    def work_of(count: int) -> Work:
        target = f"/k{'?' if kind == 'query' else '/'}{filling * count}"
        return judged(exchange(target=target, status=404, answer=error_xml()))

    assert_linear(work_of, 20_000, 1_000_000)
