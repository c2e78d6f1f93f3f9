"""Masks: nothing secret is left in a report, equal values stay recognisable, and all that is
no secret is untouched."""

import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection import secret_free_texts
from cos_inspect.inspection.redacted_report import mask_report
from cos_inspect.inspection.redaction import Redactor, mask
from cos_inspect.model.flow_report import Check, ErrorReport, FlowReport, HeaderReport
from cos_inspect.model.schema import schema
from tests.growth import assert_linear
from tests.inspection.everything import Path, at, filled, members, name_of, replaced
from tests.report.build import finding, flow_report

SIGNATURE = "3b8851a11a569213c17ba8fa7dcf2abec6935172"
TOKEN = "Kx4PLTbOuYhLfPpbQZhFs/a+b=0zQ9"
AUTHORIZATION = (
    "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1;2&q-key-time=1;2"
    f"&q-header-list=host&q-url-param-list=&q-signature={SIGNATURE}"
)
VALIDATOR = jsonschema.Draft202012Validator(schema())
PLACES = [(path, masked) for path, masked in members(FlowReport)]


def redacted(report: FlowReport, secrets: Iterable[str] = ()) -> FlowReport:
    return mask_report(Redactor(secrets), report)


def header(name: str, value: str) -> HeaderReport:
    return HeaderReport(name, value, "other", "", ())


def with_header(name: str, value: str, report: FlowReport | None = None) -> FlowReport:
    report = report or flow_report()
    headers = [*report.request.headers, header(name, value)]
    request = msgspec.structs.replace(report.request, headers=headers)
    return msgspec.structs.replace(report, request=request)


def written(report: msgspec.Struct) -> str:
    """As it is written; valid."""
    data = msgspec.json.encode(report)
    VALIDATOR.validate(json.loads(data))
    return data.decode()


def shown_header(name: str, value: str) -> HeaderReport:
    return redacted(with_header(name, value)).request.headers[-1]


@pytest.mark.parametrize(
    "text",
    [f"token={TOKEN}", f"it is {TOKEN}, they say", quote(TOKEN, safe=""), TOKEN.lower()],
    ids=["named", "as it is", "encoded", "lower"],
)
@pytest.mark.parametrize(("path", "masked"), PLACES, ids=[name_of(path) for path, _ in PLACES])
def test_every_member_is_masked(path: Path, masked: bool, text: str) -> None:
    whole = with_header("x-cos-security-token", TOKEN, filled(FlowReport, "x"))
    shown = redacted(replaced(whole, path, text))
    data = written(shown)
    assert (text in data.replace('"', "")) == (not masked)
    if masked:
        assert TOKEN[:12].lower() not in data.lower()


@pytest.mark.parametrize("path", [path for path, masked in PLACES if masked], ids=name_of)
def test_every_member_is_masked_where_nothing_else_is_secret(path: Path) -> None:
    whole = replaced(filled(FlowReport, "x"), path, f"a token: {TOKEN}")
    assert TOKEN not in written(redacted(whole))


def test_an_authorization_keeps_all_but_its_signature() -> None:
    shown = shown_header("Authorization", AUTHORIZATION)
    assert shown.redacted
    assert shown.value == AUTHORIZATION.replace(SIGNATURE, mask(SIGNATURE))


@pytest.mark.parametrize(
    "value",
    [
        "AWS4-HMAC-SHA256 Credential=AKIDexample/20261122/ap/s3/aws4_request,"
        f" SignedHeaders=host;x-amz-date, Signature={SIGNATURE}",
        f"AWS AKIDexample:{SIGNATURE}",
        f"Bearer {SIGNATURE}",
        f"Unknown {SIGNATURE}",
        SIGNATURE,
        AUTHORIZATION.replace("sha1", "sha256"),
        AUTHORIZATION.upper().replace("Q-SIGN", "q-sign"),
        quote(AUTHORIZATION),
    ],
)
def test_other_schemes_lose_their_secret(value: str) -> None:
    shown = shown_header("authorization", value)
    assert shown.redacted
    assert SIGNATURE not in shown.value.lower()
    if "AKIDexample" in value:
        assert "AKIDexample" in shown.value


@pytest.mark.parametrize("name", ["Authorization", "x-cos-security-token", "Cookie", "x-token"])
@pytest.mark.parametrize("value", ["", "[masked:1a2b3c4d]"])
def test_nothing_is_nothing_to_mask(name: str, value: str) -> None:
    assert shown_header(name, value) == header(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Token", TOKEN),
        ("x-api-key", TOKEN),
        ("X-Auth-Token", f"Bearer {TOKEN}"),
        ("x-cos-meta-secretkey", TOKEN),
        ("Proxy-Authorization", f"Basic {TOKEN}"),
        ("Set-Cookie", f"id={TOKEN}; Path=/"),
        ("x-cos-server-side-encryption-customer-key", TOKEN),
        ("x-cos-mfa", "123456"),
    ],
)
def test_secret_headers_are_masked_whole(name: str, value: str) -> None:
    shown = shown_header(name, value)
    assert shown.redacted
    assert TOKEN not in shown.value
    assert "123456" not in shown.value
    assert shown.value.endswith("]")


