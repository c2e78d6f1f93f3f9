"""The quick way gives what the thorough one gives, or nothing."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.cos.cos_exchange import CosExchange, Recognised, recognise
from cos_inspect.digests import crc64
from cos_inspect.inspection import clean_shapes
from cos_inspect.inspection import first_look as looking
from cos_inspect.inspection.clean_shapes import CleanShapes
from cos_inspect.inspection.first_look import FirstLook, first_look
from cos_inspect.inspection.shape_names import shaped
from cos_inspect.model.exchange import Body, BodyEnd, Connection, Exchange, Timing
from cos_inspect.model.flow_report import FlowReport, Severity
from cos_inspect.model.headers import Headers
from cos_inspect.rules import registry
from cos_inspect.rules.rule import Rule
from tests.captures_reader import captures, read_capture
from tests.inspection.test_plain_success import SIGNED
from tests.planted import ENCODINGS
from tests.rules.exchanges import (
    CLOCK,
    CONTENT,
    CRC64,
    DATE,
    ETAG,
    HOST,
    REQUEST_ID,
    TRACE_ID,
    exchange,
)

replace = msgspec.structs.replace
SIGNATURE = SIGNED.format("1577957924;1577958824")
AGENT = ("User-Agent", "cos-python-sdk-v5.1.9.44")
PAIRS = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))
MADE = ("Last-Modified", "Wed, 01 Jan 2020 00:00:00 GMT")
MD5 = ("Content-MD5", base64.b64encode(hashlib.md5(CONTENT).digest()).decode())
SIZE = ("Content-Length", "16")
PARTS = "?partNumber=2&uploadId=1577957984ab"


def got(*sent: tuple[str, str], **more: Any) -> Exchange:
    return exchange(
        headers=(AGENT, *sent),
        answer=CONTENT,
        answer_headers=(SIZE, ("Content-Type", "text/plain"), MADE, *PAIRS),
        **more,
    )


def put(target: str = "/exampleobject", *sent: tuple[str, str]) -> Exchange:
    return exchange(
        "PUT",
        target,
        headers=(AGENT, SIZE, MD5, *sent),
        body=CONTENT,
        answer_headers=(("Content-Length", "0"), *PAIRS),
    )


ERROR = (
    "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>{}</Code>\n\t<Message>{}</Message>\n"
    "\t<Resource>{}</Resource>\n\t<RequestId>{}</RequestId>\n\t<TraceId>{}</TraceId>\n</Error>\n"
)
MISSING = "NoSuchKey", "The specified key does not exist."
DENIED = "AccessDenied", "Access Denied."


def refused(
    status: int,
    error: tuple[str, str] | None,
    *sent: tuple[str, str],
    method: str = "GET",
    trace_id: str = TRACE_ID,
    **more: Any,
) -> Exchange:
    """As COS refuses what was asked."""
    answer = b""
    if error is not None:
        answer = ERROR.format(*error, "/exampleobject", REQUEST_ID, trace_id).encode()
    length = ("Content-Length", str(len(answer)))
    return exchange(
        method,
        headers=(AGENT, *((SIZE, MD5) if method == "PUT" else ()), *sent),
        body=CONTENT if method == "PUT" else b"",
        status=status,
        answer=answer,
        answer_headers=(length, ("Content-Type", "application/xml"), ("x-cos-trace-id", trace_id)),
        **more,
    )


def with_error(one: Exchange, text: str) -> Exchange:
    """The same with another error document."""
    response = one.response
    if response is None or not response.body.sample:
        return one
    answer = text.encode()
    fields = [
        (name, str(len(answer)) if name.lower() == "content-length" else value)
        for name, value in response.headers
    ]
    body = Body(size=len(answer), sample=answer, sample_is_whole=True)
    return replace(one, response=replace(response, headers=Headers(fields), body=body))


BASES = [
    replace(
        each, connection=Connection(client="127.0.0.1:50000", server="192.0.2.1:443", tls="1.3")
    )
    for each in (
        got(),
        got(("Authorization", SIGNATURE)),
        got(scheme="http"),
        put(),
        put("/a/b.txt", ("Authorization", SIGNATURE)),
        put(f"/a/b.txt{PARTS}"),
        refused(404, MISSING),
        refused(404, MISSING, ("Authorization", SIGNATURE)),
        refused(403, DENIED),
        refused(403, DENIED, method="PUT"),
        refused(404, None, method="HEAD"),
    )
]
GOOD = 6
"""How many of them COS did what it was asked for."""


def recognised(one: Exchange) -> Recognised | None:
    request, response = one.request, one.response
    headers = response.headers if response else None
    return recognise(request.host, request.method, request.target, request.headers, headers)


def looks(one: Exchange, shapes: CleanShapes, **more: Any) -> FirstLook | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "SHAPES", shapes)
        return first_look(one, recognised=recognised(one), **more)


def quick(one: Exchange, shapes: CleanShapes, ignore: frozenset[str] = frozenset()) -> Any:
    found = recognised(one)
    like = None if found is None else shaped(one, found, (), ignore)
    return None if found is None or like is None else shapes.judge(like, one, found)


def taught(**more: Any) -> CleanShapes:
    shapes = CleanShapes(after=0)
    for base in BASES:
        looks(base, shapes, **more)
    return shapes


SHAPES = taught()


def with_content(one: Exchange, content: bytes) -> Exchange:
    """The same of another object."""
    md5, crc = hashlib.md5(content), str(crc64(content))
    new = {
        "etag": f'"{md5.hexdigest()}"',
        "x-cos-hash-crc64ecma": crc,
        "content-md5": base64.b64encode(md5.digest()).decode(),
    }
    response = one.response
    assert response is not None
    uploads = one.request.method == "PUT"

    def changed(headers: Headers, *, has_it: bool) -> Headers:
        values = {**new, "content-length": str(len(content))} if has_it else new
        return Headers([(name, values.get(name.lower(), value)) for name, value in headers])

    body = Body(size=len(content), md5=md5.hexdigest(), crc64=crc64(content))
    request = replace(one.request, headers=changed(one.request.headers, has_it=uploads))
    response = replace(response, headers=changed(response.headers, has_it=not uploads))
    if uploads:
        request = replace(request, body=body)
    else:
        response = replace(response, body=body)
    return replace(one, request=request, response=response)


TARGETS = [
    "/",
    "/b",
    "/a/b/c.tar.gz",
    "/token/secret",
    "/img/a.png",
    "/a%20b",
    "/a?x-cos-token=abcdefgh1",
    "/a!b",
    f"/{HOST.partition('.')[0]}/a",
    f"/{HOST.partition('.')[0]}",
    "/eyJ0b2tlbiI6ImFiY2RlZmdoIn0",
    "/a//b",
    "/a/../b",
    "/a.",
    "/",
    "/aHR0cDovL3U6cEBoLz90b2tlbj1hYmNkZWZnaA",
    f"/{SIGNATURE[-40:]}",
    "/a?acl",
    "/x/?uploads",
    f"/n{PARTS}",
    "/n?partNumber=10001&uploadId=a",
    "/n?uploadId=157a&partNumber=3",
    "/n?partNumber=0&uploadId=1",
    "/-",
    "/_.html",
]
VALUES = [
    "",
    " ",
    "a",
    "0",
    "16",
    "016",
    "17",
    DATE,
    "Thu, 02 Jan 2020 09:39:44 GMT",
    "Thu, 02 Jan 2020 10:39:44 GMT",
    "2020-01-02",
    "Thursday, 02-Jan-20 09:39:45 GMT",
    ETAG,
    ETAG.upper(),
    ETAG.strip('"'),
    f"W/{ETAG}",
    f'{ETAG[:-1]}-2"',
    CRC64,
    f"0{CRC64}",
    REQUEST_ID,
    "NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI",
    "d41d8cd98f00b204e9800998ecf8427e",
    "xxxxxxxx",
    "a" * 250,
    "eyJ0b2tlbiI6ImFiY2RlZmdoIn0",
    f"{REQUEST_ID} ",
    SIGNATURE,
    SIGNATURE.replace("host", "host;range"),
    SIGNATURE.replace("8824", "9924"),
    SIGNATURE.replace("AKID", "AKIF"),
    SIGNATURE.replace("1577957924", "1577950000"),
    "AWS a:b",
    "Bearer abcdefgh1",
    *[each(SIGNATURE[-40:]) for each in ENCODINGS.values()],
    "token=abcdefgh1",
    "attachment",
    "application/octet-stream",
    "aws-chunked",
    "SSE-KMS",
    "keep-alive",
    "\ud800",
    "é",
]
NAMES = [
    "ETag",
    "etag",
    "Date",
    "Content-Length",
    "Content-MD5",
    "x-cos-request-id",
    "Authorization",
    "x-cos-trace-id",
    "Range",
    "Content-Encoding",
    "x-cos-security-token",
    "Cookie",
    "Content-Disposition",
    "Content-Type",
    "x-cos-meta-a",
    "x-cos-server-side-encryption",
    "Age",
    "Expect",
    "x-cos-force-download",
    "x-cos-object-type",
    "Transfer-Encoding",
    "x-cos-traffic-limit",
    "Referer",
    "x-cos-version-id",
    "Server",
]

Change = Callable[[Exchange], Exchange]


def _headers(side: str, change: Callable[[list[tuple[str, str]]], object]) -> Change:
    def changed(one: Exchange) -> Exchange:
        message = getattr(one, side)
        if message is None:
            return one
        fields = list(message.headers)
        change(fields)
        return replace(one, **{side: replace(message, headers=Headers(fields))})

    return changed


def _value(side: str, at: int, value: str) -> Change:
    def change(fields: list[tuple[str, str]]) -> None:
        if fields:
            fields[at % len(fields)] = (fields[at % len(fields)][0], value)

    return _headers(side, change)


def _name(side: str, at: int, name: str) -> Change:
    def change(fields: list[tuple[str, str]]) -> None:
        if fields:
            fields[at % len(fields)] = (name, fields[at % len(fields)][1])

    return _headers(side, change)


def _inserted(side: str, at: int, name: str, value: str) -> Change:
    return _headers(side, lambda fields: fields.insert(at % (len(fields) + 1), (name, value)))


def _dropped(side: str, at: int) -> Change:
    return _headers(side, lambda fields: fields and fields.pop(at % len(fields)))


def _member(path: str, value: Any) -> Change:
    def changed(one: Any) -> Any:
        names = path.split(".")

        def inside(struct: Any, names: Sequence[str]) -> Any:
            if struct is None:
                return None
            name, *rest = names
            new = inside(getattr(struct, name), rest) if rest else value
            return replace(struct, **{name: new})

        return inside(one, names)

    return changed


_SIDES = st.sampled_from(["request", "response"])
_AT = st.integers(0, 11)
_MOMENTS = st.sampled_from([None, CLOCK, CLOCK + 0.1, CLOCK + 4, CLOCK - 400, CLOCK + 2000.5, 0.0])
_MEMBERS = st.one_of(
    st.tuples(st.just("flow_id"), st.sampled_from(["x", "\ud800", "3f2a9c1b"])),
    st.tuples(st.sampled_from(["request.method"]), st.sampled_from(["GET", "PUT", "HEAD", "get"])),
    st.tuples(st.just("request.scheme"), st.sampled_from(["http", "https"])),
    st.tuples(st.just("request.port"), st.sampled_from([443, 80, 8080])),
    st.tuples(
        st.just("request.host"),
        st.sampled_from(
            [
                HOST,
                "a.example.com",
                HOST.replace("cos.", "cos-internal."),
                f"other-1250000000{HOST[HOST.index('.') :]}",
                HOST.replace("cos.", "cos-website."),
            ]
        ),
    ),
    st.tuples(st.just("request.target"), st.sampled_from(TARGETS)),
    st.tuples(st.just("request.dropped_headers"), st.just((("Expect", "100-continue"),))),
    st.tuples(st.just("response"), st.none()),
    st.tuples(st.just("response.status"), st.sampled_from([200, 201, 206, 204, 304, 404, 500])),
    st.tuples(st.just("response.reason"), st.sampled_from(["OK", "", "token=abcdefgh1"])),
    st.tuples(st.just("response.by"), st.sampled_from(["proxy", "server"])),
    st.tuples(
        st.sampled_from(["request.body.size", "response.body.size"]),
        st.sampled_from([0, 16, 17, None]),
    ),
    st.tuples(
        st.sampled_from(["request.body.md5", "response.body.md5"]),
        st.sampled_from([None, "0" * 32]),
    ),
    st.tuples(
        st.sampled_from(["request.body.crc64", "response.body.crc64"]), st.sampled_from([None, 1])
    ),
    st.tuples(
        st.sampled_from(["request.body.end", "response.body.end"]), st.sampled_from(list(BodyEnd))
    ),
    st.tuples(
        st.sampled_from(["request.body.sample", "response.body.sample"]),
        st.sampled_from([b"", b"10;chunk-signature=" + b"0" * 64 + b"\r\n", b"<Error/>", None]),
    ),
    st.tuples(st.sampled_from([f"timing.{name}" for name in Timing.__struct_fields__]), _MOMENTS),
    st.tuples(st.just("error"), st.sampled_from(["reset", None])),
    st.tuples(st.just("is_replay"), st.booleans()),
    st.tuples(st.just("client_address"), st.sampled_from(["127.0.0.1", "10.0.0.2", None])),
    st.tuples(st.just("upstream_proxy"), st.sampled_from(["proxy:8080", None])),
    st.tuples(st.just("connection"), st.none()),
    st.tuples(
        st.sampled_from(["connection.client", "connection.server"]),
        st.sampled_from([None, "10.0.0.2:1", "[::1]:5", "token:abcdefgh1"]),
    ),
    st.tuples(st.sampled_from(["connection.sni", "connection.tls"]), st.sampled_from([None, "a"])),
    st.tuples(st.just("connection.by_address"), st.booleans()),
).map(lambda member: _member(*member))
_PIECES = [
    "/exampleobject",
    "/token/secret",
    "/a%20b",
    "/a&amp;b",
    "&",
    "<b/>",
    "<!-- -->",
    "<Resource>/x</Resource>",
    "</Resource><Resource>",
    "<Region>ap-beijing</Region>",
    "<ServerTime>2020-01-02T09:39:45Z</ServerTime>",
    "Request has expired",
    "Resource",
    "token=abcdefgh1",
    "eyJ0b2tlbiI6ImFiY2RlZmdoIn0",
    SIGNATURE[-40:],
    REQUEST_ID,
    TRACE_ID,
    TRACE_ID.replace("OGVm", "OGVl"),
    "",
    " ",
    "a" * 700,
    "é",
]
_ERRORS = st.builds(
    ERROR.format,
    st.sampled_from(["NoSuchKey", "AccessDenied", "RequestTimeTooSkewed", "NoSuchBucket", ""]),
    st.sampled_from([MISSING[1], DENIED[1], *_PIECES]),
    st.sampled_from(_PIECES),
    st.sampled_from([REQUEST_ID, *_PIECES]),
    st.sampled_from([TRACE_ID, *_PIECES]),
)


def _spliced(text: str, at: int, piece: str) -> Change:
    def changed(one: Exchange) -> Exchange:
        where = at % (len(text) + 1)
        return with_error(one, text[:where] + piece + text[where:])

    return changed


_CHANGES: st.SearchStrategy[Change] = st.one_of(
    _ERRORS.map(lambda text: lambda one: with_error(one, text)),
    st.builds(_spliced, _ERRORS, st.integers(0, 700), st.sampled_from(_PIECES)),
    st.binary(min_size=1, max_size=40).map(lambda content: lambda one: with_content(one, content)),
    st.builds(_value, _SIDES, _AT, st.sampled_from(VALUES)),
    st.builds(_name, _SIDES, _AT, st.sampled_from(NAMES)),
    st.builds(_inserted, _SIDES, _AT, st.sampled_from(NAMES), st.sampled_from(VALUES)),
    st.builds(_dropped, _SIDES, _AT),
    _MEMBERS,
)


def applied(one: Exchange, changes: Sequence[Change]) -> Exchange:
    for change in changes:
        if one.response is not None:
            one = change(one)
    return one


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(BASES),
    st.lists(_CHANGES, max_size=4),
    st.lists(_CHANGES, max_size=2),
)
def test_as_the_thorough_way(base: Exchange, changes: list[Change], more: list[Change]) -> None:
    """Also of a shape that another odd exchange has made known."""
    shapes = CleanShapes(after=0)
    looks(base, shapes)
    first = applied(base, changes)
    assert looks(first, shapes) == looks(first, CleanShapes(0))
    second = applied(first, more)
    assert looks(second, shapes) == looks(second, CleanShapes(0))


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_captures(path: Any) -> None:
    one = replace(read_capture(path).exchange, connection=Connection(client="127.0.0.1:50000"))
    shapes = taught()
    for _ in range(2):
        assert looks(one, shapes) == looks(one, CleanShapes(0))


@pytest.mark.parametrize("number", range(len(BASES)))
def test_what_is_alike_is_known(number: int) -> None:
    """Other bytes, under another key, at another time and with another id."""
    base = BASES[number]
    other = with_content(base, b"something else") if number < GOOD else base
    value = REQUEST_ID.replace("TI=", "TM=")

    def with_id(one: Exchange) -> Exchange:
        response = one.response
        assert response is not None
        fields = [
            (name, value if name == "x-cos-request-id" else old) for name, old in response.headers
        ]
        text = (response.body.sample or b"").decode("latin-1").replace(REQUEST_ID, value)
        one = replace(one, response=replace(response, headers=Headers(fields)))
        return one if number < GOOD else with_error(one, text)

    target = (
        f"/other/{number}.bin{PARTS.replace('2', '3', 1) if '?' in base.request.target else ''}"
    )
    for change in (
        with_id,
        _member("request.target", target),
        _member("flow_id", "another"),
        _member("connection.client", "127.0.0.1:50001"),
    ):
        other = change(other)
    found = quick(other, SHAPES)
    is_clear = base.request.scheme == "http"
    assert found is not None or (is_clear and "authorization" in base.request.headers)
    if found is not None:
        assert FirstLook(*found) == looks(other, CleanShapes(0))
        assert found[1].verdict == ("ok" if number < GOOD else "warning")


def test_the_number_of_shapes_is_bounded() -> None:
    shapes = CleanShapes(2, after=0)
    for base in BASES:
        looks(base, shapes)
    assert quick(BASES[0], shapes) is None
    assert quick(BASES[-1], shapes) is not None


def test_a_shape_that_is_met_again_and_again_stays() -> None:
    shapes = CleanShapes(2, after=0)
    looks(BASES[0], shapes)
    for base in BASES[3:]:
        assert quick(BASES[0], shapes) is not None
        looks(base, shapes)
    assert quick(BASES[0], shapes) is not None
    assert quick(BASES[3], shapes) is None


def test_what_is_met_once_is_not_learned() -> None:
    shapes = CleanShapes()
    looks(BASES[0], shapes)
    assert quick(BASES[0], shapes) is None
    looks(BASES[0], shapes)
    assert quick(BASES[0], shapes) is not None


def test_what_cannot_be_learned_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A HEAD tells an ETag that no body shows to be right."""
    tries = []
    is_plain = clean_shapes._is_plain

    def noted(cos: CosExchange, report: FlowReport) -> bool:
        tries.append(report)
        return is_plain(cos, report)

    monkeypatch.setattr(clean_shapes, "_is_plain", noted)
    shapes = CleanShapes()
    head = replace(
        exchange("HEAD", headers=(AGENT,), answer_headers=(SIZE, *PAIRS)),
        connection=Connection(client="127.0.0.1:50000"),
    )
    for _ in range(20):
        looks(head, shapes)
        assert quick(head, shapes) is None
    assert len(tries) == 4


