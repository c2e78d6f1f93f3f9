"""Every text of a report is reached, and those that are not to be masked are these."""

from typing import Any

import msgspec
import pytest

from cos_inspect.inspection import texts
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.schema import schema
from cos_inspect.model.summary import Summary
from tests.inspection.everything import Path, at, filled, members, name_of, replaced

PLANTED = "a text that stands nowhere else"
MODELS: tuple[type[msgspec.Struct], ...] = (FlowReport, Summary)
UNMASKED = {
    FlowReport: """
        flow_id started
        cos.operation cos.bucket cos.appid cos.region
        request.headers.0.meaning response.headers.0.meaning request.resigned.secret_id
        request.body.md5 request.body.crc64ecma response.body.md5 response.body.crc64ecma
        request.body.payload.md5 request.body.payload.crc64ecma
        response.body.payload.md5 response.body.payload.crc64ecma
        ids.request_id_time
        error.meaning error.cause error.fix
        findings.0.rule findings.0.title
    """,
    Summary: """
        transfers.0.kind transfers.0.bucket transfers.0.state
        transfers.0.findings.0.rule transfers.0.findings.0.title transfers.0.flows.0
        transfers.0.part_table.0.md5 transfers.0.part_table.0.crc64ecma
        transfers.0.part_table.0.flow
        retries.0.operation retries.0.bucket retries.0.flows.0
        read_back.0.bucket read_back.0.write read_back.0.reads.0
        connections.0.failed connections.0.findings.0.rule connections.0.findings.0.title
        connections.0.flows.0
        captures.0.format
    """,
}
"""Members whose text is never changed: closed sets of words, ids, digests and times of our
own, and the names of places. A new member is masked unless it is added here as well."""
PLACES = [(model, path, masked) for model in MODELS for path, masked in members(model)]


@pytest.mark.parametrize("model", MODELS)
def test_only_these_are_never_masked(model: type[msgspec.Struct]) -> None:
    unmasked = {name_of(path) for path, masked in members(model) if not masked}
    assert unmasked == set(UNMASKED[model].split())
    assert len(list(members(model))) > 2 * len(unmasked)


@pytest.mark.parametrize(
    ("model", "path", "masked"),
    PLACES,
    ids=[f"{model.__name__}.{name_of(path)}" for model, path, _ in PLACES],
)
def test_every_text_is_reached(model: type[msgspec.Struct], path: Path, masked: bool) -> None:
    whole = replaced(filled(model, "x"), path, PLANTED)
    assert (PLANTED in texts.collect(whole)) == masked
    new = texts.changed(whole, texts.TextChanges({PLANTED: "changed"}, {}))
    assert at(new, path) == ("changed" if masked else PLANTED)
    assert replaced(new, path, PLANTED) == whole or "headers" in path
    if path[-1:] == ("value",):
        assert at(new, (*path[:-1], "redacted"))


@pytest.mark.parametrize("model", MODELS)
def test_where_nothing_is_changed_it_is_the_same(model: type[msgspec.Struct]) -> None:
    whole = filled(model, "x")
    assert texts.changed(whole, texts.TextChanges({"y": "z"}, {})) is whole


@pytest.mark.parametrize("model", MODELS)
def test_what_may_be_absent_may_be_absent(model: type[msgspec.Struct]) -> None:
    whole = filled(model, "x")
    for path, _ in members(model):
        for length in range(1, len(path)):
            inner = at(whole, path[:length])
            if isinstance(inner, list):
                texts.collect(replaced(whole, path[:length], []))


def test_plain_data_is_reached_to_its_end() -> None:
    class Holder(msgspec.Struct):
        data: Any

    data = {"a": ["b", {"c": ("d", 1, None)}], "token": "e", "f": {"password": "g"}}
    found = texts.collect(Holder(data))
    assert sorted(filter(None, found)) == ["a", "b", "c", "d", "f", "password", "token"]
    assert texts.collect_named(Holder(data)) == [("token", "e"), ("password", "g")]
    changes = texts.TextChanges({"b": "B", "c": "C", "d": "D"}, {("token", "e"): "E"})
    assert texts.changed(Holder(data), changes).data == {
        "a": ["B", {"C": ("D", 1, None)}],
        "token": "E",
        "f": {"password": "g"},
    }


def test_the_names_of_documented_headers_are_not_changed() -> None:
    path: Path = ("request", "headers", 0, "name")
    for name, shown in (("Content-Type", "Content-Type"), ("x-cos-meta-a", "changed")):
        whole = replaced(filled(FlowReport, "x"), path, name)
        changed = texts.changed(whole, texts.TextChanges({name: "changed"}, {}))
        assert at(changed, path) == shown


def test_the_marks_in_the_types_do_not_change_the_schema() -> None:
    marks = str(schema()).replace("it was masked", "").replace("'masked': {'type': 'boolean'", "")
    assert "masked" not in marks