def url_of(query: str) -> str:
    report = flow_report()
    url = f"https://b-1250000000.cos.ap-beijing.myqcloud.com/k?{query}"
    request = msgspec.structs.replace(report.request, url=url)
    return redacted(msgspec.structs.replace(report, request=request)).request.url


@pytest.mark.parametrize(
    "name",
    ["q-signature", "sign", "x-cos-security-token", "Signature", "X-Amz-Signature", "%73ign",
     "x%2Dcos%2Dsecurity%2Dtoken", "SecretKey", "access_token", "password", "sig"],
)  # fmt: skip
def test_secret_parameters_of_a_url_are_masked(name: str) -> None:
    shown = url_of(f"a=1&{name}={quote(TOKEN, safe='')}&z=2")
    assert shown.endswith(f"/k?a=1&{name}={mask(TOKEN)}&z=2")


def test_a_presigned_url_keeps_what_is_no_secret() -> None:
    shown = url_of(f"q-sign-algorithm=sha1&q-ak=AKIDx&q-sign-time=1%3B2&q-signature={SIGNATURE}")
    assert shown.endswith(
        f"/k?q-sign-algorithm=sha1&q-ak=AKIDx&q-sign-time=1%3B2&q-signature={mask(SIGNATURE)}"
    )


def test_equal_values_get_equal_masks_wherever_they_stand() -> None:
    report = with_header("x-cos-security-token", TOKEN)
    report = msgspec.structs.replace(
        report,
        request=msgspec.structs.replace(
            report.request, url=f"https://h/?x-cos-security-token={quote(TOKEN, safe='')}"
        ),
        ids=msgspec.structs.replace(report.ids, trace_id=TOKEN),
        ticket=f"trace id: {TOKEN}",
    )
    assert written(redacted(report)).count(mask(TOKEN)) == 4


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("bucket", "examplebucket-1250000000"),
        ("region", "ap-guangzhou"),
        ("operation", "PutObject"),
    ],
)
def test_names_of_places_stay_even_where_a_secret_has_their_value(member: str, value: str) -> None:
    report = flow_report(findings=[finding()])
    shown = redacted(with_header("x-token", value, report))
    assert getattr(shown.cos, member) == value
    assert shown.request.url == report.request.url
    assert shown.request.headers[0] == report.request.headers[0]
    assert shown.request.headers[-1].value == mask(value)


@pytest.mark.parametrize("value", ["myqcloud", "cos.ap-guangzhou", "qcloud.com"])
def test_a_host_stays_even_where_a_secret_stands_in_it(value: str) -> None:
    report = flow_report()
    assert value in report.request.url
    shown = redacted(with_header("x-token", value, report))
    assert shown.request.url == report.request.url
    assert shown.request.headers[-1].value == mask(value)


def test_a_secret_id_stays_even_where_a_secret_has_its_value() -> None:
    report = with_header("Authorization", AUTHORIZATION)
    report = msgspec.structs.replace(with_header("x-token", "AKIDexample", report), ticket="a")
    shown = written(redacted(report))
    assert "q-ak=AKIDexample&" in shown


def test_a_digest_that_was_taken_of_a_body_is_no_secret() -> None:
    """Apps call the MD5 of a file its signature."""
    md5 = "5d41402abc4b2a76b9719d911017c592"
    report = flow_report()
    assert report.response is not None
    body = msgspec.structs.replace(report.request.body, md5=md5)
    report = msgspec.structs.replace(
        with_header("x-cos-meta-signature", md5, report),
        response=msgspec.structs.replace(report.response, headers=[header("ETag", f'"{md5}"')]),
        checks=[Check(check="etag", body="request", status="match", expected=f'"{md5}"')],
    )
    report = msgspec.structs.replace(
        report, request=msgspec.structs.replace(report.request, body=body)
    )
    shown = redacted(report)
    assert shown.response is not None
    assert shown.response.headers[0].value == f'"{md5}"'
    assert shown.checks[0].expected == f'"{md5}"'
    assert shown.request.headers[-1].value == mask(md5)


def test_the_recomputed_signature_is_masked_and_told_apart() -> None:
    other = SIGNATURE.replace("3", "4")
    check = Check(
        check="signature", body="request", status="mismatch", expected=other, actual=SIGNATURE
    )
    report = msgspec.structs.replace(
        with_header("Authorization", AUTHORIZATION),
        checks=[check],
        findings=[finding("signature-mismatch")],
    )
    shown = redacted(report)
    assert (shown.checks[0].expected, shown.checks[0].actual) == (mask(other), mask(SIGNATURE))


