"""What a session says on which flow and on which transfer."""

import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.inspection.first_look import first_look, revise
from cos_inspect.inspection.revisable_flows import RevisedReport
from cos_inspect.inspection.second_look import add_copy, revision_of
from cos_inspect.inspection.session import Bounds, Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.flow_report import Check, FlowReport
from cos_inspect.model.summary import SessionSummary
from cos_inspect.transfers.history import ObjectHistory, history_name, source_name
from cos_inspect.transfers.limits import Limits
from cos_inspect.transfers.objects import copy_of, judge_copy
from tests.transfers.build import (
    HOST,
    MIB,
    OTHER_HOST,
    UPLOAD,
    append,
    body_of,
    complete,
    crc64,
    exchange,
    failure,
    get,
    initiate,
    md5,
    part,
    put,
    ranged,
    upload_of,
)

CHUNKS = [bytes([fill]) * MIB for fill in (1, 2)] + [b"the rest"]
LISTED = [(number, md5(data)) for number, data in enumerate(CHUNKS, 1)]
WHOLE = crc64(b"".join(CHUNKS))


class Run:
    """A session fed with exchanges: the last report of each flow, and the summary."""

    def __init__(self, flows: list[Exchange], session: Session | None = None) -> None:
        self.session = session or Session()
        self.reports: dict[str, FlowReport] = {}
        for flow in flows:
            self.take(flow)

    def take(self, flow: Exchange, marks: Sequence[tuple[int, int]] = ()) -> None:
        inspected = self.session.inspect(flow, marks=marks)
        assert inspected is not None
        self.reports[inspected.report.flow_id] = inspected.report
        self.revise(inspected.revised)

    def close(self) -> SessionSummary:
        self.revise(self.session.settle())
        return self.session.close()

    def revise(self, found: Iterable[RevisedReport]) -> None:
        for revised in found:
            before = self.reports[revised.report.flow_id]
            assert revised.verdict_before == before.verdict
            assert revised.rules_before == {finding.rule for finding in before.findings}
            self.reports[before.flow_id] = revised.report

    def rules(self) -> dict[str, list[str]]:
        """Rule ids by flow, flows without findings left out."""
        return {
            flow_id: [finding.rule for finding in report.findings]
            for flow_id, report in sorted(self.reports.items())
            if report.findings
        }

    def check(self, flow_id: str, name: str) -> Check:
        (found,) = [check for check in self.reports[flow_id].checks if check.check == name]
        return found


def on_transfer(summary: SessionSummary) -> list[str]:
    (transfer,) = summary.transfers
    return [finding.rule for finding in transfer.findings]


def test_clean_upload() -> None:
    run = Run([initiate("i"), *upload_of(CHUNKS)])
    summary = run.close()
    assert run.rules() == {}
    done = f"a-{UPLOAD[:6]}-done"
    assert run.check(done, "multipart-crc64").status == "match"
    assert run.check(done, "multipart-etags").status == "match"
    (transfer,) = summary.transfers
    assert (transfer.kind, transfer.id, transfer.state) == ("multipart-upload", UPLOAD, "completed")
    assert (transfer.verdict, transfer.parts, transfer.size) == ("ok", 3, 2 * MIB + 8)
    assert transfer.bytes_sent_twice == 0
    assert [check.status for check in transfer.checks] == ["match", "match"]
    assert transfer.flows[0] == "i"
    assert len(transfer.flows) == 5
    assert [row.crc64ecma for row in transfer.part_table] == [str(crc64(each)) for each in CHUNKS]
    assert summary.retries == []
    position = run.reports[f"a-{UPLOAD[:6]}-p2"].transfer
    assert position is not None
    assert (position.kind, position.position) == ("multipart-upload", 2)


def test_complete_before_the_last_part_is_revised() -> None:
    flows = upload_of(CHUNKS)
    run = Run([*flows[:2], flows[3]])
    done = flows[3].flow_id
    assert run.check(done, "multipart-crc64").reason == "unseen-parts"
    inspected = run.session.inspect(flows[2])
    assert inspected is not None
    (revised,) = inspected.revised
    assert revised.report.flow_id == done
    statuses = {check.check: check.status for check in revised.report.checks}
    assert statuses["multipart-crc64"] == statuses["multipart-etags"] == "match"


def test_parts_from_before_the_capture_are_unseen() -> None:
    run = Run(upload_of(CHUNKS)[1:])
    summary = run.close()
    assert run.rules() == {}
    assert run.check(f"a-{UPLOAD[:6]}-done", "multipart-crc64").reason == "unseen-parts"
    assert summary.transfers[0].verdict == "ok"


def test_wrong_crc_on_complete() -> None:
    flows = [*upload_of(CHUNKS)[:3], complete("c", LISTED, WHOLE ^ 1, 5.0)]
    run = Run(flows)
    summary = run.close()
    assert run.rules() == {"c": ["multipart-crc64-mismatch"]}
    assert on_transfer(summary) == ["multipart-crc64-mismatch"]
    assert summary.transfers[0].verdict == "error"


def test_parts_joined_in_another_order() -> None:
    joined = crc64(CHUNKS[1] + CHUNKS[0] + CHUNKS[2])
    run = Run([*upload_of(CHUNKS)[:3], complete("c", LISTED, joined, 5.0)])
    assert run.rules() == {"c": ["multipart-crc64-mismatch"]}


def test_parts_listed_in_another_order() -> None:
    swapped = [LISTED[1], LISTED[0], LISTED[2]]
    run = Run(
        [
            *upload_of(CHUNKS)[:3],
            complete("c", swapped, None, 5.0, **failure(400, "InvalidPartOrder")),
        ]
    )
    assert run.rules()["c"] == ["error-response", "trace-id-missing", "multipart-part-invalid"]
    assert on_transfer(run.close()) == [
        "multipart-part-invalid",
        "multipart-abandoned",
        "error-response",
    ]


