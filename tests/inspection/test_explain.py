"""``cos-inspect explain``: names, ids, and what is neither."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.error_table import explanations_of, known_codes
from cos_inspect.cos.signature_difference import ChangedBy, DifferenceCause
from cos_inspect.cos.tables import rows
from cos_inspect.inspection.explain import explain, known_names, suggestions
from cos_inspect.model.flow_report import (
    Category,
    CheckName,
    CheckStatus,
    EndpointKind,
    Group,
    Level,
    Severity,
    SkipReason,
    SseMode,
    Verdict,
)
from cos_inspect.rules.registry import RULES
from cos_inspect.rules.rule import Rule
from cos_inspect.settings.addon_options import OPTIONS
from cos_inspect.transfers.account import TransferKind
from cos_inspect.transfers.pace import PaceReason

REQUEST_ID = "NTg3NzQ3ZmVfYmRjMzVfMzE5N182NzczMQ=="
TRACE_ID = (
    "OGVmYzZiMmQzYjA2OWNhODk0NTRkMTBiOWVmMDAxODc0OWRkZjk0ZDM1NmI1M2E2MTRlY2MzZDhmNmI5MWI1OTQyYWVl"
    "Yzg3NzA0NzE4NGYxZjc5NzNlMzQ2MTg0YzI5MzBlNWMxNjZjYzE0YjM3NTFmMWUyNTQ5NDJjMmJkYmE="
)


def told(what: str) -> str:
    text = explain(what)
    assert text is not None, what
    return text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_told_with_all_its_texts(rule: Rule) -> None:
    text = told(rule.id.upper())
    for name in ("title", "when", "cause", "fix", "example"):
        assert getattr(rule, name) in text


def test_a_refused_certificate_comes_with_advice_for_each_platform() -> None:
    text = told("tls-untrusted")
    for row in rows("trust"):
        assert row["advice"] in text


@pytest.mark.parametrize("code", known_codes())
def test_every_row_of_an_error_code_is_told(code: str) -> None:
    text = told(code.swapcase())
    assert text.count(": an error code of COS\n") == len(explanations_of(code))
    for row in explanations_of(code):
        for part in (row.status, row.scope, row.meaning, row.cause, row.fix):
            assert part in text


def test_an_alias_names_what_it_stands_for_and_the_other_way_round() -> None:
    assert "same as  BadRequest" in told("BadRquest")
    assert re.search(r"also as +BadRquest", told("badrequest"))


def test_rows_that_hold_for_some_messages_say_so_behind_the_one_that_holds_for_all() -> None:
    first, *others = told("AccessDenied").split("\n\n")
    assert "contains" not in first
    assert any("contains 'Request has expired'" in each for each in others)
    assert "only for" not in told("NoSuchKey").split("\n\n")[0]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "X-COS-Hash-CRC64ECMA",
            ("common", "answers", "18446744073709551615", "secret     no"),
        ),
        ("x-cos-security-token", ("auth", "the whole value is masked")),
        ("Authorization", ("auth", "in part")),
        ("x-cos-meta-colour", ("(x-cos-meta-*)", "object")),
        ("x-cos-server-side-encryption-customer-key", ("sse", "the whole value is masked")),
    ],
)
def test_headers(name: str, parts: tuple[str, ...]) -> None:
    text = told(name)
    assert text.startswith(f"{name.lower()}: a header")
    for part in parts:
        assert part in text


@pytest.mark.parametrize("row", rows("headers"), ids=lambda row: str(row["name"]))
def test_every_header_of_the_table_is_told(row: dict[str, str]) -> None:
    assert row["meaning"] in told(row["name"])


@pytest.mark.parametrize("check", get_args(CheckName))
def test_every_check_is_told(check: str) -> None:
    assert f"{check}: a check\n" in told(check)


@pytest.mark.parametrize("reason", get_args(SkipReason))
def test_every_reason_for_a_skip_is_told(reason: str) -> None:
    assert f"{reason}: why a check was skipped\n" in told(reason)


def test_the_tables_of_checks_and_skips_have_nothing_else() -> None:
    assert {row["check"] for row in rows("checks")} == set(get_args(CheckName))
    assert {row["reason"] for row in rows("skips")} == set(get_args(SkipReason))


@pytest.mark.parametrize(
    ("name", "title"),
    [("sse-cos", "SSE-COS"), ("cos/kms", "SSE-KMS"), ("AES256", "SSE-COS"), ("SSE-C", "SSE-C")],
)
def test_encryption(name: str, title: str) -> None:
    assert told(name).startswith(f"{title}: server-side encryption\n")


@pytest.mark.parametrize("row", rows("connections"), ids=lambda row: str(row["failed"]))
def test_every_failure_of_a_connection_is_told(row: dict[str, str]) -> None:
    text = told(row["failed"])
    assert row["fix"] in text
    assert "{" not in text


def test_every_known_name_is_told() -> None:
    names = known_names()
    assert len(names) > 1000
    assert [name for name in names if explain(name) is None] == []


@pytest.mark.parametrize(
    "words",
    [
        Category, CheckName, CheckStatus, EndpointKind, Group, Level, SkipReason, SseMode,
        Verdict, DifferenceCause, ChangedBy, TransferKind, PaceReason,
    ],
    ids=str,
)  # fmt: skip
def test_every_word_that_reports_use_is_told(words: object) -> None:
    words = getattr(words, "__value__", words)
    assert get_args(words)
    assert [word for word in get_args(words) if explain(word) is None] == []
    assert [word.value for word in Severity if explain(word.value) is None] == []


def test_what_words_point_at_is_told() -> None:
    for row in rows("words"):
        text = told(row["word"])
        see = re.search(r"\n  see +(.*)", text)
        pointed = see[1].split(", ") if see else []
        assert bool(pointed) is bool(row["see"])
        assert [name for name in pointed if explain(name.replace("*", "x")) is None] == []


@pytest.mark.parametrize(("name", "default"), [(name, given) for name, _, given, _ in OPTIONS])
def test_every_option_is_told(name: str, default: str | list[str]) -> None:
    text = told(name.upper())
    assert f"{name}: an option of the addon" in text
    assert (default if isinstance(default, str) else ", ".join(default)) in text


@pytest.mark.parametrize("row", rows("signature_mistakes"), ids=lambda row: str(row["name"]))
def test_every_mistake_in_signing_is_told(row: dict[str, str]) -> None:
    assert row["fix"] in told(row["name"])


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("bucket", "appid"),
        ("Storage Class", "MAZ_STANDARD"),
        ("INTELLIGENT_TIERING", "storage class"),
        ("FormatString", "HttpString: a word"),
        ("sts", "temporary key"),
        ("presigned url", "signature"),
    ],
)
def test_words(word: str, part: str) -> None:
    assert part in told(word)


def test_a_word_that_is_two_things_is_told_twice() -> None:
    text = told("etag")
    assert "etag: a header" in text
    assert "etag: a check" in text


def test_a_status_is_told() -> None:
    assert told("404").startswith("404: a status")
    assert explain("999") is None


def test_a_request_id_is_read() -> None:
    text = told(f" {REQUEST_ID}\n")
    assert "well-formed" in text
    assert "587747fe_bdc35_3197_67731" in text
    assert "2017-01-12 09:10:22 UTC" in text
    assert "53.220.11.0 (internal" in text


def test_a_request_id_without_its_padding_is_read_and_said_to_be_odd() -> None:
    text = told(REQUEST_ID.rstrip("="))
    assert "without its = signs" in text
    assert "2017-01-12 09:10:22 UTC" in text


def test_a_masked_request_id_is_read_as_far_as_it_goes() -> None:
    text = told(f"{REQUEST_ID[:20]}****")
    assert "replaced by asterisks" in text
    assert "2017-01-12 09:10:22 UTC" in text


def test_a_trace_id_is_recognised() -> None:
    assert "well-formed: base64 of 128 hex digits" in told(TRACE_ID)


def test_what_looks_like_an_id_and_is_none_is_said_to_be_malformed() -> None:
    assert "not well-formed" in told(TRACE_ID[:-8])
    assert "not well-formed" in told("aGVsbG8gd29ybGQgaGVsbG8gd29ybGQx")


@pytest.mark.parametrize(
    ("misspelt", "name"),
    [
        ("NoSuchKy", "NoSuchKey"),
        ("crc64-mismach", "crc64-mismatch"),
        ("x-cos-requestid", "x-cos-request-id"),
        ("sse-cs", "SSE-COS"),
        ("UploadPrt", "UploadPart"),
        ("buckets", "bucket"),
        ("Timeout", "RequestTimeout"),
        ("multipart-", "multipart-etags"),
        ("cos_stram", "cos_stream"),
        ("cos-pyhton-sdk-v5", "cos-python-sdk-v5"),
    ],
)
def test_close_names_are_suggested(misspelt: str, name: str) -> None:
    assert explain(misspelt) is None
    assert name in suggestions(misspelt)


@given(st.text())
def test_nothing_upsets_it(what: str) -> None:
    text = explain(what)
    assert text is None or text.strip()
    suggestions(what)
