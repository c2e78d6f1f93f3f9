"""Answers fail, lie about who they are, or do not come: what is found, and on which flow."""

import contextlib
import time
from collections.abc import Iterator

import pytest
import requests

from cos_inspect.rules.registry import RULES
from tests.end_to_end import test_damage_bodies, test_damage_encryption
from tests.end_to_end.harness import BUCKET, HOST, SECRET_ID
from tests.end_to_end.lab import Case, Lab, Send, case, evidence, found, get, provoke, put
from tests.origin.effects import (
    PORTAL,
    REQUEST_ID,
    TRACE_ID,
    drop_element,
    drop_headers,
    error,
    error_in_success,
    malformed_error,
    no_reply,
    page,
    replace_element,
    set_header,
    shift_date,
    shift_request_id,
    trace_id_on_success,
    truncate,
)
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end

PARTS = (
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
    b"<ETag>&quot;22e024392de860289f0baa7d6cf8a549&quot;</ETag></Part></CompleteMultipartUpload>"
)
OTHER_ID = "NjBlMDYxODRfNjRiODJhMDlfMWUzNGFfMTJhMjg="


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Origin() as origin, Lab(origin, tmp_path_factory.mktemp("answers")) as made:
        yield made
        assert not origin.faults
        assert "Traceback" not in made.output


def complete(lab: Lab, name: str) -> None:
    lab.send("POST", name, query="?uploadId=1585130821cbb7df", data=PARTS)


def copy(lab: Lab, name: str) -> None:
    lab.origin.put_object(BUCKET, "to-be-copied", b"abc")
    lab.send("PUT", name, headers={"x-cos-copy-source": f"{HOST}/to-be-copied"})


def head_missing(lab: Lab, name: str) -> None:
    assert lab.send("HEAD", name).status_code == 404


def broken(send: Send) -> Send:
    """The client meets a failure of the connection, or mitmproxy's own 502."""

    def attempt(lab: Lab, name: str) -> None:
        with contextlib.suppress(requests.RequestException):
            send(lab, name)

    return attempt


def signed(seconds: int, *, place: str = "header") -> Send:
    """A GET whose signature begins that many seconds after now."""

    def send(lab: Lab, name: str) -> None:
        lab.origin.put_object(BUCKET, name, b"abc")
        start = int(time.time()) + seconds
        window = f"{start};{start + 3600}"
        text = (
            f"q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={window}&q-key-time={window}"
            f"&q-header-list=&q-url-param-list=&q-signature={'5e' * 20}"
        )
        if place == "header":
            lab.send("GET", name, headers={"Authorization": text})
        else:
            lab.send("GET", name, query="?" + text.replace(";", "%3B"))

    return send


CASES: list[Case] = [
    case("error-403", get(), "error-response warning", error("AccessDenied")),
    case("error-503", put(), "error-response error", error("SlowDown")),
    case("error-head", head_missing, "error-response warning"),
    case("error-unknown-code", get(), "error-response error", error("Strange", 599)),
    case("complete-fails-late", complete, "error-in-success error", error_in_success()),
    case("copy-fails-late", copy, "error-in-success error", error_in_success("SlowDown")),
    case(
        "error-cut-xml",
        get(),
        "error-response warning, error-body-malformed warning",
        malformed_error(),
    ),
    case(
        "error-cut-connection",
        get(),
        "error-response warning, body-truncated error",
        error("AccessDenied"),
        truncate(20),
    ),
    case("no-reply-get", broken(get()), "connection-failed error", no_reply()),
    case("no-reply-put", broken(put()), "connection-failed error", no_reply()),
    case("no-reply-put-big", broken(put(b"a" * 2**21)), "connection-failed error", no_reply()),
    case(
        "trace-nowhere",
        get(),
        "error-response warning, trace-id-missing warning",
        error("AccessDenied"),
        drop_headers(TRACE_ID),
        drop_element("TraceId"),
    ),
    case(
        "trace-in-body",
        get(),
        "error-response warning, trace-id-missing notice",
        error("AccessDenied"),
        drop_headers(TRACE_ID),
    ),
    case(
        "trace-nowhere-head",
        head_missing,
        "error-response warning, trace-id-missing notice",
        drop_headers(TRACE_ID),
    ),
    case("trace-in-header", get(), "error-response warning", error("AccessDenied"),
         drop_element("TraceId")),
    case("trace-on-success", put(), "trace-id-on-success notice", trace_id_on_success()),
    case("no-request-id", get(), "request-id-missing warning", drop_headers(REQUEST_ID)),
    case(
        "no-request-id-in-head",
        get(),
        "error-response warning, request-id-missing warning",
        error("AccessDenied"),
        drop_headers(REQUEST_ID),
    ),
    case(
        "other-request-id",
        get(),
        "error-response warning, request-id-mismatch warning",
        error("AccessDenied"),
        replace_element("RequestId", OTHER_ID),
    ),
    case(
        "other-trace-id",
        get(),
        "error-response warning, request-id-mismatch warning",
        error("AccessDenied"),
        replace_element("TraceId", "OGVmYzZiMmQzYjA2OWNhODk0NTRkMTBiOWVmMDAxODc="),
    ),
    case("server-10-min-ahead", get(), "clock-skew warning", shift_date(600)),
    case("server-20-min-behind", get(), "clock-skew error", shift_date(-1200)),
    case("server-4-min-ahead", get(), "", shift_date(240)),
    case("id-10-min-behind", get(), "clock-skew warning", shift_request_id(-600)),
    case("id-16-min-ahead", get(), "clock-skew error", shift_request_id(960)),
    case("portal-200", get(), "not-from-cos warning", page()),
    case("portal-put", put(), "not-from-cos warning", page()),
    case(
        "portal-302",
        get(),
        "not-from-cos warning",
        page(302, headers=[("Location", "http://portal.example/login")]),
    ),
    case("box-502", get(), "not-from-cos warning", page(502, b"<html>Bad Gateway</html>")),
    case("portal-cut", get(), "not-from-cos warning, body-truncated error", page(), truncate(9)),
]  # fmt: skip