def test_a_part_of_a_secret_is_masked_where_something_went_wrong() -> None:
    error = ErrorReport(
        code="AccessDenied", message=f"The token {TOKEN[:14]}… is unknown", resource=None,
        request_id=None, trace_id=None, meaning=None, cause=None, fix=None,
    )  # fmt: skip
    report = msgspec.structs.replace(with_header("x-cos-security-token", TOKEN), error=error)
    shown = redacted(report)
    assert shown.error is not None
    assert shown.error.message == f"The token {mask(TOKEN)}… is unknown"


def test_secrets_that_stand_beside_the_report_are_known() -> None:
    report = msgspec.structs.replace(flow_report(), ticket=f"it is {TOKEN}")
    assert redacted(report, [TOKEN]).ticket == f"it is {mask(TOKEN)}"
    assert redacted(report) is report


def test_what_was_repeated_is_told() -> None:
    report = with_header("x-cos-security-token", TOKEN)
    redactor = Redactor()
    mask_report(redactor, report)
    assert redactor.echoes == ()
    redactor = Redactor()
    mask_report(redactor, msgspec.structs.replace(report, ticket=f"it is {TOKEN}"))
    assert [shown for _, shown in redactor.echoes] == [mask(TOKEN)]


def test_evidence_is_masked_inside_and_by_its_names() -> None:
    found = msgspec.structs.replace(
        finding(),
        evidence={
            "sent": [f"x{SIGNATURE}", 1, None],
            "token": "a b c",
            "inner": {"password": "short"},
            SIGNATURE: True,
        },
    )
    report = msgspec.structs.replace(with_header("Authorization", AUTHORIZATION), findings=[found])
    evidence = redacted(report).findings[0].evidence
    assert evidence == {
        "sent": [f"x{mask(SIGNATURE)}", 1, None],
        "token": "[masked:short]",
        "inner": {"password": "[masked:short]"},
        mask(SIGNATURE): True,
    }


def test_masking_twice_changes_nothing() -> None:
    whole = with_header("Authorization", AUTHORIZATION, filled(FlowReport, f"token={TOKEN}"))
    once = redacted(whole)
    assert redacted(once) == once


def test_a_clean_report_is_the_same() -> None:
    report = flow_report()
    assert redacted(report) is report


def test_what_one_exchange_taught_is_not_known_to_the_next() -> None:
    first = with_header("x-cos-security-token", TOKEN)
    redacted(first)
    second = msgspec.structs.replace(flow_report(), ticket=f"it is {TOKEN}")
    assert redacted(second) is second


def test_what_was_innocent_before_is_masked_once_it_is_a_secret() -> None:
    text = "it is a-value-that-is-no-secret yet"
    before = msgspec.structs.replace(flow_report(), ticket=text)
    assert redacted(before) is before
    after = with_header("x-token", "a-value-that-is-no-secret", before)
    assert redacted(after).ticket == f"it is {mask('a-value-that-is-no-secret')} yet"


@given(
    text=st.lists(
        st.sampled_from(["token=", "a", "&", TOKEN, "%26", " ", '"', SIGNATURE, "sign: ", "<b>"]),
        max_size=8,
    ).map("".join),
    path=st.sampled_from([path for path, masked in PLACES if masked]),
)
def test_remembered_texts_change_no_result(text: str, path: Path) -> None:
    """The caches only save time."""
    whole = with_header("x-token", TOKEN, replaced(filled(FlowReport, "x"), path, text))
    first = redacted(whole)
    assert redacted(whole) == first
    secret_free_texts.SECRET_FREE.clear()
    secret_free_texts.PLAIN_NAMES.clear()
    assert redacted(whole) == first
    assert at(first, path) is not None


def _many_headers(size: int) -> FlowReport:
    report = flow_report(findings=[finding()])
    headers = [header(f"x-token-{number}", f"{TOKEN}{number}") for number in range(size)]
    return msgspec.structs.replace(
        report, request=msgspec.structs.replace(report.request, headers=headers)
    )


def _many_secret_headers(size: int) -> FlowReport:
    report = flow_report(findings=[finding()])
    headers = [header("x-token", f"{number}{TOKEN}") for number in range(size)]
    return msgspec.structs.replace(
        report, request=msgspec.structs.replace(report.request, headers=headers)
    )


def _many_parameters(size: int) -> FlowReport:
    report = flow_report()
    query = "&".join(f"token={number}{TOKEN}" for number in range(size))
    return msgspec.structs.replace(
        report, request=msgspec.structs.replace(report.request, url=f"https://h/?{query}")
    )


def _much_evidence(size: int) -> FlowReport:
    evidence: dict[str, Any] = {f"a{number}": [f"token={number}{TOKEN}"] for number in range(size)}
    found = msgspec.structs.replace(finding(), evidence=evidence)
    return flow_report(findings=[found])


@pytest.mark.parametrize(
    "build", [_many_headers, _many_secret_headers, _many_parameters, _much_evidence]
)
def test_time_grows_with_the_report(build: Callable[[int], FlowReport]) -> None:
    def work(size: int) -> Callable[[], object]:
        report = build(size)
        return lambda: redacted(report)

    assert_linear(work, 100, 6_400)
