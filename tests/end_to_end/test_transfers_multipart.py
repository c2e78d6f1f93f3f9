"""Multipart uploads that go wrong, through a real proxy: the rule, the flow, the transfer."""

import contextlib
from collections.abc import Iterator

import pytest
import requests

from tests.end_to_end.harness import BUCKET, HOST
from tests.end_to_end.lab import Lab
from tests.end_to_end.stories import FIRST, LAST, MIB, SECOND, Story, Told, Uploading, told_in
from tests.origin.checksums import combine, crc64
from tests.origin.content import Held
from tests.origin.damage import Damage, Effect, both, flip_upload, key, operation
from tests.origin.effects import (
    error,
    error_in_success,
    no_reply,
    page,
    replace_element,
    set_header,
    truncate,
    wrong_crc,
)

pytestmark = pytest.mark.end_to_end

UPLOAD = "multipart-upload"
CRC = "x-cos-hash-crc64ecma"


def damage(lab: Lab, name: str, step: str, *effects: Effect, times: int | None = 1) -> None:
    lab.origin.damage(Damage(*effects, when=both(operation(step), key(name)), times=times))


def uploaded(lab: Lab, name: str, *parts: bytes) -> Uploading:
    upload = Uploading(lab, name)
    for number, data in enumerate(parts or (FIRST, SECOND, LAST), 1):
        upload.part(number, data)
    return upload


def clean(lab: Lab, name: str) -> None:
    uploaded(lab, name).complete()


def damaged_part(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name, FIRST)
    damage(lab, name, "UploadPart", flip_upload(700_000))
    upload.part(2, SECOND)
    upload.part(3, LAST)
    upload.complete()


def damaged_part_then_again(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name, FIRST)
    damage(lab, name, "UploadPart", flip_upload(700_000))
    upload.part(2, SECOND)
    upload.part(2, SECOND)
    upload.complete()


def wrong_crc_on_complete(lab: Lab, name: str) -> None:
    damage(lab, name, "CompleteMultipartUpload", wrong_crc())
    uploaded(lab, name).complete()


def joined_in_another_order(lab: Lab, name: str) -> None:
    swapped = combine(crc64(SECOND), crc64(FIRST), len(FIRST))
    whole = combine(swapped, crc64(LAST), len(LAST))
    damage(lab, name, "CompleteMultipartUpload", set_header(CRC, str(whole)))
    uploaded(lab, name).complete()


def listed_in_another_order(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name)
    upload.complete([(2, upload.etags[2]), (1, upload.etags[1]), (3, upload.etags[3])])


def part_replaced_and_the_old_one_listed(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name)
    old = upload.etags[1]
    upload.part(1, SECOND)
    upload.complete([(1, old), (2, upload.etags[2]), (3, upload.etags[3])])


def part_replaced_out_of_sight(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name)
    old = upload.etags[2]
    upload.part(2, FIRST, seen=False)
    upload.complete([(1, upload.etags[1]), (2, old), (3, upload.etags[3])])


def part_replaced_and_the_unseen_one_listed(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name)
    upload.part(2, FIRST, seen=False)
    upload.complete()


def part_changed_inside_cos(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name)
    stored = lab.origin.service.store.buckets[BUCKET].upload(upload.id, name).parts[2]
    stored.content, stored.crc64 = Held([FIRST]), crc64(FIRST)
    upload.complete()


def other_number_of_parts(lab: Lab, name: str) -> None:
    etag = f'"{"a" * 32}-2"'
    damage(lab, name, "CompleteMultipartUpload", replace_element("ETag", etag))
    uploaded(lab, name).complete()


def error_in_200(lab: Lab, name: str) -> None:
    damage(lab, name, "CompleteMultipartUpload", error_in_success())
    uploaded(lab, name).complete()


def too_small_in_the_middle(lab: Lab, name: str) -> None:
    uploaded(lab, name, FIRST, b"[Middle]", LAST).complete()