def test_another_key_than_that_of_the_shape_may_be_refused_otherwise() -> None:
    """The hint that a key was escaped twice is made of the key."""
    shapes = taught()
    base = BASES[GOOD]
    odd = _member("request.target", "/a%252Fb")(base)
    assert quick(odd, shapes) is None
    look = looks(odd, shapes)
    assert look == looks(odd, CleanShapes(0))
    assert look is not None
    assert "escaped twice" in look.report.findings[0].detail


def test_ids_that_differ_between_head_and_body_go_the_thorough_way() -> None:
    shapes = taught()
    odd = with_error(
        BASES[GOOD], ERROR.format(*MISSING, "/x", REQUEST_ID.replace("TI=", "TM="), TRACE_ID)
    )
    assert quick(odd, shapes) is None
    look = looks(odd, shapes)
    assert look is not None
    assert "request-id-mismatch" in [finding.rule for finding in look.report.findings]


def test_a_rule_that_is_not_known_to_look_elsewhere_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rule = Rule(
        id="even-key", group="access", severity=Severity.NOTICE, title="t", when="w", cause="c",
        fix="f", example="e",
    )  # fmt: skip

    def even_key(cos: Any, _checks: Any) -> Any:
        if len(cos.key) % 2 == 0:
            yield rule.finding("even")

    registry.finders.cache_clear()
    monkeypatch.setattr(registry, "FLOW_RULES", (*registry.FLOW_RULES, (rule, even_key)))
    try:
        ignore = frozenset({"forced-download"})
        odd = _member("request.target", "/odd")(BASES[0])
        shapes = CleanShapes(after=0)
        looks(odd, shapes, ignore=ignore)
        assert quick(odd, shapes, ignore) is not None
        even = _member("request.target", "/even")(BASES[0])
        assert quick(even, shapes, ignore) is None
        look = looks(even, shapes, ignore=ignore)
        assert look is not None
        assert [finding.rule for finding in look.report.findings] == ["even-key"]
    finally:
        monkeypatch.undo()
        registry.finders.cache_clear()