def test_damaged_part() -> None:
    damaged = part(
        "p2",
        2,
        CHUNKS[1],
        2.0,
        answered={"ETag": f'"{md5(b"other")}"', "x-cos-hash-crc64ecma": str(crc64(b"other"))},
    )
    flows = upload_of(CHUNKS)
    stored = crc64(CHUNKS[0] + b"other" + CHUNKS[2])
    listed = [LISTED[0], (2, md5(b"other")), LISTED[2]]
    run = Run([flows[0], damaged, flows[2], complete("c", listed, stored, 5.0)])
    summary = run.close()
    assert run.rules() == {
        "c": ["multipart-crc64-mismatch"],
        "p2": ["crc64-mismatch", "etag-mismatch"],
    }
    assert sorted(on_transfer(summary)) == [
        "crc64-mismatch",
        "etag-mismatch",
        "multipart-crc64-mismatch",
    ]


def test_part_replaced_after_the_fact() -> None:
    flows = upload_of(CHUNKS)
    other = bytes([9]) * MIB
    again = part("again", 2, other, 3.5)
    stored = crc64(CHUNKS[0] + other + CHUNKS[2])
    run = Run([*flows[:3], again, complete("c", LISTED, stored, 5.0)])
    summary = run.close()
    assert run.rules() == {"c": ["multipart-etag-mismatch"]}
    assert run.reports["c"].findings[0].evidence["replaced"] == [2]
    assert on_transfer(summary) == ["multipart-etag-mismatch"]
    assert summary.transfers[0].bytes_sent_twice == MIB
    assert summary.transfers[0].part_table[1].tries == 2


def test_wrong_number_in_the_etag() -> None:
    run = Run([*upload_of(CHUNKS)[:3], complete("c", LISTED, WHOLE, 5.0, count=2)])
    assert run.rules() == {"c": ["multipart-etag-mismatch"]}


def test_small_part_and_number_out_of_range() -> None:
    small = part("p1", 1, b"small", 1.0)
    last = part("p2", 2, b"last", 2.0)
    listed = [(1, md5(b"small")), (2, md5(b"last"))]
    run = Run(
        [
            small,
            last,
            part("p0", 0, b"x", 0.5, **failure(400, "InvalidArgument")),
            complete("c", listed, None, 5.0, **failure(400, "EntityTooSmall")),
        ]
    )
    rules = run.rules()
    assert "multipart-part-invalid" in rules["c"]
    assert "multipart-part-invalid" in rules["p0"]
    assert rules.keys() == {"c", "p0"}


def test_error_in_the_answer_of_complete() -> None:
    flows = upload_of(CHUNKS)
    late = complete(
        "c",
        LISTED,
        WHOLE,
        5.0,
        **failure(200, "InternalError") | {"answered": {"x-cos-hash-crc64ecma": str(WHOLE ^ 1)}},
    )
    run = Run([*flows[:3], late])
    assert run.rules() == {"c": ["error-in-success"]}
    assert run.check("c", "multipart-crc64").reason == "failed-request"
    assert run.close().transfers[0].state == "unanswered"


def test_abandoned_stands_on_the_transfer_alone() -> None:
    run = Run(upload_of(CHUNKS)[:2])
    assert run.session.summary().transfers[0].state == "open"
    summary = run.close()
    assert run.rules() == {}
    assert summary.transfers[0].state == "abandoned"
    assert on_transfer(summary) == ["multipart-abandoned"]
    assert summary.transfers[0].verdict == "notice"


def test_aborted_is_not_abandoned() -> None:
    abort = exchange("x", "DELETE", f"/a?uploadId={UPLOAD}", 9.0, status=204)
    run = Run([*upload_of(CHUNKS)[:2], abort])
    summary = run.close()
    assert (summary.transfers[0].state, summary.transfers[0].verdict) == ("aborted", "ok")


def test_probably_completed() -> None:
    flows = upload_of(CHUNKS)[:3]
    lost = complete("lost", LISTED, None, 5.0, status=None, error="timed out")
    gone = complete("gone", LISTED, None, 6.0, **failure(404, "NoSuchUpload"))
    run = Run([*flows, lost, gone])
    summary = run.close()
    assert "upload-probably-completed" in run.rules()["gone"]
    assert "upload-probably-completed" not in run.rules()["lost"]
    assert summary.transfers[0].state == "probably-completed"
    assert on_transfer(summary) == ["upload-probably-completed"]


def test_complete_repeated_after_success_is_no_mystery() -> None:
    gone = complete("gone", LISTED, None, 9.0, **failure(404, "NoSuchUpload"))
    run = Run([*upload_of(CHUNKS), gone])
    assert run.rules() == {"gone": ["error-response", "trace-id-missing"]}
    assert run.close().transfers[0].state == "completed"


@pytest.mark.parametrize("late", [False, True])
def test_parts_of_a_kms_upload_have_other_etags(late: bool) -> None:
    kms = "x-cos-server-side-encryption"
    first = initiate("i", answered={kms: "cos/kms", f"{kms}-cos-kms-key-id": "48ba38aa"})
    second = part(
        "p",
        1,
        b"body",
        1.0,
        answered={"ETag": f'"{md5(b"kms")}"', "x-cos-hash-crc64ecma": str(crc64(b"body"))},
    )
    run = Run([second, first] if late else [first, second])
    assert run.rules() == {}
    assert run.check("p", "etag").reason == "sse-kms"
    assert run.reports["p"].verdict == "ok"


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("damaged", [False, True])
def test_parts_of_an_sm4_upload_may_have_other_etags(damaged: bool, late: bool) -> None:
    first = initiate("i", answered={"x-cos-server-side-encryption": "SM4"})
    stored = b"Body" if damaged else b"body"
    answered = {"ETag": f'"{md5(b"sm4")}"', "x-cos-hash-crc64ecma": str(crc64(stored))}
    second = part("p", 1, b"body", 1.0, answered=answered)
    run = Run([second, first] if late else [first, second])
    assert run.rules() == ({"p": ["crc64-mismatch", "etag-mismatch"]} if damaged else {})
    assert run.check("p", "etag").reason == (None if damaged else "not-md5")


