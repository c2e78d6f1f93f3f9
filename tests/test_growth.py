"""No part of an input makes the work grow faster than it does: each is doubled and doubled
again. What is said of several exchanges stands in ``transfers/test_growth.py``, saved files
in ``saved/test_growth.py``."""

import base64
import json
from collections.abc import Callable

import msgspec
import pytest

from cos_inspect.captures import har_entries
from cos_inspect.cos.aws_chunked import AwsChunkedDecoder
from cos_inspect.cos.error import read_error
from cos_inspect.cos.form_upload import FormUploadDecoder, form_boundary
from cos_inspect.cos.xml_fields import walk_xml
from cos_inspect.inspection.first_look import first_look
from cos_inspect.inspection.redaction import Redactor
from cos_inspect.inspection.session import Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.model.headers import Headers
from cos_inspect.recording.message_heads import headers_of
from cos_inspect.report.markdown import to_markdown
from cos_inspect.transfers.part_list import read_part_list
from tests.growth import assert_linear, growth
from tests.rules.exchanges import CONTENT, CRC64, ETAG, HOST, exchange

KEYS = {"AKIDexample": "secret"}
GOOD = (("ETag", ETAG), ("x-cos-hash-crc64ecma", CRC64))
SIGNED = "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time=1577957984;1577961584"
SIGNED += "&q-key-time=1577957984;1577961584&q-header-list={headers}&q-url-param-list={parameters}"
SIGNED += "&q-signature=" + "5e" * 20
REFUSED = (
    "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message>"
    "<StringToSign>sha1\n1577957984;1577961584\n{digest}\n</StringToSign>"
    "<FormatString>get\n/exampleobject\n{parameters}\n{headers}\n</FormatString></Error>"
)

Work = Callable[[], object]


def judged(one: Exchange) -> Work:
    """All that is done with one exchange."""

    def work() -> None:
        found = Session(keys=KEYS).inspect(one)
        assert found is not None
        msgspec.json.encode(found.report)
        to_markdown(found.report)

    return work


def _fields(count: int, name: str, value: str) -> tuple[tuple[str, str], ...]:
    return tuple((name.format(number), value.format(number)) for number in range(count))


LINES = {
    "equal": ("x-other", "v"),
    "equal-names": ("ETag", '"{:032x}"'),
    "different": ("x-cos-meta-{}", "v{}"),
    "unknown": ("x-other-{}", "v{}"),
    "with-secrets": ("x-other-{}", "token=secret{}"),
    "cookies": ("Cookie", "a=b; session=abcdefgh{}"),
    "grants": ("x-cos-grant-read", 'id="{}"'),
    "malformed": ("x-cos-hash-crc64ecma", "no number {}"),
    "signatures": ("Authorization", "q-ak=a{}&q-signature=b"),
    "keys": ("x-cos-server-side-encryption-customer-key", "k{}"),
    "origins": ("Access-Control-Allow-Headers", "h{}"),
}


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("kind", LINES)
def test_header_lines(kind: str, side: str) -> None:
    def work_of(count: int) -> Work:
        fields = _fields(count, *LINES[kind])
        if side == "request":
            return judged(exchange(headers=(*fields, ("Origin", "https://a.example"))))
        return judged(exchange(answer_headers=(*GOOD, *fields), answer=CONTENT))

    assert_linear(work_of, 400, 80_000)


@pytest.mark.parametrize("kind", LINES)
def test_heads_as_mitmproxy_has_them(kind: str) -> None:
    def work_of(count: int) -> Work:
        fields = tuple((n.encode(), v.encode()) for n, v in _fields(count, *LINES[kind]))
        return lambda: headers_of(fields)

    assert_linear(work_of, 1000, 100_000)


