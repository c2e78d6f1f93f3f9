"""``explain UploadPart``: what is told of an operation is what the inspector does."""

import pytest

from cos_inspect.cos.cos_exchange import read_exchange
from cos_inspect.cos.tables import rows
from cos_inspect.inspection.explain_operation import (
    explain_operation,
    operation_names,
    operations_told_by,
    sample_of,
)

_ROWS = rows("operations")


def told(name: str) -> str:
    return "\n\n".join(explain_operation(name))


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: " ".join(row.values()))
def test_the_sample_of_a_row_is_that_operation(row: dict[str, str]) -> None:
    cos = read_exchange(sample_of(row))
    assert cos is not None
    name = row["name"].replace("{value}", "x").replace("{noun}", "Jobs")
    assert cos.operation.name == name
    assert cos.succeeded


def test_every_operation_has_its_text_and_no_text_is_left_over() -> None:
    told = {row["name"] for row in rows("operation_texts")}
    assert told == {row["name"] for row in _ROWS}, "each has a row in operation_texts.tsv"
    headers = {row["name"] for row in rows("headers")}
    for row in rows("operation_texts"):
        assert row["meaning"].endswith(".")
        assert set(row["asks"].split()) | set(row["answers"].split()) <= headers


def test_headers_stand_on_the_side_where_they_belong() -> None:
    directions = {row["name"]: row["direction"] for row in rows("headers")}
    for row in rows("operation_texts"):
        for column, side in (("asks", "request"), ("answers", "response")):
            for name in row[column].split():
                assert directions[name] in (side, "both"), (row["name"], name)


@pytest.mark.parametrize("name", operation_names())
def test_every_operation_is_told_in_any_case_of_letters(name: str) -> None:
    text = told(name.swapcase())
    assert text.startswith(f"{name}: an operation")
    for label in ("does", "told by", "sends", "answer", "source"):
        assert f"\n  {label} " in text
    assert "{" not in text.replace("{value}", "")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "UploadPart",
            (
                "PUT /<key>?uploadId&partNumber",
                "x-cos-traffic-limit",
                "etag, of the request's body: compared\n",
                "crc64, of the request's body: compared\n",
                "signature, of the request's body: compared where cos_credentials has the key",
                "436/7750",
            ),
        ),
        (
            "CompleteMultipartUpload",
            (
                "etag, of the request's body: not compared: not-md5",
                "multipart-crc64, of the request's body: compared over the flows of the transfer",
                "multipart-etags",
            ),
        ),
        ("AppendObject", ("append-md5, of the request's body: compared", "append-crc64")),
        (
            "GetObject",
            ("range-crc64", "crc64, of the answer's body: compared, or not compared: range"),
        ),
        ("HeadObject", ("crc64, of the answer's body: not compared: head",)),
        ("PutObjectCopy", ("etag, of the request's body: not compared: copy", "x-cos-copy-source")),
        ("CI image GET", ("not compared: processed", "?imageMogr2…", "(the name is ours)")),
        ("ci:getjobs", ("GET /jobs/… on CI hosts",)),
        ("CI:snapshot", ("?ci-process=…",)),
        ("RenameObject", ("the header x-cos-rename-source", "?rename")),
        ("GetService", ("on the service host",)),
    ],
)
def test_what_is_told(name: str, parts: tuple[str, ...]) -> None:
    text = told(name)
    for part in parts:
        assert part in text


@pytest.mark.parametrize("name", ["", "Upload", "CI:", "CI:no/word", "ci:a b", "PutBucketX"])
def test_what_is_none(name: str) -> None:
    assert told(name) == ""


def test_parameters_name_operations() -> None:
    assert operations_told_by("acl") == [
        "PutBucketACL", "GetBucketACL", "PutObjectACL", "GetObjectACL",
    ]  # fmt: skip
    assert "UploadPart" in operations_told_by("partNumber")
    assert operations_told_by("imageMogr2") == ["CI image GET", "HeadObject"]
    assert (
        operations_told_by("partnumber") == operations_told_by("") == operations_told_by("-") == []
    )