DATA = bytes(range(256)) * 40


def test_parallel_ranges() -> None:
    flows = [
        ranged(f"r{at}", DATA, at, min(at + 3000, len(DATA)), at / 1e4)
        for at in range(0, len(DATA), 3000)
    ]
    run = Run(flows[::-1])
    summary = run.close()
    assert run.rules() == {}
    statuses = {flow: run.check(flow, "range-crc64").status for flow in run.reports}
    assert sorted(statuses.values()) == ["match", "skipped", "skipped", "skipped"]
    assert statuses["r9000"] == "match"
    (transfer,) = summary.transfers
    assert (transfer.kind, transfer.state, transfer.verdict) == (
        "ranged-download",
        "complete",
        "ok",
    )
    assert [check.status for check in transfer.checks] == ["match"]
    assert transfer.size == len(DATA)


def test_resumed_after_a_cut() -> None:
    run = Run(
        [
            ranged("r1", DATA, 0, 10000, 0.0, cut_at=4321, error="server closed"),
            ranged("r2", DATA, 4321, len(DATA), 500.0),
        ]
    )
    assert run.check("r2", "range-crc64").status == "match"
    assert run.rules() == {"r1": ["body-truncated"]}
    assert run.close().transfers[0].verdict == "ok"


@pytest.mark.parametrize("damaged", [False, True])
def test_a_range_over_all_that_broke_off_is_joined_with_what_follows(damaged: bool) -> None:
    got = bytes(len(DATA) - 4321) if damaged else None
    run = Run(
        [
            ranged("r1", DATA, 0, len(DATA), 0.0, cut_at=4321, error="server closed"),
            ranged("r2", DATA, 4321, len(DATA), 500.0, got=got),
        ]
    )
    assert run.check("r2", "range-crc64").status == ("mismatch" if damaged else "match")
    assert run.close().transfers[0].verdict == ("error" if damaged else "ok")


def test_damaged_range() -> None:
    run = Run(
        [
            ranged("r1", DATA, 0, 5000, 0.0),
            ranged("r2", DATA, 5000, len(DATA), 1.0, got=bytes(len(DATA) - 5000)),
        ]
    )
    assert run.rules() == {"r2": ["range-crc64-mismatch"]}
    assert on_transfer(run.close()) == ["range-crc64-mismatch"]


def test_damaged_range_fetched_again() -> None:
    run = Run(
        [
            ranged("r1", DATA, 0, 5000, 0.0),
            ranged("r2", DATA, 5000, len(DATA), 1.0, got=bytes(len(DATA) - 5000)),
            ranged("r3", DATA, 5000, len(DATA), 2.0),
        ]
    )
    assert run.rules() == {}
    assert run.check("r3", "range-crc64").status == "match"


def test_ranges_that_never_cover_are_nothing() -> None:
    run = Run([ranged("r1", DATA, 0, 5000, 0.0), ranged("r2", DATA, 5001, len(DATA), 1.0)])
    summary = run.close()
    assert run.rules() == {}
    assert (summary.transfers[0].state, summary.transfers[0].verdict) == ("partial", "ok")


def test_object_overwritten_between_the_ranges() -> None:
    other = DATA[::-1]
    run = Run(
        [
            ranged("r1", DATA, 0, 5000, 0.0),
            put("w", other, 1.0),
            ranged("r2", other, 5000, len(DATA), 2.0),
        ]
    )
    assert run.rules() == {"r2": ["object-changed"]}
    assert run.reports["r2"].verdict == "warning"
    transfers = run.close().transfers
    assert [[finding.rule for finding in each.findings] for each in transfers] == [
        [],
        ["object-changed"],
    ]


def test_separate_downloads_of_two_versions_are_fine() -> None:
    other = DATA[::-1]
    whole = [ranged("a1", DATA, 0, 5000, 0.0), ranged("a2", DATA, 5000, len(DATA), 1.0)]
    soon = [ranged("b2", other, 5000, len(DATA), 3.0), ranged("b1", other, 0, 5000, 4.0)]
    assert Run([*whole, *soon]).rules() == {}
    late = [ranged("b2", other, 5000, len(DATA), 120.0)]
    assert Run([whole[0], *late]).rules() == {}
    restart = [ranged("b1", other, 0, 5000, 3.0), ranged("b2", other, 5000, len(DATA), 4.0)]
    assert Run([whole[0], *restart]).rules() == {}


def test_a_head_before_tells_the_crc() -> None:
    etag = {"ETag": f'"{md5(DATA)}"'}
    head = exchange(
        "h",
        "HEAD",
        "/a",
        0.0,
        answered=etag
        | {"x-cos-hash-crc64ecma": str(crc64(DATA)), "Content-Length": str(len(DATA))},
    )

    def bare(flow_id: str, first: int, end: int, at: float) -> Exchange:
        answered = etag | {"Content-Range": f"bytes {first}-{end - 1}/*"}
        return ranged(flow_id, DATA, first, end, at, answered=answered)

    flows = [bare("r1", 0, 5000, 1.0), bare("r2", 5000, len(DATA), 2.0)]
    assert Run([head, *flows]).check("r2", "range-crc64").status == "match"
    assert Run([*flows, head]).check("r2", "range-crc64").status == "match"
    assert Run(flows).check("r2", "range-crc64").reason == "no-header"


