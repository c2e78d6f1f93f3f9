"""Each known mistake is named, and no other."""

import hashlib
import unicodedata

import pytest

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.signature import sign_key, signature_of
from cos_inspect.cos.signature_mistakes import recompute
from cos_inspect.cos.tables import rows
from cos_inspect.model.exchange import Request
from tests.cos.signed_requests import (
    HOST,
    SECRET_ID,
    SECRET_KEY,
    START,
    WINDOW,
    Fields,
    recomputed,
    request_of,
    signature_in,
    signed_by_hand,
)
from tests.cos.test_signature import policy_form

KEY_PATH = "/a%20b/%E8%85%BE+(1).txt"
PLAIN = "/a b/腾+(1).txt"
HOSTS = f"host={HOST}"
OTHER_HOST = HOST.replace("myqcloud.com", "tencentcos.cn")
META = (("x-cos-meta-a", "b c/!d"), ("Content-Type", "text/plain"))
META_LINE = f"content-type=text%2Fplain&{HOSTS}&x-cos-meta-a=b%20c%2F%21d"
LIST = "content-type;host;x-cos-meta-a"
LATER = f"{START + 5};{START + 905}"


def sent(
    text: str,
    *,
    method: str = "GET",
    target: str = KEY_PATH,
    headers: Fields = (),
    host: str = HOST,
    **how: object,
) -> Request:
    authorization = signed_by_hand(text, **how)  # type: ignore[arg-type]
    return request_of(method, target, (*headers, ("Authorization", authorization)), host=host)


def with_headers(line: str, header_list: str = LIST) -> Request:
    return sent(f"get\n{PLAIN}\n\n{line}\n", headers=META, header_list=header_list)


def with_parameters(line: str, target: str, names: str) -> Request:
    return sent(f"get\n/\n{line}\n{HOSTS}\n", target=target, parameter_list=names)


