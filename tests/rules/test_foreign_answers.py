"""Answers in COS's place: what they look like, and that nothing is said of COS."""

import pytest

from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.flow_report import Finding
from tests.rules.exchanges import Fields, exchange

PAGE = "<html><head><title>{}</title></head><body>…</body></html>"
OF_COS = ("identity may not", "no such object", "SSE-C", "without a body")


def found(
    status: int, body: str = "", headers: Fields = (), method: str = "PUT", **how: object
) -> Finding:
    one = exchange(
        method,
        status=status,
        answer=body.encode(),
        answer_headers=(("Server", "gateway"), *headers),
        marks=(),
        **how,  # type: ignore[arg-type]
    )
    looked = first_look(one)
    assert looked is not None
    (only,) = looked.report.findings
    assert only.rule == "not-from-cos"
    assert not any(words in only.detail for words in OF_COS)
    return only


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (200, PAGE.format("Welcome"), (("Content-Type", "text/html"),), "login"),
        (200, "", (), "other"),
        (302, "", (("Location", "http://10.0.0.1/login"),), "login"),
        (302, "", (("Location", "/elsewhere"),), "other"),
        (511, PAGE.format("Network"), (), "login"),
        (403, PAGE.format("Sign in to the network"), (), "login"),
        (403, PAGE.format("403 Forbidden"), (), "filter"),
        (403, '{"code": "blocked"}', (), "filter"),
        (407, "", (("Proxy-Authenticate", "Basic realm=corp"),), "proxy-password"),
        (413, PAGE.format("413 Request Entity Too Large"), (), "size-limit"),
        (502, PAGE.format("502 Bad Gateway"), (), "gateway"),
        (504, "", (), "gateway"),
        (503, PAGE.format("ERROR"), (("X-NWS-LOG-UUID", "1"),), "cdn"),
        (404, PAGE.format("404 Not Found"), (), "other"),
    ],
)
def test_what_it_looks_like(status: int, body: str, headers: Fields, kind: str) -> None:
    assert found(status, body, headers).evidence["looks_like"] == kind


def test_the_title_of_the_page_is_quoted() -> None:
    told = found(403, PAGE.format("Access\n denied &amp; logged"))
    assert told.evidence["page_title"] == "Access denied & logged"
    assert "Access denied & logged" in told.detail
    assert found(403, f"<title{' x' * 60}>a</title>").evidence["page_title"] is None
    assert len(found(403, PAGE.format("t" * 399)).evidence["page_title"]) <= 121