def test_overlapping_ranges_with_running_crcs() -> None:
    session = Session()
    first, second = ranged("r1", DATA, 0, 6000, 0.0), ranged("r2", DATA, 4000, len(DATA), 1.0)
    session.inspect(first)
    at = session.boundaries(second)
    assert at == [2000]
    inspected = session.inspect(second, marks=[(2000, crc64(DATA[4000:6000]))])
    assert inspected is not None
    (check,) = [each for each in inspected.report.checks if each.check == "range-crc64"]
    assert check.status == "match"


def test_appends() -> None:
    one, two, three = b"one", b"and two", b"and then three"
    run = Run(
        [
            append("a1", one, 0, 0.0, whole=one),
            append("a2", two, 3, 1.0, whole=one + two),
            append("a3", three, 10, 2.0, whole=one + two + three),
        ]
    )
    summary = run.close()
    assert run.rules() == {}
    assert [run.check(flow, "append-crc64").status for flow in ("a1", "a2", "a3")] == ["match"] * 3
    (transfer,) = summary.transfers
    assert (transfer.kind, transfer.parts, transfer.size) == ("append", 3, 24)


def test_append_that_damaged_the_object() -> None:
    run = Run(
        [
            append("a1", b"one", 0, 0.0, whole=b"one"),
            append("a2", b"two", 3, 1.0, whole=b"one2wo"),
        ]
    )
    assert run.rules() == {"a2": ["crc64-mismatch"]}
    assert run.check("a2", "append-crc64").status == "mismatch"
    assert on_transfer(run.close()) == ["crc64-mismatch"]


def test_append_to_what_was_not_seen() -> None:
    run = Run([append("a2", b"two", 3, 1.0, whole=b"onetwo")])
    assert run.rules() == {}
    assert run.check("a2", "append-crc64").reason == "unseen-parts"


def head(flow_id: str, data: bytes, at: float) -> Exchange:
    headers = {"x-cos-hash-crc64ecma": str(crc64(data)), "Content-Length": str(len(data))}
    return exchange(flow_id, "HEAD", "/log", at, answered=headers | {"ETag": f'"{"9a" * 16}"'})


@pytest.mark.parametrize("late", [False, True])
def test_append_to_what_a_head_told(late: bool) -> None:
    flows = [
        head("h", b"one", 0.0),
        append("a2", b"two", 3, 1.0, whole=b"onetwo"),
        append("a3", b"damage", 6, 2.0, whole=b"onetwodemage"),
    ]
    run = Run(flows[::-1] if late else flows)
    assert run.check("a2", "append-crc64").status == "match"
    assert run.check("a3", "append-crc64").status == "mismatch"
    assert run.rules() == {"a3": ["crc64-mismatch"]}


@pytest.mark.parametrize("late", [False, True])
def test_the_etag_of_what_was_seen_to_be_appended_is_no_md5(late: bool) -> None:
    etag = {"ETag": f'"{"9a" * 16}"', "x-cos-next-append-position": "3"}
    made = append("a1", b"one", 0, 0.0, answered=etag)
    told = {"ETag": etag["ETag"], "x-cos-hash-crc64ecma": str(crc64(b"one"))}
    read = get("g", b"one", 1.0, key="log", answered=told)
    run = Run([read, made] if late else [made, read])
    assert run.rules() == {}
    assert run.check("g", "etag").reason == "append"
    other = get("g", b"one", 1.0, key="log", answered=told | {"ETag": f'"{"8b" * 16}"'})
    run = Run([other, made] if late else [made, other])
    assert run.rules() == {"g": ["etag-mismatch"]}
    assert run.reports["g"].verdict == "warning"


@pytest.mark.parametrize("late", [False, True])
def test_the_etag_of_what_another_answer_called_appendable_is_no_md5(late: bool) -> None:
    etag, kind = {"ETag": f'"{"9a" * 16}"'}, {"x-cos-object-type": "Appendable"}
    told = exchange("h", "HEAD", "/a", 0.0, answered=etag | kind | {"Content-Length": "3"})
    read = get("g", b"one", 1.0, answered=etag)
    run = Run([read, told] if late else [told, read])
    assert run.rules() == {}
    assert run.check("g", "etag").reason == "append"
    other = get("g", b"one", 1.0, answered={"ETag": f'"{"8b" * 16}"'})
    run = Run([other, told] if late else [told, other])
    assert run.rules() == {"g": ["etag-mismatch"]}
    assert run.reports["g"].verdict == "error"


def test_append_md5_counts_for_the_transfer() -> None:
    answered = {"x-cos-next-append-position": "3", "x-cos-content-sha1": md5(b"two")}
    run = Run([append("a1", b"one", 0, 0.0, answered=answered)])
    assert run.rules() == {"a1": ["append-md5-mismatch", "etag-missing"]}
    assert run.check("a1", "append-md5").status == "mismatch"
    assert on_transfer(run.close()) == ["append-md5-mismatch"]


def test_wrong_next_append_position() -> None:
    answered = {"ETag": f'"{md5(b"x")}"', "x-cos-next-append-position": "4"}
    wrong = append("a1", b"one", 0, 0.0, answered=answered)
    assert Run([wrong]).rules() == {"a1": ["crc64-mismatch"]}


def test_copy_against_its_source() -> None:
    def copied(flow_id: str, crc: int, at: float, etag: str = md5(b"body")) -> Exchange:
        text = f'<CopyObjectResult><ETag>"{etag}"</ETag><CRC64>{crc}</CRC64></CopyObjectResult>'
        return exchange(
            flow_id,
            "PUT",
            "/copy",
            at,
            sent={"x-cos-copy-source": f"{HOST}/a"},
            answer=body_of(text.encode(), sample=True),
        )

    run = Run([put("w", b"body", 0.0), copied("c1", crc64(b"body"), 1.0)])
    assert run.check("c1", "crc64").status == run.check("c1", "etag").status == "match"
    assert run.rules() == {}
    run = Run([put("w", b"body", 0.0), copied("c2", crc64(b"bode"), 1.0)])
    assert run.rules() == {"c2": ["crc64-mismatch"]}
    elsewhere = copied("c3", crc64(b"new"), 1.0, md5(b"new"))
    assert Run([put("w", b"body", 0.0), elsewhere]).rules() == {}
    assert Run([copied("c4", 5, 1.0)]).check("c4", "crc64").reason == "copy"