@pytest.mark.parametrize("ignored", [frozenset(), frozenset({"clock-skew"})])
def test_rules_may_be_left_out(ignored: frozenset[str]) -> None:
    late = _member("timing.request_start", CLOCK - 2000)(BASES[0])
    shapes = taught(ignore=ignored)
    assert looks(late, shapes, ignore=ignored) == looks(late, CleanShapes(0), ignore=ignored)


BUCKET = HOST.partition(".")[0]
SIGNED_CHUNK = b";chunk-signature=" + b"0" * 64 + b"\r\n"
FRAMED = b"10" + SIGNED_CHUNK + CONTENT + b"\r\n0" + SIGNED_CHUNK + b"\r\n"
ODD = {
    "clock": (0, _member("timing", Timing(request_start=CLOCK + 2000, request_end=CLOCK + 2000.1))),
    "bucket": (3, _member("request.target", f"/{BUCKET}/a")),
    "framing": (0, lambda one: _member("response.body.sample", FRAMED)(with_content(one, FRAMED))),
    "signature": (1, _member("request.target", f"/{SIGNATURE[-40:]}")),
    "secret": (0, _member("request.target", "/eyJ0b2tlbiI6ImFiY2RlZmdoIn0")),
    "replay": (0, _member("is_replay", value=True)),
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_what_is_odd_goes_the_thorough_way(name: str) -> None:
    number, change = ODD[name]
    shapes = taught()
    assert quick(BASES[number], shapes) is not None
    odd = change(BASES[number])
    assert quick(odd, shapes) is None
    assert looks(odd, shapes) == looks(odd, CleanShapes(0))


def test_a_page_that_a_browser_would_save_goes_the_thorough_way() -> None:
    browser = ("User-Agent", "Mozilla/5.0")
    plain = exchange(
        headers=(browser,),
        answer=CONTENT,
        answer_headers=(SIZE, ("Content-Disposition", "attachment"), *PAIRS),
    )
    plain = replace(plain, connection=Connection(client="127.0.0.1:50000"))
    shapes = CleanShapes(after=0)
    looks(plain, shapes)
    assert quick(plain, shapes) is not None
    page = _member("request.target", "/a.html")(plain)
    assert quick(page, shapes) is None
    look = looks(page, shapes)
    assert look is not None
    assert [finding.rule for finding in look.report.findings] == ["forced-download"]
