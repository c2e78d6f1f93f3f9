"""Saved traffic gives one answer, whatever captures, order, shards and processes it comes by."""

import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import http

from cos_inspect.analyze import shards
from cos_inspect.analyze.run import analyze
from cos_inspect.model.moments import utc_text
from cos_inspect.rules.registry import RULES
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.analyze import stories
from tests.analyze.stories import STORIES, Found, Story
from tests.saved.flow_files import saved_file
from tests.saved.hars import as_base64, har

JOINED = {rule.id for rule in RULES if rule.joins}
NOTICES = {"retried", "object-changed", "slow-transfer"}
"""Rules that are said as notices, where the stories tell them."""


class Answer(NamedTuple):
    reports: list[dict[str, Any]]
    """But for ``sequence``."""
    summary: dict[str, Any]

    @property
    def found(self) -> Found:
        return {
            (report["flow_id"], finding["rule"])
            for report in self.reports
            for finding in report["findings"]
            if finding["severity"] != "notice" or finding["rule"] in NOTICES
        }

    @property
    def damage(self) -> Counter[tuple[Any, ...]]:
        """By request, where the ids of flows are not given."""
        return Counter(
            (report["request"]["url"], report["started"], finding["rule"])
            for report in self.reports
            for finding in report["findings"]
            if finding["severity"] != "notice" or finding["rule"] in NOTICES
        )

    @property
    def of_transfers(self) -> Found:
        """By upload, else by object."""
        return {
            (each["id" if each["kind"] == "multipart-upload" else "key"], finding["rule"])
            for each in self.summary["transfers"]
            for finding in each["findings"]
            if finding["rule"] in JOINED | {"slow-transfer"}
        }


def answer(captures: Sequence[Path], jobs: int = 1) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        told: list[str] = []
        chosen = AnalysisSettings(
            report_dir=path, formats=("jsonl",), jobs=jobs, quiet=True, redact=False
        )
        outcome = analyze([str(each) for each in captures], chosen, told.append, told.append)
        assert not outcome.errors, outcome.errors
        lines = (path / "flows.jsonl").read_text().splitlines()
        reports = [json.loads(line) for line in lines]
        assert [report.pop("sequence") for report in reports] == [*range(1, len(reports) + 1)]
        reports.sort(key=lambda report: json.dumps(report, sort_keys=True))
        summary = json.loads((path / "summary.json").read_text())
    # Of the files alone, not of the traffic in them.
    del summary["captures"]
    for transfer in summary["transfers"]:
        mismatch = any(check["status"] == "mismatch" for check in transfer["checks"])
        assert not (mismatch and transfer["verdict"] != "error")
    return Answer(reports, summary)


@contextmanager
def small_shards(step: int, partitions: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "_SMALLEST", step)
        patch.setattr(shards, "_LARGEST", step)
        patch.setattr(shards, "_PARTITION", 1)
        patch.setattr(shards, "_MOST_PARTITIONS", partitions)
        yield


class Session(NamedTuple):
    flows: list[http.HTTPFlow]
    found: Found
    of_transfers: Found


def session(chosen: Sequence[tuple[int, bool]], ordinary: int) -> Session:
    """Stories side by side, and ordinary flows between them."""
    told: list[Story] = [
        STORIES[which](number, bad=bad, at=number * 0.37)
        for number, (which, bad) in enumerate(chosen)
    ]
    flows = [flow for story in told for flow in story.flows]
    flows += [stories.get(f"ordinary{number}", b"abc", number / 10) for number in range(ordinary)]
    return Session(
        flows,
        {each for story in told for each in story.found},
        {each for story in told for each in story.of_transfers},
    )


ALL_BAD = session([(which, True) for which in range(len(STORIES))], ordinary=20)
ALL_FINE = session([(which, False) for which in range(len(STORIES))], ordinary=20)


def dealt(
    flows: Sequence[http.HTTPFlow], count: int, rest: random.Random, twice: int = 0
) -> list[list[http.HTTPFlow]]:
    """In captures, in any order, some in two of them."""
    captures: list[list[http.HTTPFlow]] = [[] for _ in range(count)]
    for flow in flows:
        rest.choice(captures).append(flow)
    for flow in rest.sample(list(flows), min(twice, len(flows))):
        rest.choice(captures).append(flow)
    for capture in captures:
        rest.shuffle(capture)
    return [capture for capture in captures if capture]


