"""The quick way says the same as the thorough one, or nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.plain_success import masked_at_once
from cos_inspect.inspection.redacted_report import mask_report
from cos_inspect.inspection.redaction import Redactor, mask
from cos_inspect.inspection.secret_free_texts import PLAIN_NAMES
from cos_inspect.model.flow_report import FlowReport, HeaderReport
from tests.inspection.everything import filled, members, replaced
from tests.planted import ENCODINGS
from tests.report.build import finding, flow_report

SIGNATURE = "3b8851a11a569213c17ba8fa7dcf2abec6935172"
SIGNED = (
    "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time={0}&q-key-time={0}"
    f"&q-header-list=host&q-url-param-list=&q-signature={SIGNATURE}"
)
IN_HEADER, IN_URL = SIGNED.format("1577957924;1577958824"), SIGNED.format("1577957924%3B1577958824")


def header(name: str, value: str) -> HeaderReport:
    return HeaderReport(name, value, "other", "", ())


def signed(*, in_url: bool, sent: tuple[HeaderReport, ...] = ()) -> FlowReport:
    PLAIN_NAMES.update(("ETag", "x-cos-meta-a"))
    report = flow_report()
    assert report.response is not None
    request, url = report.request, report.request.url
    authorization = () if in_url else (header("Authorization", IN_HEADER),)
    request = msgspec.structs.replace(
        request,
        url=f"{url}?{IN_URL}" if in_url else url,
        headers=[*request.headers, *authorization, *sent],
    )
    response = msgspec.structs.replace(report.response, headers=[header("ETag", '"abc"')])
    return msgspec.structs.replace(report, request=request, response=response)


@pytest.mark.parametrize("in_url", [False, True])
def test_a_signature_is_masked_at_once(in_url: bool) -> None:
    report = signed(in_url=in_url)
    quick = masked_at_once(report)
    assert quick is not None
    assert quick == mask_report(Redactor(), report)
    text = msgspec.json.encode(quick).decode()
    assert SIGNATURE not in text
    assert mask(SIGNATURE) in text


@pytest.mark.parametrize("in_url", [False, True])
def test_a_closer_look_is_taken_where_something_is_said(in_url: bool) -> None:
    report = signed(in_url=in_url)
    replace = msgspec.structs.replace
    assert masked_at_once(replace(report, findings=[finding()])) is None
    assert masked_at_once(replace(report, response=None)) is None
    for name in ("x-cos-security-token", "Cookie", "x-token", "authorization"):
        assert masked_at_once(signed(in_url=in_url, sent=(header(name, "a"),))) is None


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("in_url", [False, True])
def test_a_closer_look_is_taken_where_the_signature_is_repeated(
    encoding: str, in_url: bool
) -> None:
    text = ENCODINGS[encoding](SIGNATURE)
    assert masked_at_once(signed(in_url=in_url, sent=(header("x-cos-meta-a", text),))) is None


PIECES = st.sampled_from(
    [SIGNATURE, SIGNATURE.upper(), *(each(SIGNATURE) for each in ENCODINGS.values()), "token=abc",
     "sign=", "a", "=", ":", "%", "%3D", "&", "/", "é", " ", '"', "<Token>x</Token>", "\ud800",
     "eyJ0b2tlbiI6ImFiY2RlZmdoIn0", "https://u:p@h/", "Bearer a1b2c3d4"]
)  # fmt: skip
PLACES = [
    path for path, masked in members(FlowReport) if masked and path[0] not in ("findings", "error")
]


@given(
    in_url=st.booleans(),
    path=st.sampled_from(PLACES),
    text=st.lists(PIECES, max_size=4).map("".join),
    url=st.lists(PIECES, max_size=3).map("".join),
)
def test_it_is_what_the_closer_look_finds(
    in_url: bool, path: tuple[str | int, ...], text: str, url: str
) -> None:
    base, whole = signed(in_url=in_url), filled(FlowReport, "x")
    report = msgspec.structs.replace(
        whole,
        request=base.request,
        response=base.response,
        findings=[],
        checks=[],
        error=None,
    )
    if path[0] not in ("request", "response", "checks"):
        report = replaced(report, path, text)
    elif path == ("request", "url"):
        target = url + (f"?{IN_URL}" if in_url else "")
        request = msgspec.structs.replace(report.request, url=f"https://h/{target}")
        report = msgspec.structs.replace(report, request=request)
    elif path[1] in ("method", "reason"):
        report = replaced(report, path, text)
    else:
        headers = [*report.request.headers, header("x-cos-meta-a", text)]
        request = msgspec.structs.replace(report.request, headers=headers)
        report = msgspec.structs.replace(report, request=request)
    quick = masked_at_once(report)
    assert quick is None or quick == mask_report(Redactor(), report)
