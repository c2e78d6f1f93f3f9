"""Secrets are found by their names and shapes, whole, and nothing else is."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.inspection.escapes import decode, encoded, plain
from cos_inspect.inspection.redaction import Redactor, mask
from cos_inspect.inspection.secret_finder import find
from cos_inspect.inspection.secret_hints import secret_hint
from tests.growth import assert_linear

SIGNATURE = "3b8851a11a569213c17ba8fa7dcf2abec6935172"
TOKEN = "Kx4PLTbOuYhLfPpbQZhFs/a+b=0zQ9"
BASIC = base64.b64encode(b"user:pass-word-12").decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THs"


def masked(text: str) -> str:
    return Redactor().text(text)


def nested(text: str, times: int) -> str:
    for _ in range(times):
        text = quote(text, safe="")
    return text


@pytest.mark.parametrize(
    "pattern",
    [
        "token={}",
        "token={}&a=1",
        "a=1&token={}#x",
        "token = {}",
        "token: {}",
        "the token: {}, as it seems",
        "the token: {}.",
        "(token={})",
        "token='{}' is unknown",
        'token="{}" is unknown',
        "token=`{}` is unknown",
        "token => '{}'",
        "token := {}",
        "--token={} --verbose",
        '{{"token":"{}","a":1}}',
        '{{"token" : "{}"}}',
        "{{'token': '{}'}}",
        '{{\\"token\\":\\"{}\\"}}',
        '{{"token":["{}"]}}',
        '{{"token":{{"value":"{}"}}}}',
        '{{"credentials":{{"tmpSecretKey":"{}"}}}}',
        '{{"name":"X-Token","value":"{}"}}',
        "<Token>{}</Token>",
        "<sts:Token kind='x'>{}</sts:Token>",
        "<Token><![CDATA[{}]]></Token>",
        "&lt;Token&gt;{}&lt;/Token&gt;",
        "<Key>x-cos-security-token</Key><Value>{}</Value>",
        '["eq","$x-cos-security-token","{}"]',
        '[["host","h"],["x-cos-security-token", "{}"]]',
        "Headers[(b'host', b'h'), (b'x-cos-security-token', b'{}')]",
        "got ('Authorization', 'Bearer {}')",
        'form-data; name="token"\r\n\r\n{}\r\n--b',
        'form-data; name="token"\r\nContent-Type: text/plain\r\n\r\n{}\r\n--b--',
        "https://h/k?x%2Dcos%2Dsecurity%2Dtoken={}",
        "https://h/k?%73ign={}",
        "https://h/#access_token={}",
        "fields[token]={}",
        "config.secretKey={}",
        "SecretKey={}",
        "TmpSecretKey: {}",
        "secret_key={}&a",
        "x-cos-meta-secretkey: {}",
        "Authorization: Bearer {}",
        "curl -H 'Authorization: Bearer {}' https://h/",
        'curl -H "X-Token: {}" https://h/',
        "Authorization: {}\nHost: h",
        "Cookie: theme=dark; id={}",
        "Set-Cookie: id={}; Path=/\r\nHost: h",
        "Bearer {} is unknown",
        "https://user:{}@host/path",
        "PATH\nhost=h&x-cos-security-token={}&y=z\n",
    ],
)
def test_a_token_is_found(pattern: str) -> None:
    shown = masked(pattern.format(TOKEN))
    assert TOKEN not in shown
    assert "0zQ9" not in shown
    assert "[masked:" in shown
    assert masked(shown) == shown


@pytest.mark.parametrize("times", range(4))
@pytest.mark.parametrize("lower", [False, True])
def test_a_signed_url_inside_another_url_is_masked(times: int, lower: bool) -> None:
    url = f"https://h/a?q-ak=AKIDexample&q-signature={SIGNATURE}&x-cos-security-token={TOKEN}&b=1"
    inner = nested(url, times)
    shown = masked(f"https://a.example/?u={inner.lower() if lower else inner}")
    assert SIGNATURE not in shown
    assert TOKEN[:12].lower() not in shown.lower()
    assert "akidexample" in shown.lower()
    assert shown.count("[masked:") == 2
    assert shown.endswith(nested("&b=1", times).lower() if lower else nested("&b=1", times))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("?token=aaaaaaaa%26bbbb&x=1", "?token={}&x=1"),
        ("?token=aaaaaaaa%2526bbbb&x=1", "?token={}&x=1"),
        ("?token=aaaaaaaa,bbbb&x=1", "?token={}&x=1"),
        ("?token=aaaaaaaa;bbbb&x=1", "?token={}&x=1"),
        ("?token=aaaaaaaa'bbbb&x=1", "?token={}&x=1"),
        ("?token=aaaaaaaa%20bbbb&x=1", "?token={}&x=1"),
        ("?token=aaaaaaaa%22bbbb&x=1", "?token={}&x=1"),
        ("?u=%3Ftoken%3Daaaaaaaa%2526bbbb%26x%3D1", "?u=%3Ftoken%3D{}%26x%3D1"),
        ('{"token":"aaaaaaaa\\"bbbb","x":1}', '{{"token":"{}","x":1}}'),
        ("https://u:aaaaaaaa%2Fbbbb@h/x", "https://u:{}@h/x"),
    ],
)
def test_the_tail_of_a_value_goes_with_it(text: str, shown: str) -> None:
    found = find(decode(text)).secrets
    assert len(found) == 1
    assert masked(text) == shown.format(mask(found[0].value.decode()))
    assert "bbbb" not in masked(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"https://h/a?a=1&q-signature={SIGNATURE}&b=2", "https://h/a?a=1&q-signature={}&b=2"),
        (f"q-ak=AKIDx&q-signature={SIGNATURE}", "q-ak=AKIDx&q-signature={}"),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDx/20261122/ap/s3/aws4_request,"
            f"SignedHeaders=host,Signature={SIGNATURE}",
            "AWS4-HMAC-SHA256 Credential=AKIDx/20261122/ap/s3/aws4_request,"
            "SignedHeaders=host,Signature={}",
        ),
        (f"Authorization: AWS AKIDx:{SIGNATURE}", "Authorization: AWS AKIDx:{}"),
        (f"Authorization: Digest {SIGNATURE}", "Authorization: Digest {}"),
        (
            f"Authorization: q-sign-algorithm=sha1&q-ak=A&q-signature={SIGNATURE}",
            "Authorization: q-sign-algorithm=sha1&q-ak=A&q-signature={}",
        ),
        (
            f"?sign=q-ak%3DAKIDx%26q-signature%3D{SIGNATURE}",
            "?sign=q-ak%3DAKIDx%26q-signature%3D{}",
        ),
        (f"?sign={SIGNATURE}", "?sign={}"),
    ],
)
def test_what_is_no_secret_stays_beside_a_signature(text: str, left: str) -> None:
    assert masked(text) == left.format(mask(SIGNATURE))


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Basic {BASIC}",
        f"authorization=Basic+{BASIC}",
        f"Basic {BASIC}",
        JWT,
        f"it is {JWT}, they say",
        base64.b64encode(f'{{"callbackUrl":"http://h/?token={TOKEN}"}}'.encode()).decode(),
        base64.b64encode(f'{{ "policy": {{"token": "{TOKEN}"}} }}'.encode()).decode(),
        base64.urlsafe_b64encode(f"https://user:{TOKEN}@h/".encode()).decode(),
        f"callback={quote(base64.b64encode(json.dumps({'secretKey': TOKEN}).encode()).decode())}",
        "policy=eyJleHBpcmF0aW9uIjoiMjAyNi0wMS0wMVQwMDowMDowMFoifQ==",
    ],
)
def test_secrets_that_are_known_by_their_shape(text: str) -> None:
    shown = masked(text)
    assert "[masked:" in shown
    assert max(map(len, shown.replace("[", "]").split("]"))) < 24
    assert masked(shown) == shown


def test_the_password_of_basic_is_known_as_well() -> None:
    redactor = Redactor()
    redactor.text(f"Authorization: Basic {BASIC}")
    assert redactor.text("it is pass-word-12, they say") == (
        f"it is {mask('pass-word-12')}, they say"
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://b-1250000000.cos.ap-beijing.myqcloud.com/design=1?prefix=sign&x=y",
        "https://b-1250000000.cos.ap-beijing.myqcloud.com/a//b:c@d",
        "https://h/?continuation-token=abcdefghijklmn&max-keys=1",
        "The request id is NjQz; the policy was fine.",
        "redesign=no&assignment=7",
        "policy: a document that says who may do what",
        "Let the ETag pass: it is needed. The session: over. auth: refused",
        "?sign=&token=&x-cos-security-token=&policy",
        '{"token":null,"password":"","secret":false}',
        "q-header-list=host;x-cos-security-token&q-url-param-list=",
        "Access-Control-Allow-Headers: authorization, x-cos-security-token",
        'WWW-Authenticate: Bearer realm="https://h/", error="invalid_token"',
        "Bearer authentication is needed; Basic authentication is not",
        'form-data; name="key"\r\n\r\na.txt\r\n--b',
        '["starts-with","$key","user/"]',
        "<Key>a/b.txt</Key><Value>x</Value>",
        '["token","password","authorization","user","content-type"]',
        "one of 'x-cos-security-token', 'q-signature' is missing",
        "token: [masked:1a2b3c4d]; token=[masked:short]&a",
        "Thu, 02 Jan 2020 09:39:45 GMT",
        "NWUwZGJhNjBfNjRiODJhMDlfMWFkN2VfMzZhMTI=",
    ],
)
def test_innocent_text_is_left_alone(text: str) -> None:
    assert masked(text) == text
    assert not find(decode(text)).secrets


def test_a_mask_with_more_behind_it_is_no_mask() -> None:
    assert "SECRETTAIL" not in masked("?token=[masked:1a2b3c4d]SECRETTAIL&a=1")


def test_a_secret_id_is_told_apart() -> None:
    found = find(decode("q-ak=AKIDexample&secretId: AKIDother"))
    assert found.ids == [b"AKIDexample", b"AKIDother"]
    assert not found.secrets


WORDS = st.sampled_from(
    ["token", "q-signature", "sign", "pass", "name", "key", "value", "Token", "ak", "policy", "a",
     '","', "', b'", "abcdefgh",
     "=", ":", "%3D", "%253d", "&", "%26", ">", "<", "</", "/>", '"', "'", "\\", "[", "]", "{", "}",
     " ", "\n", "://", "@", "$", ",", "Bearer ", "Basic ", BASIC, SIGNATURE, "eyJ", "ewo", JWT,
     "form-data; ", "\r\n\r\n", "[masked:1a2b3c4d]", "é", "Authorization", "cookie", "q-", "AWS4-"]
)  # fmt: skip
SENTENCES = st.lists(WORDS, max_size=14).map("".join)


@given(SENTENCES)
def test_the_quick_look_is_never_wrong_when_it_says_no(text: str) -> None:
    if find(decode(text)).secrets:
        assert secret_hint(plain(encoded(text)))


@given(SENTENCES)
def test_what_is_found_stands_in_the_text(text: str) -> None:
    decoded = decode(text)
    for secret in find(decoded).secrets:
        assert 0 <= secret.start < secret.end <= len(decoded.data)
        assert decoded.data[secret.start : secret.end] == secret.value


@given(SENTENCES)
def test_masking_twice_changes_nothing(text: str) -> None:
    once = masked(text)
    twice = masked(once)
    assert masked(twice) == twice
    # What stands beside a mask may be more than it was beside the secret, never less.
    assert len(twice.replace("[masked:", "")) <= len(once)


@pytest.mark.parametrize(
    "piece",
    [
        "token=", "token=&", "token:", "token: a ", "'token", "token='", 'token="', "token=[",
        '{"token":', "name=", 'name="', 'name="token', "name=token", 'form-data; name="token"\r\n',
        "<a>", "<token>", "<token", ">", "<key>token", '"$', '"$token",', "://", "://@", "://a:b@",
        "Bearer ", "Basic ", "Bearer aaaaaaaa1", "eyJ", "eyJ.", "aHR0c", "a%26", "token=a%26",
        "authorization: q-", "authorization: q-a=", "Authorization: ", "cookie: a", "ak=", "ak=a",
        "policy=", "policy=a", "%3D", "token%3D%22", "\\\"token\\\":", "token token ", "sign=q-a=",
        "value=", "k=token,v=", "\n\r", " =", "a" * 100, "token\\",
    ],
)  # fmt: skip
@pytest.mark.parametrize("head", ["", "token='"])
def test_time_grows_with_the_text(piece: str, head: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = head + piece * (size // len(piece))

        def run() -> None:
            secret_hint(plain(encoded(text)))
            find(decode(text))

        return run

    assert_linear(work, 1000, 32_000)