def saved(folder: Path, captures: Sequence[Sequence[http.HTTPFlow]]) -> list[Path]:
    return [
        saved_file(folder / f"{number}.mitm", *capture) for number, capture in enumerate(captures)
    ]


def entry_of(flow: http.HTTPFlow) -> dict[str, Any]:
    """As an exporter writes it that keeps bodies as they are."""
    request, response = flow.request, flow.response
    begun, sent = request.timestamp_start, request.timestamp_end or 0.0
    ended = (response.timestamp_end if response else None) or sent

    def fields(headers: http.Headers) -> list[dict[str, str]]:
        return [{"name": name, "value": value} for name, value in headers.items(multi=True)]

    return {
        "startedDateTime": utc_text(request.timestamp_start),
        "time": 1000 * (ended - begun),
        "connection": flow.server_conn.id,
        "request": {
            "method": request.method,
            "url": request.url,
            "httpVersion": "HTTP/1.1",
            "headers": fields(request.headers),
            "bodySize": len(request.raw_content or b""),
            "postData": as_base64(request.raw_content or b"") | {"mimeType": ""},
        },
        "response": {
            "status": response.status_code if response else 0,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "headers": fields(response.headers) if response else [],
            "content": as_base64((response.raw_content if response else None) or b""),
            "bodySize": -1,
        }
        | ({} if response else {"_error": "net::ERR_CONNECTION_RESET"}),
        "timings": {"send": 1000 * (sent - begun), "wait": 0, "receive": 1000 * (ended - sent)},
    }


STORY_OF = {
    ("multipart-crc64-mismatch", "transfer"): stories.multipart,
    ("multipart-etag-mismatch", "transfer"): stories.listed_wrongly,
    ("multipart-part-invalid", "transfer"): stories.small_part,
    ("multipart-abandoned", "transfer"): stories.abandoned,
    ("range-crc64-mismatch", "transfer"): stories.ranges,
    ("object-changed", "transfer"): stories.changed,
    ("object-changed", "object"): stories.rewritten,
    ("upload-probably-completed", "transfer"): stories.gone,
    ("upload-probably-completed", "object"): stories.shown,
    ("crc64-mismatch", "transfer"): stories.appends,
    ("crc64-mismatch", "object"): stories.copied,
    ("etag-mismatch", "transfer"): stories.encrypted,
    ("etag-mismatch", "object"): stories.appended,
    ("retried", "request"): stories.tried_again,
    ("retry-body-differs", "request"): stories.emptied,
    ("token-missing", "secret-id"): stories.token,
    ("signature-mismatch", "secret-id"): stories.wrong_key,
    ("signature-wrong-key", "secret-id"): stories.wrong_key,
    ("permanent-key-on-device", "client-and-key"): stories.on_device,
    ("credentials-in-clear", "client-and-key"): stories.on_device,
}
"""Of every rule that joins, and each key that it joins by, a story that tells it."""
LEFT_OUT_WHEN_JOINED = {
    ("multipart-abandoned", "transfer"),
    ("upload-probably-completed", "object"),
    ("etag-mismatch", "transfer"),
    ("etag-mismatch", "object"),
}
"""Here the fine story shows it: that the others are there says that all is well."""


def test_every_rule_that_joins_has_a_story_for_each_key() -> None:
    assert set(STORY_OF) == {(rule.id, key) for rule in RULES for key in rule.joins or ()}
    assert set(STORY_OF.values()) <= set(STORIES)


def divorced(flow: http.HTTPFlow, number: int, key: str) -> http.HTTPFlow:
    """The same flow, which has nothing in common with others by this key."""
    made: http.HTTPFlow = flow.copy()
    made.id, made.server_conn.id = flow.id, flow.server_conn.id
    request = made.request
    if key == "secret-id":
        sent = request.headers.get("Authorization", "")
        request.headers["Authorization"] = sent.replace("q-ak=AKID", f"q-ak=AKID{number}")
    elif key == "client-and-key":
        made.client_conn.peername = (f"10.0.1.{number}", 40000)
    elif key == "transfer":
        request.path = request.path.replace("uploadId=", f"uploadId={number}")
        request.path = request.path.replace("/", f"/{number}-", 1)
    elif key == "request" or "uploadId" not in request.path:
        # What belongs to one upload has that in common.
        request.path = request.path.replace("/", f"/{number}-", 1)
    return made


