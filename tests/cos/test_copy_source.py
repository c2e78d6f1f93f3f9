"""Sources of copies: what clients write, and what is wrong with it."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.copy_source import copy_source_of, read_copy_source
from cos_inspect.model.headers import Headers

BUCKET = "sourcebucket-1250000001"
HOST = f"{BUCKET}.cos.ap-shanghai.myqcloud.com"


@pytest.mark.parametrize(
    "host",
    [
        HOST,
        HOST.replace("myqcloud.com", "tencentcos.cn"),
        f"{BUCKET}.cos-internal.ap-shanghai.tencentcos.cn",
        f"{BUCKET}.cos.accelerate.myqcloud.com",
        f"{BUCKET}.cos.ap-shanghai.myqcloud.com:443",
        f"{BUCKET}.cos.xx-newland.myqcloud.com",
    ],
)
@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_what_is_right_is_read_back(host: str, key: str) -> None:
    found = read_copy_source(f"{host}/{quote(key, safe='/')}?versionId=v1")
    assert found.problems == ()
    assert (found.bucket, found.key, found.version_id) == (BUCKET, key, "v1")
    assert found.host == host


@given(value=st.text(max_size=80))
def test_nothing_upsets_it(value: str) -> None:
    for header in ("x-cos-copy-source", "x-amz-copy-source"):
        found = read_copy_source(value, header)
        assert all(problem.strip() for problem in found.problems)


@pytest.mark.parametrize(
    ("value", "problem", "key"),
    [
        (f"https://{HOST}/a.txt", "begins with a scheme", "a.txt"),
        (f"/{HOST}/a.txt", "begins with a slash", "a.txt"),
        (f"/{BUCKET}/a.txt", "no host", "a.txt"),
        (f"{BUCKET}/a.txt", "no host", "a.txt"),
        (HOST, "names no key", None),
        (f"{HOST}/", "names no key", None),
        (f"{HOST}%2Fa%20b.txt", "only the key is to be URL-encoded", "a b.txt"),
        (f"{HOST}/a b.txt", "not URL-encoded", "a b.txt"),
        (f"{HOST}/照片.png", "not URL-encoded", "照片.png"),
        (f"{HOST}/what?.txt", "question mark", "what"),
        ("sourcebucket.cos.ap-shanghai.myqcloud.com/a.txt", "end in an APPID", "a.txt"),
        (f"cos.ap-shanghai.myqcloud.com/{BUCKET}/a.txt", "names no bucket", "a.txt"),
        (f"{BUCKET}.cos.undefined.myqcloud.com/a.txt", "cannot exist", "a.txt"),
        (f"{BUCKET}.ap-shanghai.myqcloud.com/a.txt", HOST, "a.txt"),
        (f"{BUCKET}.cos-website.ap-shanghai.myqcloud.com/a.txt", "website host", "a.txt"),
        (f"{BUCKET}.ci.ap-shanghai.myqcloud.com/a.txt", "ci host", "a.txt"),
    ],
)
def test_what_is_wrong(value: str, problem: str, key: str | None) -> None:
    found = read_copy_source(value)
    assert any(problem in said for said in found.problems), found
    assert found.key == key


def test_the_form_of_s3() -> None:
    for value in (f"/{BUCKET}/a%20b.txt", f"{BUCKET}/a%20b.txt"):
        found = copy_source_of(Headers((("x-amz-copy-source", value),)))
        assert found is not None
        assert (found.bucket, found.key, found.problems) == (BUCKET, "a b.txt", ())
        assert found.header == "x-amz-copy-source"


def test_hosts_that_are_no_cos_are_not_judged() -> None:
    assert read_copy_source("store.example.com/a.txt").problems == ()
    assert read_copy_source("127.0.0.1:9000/a.txt").problems == ()


def test_no_source() -> None:
    assert copy_source_of(Headers(())) is None
    assert copy_source_of(Headers((("x-cos-copy-source", "a" * 5000),))) is None
