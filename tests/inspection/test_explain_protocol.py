"""Names of the protocol, with the place where each fact was read."""

from collections.abc import Callable, Iterator

import pytest

from cos_inspect.cos.tables import rows
from cos_inspect.inspection import explain_protocol as protocol


def one(explainer: Callable[[str], Iterator[str]], name: str) -> str:
    found = list(explainer(name))
    assert len(found) == 1, name
    return found[0]


@pytest.mark.parametrize("row", rows("errors"), ids=lambda row: f"{row['code']} {row['message']}")
def test_error_codes_tell_their_source(row: dict[str, str]) -> None:
    assert row["source"] in "\n".join(protocol.error_code(row["code"]))


@pytest.mark.parametrize("row", rows("headers"), ids=lambda row: str(row["name"]))
def test_headers_tell_what_is_allowed_and_their_source(row: dict[str, str]) -> None:
    text = one(protocol.header, row["name"].replace("*", "x"))
    assert row["source"] in text
    assert "\n  allowed " in text
    assert row["allowed"] in text
    assert "syntax" not in text


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("x-cos-acl", "bucket-owner-full-control"),
        ("x-cos-storage-class", "MAZ_INTELLIGENT_TIERING"),
        ("x-cos-server-side-encryption", "AES256, SM4, cos/kms"),
        ("Content-MD5", "base64 of 16 bytes (24 characters)"),
        ("x-cos-traffic-limit", "819200 to 838860800"),
        ("x-cos-meta-colour", "no underscore in the name"),
        ("Connection", "keep-alive or close"),
    ],
)
def test_allowed_values(name: str, allowed: str) -> None:
    assert allowed in one(protocol.header, name)


def test_a_header_names_the_operations_that_it_belongs_to() -> None:
    assert "AppendObject" in one(protocol.header, "x-cos-next-append-position")


def test_a_status_names_codes() -> None:
    assert "NoSuchKey" in one(protocol.status, "404")
    assert list(protocol.status("999")) == list(protocol.status("²04")) == []


@pytest.mark.parametrize(
    ("name", "part"),
    [("acl", "PutBucketACL"), ("uploadId", "CompleteMultipartUpload"), ("uploads", "Initiate")],
)
def test_parameters_that_name_operations(name: str, part: str) -> None:
    assert part in one(protocol.parameter, name)


@pytest.mark.parametrize("row", rows("parameters"), ids=lambda row: str(row["name"]))
def test_parameters_that_name_none(row: dict[str, str]) -> None:
    text = "\n\n".join(protocol.parameter(row["name"].rstrip("*")))
    assert "a query parameter that names no operation" in text
    assert row["source"] in text


def test_regions_tell_their_code_of_today() -> None:
    assert "\n  today   ap-guangzhou\n" in one(protocol.region, "GZ")
    assert "today" not in one(protocol.region, "ap-guangzhou")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
            ("default", "1250000000", "ap-beijing"),
        ),
        ("b-x--1250000000.cosrapid.ap-beijing.myqcloud.com", ("directory-crc64, tls, trace-id",)),
        ("ap-guangzhou.cls.tencentcs.com", ("a host that is no COS", "log service")),
    ],
)
def test_hosts(name: str, parts: tuple[str, ...]) -> None:
    text = one(protocol.host, name)
    for part in parts:
        assert part in text


@pytest.mark.parametrize("name", ["example.com", "a.b", "no-host", "x." * 200])
def test_hosts_of_others_are_not_told(name: str) -> None:
    assert list(protocol.host(name)) == []


@pytest.mark.parametrize("row", [row for row in rows("clients") if row["name"]],
                         ids=lambda row: str(row["name"]))  # fmt: skip
def test_clients(row: dict[str, str]) -> None:
    text = one(protocol.client, row["name"].upper())
    assert row["example"] in text
    assert row["source"] in text


def test_a_user_agent_is_read() -> None:
    text = one(protocol.client, "cos-android-sdk-5.9.51-FlutterPlugin")
    for part in ("cos-android-sdk\n", "5.9.51", "FlutterPlugin"):
        assert part in text
    assert list(protocol.client("backup-job/2.1")) == []