@pytest.mark.parametrize(("named", "story"), STORY_OF.items(), ids=map("-by-".join, STORY_OF))
def test_a_rule_joins_by_its_key(
    named: tuple[str, str], story: Callable[..., Story], tmp_path: Path
) -> None:
    """It says something else where the flows do not have that key in common."""
    rule, key = named
    flows = story(1, bad=named not in LEFT_OUT_WHEN_JOINED, at=0.0).flows
    apart = [divorced(flow, number, key) for number, flow in enumerate(flows)]

    def told(given: Answer) -> tuple[set[str], int]:
        on_flows = {flow for flow, found in given.found if found == rule}
        on_transfers = [
            finding
            for transfer in given.summary["transfers"]
            for finding in transfer["findings"]
            if finding["rule"] == rule
        ]
        return on_flows, len(on_transfers)

    together = told(answer(saved(tmp_path, [flows])))
    assert told(answer(saved(tmp_path, [apart]))) != together
    nothing = (set[str](), 0)
    assert (together == nothing) == (named in LEFT_OUT_WHEN_JOINED or rule == "signature-wrong-key")


def test_the_stories_tell_every_rule_that_joins() -> None:
    assert {rule.id: rule.joins for rule in RULES if rule.joins} == {
        "multipart-crc64-mismatch": ("transfer",),
        "multipart-etag-mismatch": ("transfer",),
        "multipart-part-invalid": ("transfer",),
        "multipart-abandoned": ("transfer",),
        "range-crc64-mismatch": ("transfer",),
        "object-changed": ("transfer", "object"),
        "upload-probably-completed": ("transfer", "object"),
        "crc64-mismatch": ("transfer", "object"),
        "etag-mismatch": ("transfer", "object"),
        "retried": ("request",),
        "retry-body-differs": ("request",),
        "token-missing": ("secret-id",),
        "signature-mismatch": ("secret-id",),
        "signature-wrong-key": ("secret-id",),
        "permanent-key-on-device": ("client-and-key",),
        "credentials-in-clear": ("client-and-key",),
    }
    told = ALL_BAD.found | ALL_BAD.of_transfers | ALL_FINE.found
    assert {rule for _, rule in told} >= JOINED


@pytest.mark.parametrize("whole", [ALL_BAD, ALL_FINE], ids=["bad", "fine"])
def test_what_is_found_is_what_was_damaged(whole: Session, tmp_path: Path) -> None:
    given = answer(saved(tmp_path, [whole.flows]))
    assert given.found == whole.found
    assert given.of_transfers == whole.of_transfers
    assert len(given.reports) == len(whole.flows)