@pytest.mark.parametrize("given", CASES, ids=lambda given: given.name)
def test_damage_is_found_on_its_flow(lab: Lab, given: Case) -> None:
    provoke(lab, given)


def test_every_rule_of_these_groups_is_provoked() -> None:
    provoked = {
        pair.split()[0]
        for cases in (CASES, test_damage_bodies.CASES, test_damage_encryption.CASES)
        for given in cases
        for pair in given.expected
    }
    groups = ("integrity", "encryption", "tracing", "error")
    assert {rule.id for rule in RULES if rule.group in groups} <= provoked


def test_error_is_explained(lab: Lab) -> None:
    name = "explained"
    report = provoke(lab, case(name, get(), "error-response warning", error("AccessDenied")))
    told = report["error"]
    assert told["code"] == "AccessDenied"
    assert told["message"] == "Access Denied."
    assert all(told[field] for field in ("meaning", "cause", "fix"))
    assert told["request_id"] == report["ids"]["request_id"]
    assert told["trace_id"] == report["ids"]["trace_id"]
    (finding,) = report["findings"]
    assert finding["evidence"] == {
        "status": 403,
        "code": "AccessDenied",
        "message": "Access Denied.",
    }
    assert told["meaning"] in finding["detail"]


def test_portal_is_described(lab: Lab) -> None:
    name = "portal-described"
    headers = [("Location", "http://portal.example/login"), ("Server", "carrier")]
    report = provoke(lab, case(name, get(), "not-from-cos warning", page(302, headers=headers)))
    (facts,) = evidence(report, "not-from-cos")
    assert facts == {
        "server": "carrier",
        "status": 302,
        "location": "http://portal.example/login",
        "looks_like": "login",
        "page_title": "Sign in",
    }
    assert report["response"]["body"]["size"] == len(PORTAL)


@pytest.mark.parametrize(
    ("seconds", "severity"), [(600, "warning"), (-600, None), (1000, "error"), (-120, None)]
)
def test_clock_of_the_device(lab: Lab, seconds: int, severity: str | None) -> None:
    """Shown by a signature that begins in the future; an older one that holds says nothing."""
    name = f"device-{seconds}"
    signed(seconds)(lab, name)
    report = lab.report_on(name)
    tracing = [item for item in report["findings"] if item["group"] == "tracing"]
    assert [item["severity"] for item in tracing] == ([severity] if severity else [])
    for item in tracing:
        assert item["evidence"]["clock"] == "device"
        assert abs(item["evidence"]["seconds"] - seconds) < 30


def test_clock_of_a_device_in_its_date(lab: Lab) -> None:
    name = "device-date"
    lab.origin.put_object(BUCKET, name, b"abc")
    lab.send("GET", name, headers={"Date": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert found(lab.report_on(name)) == {"clock-skew error"}


@pytest.mark.parametrize("seconds", [-1800, 1800])
def test_presigned_url_tells_nothing_of_clocks(lab: Lab, seconds: int) -> None:
    name = f"presigned-{seconds}"
    signed(seconds, place="query")(lab, name)
    tracing = [item for item in lab.report_on(name)["findings"] if item["group"] == "tracing"]
    assert tracing == []


def test_answer_that_a_cdn_replays_tells_nothing_of_clocks(lab: Lab) -> None:
    name = "replayed-by-cdn"
    provoke(
        lab,
        case(name, get(), "", shift_date(-86400), shift_request_id(-90000), set_header("Age", "9")),
    )
