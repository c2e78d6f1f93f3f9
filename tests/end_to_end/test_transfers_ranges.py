"""Ranges, appends, copies, and reads of what was written: joined over several flows."""

import contextlib
from collections.abc import Iterator

import pytest
import requests

from tests.end_to_end.harness import BUCKET, HOST
from tests.end_to_end.lab import Lab, evidence
from tests.end_to_end.stories import Story, Told, told_in
from tests.origin.checksums import crc64
from tests.origin.damage import Damage, Effect, both, flip_upload, key, operation
from tests.origin.effects import (
    drop_headers,
    flip_body,
    replace_element,
    set_header,
    stall,
    truncate,
)

pytestmark = pytest.mark.end_to_end

DOWNLOAD = "ranged-download"
CRC = "x-cos-hash-crc64ecma"
SMALL = bytes(range(256)) * 40
BIG = bytes(range(256)) * 12_000
"""3,072,000 bytes: whole and in large pieces it is streamed."""
OTHER = bytes(range(255, -1, -1)) * 40


def damage(lab: Lab, name: str, step: str, *effects: Effect, times: int | None = 1) -> None:
    lab.origin.damage(Damage(*effects, when=both(operation(step), key(name)), times=times))


def store(lab: Lab, name: str, data: bytes) -> None:
    """Past the proxy."""
    lab.origin.put_object(BUCKET, name, data)


def read(lab: Lab, name: str, *spans: str) -> None:
    for span in spans:
        answer = lab.send("GET", name, headers={"Range": f"bytes={span}"})
        assert answer.status_code == 206