CASES = st.tuples(
    st.lists(st.tuples(st.integers(1, len(STORIES) - 1), st.booleans()), min_size=2, max_size=8),
    st.integers(0, 40),
    st.integers(1, 6),
    st.integers(0, 6),
    st.randoms(use_true_random=False),
    st.sampled_from([3_000, 20_000, 10_000_000]),
    st.integers(1, 4),
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(CASES)
def test_any_split_of_flow_files(case: tuple[Any, ...]) -> None:
    chosen, ordinary, count, twice, rest, step, partitions = case
    whole = session(chosen, ordinary)
    with tempfile.TemporaryDirectory() as folder:
        expected = answer(saved(Path(folder), [whole.flows]))
        assert expected.found == whole.found
        assert expected.of_transfers == whole.of_transfers
        split = saved(Path(folder), dealt(whole.flows, count, rest, twice))
        with small_shards(step, partitions):
            assert answer(split) == expected
            assert answer(split[::-1]) == expected


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(CASES)
def test_any_split_of_hars(case: tuple[Any, ...]) -> None:
    chosen, ordinary, count, _, rest, step, partitions = case
    whole = session(chosen, ordinary)
    with tempfile.TemporaryDirectory() as folder:

        def written(captures: Sequence[Sequence[http.HTTPFlow]]) -> list[Path]:
            paths = []
            for number, flows in enumerate(captures):
                paths.append(Path(folder) / f"{number}.har")
                paths[-1].write_bytes(har([entry_of(flow) for flow in flows]))
            return paths

        expected = answer(written([whole.flows]))
        flows = {flow.id: flow for flow in whole.flows}
        assert expected.damage == Counter(
            (flows[flow].request.url, utc_text(flows[flow].request.timestamp_start), rule)
            for flow, rule in whole.found
        )
        split = written(dealt(whole.flows, count, rest))
        with small_shards(step, partitions):
            assert answer(split) == expected
            assert answer(split[::-1]) == expected


@pytest.mark.parametrize("bad_first", [True, False])
def test_an_upload_and_much_else_in_two_captures(bad_first: bool, tmp_path: Path) -> None:
    """The first has the parts, the second the Complete, and then ordinary flows."""
    whole = stories.multipart(1, bad=True, at=0.0)
    ordinary = [stories.get(f"ordinary{number}", b"abc", 20 + number) for number in range(1100)]
    captures = saved(tmp_path, [whole.flows[:3], [whole.flows[3], *ordinary]])
    given = answer(captures if bad_first else captures[::-1])
    assert given.found == whole.found
    assert given.of_transfers == whole.of_transfers
    assert given.summary["counts"]["flows"] == 1104


@pytest.mark.parametrize("bad_first", [True, False])
def test_few_that_are_bad_in_many_captures(bad_first: bool, tmp_path: Path) -> None:
    whole = session([*[(which, True) for which in (1, 5, 10) for _ in range(4)]], 800)
    captures = saved(tmp_path, dealt(whole.flows, 200, random.Random(1)))
    given = answer(captures if bad_first else captures[::-1])
    assert given.found == whole.found
    assert given.of_transfers == whole.of_transfers


def test_a_flow_in_two_captures_and_an_entry_twice_in_one(tmp_path: Path) -> None:
    flow = stories.get("a", b"abc", 0.0)
    assert len(answer(saved(tmp_path, [[flow, flow], [flow]])).reports) == 1
    entry = entry_of(flow)
    two, one = tmp_path / "two.har", tmp_path / "one.har"
    two.write_bytes(har([entry, entry]))
    one.write_bytes(har([entry]))
    for paths in ([two, one], [one, two]):
        assert len(answer(paths).reports) == 2


def test_replays_have_reports_of_their_own(tmp_path: Path) -> None:
    first = stories.get("a", b"abc", 0.0, answer=b"abX")
    again = stories.get("a", b"abc", 10.0)
    again.is_replay = "request"
    for flows in ([first, again], [again, first]):
        given = answer(saved(tmp_path, [flows]))
        verdicts = sorted((each["started"], each["verdict"]) for each in given.reports)
        assert [verdict for _, verdict in verdicts] == ["error", "ok"]


def test_a_replay_is_another_try_of_its_request(tmp_path: Path) -> None:
    """They have one id, and are two exchanges wherever several are joined."""
    first = stories.put("a", b"abc", 0.0, "x", **stories.refused(503, "SlowDown"), answered={})
    again = stories.put("a", b"abc", 2.0, "x")
    again.is_replay = "request"
    answers = [
        answer(saved(tmp_path, captures))
        for captures in ([[first, again]], [[again, first]], [[again], [first, again]])
    ]
    assert answers[0] == answers[1] == answers[2]
    (chain,) = answers[0].summary["retries"]
    assert chain["flows"] == ["a-x", "a-x"]
    rules = [
        [finding["rule"] for finding in report["findings"]]
        for report in sorted(answers[0].reports, key=lambda report: report["started"])
    ]
    assert rules == [["error-response"], ["retried"]]


def test_of_two_captures_of_one_flow_that_differ_the_same_one_counts(tmp_path: Path) -> None:
    """Here by their times alone."""
    one, other = (stories.get("a", b"abc", 0.0, took=took) for took in (0.1, 0.2))
    assert answer(saved(tmp_path, [[one], [other]])) == answer(saved(tmp_path, [[other], [one]]))


@pytest.mark.parametrize("jobs", [1, 2, 3, 4, 8])
def test_any_number_of_processes(jobs: int, tmp_path: Path) -> None:
    expected = answer(saved(tmp_path, [ALL_BAD.flows]))
    assert expected.found == ALL_BAD.found
    split = saved(tmp_path, dealt(ALL_BAD.flows, 5, random.Random(jobs), twice=10))
    assert answer(split, jobs) == expected
    with small_shards(400_000, 3):
        assert answer(split[::-1], jobs) == expected
