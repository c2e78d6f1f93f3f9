"""Names under which secrets stand, and names that only look like them."""

import pytest

from cos_inspect.cos.secret_names import (
    SECRET_KINDS,
    canonical,
    is_secret,
    kind_of,
    kind_of_header,
    kind_of_parameter,
)
from cos_inspect.cos.tables import rows


@pytest.mark.parametrize(
    "name",
    [
        "q-signature",
        "Signature",
        "X-Amz-Signature",
        "X-Goog-Signature",
        "x-cos-security-token",
        "X-Ci-Security-Token",
        "SecurityToken",
        "sessionToken",
        "session_token",
        "access_token",
        "refresh-token",
        "id_token",
        "TmpSecretKey",
        "SecretKey",
        "secret_key",
        "x-cos-meta-secretkey",
        "AWS_SECRET_ACCESS_KEY",
        "client_secret",
        "X-Token",
        "X-Api-Key",
        "X-Auth-Token",
        "x-auth",
        "password",
        "db.password",
        "passwd",
        "fields[token]",
        "X-Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "sign",
        "sig",
        "auth_key",
        "PHPSESSID",
        "JSESSIONID",
        "x-cos-server-side-encryption-customer-key",
        "copySourceSSECustomerKey",
    ],
)
def test_secret_names(name: str) -> None:
    assert is_secret(name)
    assert is_secret(name.upper())
    assert is_secret(name.lower())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "key",
        "design",
        "assignment",
        "signed-headers",
        "X-Amz-SignedHeaders",
        "continuation-token",
        "NextContinuationToken",
        "next_page_token",
        "x-cos-server-side-encryption-customer-key-MD5",
        "x-cos-server-side-encryption-cos-kms-key-id",
        "x-cos-meta-client-side-encryption-key",
        "access-control-allow-credentials",
        "x-amz-credential",
        "q-ak",
        "SecretId",
        "AWSAccessKeyId",
        "q-header-list",
        "StringToSign",
        "etag",
        "monkey",
        "x-cos-request-id",
    ],
)
def test_names_that_are_not_secret(name: str) -> None:
    assert not is_secret(name)


def test_no_documented_name_is_secret_by_its_sound_alone() -> None:
    """What headers.tsv has by its whole name, it decides; the rest is listed here."""
    secret = {row["name"] for row in rows("headers") if is_secret(row["name"].lower())}
    told = {row["name"] for row in rows("headers") if row["secret"]}
    assert secret == told
    parameters = {row["name"] for row in rows("parameters") if is_secret(row["name"].rstrip("*"))}
    assert parameters == {
        "sign",
        "signature",
        "token",
        "x-amz-security-token",
        "x-amz-signature",
        "x-ci-security-token",
        "x-cos-security-token",
    }


@pytest.mark.parametrize(
    "name", ["x%2Dcos%2Dsecurity%2Dtoken", "%73ign", "%2573ign", "tok%252565n"]
)
def test_escapes_in_a_parameters_name_hide_nothing(name: str) -> None:
    assert kind_of_parameter(name) in SECRET_KINDS


def test_ids_tell_keys_apart_and_are_shown() -> None:
    for name in ("q-ak", "SecretId", "secret_id", "AWSAccessKeyId", "X-Amz-Credential"):
        assert kind_of(canonical(name)) == "id"


def test_the_longest_row_counts() -> None:
    assert kind_of(canonical("token")) == "value"
    assert kind_of(canonical("list-continuation-token")) == "open"


def test_headers_with_a_scheme_and_cookies_are_told_apart() -> None:
    assert kind_of_header("Authorization") == "credentials"
    assert kind_of_header("set-cookie") == "cookies"
    assert kind_of_header("x-cos-mfa") == "value"
    assert kind_of_header("Content-Type") == ""


def test_every_row_is_of_use() -> None:
    kinds = SECRET_KINDS | {"id", "open"}
    seen = set()
    for row in rows("secrets"):
        assert row["match"] in ("is", "ends", "word")
        assert row["kind"] in kinds
        assert row["meaning"].endswith(".")
        assert kind_of(canonical(row["name"])) == row["kind"]
        assert canonical(row["name"]) not in seen
        seen.add(canonical(row["name"]))