def in_order(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    read(lab, name, "0-4999", "5000-9999", "10000-10239")


def backwards(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    read(lab, name, "-240", "5000-9999", "0-4999")


def overlapping(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    read(lab, name, "0-4999", "3000-7999", "7000-")


def overlapping_and_streamed(lab: Lab, name: str) -> None:
    store(lab, name, BIG)
    read(lab, name, "0-1999999", "1000000-2499999", "500000-3071999")


def repeated(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    read(lab, name, "0-4999", "0-4999", "5000-10239")


def resumed(lab: Lab, name: str) -> None:
    store(lab, name, BIG)
    damage(lab, name, "GetObject", truncate(1_500_000))
    got = b""
    answer = lab.send("GET", name, stream=True)
    with contextlib.suppress(requests.RequestException):
        for chunk in answer.iter_content(65_536):
            got += chunk
    read(lab, name, f"{len(got)}-")


def with_a_gap(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    read(lab, name, "0-4999", "6000-10239")


def without_a_crc(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    damage(lab, name, "GetObject", drop_headers(CRC), times=None)
    read(lab, name, "0-4999", "5000-10239")


def one_damaged(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    read(lab, name, "0-4999")
    damage(lab, name, "GetObject", flip_body(17))
    read(lab, name, "5000-8999", "9000-10239")


def one_damaged_and_fetched_again(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    damage(lab, name, "GetObject", flip_body(17))
    read(lab, name, "0-4999", "5000-10239", "0-4999")


def overwritten_in_the_middle(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    read(lab, name, "0-3999", "4000-7999")
    store(lab, name, OTHER)
    read(lab, name, "8000-10239")


def overwritten_and_read_anew(lab: Lab, name: str) -> None:
    for data in (SMALL, OTHER):
        store(lab, name, data)
        read(lab, name, "0-4999", "5000-10239")


def crc_learned_from_head(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    damage(lab, name, "GetObject", drop_headers(CRC), times=None)
    lab.send("HEAD", name)
    read(lab, name, "0-4999", "5000-10239")


def append(lab: Lab, name: str, position: int, data: bytes = b"[Piece]") -> None:
    lab.send("POST", name, query=f"?append&position={position}", data=data)


def appended(lab: Lab, name: str) -> None:
    for position in (0, 7, 14):
        append(lab, name, position)


def wrong_next_position(lab: Lab, name: str) -> None:
    append(lab, name, 0)
    damage(lab, name, "AppendObject", set_header("x-cos-next-append-position", "13"))
    append(lab, name, 7)
    append(lab, name, 14)


def damaged_append(lab: Lab, name: str) -> None:
    append(lab, name, 0)
    damage(lab, name, "AppendObject", flip_upload(2))
    append(lab, name, 7)


def refused_append(lab: Lab, name: str) -> None:
    append(lab, name, 0)
    append(lab, name, 3)
    append(lab, name, 7)


def copy(lab: Lab, name: str, source: str) -> None:
    lab.send("PUT", name, headers={"x-cos-copy-source": f"{HOST}/{source}"})


def copied(lab: Lab, name: str) -> None:
    lab.send("PUT", "source-1", data=SMALL)
    copy(lab, name, "source-1")


def copied_from_what_was_not_seen(lab: Lab, name: str) -> None:
    store(lab, "source-2", SMALL)
    copy(lab, name, "source-2")


def copied_wrong(lab: Lab, name: str) -> None:
    lab.send("PUT", "source-3", data=SMALL)
    damage(lab, name, "PutObjectCopy", set_header(CRC, "1"), replace_element("CRC64", "1"))
    copy(lab, name, "source-3")


def written_and_read(lab: Lab, name: str) -> None:
    lab.send("PUT", name, data=SMALL)
    lab.send("GET", name)


def written_by_somebody_else_too(lab: Lab, name: str) -> None:
    lab.send("PUT", name, data=SMALL)
    store(lab, name, OTHER)
    lab.send("GET", name)


def written_twice_and_read(lab: Lab, name: str) -> None:
    lab.send("PUT", name, data=SMALL)
    lab.send("PUT", name, data=OTHER)
    lab.send("GET", name)


def late_first_byte(lab: Lab, name: str) -> None:
    store(lab, name, SMALL)
    damage(lab, name, "GetObject", stall(3.2))
    read(lab, name, "0-10238")


THIRD = ("GetObject#3", "range-crc64")
STORIES = [
    Story("in-order", in_order, {}, [(DOWNLOAD, "complete", "")], {THIRD: "match"}),
    Story("backwards", backwards, {}, [(DOWNLOAD, "complete", "")], {THIRD: "match"}),
    Story("overlapping", overlapping, {}, [(DOWNLOAD, "complete", "")], {THIRD: "match"}),
    Story(
        "overlapping-and-streamed",
        overlapping_and_streamed,
        {},
        [(DOWNLOAD, "complete", "")],
        {THIRD: "match"},
    ),
    Story("repeated", repeated, {}, [(DOWNLOAD, "complete", "")], {THIRD: "match"}),
    Story(
        "resumed",
        resumed,
        {"GetObject": "body-truncated error"},
        [(DOWNLOAD, "complete", "")],
        {("GetObject#2", "range-crc64"): "match"},
    ),
    Story(
        "with-a-gap",
        with_a_gap,
        {},
        [(DOWNLOAD, "partial", "")],
        {("GetObject#2", "range-crc64"): "unseen-parts"},
    ),
    Story(
        "without-a-crc",
        without_a_crc,
        {},
        [(DOWNLOAD, "covered", "")],
        {("GetObject#2", "range-crc64"): "no-header"},
    ),
    Story(
        "one-damaged",
        one_damaged,
        {"GetObject#3": "range-crc64-mismatch error"},
        [(DOWNLOAD, "mismatch", "range-crc64-mismatch")],
        {THIRD: "mismatch"},
    ),
    Story(
        "one-damaged-and-fetched-again",
        one_damaged_and_fetched_again,
        {},
        [(DOWNLOAD, "complete", "")],
        {THIRD: "match"},
    ),
    Story(
        "overwritten-in-the-middle",
        overwritten_in_the_middle,
        {"GetObject#3": "object-changed warning"},
        [(DOWNLOAD, "partial", ""), (DOWNLOAD, "partial", "object-changed")],
        {THIRD: "unseen-parts"},
    ),
    Story(
        "overwritten-and-read-anew",
        overwritten_and_read_anew,
        {},
        [(DOWNLOAD, "complete", ""), (DOWNLOAD, "complete", "")],
        {("GetObject#4", "range-crc64"): "match"},
    ),
    Story(
        "crc-learned-from-head",
        crc_learned_from_head,
        {},
        [(DOWNLOAD, "complete", "")],
        {("GetObject#2", "range-crc64"): "match"},
    ),
    Story(
        "appended",
        appended,
        {},
        [("append", "appended", "")],
        {
            ("AppendObject#2", "append-crc64"): "match",
            ("AppendObject#3", "append-crc64"): "match",
        },
    ),
    Story(
        "wrong-next-position",
        wrong_next_position,
        {"AppendObject#2": "crc64-mismatch error"},
        [("append", "appended", "crc64-mismatch")],
        {
            ("AppendObject#2", "append-crc64"): "match",
            ("AppendObject#3", "append-crc64"): "match",
        },
    ),
    Story(
        "damaged-append",
        damaged_append,
        {"AppendObject#2": "crc64-mismatch error, append-md5-mismatch error"},
        [("append", "appended", "append-md5-mismatch, crc64-mismatch")],
        {
            ("AppendObject#2", "append-crc64"): "mismatch",
            ("AppendObject#2", "append-md5"): "mismatch",
        },
    ),
    Story(
        "refused-append",
        refused_append,
        {"AppendObject#2": "error-response warning"},
        [("append", "appended", "")],
        {("AppendObject#3", "append-crc64"): "match"},
    ),
    Story(
        "copied",
        copied,
        {},
        [],
        {("PutObjectCopy", "crc64"): "match", ("PutObjectCopy", "etag"): "match"},
    ),
    Story(
        "copied-from-what-was-not-seen",
        copied_from_what_was_not_seen,
        {},
        [],
        {("PutObjectCopy", "crc64"): "copy", ("PutObjectCopy", "etag"): "copy"},
    ),
    Story(
        "copied-wrong",
        copied_wrong,
        {"PutObjectCopy": "crc64-mismatch error"},
        [],
        {("PutObjectCopy", "crc64"): "mismatch"},
    ),
    Story("written-and-read", written_and_read),
    Story(
        "written-by-somebody-else-too",
        written_by_somebody_else_too,
        {"GetObject": "object-changed notice"},
    ),
    Story("written-twice-and-read", written_twice_and_read),
    Story(
        "late-first-byte",
        late_first_byte,
        {"GetObject": "slow-transfer notice"},
        [(DOWNLOAD, "partial", "")],
    ),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with told_in(tmp_path_factory.mktemp("ranges"), STORIES) as run:
        yield run


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_story(told: Told, story: Story) -> None:
    told.judge(story)


def test_the_checks_have_the_crc_of_the_whole(told: Told) -> None:
    for name, data in (("overlapping", SMALL), ("overlapping-and-streamed", BIG)):
        (check,) = told.transfer(name)["checks"]
        assert check["expected"] == check["actual"] == str(crc64(data))


def test_what_was_fetched_twice_is_counted(told: Told) -> None:
    assert told.transfer("in-order")["bytes_sent_twice"] == 0
    assert told.transfer("repeated")["bytes_sent_twice"] == 5000
    assert told.transfer("overlapping")["bytes_sent_twice"] == 3000


def test_a_resumed_download_begins_with_the_one_that_broke_off(told: Told) -> None:
    flows = told.flows("resumed")
    assert told.transfer("resumed")["flows"] == [report["flow_id"] for report in flows.values()]
    assert flows["GetObject"]["transfer"]["id"] == flows["GetObject#2"]["transfer"]["id"]
    assert flows["GetObject#2"]["transfer"]["position"] > 1_000_000


def test_a_changed_object_is_told_with_both_versions(told: Told) -> None:
    flows = told.flows("overwritten-in-the-middle")
    (facts,) = evidence(flows["GetObject#3"], "object-changed")
    assert facts["crc64"] == [str(crc64(SMALL)), str(crc64(OTHER))]
    assert facts["before"] == flows["GetObject#2"]["flow_id"]


def test_a_wrong_next_position_is_told_with_the_right_one(told: Told) -> None:
    (facts,) = evidence(told.flows("wrong-next-position")["AppendObject#2"], "crc64-mismatch")
    assert (facts["next_position"], facts["expected_next_position"]) == (13, 14)


def test_reads_of_what_was_written_are_listed(told: Told) -> None:
    for name, same in (("written-and-read", True), ("written-by-somebody-else-too", False)):
        flows = told.flows(name)
        (listed,) = told.read_back(name)
        assert listed["write"] == flows["PutObject"]["flow_id"]
        assert listed["reads"] == [flows["GetObject"]["flow_id"]]
        assert listed["same"] is same
    (listed,) = told.read_back("written-twice-and-read")
    assert listed["write"] == told.flows("written-twice-and-read")["PutObject#2"]["flow_id"]


def test_a_late_first_byte_is_told_with_its_reason(told: Told) -> None:
    (facts,) = evidence(told.flows("late-first-byte")["GetObject"], "slow-transfer")
    assert facts["reason"] == "server-wait"
    assert facts["wait_ms"] >= 3000