def test_written_then_read() -> None:
    run = Run([put("w", b"body", 0.0), get("r", b"body", 1.0)])
    (found,) = run.close().read_back
    assert (found.write, found.reads, found.same) == ("w", ["r"], True)
    assert run.rules() == {}
    run = Run([put("w", b"body", 0.0), get("r", b"other", 1.0)])
    assert run.rules() == {"r": ["object-changed"]}
    assert run.reports["r"].verdict == "notice"
    assert not run.close().read_back[0].same
    two_writes = [put("w", b"body", 0.0), put("x", b"other", 1.0), get("r", b"other", 2.0)]
    assert Run(two_writes).rules() == {}
    unclear = put("x", b"other", 1.0, status=None, error="timed out")
    assert "r" not in Run([put("w", b"body", 0.0), unclear, get("r", b"other", 2.0)]).rules()


def test_retry_after_503_with_another_host() -> None:
    run = Run(
        [
            part("t1", 1, b"body", 0.0, **failure(503, "SlowDown")),
            part("t2", 1, b"body", 1.0, status=None, error="connection reset"),
            part("t3", 1, b"body", 2.5, host=OTHER_HOST, sent={"x-cos-sdk-retry": "true"}),
        ]
    )
    summary = run.close()
    assert [flow for flow, rules in run.rules().items() if "retried" in rules] == ["t3"]
    evidence = run.reports["t3"].findings[-1].evidence
    assert evidence["causes"] == ["503 SlowDown", "connection reset"]
    assert (evidence["tries"], evidence["host_switches"]) == (3, 1)
    assert evidence["time_lost_ms"] == 2500.0
    (chain,) = summary.retries
    assert chain.flows == ["t1", "t2", "t3"]
    assert chain.hosts == [HOST, OTHER_HOST]
    assert chain.succeeded
    transfer = run.reports["t1"].transfer
    assert transfer is not None
    assert (transfer.kind, transfer.attempt) == ("multipart-upload", 1)
    assert summary.transfers[0].bytes_sent_twice == 8


def test_clock_self_corrected() -> None:
    def signed(start: int) -> dict[str, str]:
        window = f"{start};{start + 900}"
        return {
            "Authorization": f"q-sign-algorithm=sha1&q-ak=AKID&q-sign-time={window}"
            f"&q-key-time={window}&q-header-list=&q-url-param-list=&q-signature={'0' * 40}"
        }

    run = Run(
        [
            put(
                "t1",
                b"body",
                0.0,
                sent=signed(1_763_760_000),
                **failure(403, "RequestTimeTooSkewed"),
            ),
            put("t2", b"body", 0.5, sent=signed(1_763_770_000)),
        ]
    )
    first, second = run.reports["t1"], run.reports["t2"]
    severities = {finding.rule: finding.severity.value for finding in first.findings}
    assert severities["error-response"] == severities["clock-skew"] == "notice"
    assert [finding.rule for finding in second.findings] == ["retried"]
    assert second.findings[0].evidence["clock_self_corrected"] is True
    assert "10000 s" in second.findings[0].detail
    assert run.close().retries[0].clock_corrected


@pytest.mark.parametrize(
    "flows",
    [
        [get("t1", b"x", 0.0), get("t2", b"x", 1.0)],
        [get("t1", b"x", 0.0, took=2.0), get("t2", b"x", 0.1, took=2.0)],
        [exchange(f"h{at}", "HEAD", "/a", float(at), status=404) for at in range(3)],
        [put("t1", b"one!", 0.0, **failure(500, "InternalError")), put("t2", b"two!", 1.0)],
        [put("t1", b"x", 0.0, **failure(500, "InternalError")), put("t2", b"x", 300.0)],
        [
            put("t1", b"x", 0.0, **failure(500, "InternalError")),
            put("t2", b"x", 1.0, client="10.0.0.8"),
        ],
        [put("t1", b"x", 0.0, **failure(403, "AccessDenied")), put("t2", b"x", 1.0)],
    ],
    ids=["again", "parallel", "polling", "other-body", "much-later", "other-client", "refused"],
)
def test_no_retry(flows: list[Exchange]) -> None:
    run = Run(flows)
    assert not any("retried" in rules for rules in run.rules().values())
    assert run.close().retries == []


def test_download_aborted_by_the_user_and_begun_again() -> None:
    run = Run(
        [
            ranged("r1", DATA, 0, 9000, 0.0, cut_at=100, error="Client disconnected."),
            ranged("r2", DATA, 0, 9000, 1.0),
        ]
    )
    assert run.rules() == {"r1": ["body-truncated"]}


def test_slow_for_a_reason() -> None:
    big = bytes(2 * MIB)
    limit = {"x-cos-traffic-limit": "819200"}
    for flow, reason in (
        (put("s", big, 0.0, took=60.0), "client-stall"),
        (put("s", big, 0.0, took=60.0, sent=limit), "traffic-limit"),
        (get("s", big, 0.0, took=60.0), "network"),
        (put("s", b"x", 0.0, wait=3.5), "server-wait"),
    ):
        run = Run([flow])
        assert run.rules() == {"s": ["slow-transfer"]}
        assert run.reports["s"].findings[0].evidence["reason"] == reason
    assert Run([put("s", big, 0.0, took=20.0), put("f", b"x", 30.0, took=60.0)]).rules() == {}


