"""Where signatures stand and how old they are; whether they are right is another matter."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.signature_scheme import UNSIGNED, Signed, read_signed
from cos_inspect.model.headers import Headers

TEXT = (
    "q-sign-algorithm=sha1&q-ak=AKIDEXAMPLE&q-sign-time=1557989151;1557996351"
    "&q-key-time=1557989151;1557996351&q-header-list=host&q-url-param-list="
    "&q-signature=3b8851a11a569213c17ba8fa7dcf2abec6935172"
)
IN_QUERY = TEXT.replace(";", "%3B")


def read(
    authorization: str | None = None, target: str = "/a", form: dict[str, str] | None = None
) -> Signed:
    headers = Headers([] if authorization is None else [("Authorization", authorization)])
    return read_signed(headers, target, None if form is None else Headers(form.items()))


@pytest.mark.parametrize(
    ("signed", "place"),
    [
        (read(TEXT), "header"),
        (read(f"  {TEXT} "), "header"),
        (read(target=f"/a?{IN_QUERY}"), "query"),
        (read(target=f"/a?versionId=1&{IN_QUERY}&x-cos-security-token=t"), "query"),
        (read(target=f"/a?sign={quote(TEXT, safe='')}"), "sign"),
        (read(target=f"/a?response-expires=0&sign={quote(TEXT, safe='')}&token=t"), "sign"),
        (read(target="/", form={"Signature": TEXT}), "form"),
    ],
)
def test_places_of_a_cos_signature(signed: Signed, place: str) -> None:
    assert (signed.scheme, signed.place) == ("cos", place)
    assert signed.secret_id == "AKIDEXAMPLE"
    assert (signed.start, signed.end) == (1557989151, 1557996351)


def test_fields_of_a_form() -> None:
    signed = read(
        target="/",
        form={
            "key": "a",
            "policy": "e30=",
            "q-sign-algorithm": "sha1",
            "q-ak": "AKIDEXAMPLE",
            "q-key-time": "1567150692;1567157892",
            "q-signature": "7758dc9a832e9d301dca704cacbf9d9f8172fdef",
        },
    )
    assert (signed.scheme, signed.place, signed.secret_id) == ("cos", "form", "AKIDEXAMPLE")
    assert signed.start is None
    assert signed.text is not None
    assert "policy" not in signed.text


@pytest.mark.parametrize(
    ("signed", "scheme", "place"),
    [
        (read(), "none", "none"),
        (read(""), "none", "none"),
        (read("  "), "none", "none"),
        (read(target="/a?acl&sign=x"), "none", "none"),
        (read(target="/a?design=q-sign-algorithm"), "none", "none"),
        (read("AWS4-HMAC-SHA256 Credential=a"), "aws4", "header"),
        (read("AWS AKID:signature="), "aws2", "header"),
        (read("Bearer x"), "unknown", "header"),
        (read(target="/a?X-Amz-Algorithm=x&X-Amz-Signature=0"), "aws4", "query"),
        (read(target="/a?AWSAccessKeyId=a&Signature=b&Expires=1"), "aws2", "query"),
        (read(form={"x-amz-signature": "0"}), "aws4", "form"),
        (read(form={"signature": "b", "awsaccesskeyid": "a"}), "aws2", "form"),
        (read(form={"key": "a"}), "none", "none"),
    ],
)
def test_other_schemes_and_none(signed: Signed, scheme: str, place: str) -> None:
    assert (signed.scheme, signed.place) == (scheme, place)
    assert signed.start is None


def test_an_empty_header_hides_no_signature_in_the_query() -> None:
    assert read("", f"/a?{IN_QUERY}").place == "query"
    assert read() == UNSIGNED


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("1;2", 1, 2),
        ("1%3B2", 1, 2),
        ("1", 1, None),
        (";2", None, 2),
        ("", None, None),
        ("-1;²", None, None),
        ("9" * 5000 + ";1", None, 1),
        ("1;2;3", 1, None),
    ],
)
def test_windows(window: str, start: int | None, end: int | None) -> None:
    signed = read(f"q-sign-algorithm=sha1&q-sign-time={window}&q-ak=a")
    assert (signed.start, signed.end) == (start, end)


def test_a_field_is_not_found_inside_another() -> None:
    signed = read("q-sign-algorithm=sha1&xq-ak=no&q-header-list=q-ak&q-ak=yes")
    assert signed.secret_id == "yes"


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text(), max_size=3))
def test_nothing_upsets_it(authorization: str, target: str, form: dict[str, str]) -> None:
    assert read(authorization, target, form).scheme in ("none", "cos", "aws4", "aws2", "unknown")