def number_out_of_bounds(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name, FIRST)
    query = f"?partNumber=10001&uploadId={upload.id}"
    lab.send("PUT", name, query=query, data=LAST)
    upload.complete()


def copied_parts(lab: Lab, name: str) -> None:
    lab.origin.put_object(BUCKET, "copy-source", FIRST + SECOND + LAST)
    upload = uploaded(lab, name, SECOND)
    source = f"{HOST}/copy-source"
    upload.copied_part(2, source, f"0-{MIB - 1}")
    upload.copied_part(3, source, f"{MIB}-{2 * MIB - 1}")
    upload.part(4, LAST)
    upload.complete()


def begun_before_the_capture(lab: Lab, name: str) -> None:
    upload = Uploading(lab, name, seen=False)
    upload.part(1, FIRST, seen=False)
    upload.part(2, SECOND)
    upload.complete()


def abandoned(lab: Lab, name: str) -> None:
    uploaded(lab, name)


def aborted(lab: Lab, name: str) -> None:
    uploaded(lab, name).abort()


def completed_unheard(lab: Lab, name: str) -> None:
    damage(lab, name, "CompleteMultipartUpload", no_reply())
    upload = uploaded(lab, name)
    with contextlib.suppress(requests.RequestException):
        upload.complete()
    upload.complete()


def completed_behind_a_gateway_timeout(lab: Lab, name: str) -> None:
    damage(lab, name, "CompleteMultipartUpload", page(504, b"", after=True))
    upload = uploaded(lab, name)
    upload.complete()
    upload.complete()


def complete_cut_short(lab: Lab, name: str) -> None:
    damage(lab, name, "CompleteMultipartUpload", truncate(20))
    upload = uploaded(lab, name)
    with contextlib.suppress(requests.RequestException):
        upload.complete()


def no_such_upload(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name)
    upload.abort()
    upload.complete()


def part_sent_again(lab: Lab, name: str) -> None:
    upload = uploaded(lab, name, FIRST)
    damage(lab, name, "UploadPart", error("SlowDown", 503))
    lab.send("PUT", name, query=f"?partNumber=2&uploadId={upload.id}", data=SECOND)
    upload.part(2, SECOND)
    upload.complete()