def test_ignored_rules_stay_out() -> None:
    flows = [*upload_of(CHUNKS)[:3], complete("c", LISTED, WHOLE ^ 1, 5.0)]
    ignoring = Session(ignore=frozenset({"multipart-crc64-mismatch"}))
    run = Run(flows, ignoring)
    assert run.rules() == {}
    assert run.reports["c"].verdict == "ok"
    (transfer,) = run.close().transfers
    assert transfer.findings == []
    # The check fails all the same, and a transfer of which one fails is not ok.
    assert transfer.verdict == "error"


STORY = [
    initiate("i"),
    *upload_of(CHUNKS[:1] + CHUNKS[2:]),
    part("b1", 1, CHUNKS[0], 1.0, key="b", **failure(503, "SlowDown")),
    part("b2", 1, CHUNKS[0], 2.0, key="b", took=0.4),
    complete("b3", LISTED[:1], crc64(CHUNKS[0]) ^ 1, 3.0, key="b"),
    *(
        ranged(f"r{at}", DATA, at, at + 2048, 5 + at / 4096, key="r")
        for at in range(0, 10240, 2048)
    ),
    ranged("rx", DATA[::-1], 2048, 4096, 9.0, key="x"),
    ranged("ry", DATA, 4096, 8192, 10.0, key="x"),
    append("a1", b"one", 0, 0.0, whole=b"one"),
    append("a2", b"two", 3, 1.0, whole=b"onetwo"),
    put("w", b"body", 20.0, key="w"),
    get("g", b"other", 21.0, key="w"),
]


def told(flows: list[Exchange]) -> tuple[dict[str, FlowReport], SessionSummary]:
    run = Run(flows)
    summary = run.close()
    return run.reports, summary


IN_ORDER = told(STORY)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_order_says_the_same(shuffle: random.Random) -> None:
    flows = list(STORY)
    shuffle.shuffle(flows)
    assert told(flows) == IN_ORDER


def _ended(flow: Exchange) -> float:
    return flow.timing.response_end or flow.timing.request_start or 0.0


def test_little_memory_says_the_same() -> None:
    """What is old lies in a temporary file; live, flows come in the order of their ends."""
    flows = sorted(STORY, key=_ended)
    session = Session(bounds=Bounds(facts=2, reports=2, secret_ids=2))
    run = Run(flows, session)
    summary = run.close()
    assert (run.reports, summary) == told(flows)


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_no_longer_known_gives_no_wrong_word(shuffle: random.Random) -> None:
    flows = list(STORY)
    shuffle.shuffle(flows)
    few = Limits(parts=2, steps=2, versions=2, tries=2, requests=2, events=2)
    bounds = Bounds(facts=2, histories=2, reports=2, old_reports=2, secret_ids=2, waiting=2)
    run = Run(flows, Session(limits=few, bounds=bounds))
    run.close()
    reports, _ = IN_ORDER
    for flow_id, report in run.reports.items():
        allowed = {finding.rule for finding in reports[flow_id].findings} | _UNSURE
        assert {finding.rule for finding in report.findings} <= allowed
        for check in report.checks:
            if check.status != "skipped":
                assert check in reports[flow_id].checks


_UNSURE = {"object-changed"}
"""Whether the object changed while it was read is told by what is known of its last writes."""


@pytest.mark.parametrize(
    ("stored", "difference", "severity"),
    [(b"", "empty", "error"), (b"bod", "shorter", "error")],
)
@pytest.mark.parametrize("answered", [None, 503])
def test_a_retry_that_stores_less_is_found(
    stored: bytes, difference: str, severity: str, answered: int | None
) -> None:
    sent = {"Content-Length": str(len(stored))}
    error = None if answered else "timed out"
    first = put("1", b"body", 0.0, status=answered, error=error)
    run = Run([first, put("2", stored, 1.0, sent=sent)])
    (found,) = [each for each in run.reports["2"].findings if each.rule == "retry-body-differs"]
    assert (found.severity.value, found.evidence["difference"]) == (severity, difference)
    assert found.evidence["sizes"] == [4, len(stored)]
    assert run.reports["2"].verdict == severity


def test_a_marked_retry_with_other_bytes_is_found() -> None:
    mark = {"x-cos-sdk-retry": "true"}
    run = Run([put("1", b"one!", 0.0, status=503), put("2", b"two!", 1.0, sent=mark)])
    (found,) = [each for each in run.reports["2"].findings if each.rule == "retry-body-differs"]
    assert (found.severity.value, found.evidence["difference"]) == ("warning", "other")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "location",
    ["https://{}/a", "http://{}/a?q-sign-algorithm=sha1&q-ak=x", "/a", "https://{}:443/a?x=1"],
)
@pytest.mark.parametrize("from_cos", [True, False])
def test_a_redirect_that_was_followed_is_no_retry(
    status: int, location: str, from_cos: bool
) -> None:
    away = {"Location": location.format(OTHER_HOST)}
    sent = put("1", b"body", 0.0, status=status, answered=away, from_cos=from_cos)
    run = Run([sent, put("2", b"body", 1.0, host=OTHER_HOST)])
    assert "retried" not in run.rules().get("2", [])


def test_the_last_cause_is_not_told_as_one_before() -> None:
    run = Run([put("1", b"x", 0.0, status=503), put("2", b"x", 1.0, status=503)])
    (found,) = [each for each in run.reports["2"].findings if each.rule == "retried"]
    assert found.detail.count("503") == 1


def _head(flow_id: str, size: int, crc: int | None, at: float) -> Exchange:
    told = {"ETag": f'"{md5(b"x")}-3"', "Content-Length": str(size)}
    if crc is not None:
        told["x-cos-hash-crc64ecma"] = str(crc)
    return exchange(flow_id, "HEAD", "/a", at, answered=told)