def hashed(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


RIGHT = f"get\n{PLAIN}\n\n{HOSTS}\n"
CASES = [
    ("host-left-out", sent(f"get\n{PLAIN}\n\n\n")),
    ("host-other-form", sent(f"get\n{PLAIN}\n\nhost={OTHER_HOST}\n")),
    ("host-other-form", sent(f"get\n{PLAIN}\n\n{HOSTS}%3A443\n")),
    ("path-encoded", sent(f"get\n{KEY_PATH}\n\n{HOSTS}\n")),
    (
        "path-encoded",
        sent(f"get\n/a%20b/%e8%85%be%2b(1).txt\n\n{HOSTS}\n", target="/a%20b/%E8%85%BE%2B(1).txt"),
    ),
    ("path-encoded", sent(f"get\n/a%2Fb(1)\n\n{HOSTS}\n", target="/a/b(1)")),
    ("path-encoded", sent(f"get\n/a%2Fb%281%29\n\n{HOSTS}\n", target="/a/b(1)")),
    ("path-plus-for-space", sent(f"get\n/a b/腾 (1).txt\n\n{HOSTS}\n")),
    ("path-plus-for-space", sent(f"get\n/a+b\n\n{HOSTS}\n", target="/a%20b")),
    ("path-double-encoded", sent(f"get\n/a b\n\n{HOSTS}\n", target="/a%2520b")),
    ("path-without-leading-slash", sent(f"get\n{PLAIN[1:]}\n\n{HOSTS}\n")),
    ("path-with-bucket", sent(f"get\n/examplebucket-1250000000{PLAIN}\n\n{HOSTS}\n")),
    (
        "path-without-bucket",
        sent(
            "get\n/a\n\nhost=cos.ap-beijing.myqcloud.com\n",
            target="/examplebucket-1250000000/a",
            host="cos.ap-beijing.myqcloud.com",
        ),
    ),
    ("path-with-query", sent(f"get\n/a?acl\n\n{HOSTS}\n", target="/a?acl")),
    ("path-left-out", sent(f"get\n/\n\n{HOSTS}\n")),
    ("path-normalised", sent(f"get\n/a/b\n\n{HOSTS}\n", target="/a//b")),
    (
        "path-normalised",
        sent(f"get\n/{unicodedata.normalize('NFD', 'é')}\n\n{HOSTS}\n", target="/%C3%A9"),
    ),
    ("method-case", sent(f"GET\n{PLAIN}\n\n{HOSTS}\n")),
    ("method-other", sent(RIGHT, method="HEAD")),
    ("parameter-left-out", with_parameters("", "/?acl", "acl")),
    ("parameter-left-out", with_parameters("a=1", "/?a=1&b=2", "a;b")),
    ("parameter-not-listed", with_parameters("a=1&b=2", "/?a=1&b=2", "a")),
    ("header-left-out", with_headers(META_LINE.partition("&")[2])),
    ("header-not-listed", with_headers(META_LINE, "host;x-cos-meta-a")),
    ("values-not-encoded", with_headers(f"content-type=text/plain&{HOSTS}&x-cos-meta-a=b c/!d")),
    ("values-not-encoded", with_parameters("prefix=a/b", "/?prefix=a/b", "prefix")),
    ("values-lower-case-hex", with_headers(META_LINE.replace("%2F", "%2f"))),
    ("values-lower-case-hex", with_parameters("prefix=a%2fb", "/?prefix=a%2Fb", "prefix")),
    ("values-plus-for-space", with_headers(META_LINE.replace("%20", "+"))),
    ("values-plus-for-space", with_parameters("prefix=a+b", "/?prefix=a%20b", "prefix")),
    ("parameters-plus-for-space", with_parameters("prefix=a%20b", "/?prefix=a+b", "prefix")),
    (
        "parameter-names-not-encoded",
        with_parameters(
            "imagemogr2/thumbnail/!50p=",
            "/?imageMogr2/thumbnail/!50p",
            "imagemogr2%2fthumbnail%2f%2150p",
        ),
    ),
    (
        "parameter-names-not-encoded",
        with_parameters(
            "imageMogr2/crop/a b=1/2", "/?imageMogr2/crop/a%20b=1/2", "imagemogr2%2fcrop%2fa%20b"
        ),
    ),
    (
        "parameter-names-not-encoded",
        with_parameters("a%2Fb=1&c=2", "/?c=2&A/b=1", "a%2fb;c"),
    ),
    (
        "parameter-names-not-encoded",
        with_parameters("watermark%2f1!=", "/?watermark/1!", "watermark%2f1%21"),
    ),
    (
        "parameter-names-not-encoded",
        with_parameters("ci/1=", "/?ci/1", "ci/1"),
    ),
    ("values-slash-kept", with_headers(META_LINE.replace("%2F", "/"))),
    ("values-marks-kept", with_headers(META_LINE.replace("%21", "!"))),
    ("values-double-encoded", with_headers(META_LINE.replace("%", "%25"))),
    (
        "header-changed",
        with_headers(META_LINE.replace("text%2Fplain", "text%2Fplain%3B%20charset%3DUTF-8")),
    ),
    ("header-changed", with_headers(META_LINE.replace("text%2Fplain", ""))),
    ("header-untrimmed", with_headers(META_LINE + "%20")),
    ("names-not-lower", with_headers(META_LINE.replace("content-type", "Content-Type"))),
    ("names-not-sorted", with_headers(f"{HOSTS}&content-type=text%2Fplain", "host;content-type")),
    (
        "times-swapped",
        sent(
            "", sign_time=WINDOW, key_time=LATER, string_to_sign=f"sha1\n{LATER}\n{hashed(RIGHT)}\n"
        ),
    ),
    ("sign-key-raw", sent(RIGHT, raw_key=True)),
    ("no-final-line-end", sent(RIGHT[:-1])),
    ("no-final-line-end", sent("", string_to_sign=f"sha1\n{WINDOW}\n{hashed(RIGHT)}")),
    ("crlf-line-ends", sent(RIGHT.replace("\n", "\r\n"))),
    ("http-string-not-hashed", sent("", string_to_sign=f"sha1\n{WINDOW}\n{RIGHT}\n")),
    ("hash-upper-case", sent("", string_to_sign=f"sha1\n{WINDOW}\n{hashed(RIGHT).upper()}\n")),
    ("secret-key-with-blanks", sent(RIGHT, key=SECRET_KEY + "\n")),
    ("secret-id-as-key", sent(RIGHT, key=SECRET_ID)),
]


@pytest.mark.parametrize(("name", "request_sent"), CASES, ids=lambda value: str(value)[:30])
def test_the_mistake_is_named(name: str, request_sent: Request) -> None:
    found = recomputed(request_sent)
    assert found is not None
    assert not found.same
    assert found.mistake is not None
    assert found.mistake.name == name


def test_the_sign_key_itself() -> None:
    right = f"sha1\n{WINDOW}\n{hashed(RIGHT)}\n"
    for name, key in (
        ("sign-key-skipped", SECRET_KEY),
        ("sign-key-upper-case", sign_key(SECRET_KEY, WINDOW).upper()),
    ):
        header = signed_by_hand(RIGHT)[:-40] + signature_of(key, right)
        found = recomputed(request_of("GET", KEY_PATH, (("Authorization", header),)))
        assert found is not None
        assert found.mistake is not None
        assert found.mistake.name == name


def test_another_charset() -> None:
    digest = hashlib.sha1(RIGHT.encode("gbk")).hexdigest()
    found = recomputed(sent("", string_to_sign=f"sha1\n{WINDOW}\n{digest}\n"))
    assert found is not None
    assert found.mistake is not None
    assert found.mistake.name == "other-charset"


@pytest.mark.parametrize("name", ["request-for-policy", "policy-base64"])
def test_of_a_policy(name: str) -> None:
    form = policy_form()
    key = sign_key(SECRET_KEY, WINDOW)
    signed = {
        "request-for-policy": f"sha1\n{WINDOW}\n{hashed('post' + chr(10) + '/' + chr(10) * 3)}\n",
        "policy-base64": hashed(form.get("policy") or ""),
    }[name]
    found = recomputed(
        request_of("POST", "/", ()), policy_form(**{"q-signature": signature_of(key, signed)})
    )
    assert found is not None
    assert found.mistake is not None
    assert found.mistake.name == name


@pytest.mark.parametrize("taken", [False, True])
def test_plus_in_a_parameter_is_read_as_cos_read_it(taken: bool) -> None:
    request = with_parameters("prefix=a%20b", "/?prefix=a+b", "prefix")
    endpoint = read_endpoint(request.host, request.target)
    assert endpoint is not None
    found = recompute(signature_in(request), request, None, endpoint, SECRET_KEY, taken=taken)
    assert found is not None
    assert found.same is taken


def test_a_plus_is_signed_as_one_though_cos_reads_a_blank() -> None:
    request = with_parameters("prefix=a%2Bb%2B", "/?prefix=a+b%2B", "prefix")
    endpoint = read_endpoint(request.host, request.target)
    assert endpoint is not None
    read = hashed(f"get\n/\nprefix=a%20b%2B\n{HOSTS}\n")
    found = recompute(signature_in(request), request, None, endpoint, SECRET_KEY, hashed=read)
    assert found is not None
    assert found.mistake is not None
    assert found.mistake.name == "parameters-plus-kept"


def test_every_mistake_of_the_table_is_tested() -> None:
    tested = {name for name, _ in CASES} | {
        "sign-key-skipped",
        "sign-key-upper-case",
        "other-charset",
        "request-for-policy",
        "policy-base64",
        "parameters-plus-kept",
    }
    assert {row["name"] for row in rows("signature_mistakes")} == tested


def test_what_the_proxy_took_away() -> None:
    text = f"put\n/a\n\nexpect=100-continue&{HOSTS}\n"
    header = signed_by_hand(text, header_list="expect;host")
    dropped = (("Expect", "100-continue"),)
    found = recomputed(request_of("PUT", "/a", (("Authorization", header),), dropped=dropped))
    assert found is not None
    assert found.needs_dropped
    assert found.mistake is None


def test_another_key_is_no_known_mistake() -> None:
    found = recomputed(sent(RIGHT, key="another"))
    assert found is not None
    assert not found.same
    assert found.mistake is None


def test_a_default_port_in_host_is_right() -> None:
    header = signed_by_hand(f"get\n/a\n\n{HOSTS}\n")
    request = request_of("GET", "/a", (("Authorization", header),))
    fields = tuple(("Host", f"{HOST}:443") if n == "Host" else (n, v) for n, v in request.headers)
    request = Request(
        method="GET", scheme="https", host=HOST, port=443, target="/a", http_version="HTTP/1.1",
        headers=type(request.headers)(fields),
    )  # fmt: skip
    found = recomputed(request)
    assert found is not None
    assert found.same