PART = "crc64-mismatch error, etag-mismatch error"
REFUSED = "error-response warning"
STORIES = [
    Story(
        "clean",
        clean,
        {},
        [(UPLOAD, "completed", "")],
        {
            ("CompleteMultipartUpload", "multipart-crc64"): "match",
            ("CompleteMultipartUpload", "multipart-etags"): "match",
        },
    ),
    Story(
        "damaged-part",
        damaged_part,
        {"UploadPart#2": PART, "CompleteMultipartUpload": "multipart-crc64-mismatch error"},
        [(UPLOAD, "completed", "crc64-mismatch, etag-mismatch, multipart-crc64-mismatch")],
        {("CompleteMultipartUpload", "multipart-etags"): "match"},
    ),
    Story(
        "damaged-part-then-again",
        damaged_part_then_again,
        {"UploadPart#2": PART},
        [(UPLOAD, "completed", "")],
        {("CompleteMultipartUpload", "multipart-crc64"): "match"},
    ),
    Story(
        "wrong-crc-on-complete",
        wrong_crc_on_complete,
        {"CompleteMultipartUpload": "multipart-crc64-mismatch error"},
        [(UPLOAD, "completed", "multipart-crc64-mismatch")],
        {("CompleteMultipartUpload", "multipart-etags"): "match"},
    ),
    Story(
        "joined-in-another-order",
        joined_in_another_order,
        {"CompleteMultipartUpload": "multipart-crc64-mismatch error"},
        [(UPLOAD, "completed", "multipart-crc64-mismatch")],
    ),
    Story(
        "listed-in-another-order",
        listed_in_another_order,
        {"CompleteMultipartUpload": f"multipart-part-invalid error, {REFUSED}"},
        [(UPLOAD, "abandoned", "multipart-part-invalid, multipart-abandoned, error-response")],
        {("CompleteMultipartUpload", "multipart-crc64"): "failed-request"},
    ),
    Story(
        "part-replaced-and-the-old-one-listed",
        part_replaced_and_the_old_one_listed,
        {"CompleteMultipartUpload": f"multipart-etag-mismatch error, {REFUSED}"},
        [(UPLOAD, "abandoned", "multipart-etag-mismatch, multipart-abandoned, error-response")],
    ),
    Story(
        "part-replaced-out-of-sight",
        part_replaced_out_of_sight,
        {"CompleteMultipartUpload": REFUSED},
        [(UPLOAD, "abandoned", "multipart-abandoned, error-response")],
        {("CompleteMultipartUpload", "multipart-etags"): "failed-request"},
    ),
    Story(
        "part-replaced-and-the-unseen-one-listed",
        part_replaced_and_the_unseen_one_listed,
        {
            "CompleteMultipartUpload": (
                "multipart-etag-mismatch error, multipart-crc64-mismatch error"
            )
        },
        [(UPLOAD, "completed", "multipart-etag-mismatch, multipart-crc64-mismatch")],
    ),
    Story(
        "part-changed-inside-cos",
        part_changed_inside_cos,
        {"CompleteMultipartUpload": "multipart-crc64-mismatch error"},
        [(UPLOAD, "completed", "multipart-crc64-mismatch")],
        {("CompleteMultipartUpload", "multipart-etags"): "match"},
    ),
    Story(
        "other-number-of-parts",
        other_number_of_parts,
        {"CompleteMultipartUpload": "multipart-etag-mismatch error"},
        [(UPLOAD, "completed", "multipart-etag-mismatch")],
        {("CompleteMultipartUpload", "multipart-crc64"): "match"},
    ),
    Story(
        "error-in-200",
        error_in_200,
        {"CompleteMultipartUpload": "error-in-success error"},
        [(UPLOAD, "unanswered", "error-in-success")],
        {
            ("CompleteMultipartUpload", "multipart-crc64"): "failed-request",
            ("CompleteMultipartUpload", "multipart-etags"): "failed-request",
        },
    ),
    Story(
        "too-small-in-the-middle",
        too_small_in_the_middle,
        {"CompleteMultipartUpload": f"multipart-part-invalid error, {REFUSED}"},
        [(UPLOAD, "abandoned", "multipart-part-invalid, multipart-abandoned, error-response")],
    ),
    Story(
        "number-out-of-bounds",
        number_out_of_bounds,
        {"UploadPart#2": f"multipart-part-invalid error, {REFUSED}"},
        [(UPLOAD, "completed", "")],
        {("CompleteMultipartUpload", "multipart-crc64"): "match"},
    ),
    Story(
        "copied-parts",
        copied_parts,
        {},
        [(UPLOAD, "completed", "")],
        {
            ("CompleteMultipartUpload", "multipart-crc64"): "match",
            ("CompleteMultipartUpload", "multipart-etags"): "match",
        },
    ),
    Story(
        "begun-before-the-capture",
        begun_before_the_capture,
        {},
        [(UPLOAD, "completed", "")],
        {
            ("CompleteMultipartUpload", "multipart-crc64"): "unseen-parts",
            ("CompleteMultipartUpload", "multipart-etags"): "unseen-parts",
        },
    ),
    Story("abandoned", abandoned, {}, [(UPLOAD, "abandoned", "multipart-abandoned")]),
    Story("aborted", aborted, {}, [(UPLOAD, "aborted", "")]),
    Story(
        "completed-unheard",
        completed_unheard,
        {
            "CompleteMultipartUpload": "connection-failed error",
            "CompleteMultipartUpload#2": (
                f"upload-probably-completed warning, {REFUSED}, retried notice"
            ),
        },
        [(UPLOAD, "probably-completed", "upload-probably-completed")],
    ),
    Story(
        "completed-behind-a-gateway-timeout",
        completed_behind_a_gateway_timeout,
        {
            "CompleteMultipartUpload": "not-from-cos warning",
            "CompleteMultipartUpload#2": (
                f"upload-probably-completed warning, {REFUSED}, retried notice"
            ),
        },
        [(UPLOAD, "probably-completed", "upload-probably-completed")],
    ),
    Story(
        "complete-cut-short",
        complete_cut_short,
        {"CompleteMultipartUpload": "body-truncated error"},
        [(UPLOAD, "unanswered", "body-truncated")],
        {
            ("CompleteMultipartUpload", "multipart-crc64"): "incomplete",
            ("CompleteMultipartUpload", "multipart-etags"): "incomplete",
        },
    ),
    Story(
        "no-such-upload",
        no_such_upload,
        {"CompleteMultipartUpload": REFUSED},
        [(UPLOAD, "aborted", "error-response")],
    ),
    Story(
        "part-sent-again",
        part_sent_again,
        {"UploadPart#2": "error-response error", "UploadPart#3": "retried notice"},
        [(UPLOAD, "completed", "")],
        {("CompleteMultipartUpload", "multipart-crc64"): "match"},
    ),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with told_in(tmp_path_factory.mktemp("multipart"), STORIES) as run:
        yield run


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.key)
def test_story(told: Told, story: Story) -> None:
    told.judge(story)


