"""What was sent otherwise than it came, and who is named for it."""

import asyncio
from collections.abc import Iterator

import pytest
from mitmproxy import http
from mitmproxy.addons import mapremote, modifyheaders
from mitmproxy.test import taddons, tflow, tutils

from cos_inspect.model.exchange import Change
from cos_inspect.proxy.changes import body_words, changes_of
from cos_inspect.proxy.flows import request_head

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


@pytest.fixture
def context() -> Iterator[taddons.context]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    with taddons.context(mapremote.MapRemote(), modifyheaders.ModifyHeaders()) as made:
        made.options.add_option("anticache", bool, False, "")
        yield made
        made.master._legacy_log_events.uninstall()
    loop.close()


def flow() -> http.HTTPFlow:
    request = tutils.treq(
        method=b"PUT",
        scheme=b"https",
        host=HOST,
        port=443,
        authority=b"",
        path=b"/a?x=1",
        headers=http.Headers(((b"Host", HOST.encode()), (b"X-One", b"1"), (b"X-Two", b"2"))),
        content=b"body",
    )
    return tflow.tflow(req=request)


def changed(made: http.HTTPFlow, edit: object) -> list[Change]:
    head, content = request_head(made.request), made.request.raw_content
    edit(made.request)  # type: ignore[operator]
    return list(changes_of(made, head, content, host_rewritten=False))


def test_nothing(context: taddons.context) -> None:
    assert changed(flow(), bool) == []


def test_headers(context: taddons.context) -> None:
    context.options.update(modify_headers=["/X-One/one"])

    def edit(request: http.Request) -> None:
        request.headers["X-One"] = "one"
        del request.headers["X-Two"]
        request.headers["X-Three"] = "3"

    assert changed(flow(), edit) == [
        Change(part="header", name="X-One", client="1", sent="one", by="modify_headers"),
        Change(part="header", name="X-Two", client="2", by="another addon"),
        Change(part="header", name="X-Three", sent="3", by="another addon"),
    ]


def test_expect_is_mitmproxys_own(context: taddons.context) -> None:
    made = flow()
    made.request.headers["Expect"] = "100-continue"
    (change,) = changed(made, lambda request: request.headers.pop("Expect"))
    assert (change.name, change.sent, change.by) == ("Expect", None, "mitmproxy")


def test_another_host(context: taddons.context) -> None:
    context.options.update(map_remote=["|examplebucket|otherbucket"])

    def edit(request: http.Request) -> None:
        request.url = request.url.replace("examplebucket", "otherbucket")

    url = f"https://{HOST}/a?x=1"
    assert changed(flow(), edit) == [
        Change(
            part="url",
            client=url,
            sent=url.replace("examplebucket", "otherbucket"),
            by="map_remote",
        )
    ]


def test_a_path_that_no_option_explains(context: taddons.context) -> None:
    context.options.update(map_remote=["|nothing|of it"])

    def edit(request: http.Request) -> None:
        request.path = "/b"

    assert changed(flow(), edit) == [
        Change(part="url", client="/a?x=1", sent="/b", by="another addon")
    ]


def test_led_elsewhere_with_its_host(context: taddons.context) -> None:
    def edit(request: http.Request) -> None:
        request.data.host, request.data.port = "127.0.0.1", 9000

    (change,) = changed(flow(), edit)
    assert (change.part, change.sent) == ("url", "https://127.0.0.1:9000/a?x=1")


def test_method_and_body(context: taddons.context) -> None:
    def edit(request: http.Request) -> None:
        request.method = "POST"
        request.content = b"other body"

    assert changed(flow(), edit) == [
        Change(part="method", client="PUT", sent="POST", by="another addon"),
        Change(
            part="body",
            client=body_words(b"body"),
            sent=body_words(b"other body"),
            by="another addon",
        ),
    ]


def test_a_value_of_a_megabyte_is_not_kept(context: taddons.context) -> None:
    def edit(request: http.Request) -> None:
        request.headers["X-One"] = "1" * 1_000_000

    (change,) = changed(flow(), edit)
    assert len(change.sent or "") < 3000


def test_a_host_that_was_gone_before_anybody_saw_it(context: taddons.context) -> None:
    made = flow()
    (change,) = changes_of(made, request_head(made.request), b"body", host_rewritten=True)
    assert (change.name, change.client, change.sent) == ("Host", None, HOST)
    assert change.by == "keep_host_header"