LOST = [
    complete("lost", LISTED, None, 5.0, **failure(503, "ServiceUnavailable")),
    complete("lost", LISTED, None, 5.0, status=None, error="timed out"),
    complete("lost", LISTED, None, 5.0, **failure(200, "InternalError")),
]
TOLD = [("NoSuchUpload", 404), ("PathConflict", 409)]


@pytest.mark.parametrize("lost", LOST, ids=["503", "no-answer", "error-in-200"])
@pytest.mark.parametrize(("code", "status"), TOLD)
@pytest.mark.parametrize("crc", [WHOLE, None])
def test_a_complete_that_worked_unheard_is_shown_by_a_later_head(
    lost: Exchange, code: str, status: int, crc: int | None
) -> None:
    told = complete("told", LISTED, None, 8.0, **failure(status, code))
    flows = [*upload_of(CHUNKS)[:3], lost, told]
    alone = Run(flows)
    assert "upload-probably-completed" in alone.rules()["told"]
    summary = alone.close()
    assert (summary.transfers[0].state, summary.transfers[0].verdict) == (
        "probably-completed",
        "warning",
    )
    head = _head("h", 2 * MIB + 8, crc, 9.0)
    for order in ([*flows, head], [head, *flows]):
        run = Run(order)
        (transfer,) = run.close().transfers
        assert (transfer.state, transfer.verdict, transfer.findings) == ("completed", "ok", [])
        assert "flow h shows the object" in (transfer.notice or "")
        assert "upload-probably-completed" not in run.rules()["told"]
        assert run.reports["told"].verdict in ("notice", "warning")


def test_an_abort_after_a_complete_that_worked_unheard_finds_nothing_to_abort() -> None:
    """S3 clients abort once all tries of a Complete have failed."""
    abort = exchange(
        "abort", "DELETE", f"/a?uploadId={UPLOAD}", 8.5, **failure(404, "NoSuchUpload")
    )
    told = complete("told", LISTED, None, 8.0, **failure(404, "NoSuchUpload"))
    flows = [*upload_of(CHUNKS)[:3], LOST[0], told, abort, _head("h", 2 * MIB + 8, WHOLE, 9.0)]
    for order in (flows, flows[::-1]):
        run = Run(order)
        (transfer,) = run.close().transfers
        assert (transfer.state, transfer.verdict, transfer.findings) == ("completed", "ok", [])
        (found,) = [each for each in run.reports["abort"].findings if each.rule == "error-response"]
        assert found.severity.value == "notice"
        assert "completed all the same" in found.detail


@pytest.mark.parametrize(
    ("size", "crc", "at"), [(5, None, 9.0), (8, 7, 9.0), (2 * MIB + 8, 7, 9.0)]
)
def test_another_object_proves_nothing(size: int, crc: int | None, at: float) -> None:
    run = Run([*upload_of(CHUNKS)[:3], LOST[0], _head("h", size, crc, at)])
    assert run.close().transfers[0].state == "unanswered"


def test_refused_parts_are_not_counted_as_stored() -> None:
    flows = [*upload_of(CHUNKS)[:1], part("p2", 2, CHUNKS[1], 2.0, **failure(503, "SlowDown"))]
    (transfer,) = Run(flows).close().transfers
    (found,) = [each for each in transfer.findings if each.rule == "multipart-abandoned"]
    assert found.evidence["parts"] == 1
    assert found.detail.startswith("1 part was uploaded")


def test_what_cos_does_not_know_is_not_abandoned() -> None:
    gone = complete("c", LISTED, None, 9.0, **failure(404, "NoSuchUpload"))
    (transfer,) = Run([*upload_of(CHUNKS)[:3], gone]).close().transfers
    assert transfer.state == "refused"
    assert "multipart-abandoned" not in [each.rule for each in transfer.findings]


_COPY_SOURCE = {"x-cos-copy-source": f"{HOST}/w"}
_APPENDED = {"ETag": f'"{"9a" * 16}"', "x-cos-next-append-position": "3"}
_BARE = {"ETag": f'"{md5(DATA)}"', "Content-Range": "bytes 0-99/*", "Content-Length": "100"}
_TOLD = {
    "ETag": f'"{md5(DATA)}"',
    "x-cos-hash-crc64ecma": str(crc64(DATA)),
    "Content-Length": str(len(DATA)),
}
EVERYTHING = [
    *STORY,
    *upload_of(CHUNKS[2:], key="lost", upload="lost")[:1],
    complete("l1", [(1, md5(CHUNKS[2]))], None, 3.0, key="lost", upload="lost", status=503),
    complete(
        "l2",
        [(1, md5(CHUNKS[2]))],
        None,
        5.0,
        key="lost",
        upload="lost",
        **failure(409, "PathConflict"),
    ),
    exchange(
        "l3",
        "HEAD",
        "/lost",
        7.0,
        answered={"ETag": '"x-1"', "Content-Length": str(len(CHUNKS[2]))},
    ),
    ranged("cut", DATA, 0, len(DATA), 1.0, key="resumed", cut_at=4000, status=200),
    ranged("rest", DATA, 4000, len(DATA), 2.0, key="resumed"),
    ranged("bare", DATA, 0, 100, 1.0, key="head", answered=_BARE),
    ranged("more", DATA, 100, len(DATA), 2.0, key="head", answered=_BARE | {
        "Content-Range": f"bytes 100-{len(DATA) - 1}/*",
        "Content-Length": str(len(DATA) - 100),
    }),
    exchange("head", "HEAD", "/head", 4.0, answered=_TOLD),
    append("e1", b"one", 0, 50.0, answered=_APPENDED),
    get("e2", b"one", 51.0, key="log", answered={"ETag": _APPENDED["ETag"], "Content-Length": "3"}),
    put("t1", b"body", 0.0, key="t", status=None, error="timed out"),
    put("t2", b"", 2.0, key="t", sent={"Content-Length": "0"}),
    exchange("c", "PUT", "/copy", 25.0, sent=_COPY_SOURCE, answered={
        "ETag": f'"{md5(b"body")}"',
        "x-cos-hash-crc64ecma": str(crc64(b"body")),
    }),
]  # fmt: skip