def test_every_flow_of_an_upload_names_it(told: Told) -> None:
    transfer = told.transfer("clean")
    flows = told.flows("clean")
    assert {report["transfer"]["id"] for report in flows.values()} == {transfer["id"]}
    assert [report["transfer"]["position"] for report in flows.values()] == [None, 1, 2, 3, None]
    assert transfer["flows"] == [report["flow_id"] for report in flows.values()]


def test_a_part_that_was_sent_again_counts_its_tries(told: Told) -> None:
    flows = told.flows("part-sent-again")
    tries = [flows[f"UploadPart{number}"]["transfer"] for number in ("#2", "#3")]
    assert [(each["position"], each["attempt"]) for each in tries] == [(2, 1), (2, 2)]
    transfer = told.transfer("part-sent-again")
    assert [row["tries"] for row in transfer["part_table"]] == [1, 2]
    assert transfer["tries"] == 3
    assert transfer["bytes_sent_twice"] == MIB
    (chain,) = told.chains("part-sent-again")
    assert chain["causes"] == ["503 SlowDown"]
    assert chain["flows"] == [flows["UploadPart#2"]["flow_id"], flows["UploadPart#3"]["flow_id"]]


def test_the_part_table_has_what_was_uploaded(told: Told) -> None:
    transfer = told.transfer("copied-parts")
    rows = [(row["number"], row["size"], row["crc64ecma"]) for row in transfer["part_table"]]
    pieces = (SECOND, FIRST, SECOND, LAST)
    assert rows == [(n, len(data), str(crc64(data))) for n, data in enumerate(pieces, 1)]
    assert transfer["size"] == 3 * MIB + len(LAST)


def test_a_replaced_part_is_told_by_number(told: Told) -> None:
    report = told.flows("part-replaced-and-the-old-one-listed")["CompleteMultipartUpload"]
    (facts,) = [
        item["evidence"] for item in report["findings"] if item["rule"] == "multipart-etag-mismatch"
    ]
    assert (facts["parts"], facts["replaced"]) == ([1], [1])


def test_what_is_abandoned_stands_on_the_transfer_alone(told: Told) -> None:
    assert "multipart-abandoned" not in told.summary["counts"]["rule"]
    (finding,) = told.transfer("abandoned")["findings"]
    assert finding["severity"] == "notice"
    assert finding["evidence"]["parts"] == 3
