"""Masks: nothing secret is left, equal values stay recognisable, the rest is untouched."""

from urllib.parse import quote

import pytest

from cos_inspect.inspection.redaction import Redactor, mask

SIGNATURE = "3b8851a11a569213c17ba8fa7dcf2abec6935172"
TOKEN = "Kx4PLTbOuYhLfPpbQZhFs/a+b=" + "0" * 40


def test_equal_values_get_equal_masks() -> None:
    assert mask("one") == mask("one") != mask("two")
    assert "one" not in mask("one")


def test_an_authorization_keeps_all_but_its_signature() -> None:
    value = (
        "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1;2&q-key-time=1;2"
        f"&q-header-list=host&q-url-param-list=&q-signature={SIGNATURE}"
    )
    shown, changed = Redactor().header(value, "part")
    assert changed
    assert SIGNATURE not in shown
    assert shown.startswith("q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1;2")


@pytest.mark.parametrize(
    "value",
    [
        "AWS4-HMAC-SHA256 Credential=AKIDexample/20261122/ap/s3/aws4_request,"
        f" SignedHeaders=host;x-amz-date, Signature={SIGNATURE}",
        f"AWS AKIDexample:{SIGNATURE}",
        f"Bearer {SIGNATURE}",
        SIGNATURE,
    ],
)
def test_other_schemes_lose_their_secret(value: str) -> None:
    shown, changed = Redactor().header(value, "part")
    assert changed
    assert SIGNATURE not in shown
    if "AKIDexample" in value:
        assert "AKIDexample" in shown


def test_an_empty_authorization_is_nothing_to_mask() -> None:
    assert Redactor().header("", "part") == ("", False)


@pytest.mark.parametrize(
    "name",
    ["q-signature", "sign", "x-cos-security-token", "Signature", "X-Amz-Signature", "policy"],
)
def test_secret_parameters_of_a_url_are_masked(name: str) -> None:
    url = f"https://b-1250000000.cos.ap-beijing.myqcloud.com/k?a=1&{name}={quote(TOKEN)}&z=2"
    shown = Redactor().parameters(url)
    assert quote(TOKEN) not in shown
    assert "?a=1&" in shown
    assert shown.endswith("&z=2")


def test_a_presigned_url_keeps_what_is_no_secret() -> None:
    url = f"https://h/k?q-sign-algorithm=sha1&q-ak=AKIDx&q-sign-time=1%3B2&q-signature={SIGNATURE}"
    shown = Redactor().parameters(url)
    assert shown.startswith("https://h/k?q-sign-algorithm=sha1&q-ak=AKIDx&q-sign-time=1%3B2&")
    assert SIGNATURE not in shown


@pytest.mark.parametrize(
    "echo",
    [
        TOKEN,
        quote(TOKEN, safe=""),
        quote(TOKEN, safe="-_.~").lower(),
    ],
)
def test_an_echo_of_a_header_is_masked_wherever_it_stands(echo: str) -> None:
    redactor = Redactor()
    redactor.header(TOKEN, "1")
    text = f"put\n/k\n\nhost=h&my-own-name={echo}\n"
    assert echo not in redactor.text(text)
    assert redactor.text(text).startswith("put\n/k\n\nhost=h&my-own-name=[masked:")


def test_an_echo_without_its_header_is_masked_by_its_name() -> None:
    echo = f"host=h&x-cos-security-token={quote(TOKEN, safe='')}&x-cos-acl=private"
    shown = Redactor().text(echo)
    assert quote(TOKEN, safe="") not in shown
    assert shown.endswith("&x-cos-acl=private")


def test_plain_data_is_masked_inside() -> None:
    redactor = Redactor()
    redactor.hide(SIGNATURE)
    shown = redactor.plain({"a": [SIGNATURE, 1], "b": {"c": f"x{SIGNATURE}"}, "n": None})
    assert SIGNATURE not in str(shown)
    assert shown["a"][1] == 1
    assert shown["n"] is None


def test_masking_twice_changes_nothing() -> None:
    redactor = Redactor()
    once = redactor.parameters(f"/k?q-signature={SIGNATURE}")
    assert Redactor().parameters(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "https://b-1250000000.cos.ap-beijing.myqcloud.com/design=1?prefix=sign&x=y",
        "The request id is NjQz; the policy was fine.",
        "redesign=no&assignment=7",
    ],
)
def test_innocent_text_is_left_alone(text: str) -> None:
    assert Redactor().text(text) == text


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("lower", [False, True])
def test_a_signed_url_inside_another_url_is_masked(times: int, lower: bool) -> None:
    url = f"https://h/a?q-ak=AKIDexample&q-signature={SIGNATURE}&x-cos-security-token={TOKEN}&b=1"
    for _ in range(times):
        url = quote(url, safe="")
    url = url.lower() if lower else url
    shown, changed = Redactor().header(f"https://a.example/?u={url}", "")
    assert changed
    assert SIGNATURE not in shown
    assert TOKEN[:12].lower() not in shown.lower()
    assert "akidexample" in shown.lower()
    assert shown.count("[masked:") == 2


@pytest.mark.parametrize(
    "echo",
    [
        TOKEN.lower(),
        quote(TOKEN, safe="").lower(),
        quote(TOKEN, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d"),
        quote(quote(TOKEN, safe=""), safe=""),
    ],
)
def test_an_echo_in_another_case_is_masked(echo: str) -> None:
    redactor = Redactor()
    redactor.header(TOKEN, "1")
    assert (
        redactor.text(f"the token '{echo}' is unknown") == f"the token '{mask(TOKEN)}' is unknown"
    )
