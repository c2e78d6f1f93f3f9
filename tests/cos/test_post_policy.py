"""Policies of form uploads, held against their forms."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.post_policy import FailedCondition, Policy, evaluate_policy
from cos_inspect.model.headers import Headers

NOW = 1577957984.0
BUCKET = "examplebucket-1250000000"
CONDITIONS: list[Any] = [
    {"bucket": BUCKET},
    ["starts-with", "$key", "user/"],
    ["eq", "$Content-Type", "image/jpeg"],
    {"acl": "private"},
    {"q-sign-algorithm": "sha1"},
    {"q-ak": "AKIDEXAMPLE"},
    {"q-sign-time": "1577957984;1577958884"},
    ["content-length-range", 1, 100],
]
FIELDS = {
    "key": "user/${filename}",
    "Content-Type": "image/jpeg",
    "acl": "private",
    "q-sign-algorithm": "sha1",
    "q-ak": "AKIDEXAMPLE",
    "q-key-time": "1577957984;1577958884",
}


def evaluated(
    conditions: Any,
    fields: dict[str, str] | None = None,
    *,
    expiration: Any = "2020-01-02T10:00:00.000Z",
    bucket: str | None = BUCKET,
    size: int | None = 16,
) -> Policy:
    document = {"expiration": expiration, "conditions": conditions}
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    return raw(policy, fields, bucket=bucket, size=size)


def raw(
    policy: str,
    fields: dict[str, str] | None = None,
    *,
    bucket: str | None = BUCKET,
    size: int | None = 16,
) -> Policy:
    form = Headers([*(FIELDS if fields is None else fields).items(), ("policy", policy)])
    found = evaluate_policy(form, bucket=bucket, size=size, file_name="a.jpg", moment=NOW)
    assert found is not None
    return found


def test_all_conditions_hold() -> None:
    found = evaluated(CONDITIONS)
    assert found.failed == ()
    assert found.conditions == len(CONDITIONS)
    assert found.expiration == 1577959200.0


def test_no_policy() -> None:
    assert evaluate_policy(Headers(), bucket=None, size=1, file_name=None, moment=NOW) is None


@pytest.mark.parametrize(
    ("changed", "kind", "field"),
    [
        ({"key": "other/a"}, "starts-with", "key"),
        ({"Content-Type": "image/png"}, "eq", "Content-Type"),
        ({"acl": "public-read"}, "eq", "acl"),
        ({"q-ak": "AKIDOTHER"}, "eq", "q-ak"),
        ({"q-key-time": "1;2"}, "eq", "q-sign-time"),
    ],
)
def test_a_condition_fails(changed: dict[str, str], kind: str, field: str) -> None:
    found = evaluated(CONDITIONS, {**FIELDS, **changed})
    (failed,) = found.failed
    assert (failed.kind, failed.field) == (kind, field)
    assert failed.found == next(iter(changed.values()))


def test_a_field_is_absent() -> None:
    (failed,) = evaluated([{"acl": "private"}, ["starts-with", "$x-cos-meta-a", ""]], {}).failed
    assert (failed.field, failed.found) == ("acl", None)


def test_the_bucket_is_the_hosts() -> None:
    (failed,) = evaluated([{"bucket": "other-1250000000"}]).failed
    assert (failed.field, failed.found) == ("bucket", BUCKET)
    assert evaluated([{"bucket": "other-1250000000"}], bucket=None).failed == ()


@pytest.mark.parametrize(("size", "holds"), [(0, False), (1, True), (100, True), (101, False)])
def test_the_files_size(size: int, holds: bool) -> None:
    found = evaluated([["content-length-range", 1, 100]], size=size)
    assert (found.failed == ()) is holds
    assert evaluated([["content-length-range", 1, 100]], size=None).failed == ()


def test_expired() -> None:
    (failed,) = evaluated(CONDITIONS, expiration="2020-01-02T09:39:40Z").failed
    assert failed.kind == "expired"
    assert "4 s" in failed.words


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("no base64!", "no"),
        (base64.b64encode(b"{").decode(), "no"),
        (base64.b64encode(b"[]").decode(), "no"),
        (base64.b64encode(b'{"expiration": "2020-01-02T10:00:00Z"}').decode(), "no conditions"),
        (base64.b64encode(b'{"conditions": [{"key": "user/a.jpg"}]}').decode(), "expiration"),
    ],
)
def test_malformed(policy: str, words: str) -> None:
    failed = raw(policy).failed
    assert [one.kind for one in failed] == ["malformed"]
    assert words in failed[0].words


@pytest.mark.parametrize(
    "condition", [["like", "$key", "a"], ["eq", "key", "a"], ["eq", "$key", {}], 7, ["eq"], None]
)
def test_a_condition_of_another_form(condition: Any) -> None:
    assert [one.kind for one in evaluated([condition]).failed] == ["malformed"]


def test_a_token_is_not_shown() -> None:
    (failed,) = evaluated([{"x-cos-security-token": "one"}], {"x-cos-security-token": "two"}).failed
    assert (failed.wanted, failed.found) == ("(secret)", "(secret)")
    assert "two" not in failed.words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(JSON, JSON)
def test_nothing_raises(conditions: Any, expiration: Any) -> None:
    for failed in evaluated(conditions, expiration=expiration).failed:
        assert isinstance(failed, FailedCondition)