VALUES = {
    "content-type": ("Content-Type", "multipart/form-data; ", 'a="b\\";"; '),
    "boundary": ("Content-Type", "multipart/form-data; boundary=", "x"),
    "disposition": ("Content-Disposition", "attachment; ", "filename*0*=utf-8''a; "),
    "date": ("Date", "Thu, 02 Jan 2020 09:39:45 GMT", " (a"),
    "cookie": ("Cookie", "", "a=token=abcdefgh; "),
    "referer": ("Referer", "https://a.example/?u=", "https%3A%2F%2Fb%3Ftoken%3Dabcdefgh%26"),
    "signature": ("Authorization", "q-sign-algorithm=sha1", "&q-ak=a&q-signature=b"),
    "other-scheme": ("Authorization", "Bearer ", "a.b "),
    "agent": ("User-Agent", "Mozilla/5.0 (", "Linux; ("),
    "tokens": ("Connection", "a", ", "),
    "codings": ("Content-Encoding", "aws-chunked", ", aws-chunked"),
    "etag": ("If-None-Match", '"', '", W/"'),
    "copy-source": ("x-cos-copy-source", "b-1250000000.cos.ap-beijing.myqcloud.com/", "%E8%85%BE/"),
    "range": ("Range", "bytes=0-1", ",2-3"),
    "callback": ("x-cos-callback", "", "eyJhIjoi"),
    "json": ("Pic-Operations", "", '{"a":[{'),
    "tags": ("x-cos-tagging", "", "k=v&"),
    "key": ("x-cos-server-side-encryption-customer-key", "", "MDEy"),
    "context": ("x-cos-server-side-encryption-context", "", "eyJhIjoi"),
    "origin": ("Origin", "https://", "a."),
    "host": ("X-Forwarded-Host", "", "a, "),
}


