from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.report.compare import compare, failed, proposed, title_of
from tests.report.build import flow_report
from tests.report.compared import LATER, PAIRS, Pair, authorization, sent

texts = st.text(max_size=30)
names = st.sampled_from(
    [
        "Host",
        "expect",
        "Content-Type",
        "x-cos-meta-a",
        "Date",
        "Content-Length",
        "x-cos-security-token",
        "Range",
    ]
)
signatures = st.one_of(
    texts,
    st.builds(
        authorization,
        secret_id=st.sampled_from(["AKIDone", "AKIDother"]),
        start=st.integers(0, 99_999_999_999),
        seconds=st.integers(0, 10_000),
        headers=st.sampled_from(
            ["", "host", "content-type;host", "expect;host;host", "date;range"]
        ),
        parameters=st.sampled_from(["", "acl", "prefix"]),
    ),
    st.just("AWS4-HMAC-SHA256 Credential=AK/20261122/r/s3/aws4_request, SignedHeaders=host;range"),
)
urls = st.builds(
    "https://{}/{}?{}".format,
    st.sampled_from(["a.example", "B.example:8443"]),
    st.one_of(texts, texts.map(quote)),
    st.lists(
        st.tuples(st.sampled_from(["acl", "prefix", "q-ak", "sign", ""]), texts.map(quote)),
        max_size=4,
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)),
)
reports = st.builds(
    sent,
    url=urls,
    status=st.sampled_from([None, 200, 403]),
    code=st.sampled_from([None, "AccessDenied", "SignatureDoesNotMatch", "Other"]),
    signed=signatures,
    headers=st.dictionaries(names, texts, max_size=4),
    body=st.tuples(st.integers(0, 9), st.sampled_from([None, "a", "b"])),
    bucket=st.sampled_from([None, "b-1", "c-1"]),
    region=st.sampled_from([None, "ap-guangzhou"]),
    key=st.one_of(st.none(), texts),
)


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_the_first_line_names_what_matters(pair: Pair) -> None:
    found = compare(pair.failed, pair.worked)
    mattering = [each for each in found.differences if each.matters]
    assert [each.kind for each in mattering[:1]] == ([pair.kind] if pair.kind else [])
    assert all(text in found.headline for text in pair.says)


@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_the_order_of_the_two_does_not_matter(pair: Pair) -> None:
    one, other = compare(pair.failed, pair.worked), compare(pair.worked, pair.failed)
    assert [each.kind for each in one.differences] == [each.kind for each in other.differences]
    assert one.same == other.same
    if pair.kind and failed(pair.failed) != failed(pair.worked):
        assert "in the one that failed" in other.headline


@given(reports)
def test_a_flow_differs_in_nothing_from_itself(report: FlowReport) -> None:
    found = compare(report, report)
    assert found.differences == []
    assert found.headline == "Nothing that matters differs between the requests."


@given(reports, reports)
def test_every_difference_is_told_from_both_sides(one: FlowReport, other: FlowReport) -> None:
    def told(first: FlowReport, second: FlowReport) -> set[tuple[str, str, str, str]]:
        return {
            (each.kind, each.name, each.first, each.second)
            for each in compare(first, second).differences
        }

    swapped = {(kind, name, theirs, mine) for kind, name, mine, theirs in told(other, one)}
    assert told(one, other) == swapped


@given(reports, reports)
def test_what_differs_is_not_said_to_be_the_same(one: FlowReport, other: FlowReport) -> None:
    found = compare(one, other)
    titles = {title_of(each.kind) for each in found.differences if not each.name}
    assert not titles & {text.partition(":")[0] for text in found.same}
    assert [each.matters for each in found.differences] == sorted(
        (each.matters for each in found.differences), reverse=True
    )


def test_the_nearest_that_worked_is_proposed() -> None:
    asked = sent(status=403, code="AccessDenied", started="2026-11-22T10:01:00.000Z")
    far = sent(sequence=2, started="2026-11-22T10:00:00.000Z")
    near = sent(sequence=3, started="2026-11-22T10:01:30.000Z")
    refused = sent(sequence=4, status=403, started="2026-11-22T10:01:01.000Z")
    elsewhere = sent(sequence=5, bucket="other-1", started="2026-11-22T10:01:01.000Z")
    cos = msgspec.structs.replace(near.cos, operation="HeadObject")
    another = msgspec.structs.replace(near, cos=cos)
    assert proposed(asked, [far, near, refused, elsewhere, another]) is near
    assert proposed(asked, [elsewhere, refused, another]) is elsewhere
    assert proposed(asked, [refused, another]) is None


def test_a_long_value_is_shortened() -> None:
    found = compare(sent(headers={"x-cos-meta-a": "b" * 5000}), sent(**LATER))
    assert max(len(each.first) for each in found.differences) <= 120


def test_names_of_objects_are_told_as_people_write_them() -> None:
    one, other = (
        msgspec.structs.replace(
            report,
            cos=msgspec.structs.replace(report.cos, key=key),
            request=msgspec.structs.replace(
                report.request, url=report.request.url.partition(".com")[0] + f".com/{quote(key)}"
            ),
        )
        for report, key in ((flow_report(), "报告/终稿.pdf"), (flow_report(), "照片.jpg"))
    )
    (path,) = (each for each in compare(one, other).differences if each.kind == "path")
    assert (path.first, path.second) == ("/报告/终稿.pdf", "/照片.jpg")