def all_at_once(flows: list[Exchange]) -> dict[str, FlowReport]:
    """The reports that second looks give when everything has been seen, as for captures."""
    looks = [look for flow in flows if (look := first_look(flow)) is not None]
    histories: dict[str, ObjectHistory] = {}
    for look in looks:
        seen = look.seen
        history = histories.setdefault(history_name(seen), ObjectHistory.of(seen))
        history.add(seen, judge=False)
        source = source_name(seen)
        if source is not None:
            copied = ObjectHistory(name=source, bucket=None, key=seen.copy_key)
            histories.setdefault(source, copied).add_copy(copy_of(seen))
    for history in histories.values():
        history.settle()
    reports = {}
    for look in looks:
        seen = look.seen
        revision = revision_of(histories[history_name(seen)], seen)
        source = source_name(seen)
        if source is not None and seen.succeeded:
            verdict = judge_copy(copy_of(seen), histories[source].events)
            add_copy(revision, seen, verdict)
        reports[seen.flow_id] = revise(look.report, revision) if revision else look.report
    return reports


def test_live_in_order_says_what_all_at_once_say() -> None:
    assert told(sorted(EVERYTHING, key=_ended))[0] == all_at_once(EVERYTHING)


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_live_in_any_order_says_what_all_at_once_say(shuffle: random.Random) -> None:
    flows = list(EVERYTHING)
    shuffle.shuffle(flows)
    assert told(flows)[0] == all_at_once(EVERYTHING)


def test_failed_tries_are_healed_by_one_that_came_through() -> None:
    busy = [put(str(n), b"x", float(n), **failure(503, "SlowDown")) for n in range(1, 4)]
    last = put("4", b"x", 4.0)
    for order in ([*busy, last], [last, *busy[::-1]]):
        run = Run(order)
        run.close()
        places = {flow: report.transfer for flow, report in run.reports.items()}
        assert [place.healed for _, place in sorted(places.items()) if place] == [True] * 3 + [
            False
        ]
        assert places["4"] is not None
        assert places["4"].earlier_tries == ("1", "2", "3")
    run = Run(busy)
    assert not any(report.is_healed for report in run.reports.values())


def test_a_try_whose_body_was_lost_is_not_healed() -> None:
    run = Run([put("1", b"four", 0.0, status=503), put("2", b"", 1.0)])
    assert not run.reports["1"].is_healed
    assert [found.rule for found in run.reports["2"].findings][-2:] == [
        "retry-body-differs",
        "retried",
    ]


@pytest.mark.parametrize("later", ["none", "404", "success", "proof"])
def test_what_is_said_of_a_complete_follows_what_is_seen_later(later: str) -> None:
    lost = complete("lost", LISTED, None, 5.0, **failure(503, "ServiceUnavailable"))
    absent = exchange("h", "HEAD", "/a", 9.0, status=404)
    seen_later = {
        "none": [],
        "404": [absent],
        "success": [complete("done", LISTED, WHOLE, 9.0)],
        "proof": [_head("h", 2 * MIB + 8, WHOLE, 9.0)],
    }[later]
    flows = [*upload_of(CHUNKS)[:3], lost, *seen_later]
    for order in (flows, flows[::-1]):
        run = Run(order)
        run.close()
        (found,) = [each for each in run.reports["lost"].findings if each.rule == "error-response"]
        assert ("is open" in found.detail) == (later == "none")
        assert ("answered 404" in found.detail) == (later == "404")
        assert ("completed all the same" in found.detail) == (later == "proof")


def test_a_gateway_that_answered_a_complete_leaves_it_open() -> None:
    lost = complete("lost", LISTED, None, 5.0, status=504, from_cos=False)
    run = Run([*upload_of(CHUNKS)[:3], lost])
    run.close()
    (found,) = [each for each in run.reports["lost"].findings if each.rule == "not-from-cos"]
    assert "is open" in found.detail


def test_a_part_whose_retry_was_empty_spoils_its_upload() -> None:
    failed = part("p1", 1, CHUNKS[0], 1.0, status=None, error="server closed connection")
    empty = part("p1b", 1, b"", 2.0, sent={"Content-Length": "0"})
    summary = Run([failed, empty, *upload_of(CHUNKS)[1:2]]).close()
    (transfer,) = summary.transfers
    assert "retry-body-differs" in [each.rule for each in transfer.findings]
    assert transfer.verdict == "error"


def test_an_object_that_is_read_under_its_odd_name_is_meant_so() -> None:
    write, read = put("w", b"x", 1.0, key="a%2520b"), get("r", b"x", 2.0, key="a%2520b")
    assert "key-escaped-twice" in Run([write]).rules()["w"]
    missed = exchange("r", "HEAD", "/a%2520b", 2.0, status=404)
    assert "key-escaped-twice" in Run([write, missed]).rules()["w"]
    for order in ([write, read], [read, write]):
        assert "w" not in Run(order).rules()


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "InvalidPart"), (403, "AccessDenied"), (404, "NoSuchUpload"), (200, "InternalError")],
)
def test_an_upload_whose_complete_was_refused_is_not_ok_while_the_proxy_runs(
    status: int, code: str
) -> None:
    parts = [part(f"p{number}", number, data, number) for number, data in enumerate(CHUNKS, 1)]
    run = Run([initiate("i", 0.0), *parts])
    (before,) = run.session.summary().transfers
    assert (before.state, before.verdict) == ("open", "ok")
    run.session.inspect(complete("c", LISTED, None, 9.0, **failure(status, code)))
    (transfer,) = run.session.summary().transfers
    assert transfer.verdict == "error"
    assert transfer.state in ("refused", "unanswered")