@pytest.mark.parametrize("kind", VALUES)
def test_length_of_a_value(kind: str) -> None:
    name, head, piece = VALUES[kind]

    def work_of(length: int) -> Work:
        value = head + piece * (length // len(piece))
        return judged(exchange(headers=((name, value),), answer_headers=((name, value), *GOOD)))

    # Up to what is read at all, and once well above.
    assert_linear(work_of, 4096, 60_000)
    assert_linear(work_of, 250_000, 4_000_000)


TARGETS = {
    "path": "a/",
    "escapes": "%E8%85%BE",
    "broken-escapes": "%zz%",
    "slashes": "/",
    "dots": "../",
    "parameters": "?a{}=b&",
    "equal-parameters": "?acl&",
    "signatures": "?q-signature=a{}&",
    "tokens": "?x-cos-security-token=abcdefgh{}&",
    "processing": "?imageMogr2/thumbnail/50x|",
    "questions": "?",
    "fragments": "#token=abcdefgh{}",
}


@pytest.mark.parametrize("kind", TARGETS)
def test_length_of_a_target(kind: str) -> None:
    piece = TARGETS[kind]

    def work_of(count: int) -> Work:
        head = "/k?" if piece[0] == "?" and len(piece) > 1 else "/"
        target = head + "".join(piece.lstrip("?").format(number) for number in range(count))
        if len(piece) == 1:
            target = "/k" + piece * count
        return judged(exchange(target=target, answer_headers=GOOD, answer=CONTENT))

    assert_linear(work_of, 500, 100_000)


@pytest.mark.parametrize("listed", ["sent", "missing", "repeated"])
@pytest.mark.parametrize("status", [200, 403])
def test_lists_of_a_signature(listed: str, status: int) -> None:
    def work_of(count: int) -> Work:
        names = [f"x-cos-meta-{number}" for number in range(count)]
        if listed == "repeated":
            names = ["x-cos-meta-0"] * count
        sent = tuple((name, "v") for name in names) if listed != "missing" else ()
        parameters = [f"p{number}" for number in range(count)]
        query = "&".join(f"{name}=v" for name in parameters) if listed != "missing" else ""
        signature = SIGNED.format(headers=";".join(names), parameters=";".join(parameters))
        shown = REFUSED.format(
            digest="5e" * 20,
            parameters="&".join(f"{name}=w" for name in parameters),
            headers="&".join(f"{name}=w" for name in names),
        )
        return judged(
            exchange(
                target=f"/exampleobject?{query}",
                headers=(*sent, ("Authorization", signature)),
                status=status,
                answer=shown.encode() if status == 403 else b"",
            )
        )

    assert_linear(work_of, 25, 4000)


XML = {
    "breadth": ("<Error>", "<Code>a</Code>", "</Error>"),
    "depth": ("<Error>", "<a>", ""),
    "attributes": ("<Error ", 'a{}="b" ', "></Error>"),
    "text": ("<Error><Message>", "a", "</Message></Error>"),
    "escapes": ("<Error><Message>", "&amp;", "</Message></Error>"),
    "lines": ("<Error><Message>", "\n", "</Message></Error>"),
    "comments": ("", "<!-- - -->", "<Error/>"),
    "open-comment": ("<!--", "- -", ""),
    "instructions": ("", "<?a b?>", "<Error/>"),
    "namespaces": ("<Error ", 'xmlns:a{}="b" ', "></Error>"),
    "prefixes": ("<", "a:", "Error>"),
    "name": ("<Error><", "a", ">"),
    "unclosed": ("<Error><Code>", "<Code", ""),
    "broken": ("<Error><Code>a</Code><Message>b", "&", ""),
    "cdata": ("<Error><Message>", "<![CDATA[a]]>", "</Message></Error>"),
    "echo": ("<Error><Message>", "token=abcdefgh{} ", "</Message></Error>"),
    "blanks": ("", " ", "<Error/>"),
}


def _document(kind: str, count: int) -> bytes:
    head, piece, tail = XML[kind]
    closing = "</a>" * count + "</Error>" if kind == "depth" else tail
    return (head + "".join(piece.format(number) for number in range(count)) + closing).encode()


@pytest.mark.parametrize("kind", XML)
def test_xml(kind: str) -> None:
    def work_of(count: int) -> Work:
        body = _document(kind, count)
        return lambda: (read_error(body, Headers()), walk_xml(body, frozenset({"Code"})))

    assert_linear(work_of, 1000, 400_000)


@pytest.mark.parametrize("kind", XML)
def test_an_error_document(kind: str) -> None:
    def work_of(count: int) -> Work:
        return judged(exchange(status=404, answer=_document(kind, count)))

    assert_linear(work_of, 500, 20_000)


@pytest.mark.parametrize("piece", ['{"a":', "[", '"code":"a",', '{"code":"token=abcdefgh"},'])
def test_a_json_error(piece: str) -> None:
    def work_of(count: int) -> Work:
        body = ("{" + piece * count).encode()
        return judged(exchange(status=404, answer=body))

    assert_linear(work_of, 1000, 100_000)


def test_a_list_of_parts() -> None:
    def work_of(count: int) -> Work:
        part = "<Part><PartNumber>{0}</PartNumber><ETag>{0:032x}</ETag></Part>"
        body = f"<C>{''.join(part.format(number) for number in range(count))}</C>".encode()
        return lambda: read_part_list(body)

    assert_linear(work_of, 500, 20_000)


@pytest.mark.parametrize("piece", ["<ETag>a", "<PartNumber>1", "<Part>", "&amp;"])
def test_a_part_with_much_in_it(piece: str) -> None:
    def work_of(count: int) -> Work:
        body = f"<C><Part><ETag>{piece * count}".encode()
        return lambda: read_part_list(body)

    assert_linear(work_of, 1000, 100_000)


CHUNKS = {
    "small": b"1\r\na\r\n",
    "signed": b"1;chunk-signature=" + b"5" * 64 + b"\r\na\r\n",
    "extensions": b"1;" + b"a" * 100 + b"\r\na\r\n",
}


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
@pytest.mark.parametrize("kind", CHUNKS)
def test_aws_chunks(kind: str, step: int) -> None:
    def work_of(count: int) -> Work:
        body = CHUNKS[kind] * count + b"0\r\n" + b"a:b\r\n" * min(count, 30) + b"\r\n"

        def work() -> None:
            decoder = AwsChunkedDecoder()
            for at in range(0, len(body), step):
                decoder.feed(body[at : at + step])
            decoder.finish()

        return work

    assert_linear(work_of, 200, 20_000)


FORMS = {
    "fields": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n',
    "files": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nv\r\n',
    "near-boundaries": b"\r\n--",
    "line-ends": b"\r\n",
    "headers": b"X-A: b\r\n",
    "parameters": b'; a="b',
    "data": b"a" * 64,
}


@pytest.mark.parametrize("step", [11, 1 << 16])
@pytest.mark.parametrize("kind", FORMS)
def test_form(kind: str, step: int) -> None:
    heads = {
        "near-boundaries": FORMS["files"],
        "line-ends": FORMS["files"],
        "data": FORMS["files"][:-3],
        "headers": b"--x\r\n",
        "parameters": b"--x\r\nContent-Disposition: form-data",
    }

    def work_of(count: int) -> Work:
        body = heads.get(kind, b"") + FORMS[kind] * count + b"\r\n\r\n--x--\r\n"

        def work() -> None:
            decoder = FormUploadDecoder(b"x")
            for at in range(0, len(body), step):
                decoder.feed(body[at : at + step])
            decoder.finish()
            decoder.fields  # noqa: B018

        return work

    assert_linear(work_of, 100, 40_000)


@pytest.mark.parametrize("piece", ["; a=b", '; a="b;c"', '; a="\\"', "; boundary=x", ";", '"', "/"])
def test_boundary_in_a_content_type(piece: str) -> None:
    assert_linear(
        lambda count: lambda: form_boundary("multipart/form-data" + piece * count), 500, 100_000
    )


@pytest.mark.parametrize("kind", ["equal", "objects", "names", "nested", "odd", "ranges"])
def test_conditions_of_a_policy(kind: str) -> None:
    def work_of(count: int) -> Work:
        kinds: dict[str, list[object]] = {
            "equal": [["eq", "$key", "a"]] * count,
            "objects": [{f"x{number}": "a" for number in range(count)}],
            "names": [["starts-with", f"$x{number}", "a"] for number in range(count)],
            "nested": [[[["eq"]]]] * count,
            "odd": list(range(count)),
            "ranges": [["content-length-range", 0, number] for number in range(count)],
        }
        conditions = kinds[kind]
        policy = json.dumps({"expiration": "2020-01-02T10:00:00Z", "conditions": conditions})
        fields = [("key", "a"), ("policy", base64.b64encode(policy.encode()).decode())]
        body = b"".join(
            f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in (*fields, ("file", "v"))
        )
        return judged(
            exchange(
                "POST",
                "/",
                headers=(("Content-Type", "multipart/form-data; boundary=x"),),
                body=body + b"--x--\r\n",
                status=403,
                answer=b"<Error><Code>AccessDenied</Code></Error>",
            )
        )

    assert_linear(work_of, 50, 4000)


@pytest.mark.parametrize(
    "piece",
    [
        "token=abcdefgh{} ",
        "q-signature=abcdefgh{}&",
        "token: ",
        "%2526token%253Dabcdefgh",
        "%26",
        ">",
    ],
)
def test_redaction_of_a_text(piece: str) -> None:
    def work_of(count: int) -> Work:
        text = "".join(piece.format(number % 50) for number in range(count))
        return lambda: Redactor().text(text)

    assert_linear(work_of, 500, 100_000)


def test_redaction_of_many_texts() -> None:
    def work_of(count: int) -> Work:
        def work() -> None:
            redactor = Redactor()
            redactor.learn("abcdefgh")
            for number in range(count):
                redactor.text(f"it is abcdefgh {number}")

        return work

    assert_linear(work_of, 500, 100_000)


def test_patterns_of_hosts() -> None:
    def work_of(count: int) -> Work:
        patterns = tuple(f"*.bucket{number}.example" for number in range(count))
        one = exchange(host="a.b.example", headers=(("x-cos-acl", "private"),))
        return lambda: first_look(one, hosts=patterns)

    assert_linear(work_of, 100, 3000)


def test_json_of_har_entries_is_read_once() -> None:
    def work_of(count: int) -> Work:
        text = b'"' + b"\\u4e2d" * count + b'"'
        return lambda: har_entries._plain(text)

    assert_linear(work_of, 1000, 400_000)


@pytest.mark.parametrize("kind", ["clean", "in-clear", "refused", "failed", "retried", "other"])
def test_flows_of_a_session(kind: str) -> None:
    def work_of(count: int) -> Work:
        signed = (("Authorization", SIGNED.format(headers="host", parameters="")),)
        flows = []
        for number in range(count):
            one = exchange(
                target="/same" if kind == "retried" else f"/k{number}",
                scheme="http" if kind == "in-clear" else "https",
                host="other.example" if kind == "other" else HOST,
                headers=signed if kind in ("in-clear", "refused") else (),
                status={"refused": 403, "retried": 503, "failed": None}.get(kind, 200),
                answer_headers=GOOD,
                answer=CONTENT if kind in ("clean", "in-clear") else b"",
                error="timed out" if kind == "failed" else None,
            )
            flows.append(msgspec.structs.replace(one, flow_id=f"flow-{number}"))

        def work() -> None:
            session = Session(keys=KEYS)
            for one in flows:
                session.inspect(one)
            session.renew()
            session.settle()
            session.summary()
            session.close()

        return work

    assert_linear(work_of, 100, 1600, runs=2)


def test_what_grows_too_fast_is_found() -> None:
    def work_of(count: int) -> Work:
        def work() -> None:
            values: tuple[int, ...] = ()
            for number in range(count):
                values = (*values, number)

        return work

    with pytest.raises(AssertionError):
        assert_linear(work_of, 500, 100_000)
    assert growth(lambda count: lambda: sum(range(count)), 10_000, 10_000_000)[1] < 6
