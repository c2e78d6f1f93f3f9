"""Signed requests that COS refuses: exactly one rule says why, and shows where.

The real SDKs sign; the server judges with a verifier of its own. Each mistake of a client
goes through two proxies, one of which has the SecretKey. What differs only behind the proxy
is edited on its way into the server.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
import requests
from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError, cos_auth
from requests.adapters import HTTPAdapter

from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    REGION,
    SECRET_ID,
    SECRET_KEY,
    Report,
    checks,
    s3_client,
)
from tests.end_to_end.lab import ADDON_ARGUMENT, Lab, Send, evidence, found, mitmdump
from tests.end_to_end.node_steps import needs_node, run_node
from tests.end_to_end.test_clean_form_upload import _post, _signed
from tests.origin.damage import on_request
from tests.origin.message import OriginRequest
from tests.origin.server import Origin
from tests.origin.signing import TemporaryKey, Verifier

pytestmark = pytest.mark.end_to_end

OTHER_KEY = "otherotherotherotherotherotherot"
TEMPORARY_ID = "AKIDtemporary" + "x" * 55
TEMPORARY_KEY = "temporarytemporarytemporarytempo"
SHORT_ID = "AKIDseenwithatokenbeforexxxxxxxxxxxx"
TOKEN = "a-token-of-sts-that-is-made-up-0123456789"
STRICT = "strictbucket-1250000000"
STRICT_HOST = HOST.replace(BUCKET, STRICT)
CI_HOST = f"{BUCKET}.ci.{REGION}.myqcloud.com"
VALUE = "a b/c(1)"
META = "x-cos-meta-name"
SIGNATURE = ("signature", "request")


class ByBucket:
    """One verifier for all buckets but one, whose signatures have to name more headers."""

    def __init__(self) -> None:
        temporary = {
            TEMPORARY_ID: TemporaryKey(TEMPORARY_KEY, TOKEN),
            SHORT_ID: TemporaryKey(TEMPORARY_KEY, TOKEN),
        }
        keys = {SECRET_ID: SECRET_KEY}
        self.usual = Verifier(keys, temporary, anonymous=True)
        self.strict = Verifier(keys, temporary, strict=("content-type", META))

    def __call__(self, request: OriginRequest) -> Any:
        return (self.strict if request.bucket == STRICT else self.usual)(request)


class Labs:
    """Two proxies before one server: ``keyed`` has the SecretKeys, ``plain`` has none."""

    def __init__(self, plain: Lab, keyed: Lab) -> None:
        self.plain = plain
        self.keyed = keyed


def key_file(folder: Path) -> Path:
    path = folder / "cos.conf"
    path.write_text(
        f"[common]\nsecret_id = {SECRET_ID}\nsecret_key = {SECRET_KEY}\n\n"
        f"[sts]\nsecret_id = {TEMPORARY_ID}\nsecret_key = {TEMPORARY_KEY}\n"
    )
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    folder = tmp_path_factory.mktemp("signatures")
    with Origin() as origin:
        origin.authorise = ByBucket()
        with (
            Lab(origin, folder / "plain") as plain,
            Lab(origin, folder / "keyed", f"--set=cos_credentials={key_file(folder)}") as keyed,
        ):
            yield Labs(plain, keyed)
            assert not origin.faults
            for lab in (plain, keyed):
                assert "Traceback" not in lab.output
                assert SECRET_KEY not in lab.output


def sdk(
    lab: Lab,
    secret_id: str = SECRET_ID,
    secret_key: str = SECRET_KEY,
    session: requests.Session | None = None,
    **settings: Any,
) -> CosS3Client:
    """The Python SDK through a proxy; it does not try again."""
    given = {"Region": REGION, "Scheme": "https", "Proxies": lab.proxies, **settings}
    config = CosConfig(SecretId=secret_id, SecretKey=secret_key, VerifySSL=lab.ca_pem, **given)
    return CosS3Client(config, retry=0, session=session or requests.Session())


class _Edited(HTTPAdapter):
    """What a library does to a request after it was signed."""

    def __init__(self, edit: Callable[[requests.PreparedRequest], object]) -> None:
        super().__init__()
        self._edit = edit

    def send(
        self, request: requests.PreparedRequest, *args: Any, **named: Any
    ) -> requests.Response:
        self._edit(request)
        return super().send(request, *args, **named)


def edited(edit: Callable[[requests.PreparedRequest], object]) -> requests.Session:
    session = requests.Session()
    session.mount("https://", _Edited(edit))
    return session


def refused(call: Callable[..., object], **arguments: Any) -> None:
    """The SDK meets a refusal; after a HEAD it has no code."""
    with pytest.raises((CosServiceError, CosClientError)):
        call(**arguments)


def upload(lab: Lab, name: str, client: CosS3Client, **arguments: Any) -> None:
    refused(client.put_object, Bucket=BUCKET, Key=name, Body=b"abc", **arguments)


@contextlib.contextmanager
def sdk_with(**replaced: Any) -> Iterator[None]:
    """The SDK signs with another clock or another way to encode."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in replaced.items():
            patch.setattr(cos_auth, name, value)
        yield


def clock(seconds: float) -> Any:
    return SimpleNamespace(time=lambda: time.time() + seconds)


def get_as(
    signed: Callable[[str], str] = lambda name: name,
    *,
    edit: Callable[[str], str] = lambda text: text,
    query: str = "",
    headers: dict[str, str] | None = None,
    method: str = "GET",
    settings: dict[str, Any] | None = None,
    **arguments: Any,
) -> Send:
    """A request whose key is signed in another form than it is sent. ``edit`` changes the
    Authorization value."""

    def send(lab: Lab, name: str) -> None:
        lab.origin.put_object(BUCKET, name, b"abc")
        client = sdk(lab, **(settings or {}))
        given = {"Method": "GET", "Bucket": BUCKET, **arguments}
        text = edit(client.get_auth(Key=signed(name), **given))
        sent = {"Authorization": text, **(headers or {})}
        assert lab.send(method, name, query=query, headers=sent).status_code == 403

    return send


def encoding(function: Callable[[str, str], str]) -> Send:
    """The SDK encodes values otherwise when it signs."""

    def send(lab: Lab, name: str) -> None:
        with sdk_with(quote=lambda text, safe: function(bytes(text).decode(), safe)):
            upload(lab, name, sdk(lab), Metadata={META: VALUE})

    return send


def lower_escapes(text: str) -> str:
    return "".join(
        piece if number == 0 else "%" + piece[:2].lower() + piece[2:]
        for number, piece in enumerate(text.split("%"))
    )


def put_at(seconds: float) -> Send:
    """An upload with a clock that is off."""

    def send(lab: Lab, name: str) -> None:
        with sdk_with(time=clock(seconds)):
            upload(lab, name, sdk(lab))

    return send


def wrong_key(lab: Lab, name: str) -> None:
    upload(lab, name, sdk(lab, secret_key=OTHER_KEY))


def header_changed(lab: Lab, name: str) -> None:
    def edit(request: requests.PreparedRequest) -> None:
        request.headers["Content-Type"] = "text/plain; charset=utf-8"

    upload(lab, name, sdk(lab, session=edited(edit)), ContentType="text/plain")


def header_changed_oddly(lab: Lab, name: str) -> None:
    """Nobody can guess what it was before."""

    def edit(request: requests.PreparedRequest) -> None:
        request.headers[META] = "something else"

    upload(lab, name, sdk(lab, session=edited(edit)), Metadata={META: VALUE})


def header_gone(lab: Lab, name: str) -> None:
    def edit(request: requests.PreparedRequest) -> None:
        del request.headers[META]

    upload(lab, name, sdk(lab, session=edited(edit)), Metadata={META: VALUE})


def blank_in_parameter(lab: Lab, name: str) -> None:
    """The SDK signs it as %20, and requests sends it as +."""
    lab.origin.put_object(BUCKET, name, b"abc")
    refused(sdk(lab).get_object, Bucket=BUCKET, Key=name, ResponseContentType="text/plain; a=b")


def expired_url(lab: Lab, name: str) -> None:
    lab.origin.put_object(BUCKET, name, b"abc")
    with sdk_with(time=clock(-1200)):
        url = sdk(lab).get_presigned_url(BUCKET, name, "GET", Expired=600)
    assert fetch(lab, url).status_code == 403


def fetch(lab: Lab, url: str, **settings: Any) -> requests.Response:
    return requests.get(url, proxies=lab.proxies, verify=lab.ca_pem, timeout=30, **settings)


def no_token(lab: Lab, name: str) -> None:
    upload(lab, name, sdk(lab, TEMPORARY_ID, TEMPORARY_KEY))


def token_renamed(lab: Lab, name: str) -> None:
    def edit(request: requests.PreparedRequest) -> None:
        request.headers["x-ci-security-token"] = TOKEN

    client = sdk(lab, TEMPORARY_ID, TEMPORARY_KEY, session=edited(edit))
    upload(lab, name, client)


def cos_token_to_ci(lab: Lab, name: str) -> None:
    client = sdk(lab, TEMPORARY_ID, TEMPORARY_KEY, Token=TOKEN, Domain=CI_HOST)
    refused(client.get_object, Bucket=BUCKET, Key=name)


def expect_signed(lab: Lab, name: str) -> None:
    client = sdk(lab)
    text = client.get_auth(
        Method="PUT", Bucket=BUCKET, Key=name, Headers={"Expect": "100-continue"}
    )
    sent = {"Authorization": text, "Expect": "100-continue"}
    assert lab.send("PUT", name, data=b"abc", headers=sent).status_code == 403


def cut_fields(text: str) -> str:
    return text.replace("q-sign-algorithm=sha1&", "").replace("&q-url-param-list=", "")


MISMATCH = "signature-mismatch error"
WRONG_KEY = "signature-wrong-key error"
SKEW = "clock-skew error"
ACCELERATED = {"Region": "accelerate"}
SIGNED_META = {META: VALUE}


class Mistake:
    """``plain`` and ``keyed``: what is found beside ``error-response``, without and with the
    SecretKey; ``mistake`` is the one that only the key can tell."""

    def __init__(
        self, name: str, send: Send, plain: str, keyed: str = "", mistake: str | None = None
    ) -> None:
        self.name = name
        self.send = send
        self.plain = pairs(plain)
        self.keyed = pairs(keyed or plain)
        self.mistake = mistake


def pairs(text: str) -> frozenset[str]:
    return frozenset(pair.strip() for pair in f"error-response warning,{text}".split(",") if pair)


def misread(name: str, send: Send, mistake: str) -> Mistake:
    """The client signed another content than it sent. COS hashes what it got, so without
    the key that cannot be told from a wrong key."""
    return Mistake(name, send, WRONG_KEY, MISMATCH, mistake)


MISTAKES = [
    Mistake("wrong-key", wrong_key, WRONG_KEY),
    misread(
        "host-left-out",
        get_as(SignHost=False, edit=lambda text: text.replace("header-list=", "header-list=host")),
        "host-left-out",
    ),
    misread("host-other", get_as(settings=ACCELERATED), "host-other-form"),
    misread("目录/照片 1.txt", get_as(quote), "path-encoded"),
    misread(
        "目录/小写 1.txt", get_as(lambda name: lower_escapes(quote(name))), "path-encoded"
    ),
    misread("whole/目录/a.txt", get_as(lambda name: quote(name, safe="")), "path-encoded"),
    misread("dir/slash.txt", get_as(lambda name: quote(name, safe="")), "path-encoded"),
    misread("dir/it's(1)!.txt", get_as(lambda name: quote(name, safe="!'()*")), "path-encoded"),
    misread("space b.txt", get_as(lambda name: name.replace(" ", "+")), "path-plus-for-space"),
    misread("plus+b.txt", get_as(lambda name: name.replace("+", " ")), "path-plus-for-space"),
    misread(
        "twice%20b.txt", get_as(lambda name: name.replace("%20", " ")), "path-double-encoded"
    ),
    misread(
        "values-lower", encoding(lambda t, s: lower_escapes(quote(t, s))), "values-lower-case-hex"
    ),
    misread("values-plus", encoding(quote_plus), "values-plus-for-space"),
    misread("values-slash", encoding(lambda t, s: quote(t, f"/{s}")), "values-slash-kept"),
    misread("values-marks", encoding(lambda t, s: quote(t, f"!'()*{s}")), "values-marks-kept"),
    misread("values-raw", encoding(lambda t, _: t), "values-not-encoded"),
    misread("values-twice", encoding(lambda t, s: quote(quote(t, s), s)), "values-double-encoded"),
    misread(
        "parameter-left-out",
        get_as(
            query="?response-content-type=text%2Fplain",
            edit=lambda text: text.replace("param-list=", "param-list=response-content-type"),
        ),
        "parameter-left-out",
    ),
    misread("parameter-blank", blank_in_parameter, "parameters-plus-for-space"),
    misread("method-get", get_as(method="HEAD"), "method-other"),
    misread("header-changed", header_changed, "header-changed"),
    Mistake("header-changed-oddly", header_changed_oddly, WRONG_KEY),
    Mistake("header-gone", header_gone, "signature-incomplete error"),
    Mistake("header-never-sent", get_as(Headers=SIGNED_META), "signature-incomplete error"),
    Mistake(
        "parameter-never-sent",
        get_as(Params={"response-content-type": "text/plain"}),
        "signature-incomplete error",
    ),
    Mistake("fields-missing", get_as(edit=cut_fields), "signature-malformed error"),
    Mistake(
        "encoded-again", get_as(edit=lambda text: quote(text, "=&")), "signature-malformed error"
    ),
    Mistake("expired", put_at(-11_000), f"signature-expired error, {SKEW}"),
    Mistake("zone-behind", put_at(-8 * 3600), f"signature-expired error, {SKEW}"),
    Mistake("early", put_at(2000), f"signature-not-yet-valid error, {SKEW}"),
    Mistake("zone-ahead", put_at(8 * 3600), f"signature-not-yet-valid error, {SKEW}"),
    Mistake("expired-url", expired_url, "signature-expired error"),
    Mistake("no-token", no_token, "token-missing warning"),
    Mistake("token-renamed", token_renamed, "token-missing warning"),
    Mistake("ci-token", cos_token_to_ci, "token-missing warning"),
    Mistake("expect", expect_signed, "signature-broken-by-proxy warning"),
]  # fmt: skip


def ticket_is_whole(report: Report, *, bucket: str = BUCKET) -> None:
    """All that support asks for, on one line, and no secret."""
    line = report["ticket"]
    assert "\n" not in line
    told = dict(part.split(": ", 1) for part in line.split("; "))
    ids, cos = report["ids"], report["cos"]
    assert told["request id"] == ids["request_id"] != ""
    assert told["trace id"] == ids["trace_id"] != ""
    assert told["time"] == report["started"]
    assert told["method"] == f"{report['request']['method']} ({cos['operation']})"
    assert told["bucket"] == bucket
    assert told["region"] == cos["region"]
    if cos["key"] is not None:
        assert told["key"] == cos["key"]
    assert told["status"] == str(report["response"]["status"])
    assert told.get("code") == report["error"]["code"]
    assert "q-signature" not in line
    assert TOKEN not in line


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
@pytest.mark.parametrize("has_key", [False, True], ids=["plain", "keyed"])
def test_a_mistake_of_the_client_is_named(labs: Labs, mistake: Mistake, has_key: bool) -> None:
    lab = labs.keyed if has_key else labs.plain
    mistake.send(lab, mistake.name)
    report = lab.report_on(mistake.name)
    wanted = mistake.keyed if has_key else mistake.plain
    if mistake.name == "method-get" and not has_key:
        # The answer to a HEAD has no body, so COS does not say why.
        wanted = pairs("")
    assert found(report) == wanted, report["findings"]
    ticket_is_whole(report)
    if has_key and mistake.mistake:
        (facts,) = evidence(report, "signature-mismatch")
        assert facts["mistake"] == mistake.mistake
        assert facts["changed_by"] == "client"
        assert facts["string_to_sign"].startswith("sha1\n")
        assert checks(report)[SIGNATURE] == "mismatch"


@pytest.mark.parametrize("name", ["目录/证据 1.txt", "evidence.txt"])
def test_what_both_sides_signed_is_shown(labs: Labs, name: str) -> None:
    """Also where the key is wrong, so that it can be held against the client's own text."""
    wrong_key(labs.plain, name)
    (facts,) = evidence(labs.plain.report_on(name), "signature-wrong-key")
    assert facts["secret_id"] == SECRET_ID
    method, path, parameters, headers, end = facts["http_string"].split("\n")
    assert (method, path, parameters, end) == ("put", f"/{name}", "", "")
    assert f"host={HOST}" in headers.split("&")
    assert facts["string_to_sign"].startswith("sha1\n")


@pytest.mark.parametrize(
    ("name", "seconds", "hours"), [("zone-8", 8 * 3600, 8), ("zone-7", -7 * 3600, -7)]
)
def test_a_whole_number_of_hours_is_called_a_time_zone(
    labs: Labs, name: str, seconds: int, hours: int
) -> None:
    put_at(seconds)(labs.plain, name)
    report = labs.plain.report_on(name)
    rule = "signature-not-yet-valid" if seconds > 0 else "signature-expired"
    (facts,) = evidence(report, rule)
    assert facts["whole_hours"] == hours
    (detail,) = (item["detail"] for item in report["findings"] if item["rule"] == rule)
    assert f"{abs(hours)} h" in detail


def test_other_lateness_is_no_time_zone(labs: Labs) -> None:
    put_at(-11_000)(labs.plain, "late")
    (facts,) = evidence(labs.plain.report_on("late"), "signature-expired")
    assert facts["whole_hours"] is None
    # The SDK begins 60 s early, and signs for 10 000 s.
    assert 990 <= facts["late_seconds"] <= 1060


def test_which_token_is_wanted_is_said(labs: Labs) -> None:
    token_renamed(labs.plain, "wanted-cos")
    (facts,) = evidence(labs.plain.report_on("wanted-cos"), "token-missing")
    assert facts == {"wanted": "x-cos-security-token", "sent": ["x-ci-security-token"]}
    cos_token_to_ci(labs.plain, "wanted-ci")
    (facts,) = evidence(labs.plain.report_on("wanted-ci"), "token-missing")
    assert facts == {"wanted": "x-ci-security-token", "sent": ["x-cos-security-token"]}


def test_a_key_that_had_a_token_before_is_known_as_a_temporary_one(labs: Labs) -> None:
    lab = labs.plain
    sdk(lab, SHORT_ID, TEMPORARY_KEY, Token=TOKEN).put_object(
        Bucket=BUCKET, Key="with-token", Body=b"abc"
    )
    assert found(lab.report_on("with-token")) == frozenset()
    upload(lab, "without-token", sdk(lab, SHORT_ID, TEMPORARY_KEY))
    assert found(lab.report_on("without-token")) == pairs("token-missing warning")


def test_what_was_not_sent_is_named(labs: Labs) -> None:
    header_gone(labs.plain, "gone")
    (facts,) = evidence(labs.plain.report_on("gone"), "signature-incomplete")
    assert facts == {"headers": [META], "parameters": []}


@pytest.mark.parametrize("has_key", [False, True], ids=["plain", "keyed"])
def test_a_strict_bucket(labs: Labs, has_key: bool) -> None:
    """Only the key shows that the signature itself is right."""

    def edit(request: requests.PreparedRequest) -> None:
        request.headers[META] = "not-signed"

    lab = labs.keyed if has_key else labs.plain
    client = sdk(lab, session=edited(edit))
    refused(client.put_object, Bucket=STRICT, Key="strict", Body=b"abc")
    report = lab.report_on("strict")
    unsigned = "signature-header-unsigned notice"
    assert found(report) == pairs(unsigned if has_key else f"{unsigned}, {WRONG_KEY}")
    (facts,) = evidence(report, "signature-header-unsigned")
    assert facts == {"headers": [META]}
    ticket_is_whole(report, bucket=STRICT)


def test_expect_is_proved_to_be_the_proxys_doing(labs: Labs) -> None:
    for lab, proved in ((labs.plain, False), (labs.keyed, True)):
        expect_signed(lab, "expect-proved")
        (facts,) = evidence(lab.report_on("expect-proved"), "signature-broken-by-proxy")
        assert facts == {"headers": ["expect"], "proved": proved}


class Between:
    """What something between the proxy and COS does, and how the first difference is told."""

    def __init__(self, key: str, edit: Callable[[OriginRequest], object], **facts: Any) -> None:
        self.key = key
        self.edit = edit
        self.facts = facts


def set_target(target: str) -> Callable[[OriginRequest], object]:
    def edit(request: OriginRequest) -> None:
        request.target = target

    return edit


def set_method(request: OriginRequest) -> None:
    request.method = "POST"


BETWEEN = [
    Between(
        "box/space b.txt",
        set_target("/box/space+b.txt"),
        line="path",
        name=None,
        difference="plus-for-space",
        cos_has="/box/space+b.txt",
        wire_has="/box/space b.txt",
        at=10,
        cos_part="/box/space+b.txt",
        wire_part="/box/space b.txt",
    ),
    Between(
        "box/slash.txt",
        set_target("/box%252Fslash.txt"),
        line="path",
        difference="slash-encoding",
        cos_has="/box%2Fslash.txt",
        at=4,
    ),
    Between(
        "箱/照片.txt",
        set_target(f"/{quote(quote('箱/照片.txt'))}"),
        line="path",
        difference="path-not-decoded",
        cos_has=f"/{quote('箱/照片.txt')}",
        wire_has="/箱/照片.txt",
        at=1,
    ),
    Between(
        "box/50%20off",
        set_target("/box/50%252520off"),
        line="path",
        difference="double-encoding",
        cos_has="/box/50%2520off",
        wire_has="/box/50%20off",
        at=9,
    ),
    Between(
        "箱/其他.txt",
        set_target(f"/{quote('箱/其他.txt', encoding='gbk')}"),
        line="path",
        difference="character-set",
    ),
    Between(
        "box/method", set_method, line="method", difference="method", cos_has="post", wire_has="put"
    ),
    Between(
        "box/header",
        lambda request: request.set_header(META, "a b/c(2)"),
        line="headers",
        name=META,
        difference="changed",
        cos_has="a%20b%2Fc%282%29",
        wire_has="a%20b%2Fc%281%29",
        at=12,
        cos_part="a%20b%2Fc%282%29",
        wire_part="a%20b%2Fc%281%29",
        changed_by="behind-proxy",
    ),
    Between(
        "box/blanks",
        lambda request: request.set_header(META, "a  b/c(1)"),
        line="headers",
        name=META,
        difference="changed",
        at=4,
    ),
    Between(
        "box/header-gone",
        lambda request: request.set_header(META, None),
        line="headers",
        name=META,
        difference="taken-away",
        cos_has=None,
        changed_by="behind-proxy",
    ),
    Between(
        "box/host",
        lambda request: request.set_header("Host", "upstream.example"),
        line="headers",
        name="host",
        difference="changed",
        cos_has="upstream.example",
        wire_has=HOST,
    ),
    Between(
        "box/token",
        lambda request: request.set_header("x-cos-security-token", f"{TOKEN} "[::-1]),
        line="headers",
        name="x-cos-security-token",
        difference="changed",
        cos_has="(secret)",
        wire_has="(secret)",
        at=None,
        cos_part="",
        wire_part="",
    ),
]


@pytest.mark.parametrize("between", BETWEEN, ids=lambda between: between.key)
@pytest.mark.parametrize("has_key", [False, True], ids=["plain", "keyed"])
def test_the_first_difference_is_shown(labs: Labs, between: Between, has_key: bool) -> None:
    """COS repeats what it hashed. With the key it is sure that the client was right."""
    lab, name = (labs.keyed if has_key else labs.plain), between.key
    lab.damage(name, on_request(between.edit))
    client = sdk(lab, Token=TOKEN if name == "box/token" else None)
    upload(lab, name, client, Metadata={META: VALUE})
    report = lab.report_on(name)
    assert found(report) == pairs(MISMATCH), report["findings"]
    ticket_is_whole(report)
    (facts,) = evidence(report, "signature-mismatch")
    assert {field: facts[field] for field in between.facts} == between.facts
    if has_key:
        assert facts["changed_by"] == "behind-proxy"
        assert checks(report)[SIGNATURE] == "match"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def reverse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, int]]:
    """A proxy in front of one bucket, which writes that bucket's Host."""
    folder = tmp_path_factory.mktemp("reverse")
    port = free_port()
    with Origin() as origin:
        origin.authorise = Verifier({SECRET_ID: SECRET_KEY})
        with Lab(
            origin,
            folder,
            "--mode=regular",
            f"--mode=reverse:https://{HOST}@{port}",
            f"--set=cos_credentials={key_file(folder)}",
        ) as lab:
            lab.wait_for_output("reverse proxy to")
            yield lab, port
            assert "Traceback" not in lab.output
        assert not origin.faults


def test_host_that_reverse_mode_rewrote(reverse: tuple[Lab, int]) -> None:
    lab, port = reverse
    client = sdk(lab, Domain=f"localhost:{port}", Scheme="http", Proxies=None)
    upload(lab, "reversed", client)
    report = lab.report_on("reversed")
    assert found(report) == pairs("signature-broken-by-proxy warning")
    (facts,) = evidence(report, "signature-broken-by-proxy")
    assert (facts["headers"], facts["proved"]) == (["host"], False)
    ticket_is_whole(report)


def test_host_that_reverse_mode_left_as_it_was(reverse: tuple[Lab, int]) -> None:
    """What is refused for another reason is not laid on the proxy."""
    lab, port = reverse
    lab.damage("left", on_request(set_target("/left+")))
    text = sdk(lab).get_auth(Method="GET", Bucket=BUCKET, Key="left")
    answer = requests.get(
        f"http://127.0.0.1:{port}/left", headers={"Host": HOST, "Authorization": text}, timeout=30
    )
    assert answer.status_code == 403
    assert found(lab.report_on("left")) == pairs(MISMATCH)


CLEAN = "clean/照片 +%2F(1)~.txt"


def python_sdk(lab: Lab) -> None:
    client = sdk(lab)
    client.put_object(Bucket=BUCKET, Key=CLEAN, Body=b"abc", Metadata={META: VALUE})
    client.get_object(
        Bucket=BUCKET, Key=CLEAN, Range="bytes=0-1", ResponseContentType="text/plain;a=b+c/d"
    )
    client.head_object(Bucket=BUCKET, Key=CLEAN)
    client.list_objects(Bucket=BUCKET, Prefix="clean/照片+", Delimiter="/", EncodingType="url")
    client.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": "clean/none"}]})
    client.copy_object(
        Bucket=BUCKET,
        Key="clean/copy",
        CopySource={"Bucket": BUCKET, "Key": CLEAN, "Region": REGION},
    )
    started = client.create_multipart_upload(Bucket=BUCKET, Key="clean/parts")
    part = {"Bucket": BUCKET, "Key": "clean/parts", "UploadId": started["UploadId"]}
    client.upload_part(Body=b"abc", PartNumber=1, **part)
    client.abort_multipart_upload(**part)


def temporary_keys(lab: Lab) -> None:
    client = sdk(lab, TEMPORARY_ID, TEMPORARY_KEY, Token=TOKEN)
    client.put_object(Bucket=BUCKET, Key="clean/temporary", Body=b"abc")
    client.list_objects(Bucket=BUCKET, Prefix="clean/temporary")


def presigned(lab: Lab) -> None:
    """In parameters, merged into ``sign``, with a token, and signed past the SDK's host."""
    client = sdk(lab)
    name = "clean/presigned +1.txt"
    lab.origin.put_object(BUCKET, name, b"abc")
    params = {"response-content-type": "text/plain;charset=utf-8"}
    urls = [
        client.get_presigned_url(BUCKET, name, "GET"),
        client.get_presigned_download_url(BUCKET, name, Params=params),
        client.get_presigned_url(BUCKET, name, "GET", SignHost=False),
        f"https://{HOST}/{quote(name)}?sign="
        + quote(client.get_auth(Method="GET", Bucket=BUCKET, Key=name), safe=""),
    ]
    temporary = sdk(lab, TEMPORARY_ID, TEMPORARY_KEY)
    token = {"x-cos-security-token": TOKEN}
    urls.append(temporary.get_presigned_url(BUCKET, name, "GET", Params=token))
    unsigned = temporary.get_presigned_url(BUCKET, name, "GET")
    urls.append(f"{unsigned}&{urlencode(token)}")
    for url in urls:
        answer = fetch(lab, url)
        assert (answer.status_code, answer.content) == (200, b"abc"), answer.text
    url = client.get_presigned_url(BUCKET, "clean/presigned-put", "PUT")
    requests.put(
        url, data=b"abc", proxies=lab.proxies, verify=lab.ca_pem, timeout=30
    ).raise_for_status()


def forms(lab: Lab) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", lab.ca_pem)
        for key, more in (
            ("clean/form", {}),
            ("clean/form-token", {"x-cos-security-token": TOKEN}),
        ):
            answer = _post(lab, b"abc", {"key": key, **_signed(key), **more})
            answer.raise_for_status()


CLIENTS = [python_sdk, temporary_keys, presigned, forms]


@pytest.mark.parametrize("use", CLIENTS, ids=lambda use: use.__name__)
@pytest.mark.parametrize("has_key", [False, True], ids=["plain", "keyed"])
def test_clean_signatures_match(labs: Labs, use: Callable[[Lab], None], has_key: bool) -> None:
    lab = labs.keyed if has_key else labs.plain
    before = {report["flow_id"] for report in settled(lab)}
    use(lab)
    reports = [report for report in settled(lab) if report["flow_id"] not in before]
    assert reports
    assert [found(report) for report in reports] == [frozenset()] * len(reports)
    assert {report["ticket"] for report in reports} == {None}
    wanted = "match" if has_key else "no-credentials"
    assert [checks(report)[SIGNATURE] for report in reports] == [wanted] * len(reports)


def settled(lab: Lab) -> list[Report]:
    """Every report, once each answered request has one."""
    marker = f"settled-{time.monotonic_ns()}"
    lab.send("GET", marker)
    lab.report_on(marker)
    return [
        report
        for report in lab._seen.values()
        if not (report["cos"]["key"] or "").startswith("settled-")
    ]


@needs_node
def test_clean_signatures_of_node_match(labs: Labs, tmp_path: Path) -> None:
    names = {"put": "node/照片 +%(1)!.txt", "slice": "node/sliced"}
    ends = run_node(labs.keyed, tmp_path, **names)
    assert ends == dict.fromkeys(names.values(), 200)
    labs.keyed.report_on(names["slice"], "CompleteMultipartUpload")
    reports = [
        report
        for report in labs.keyed._seen.values()
        if (report["cos"]["client"] or {}).get("name") == "cos-nodejs-sdk-v5"
    ]
    assert len(reports) > 8
    assert {found(report) for report in reports} == {frozenset()}
    assert {checks(report)[SIGNATURE] for report in reports} == {"match"}


def test_clean_anonymous_and_s3_requests(labs: Labs) -> None:
    """There is no signature of COS to recompute, and nothing to find."""
    lab = labs.keyed
    s3_client(lab).put_object(Bucket=BUCKET, Key="clean/s3", Body=b"abc")
    report = lab.report_on("clean/s3")
    assert (found(report), checks(report)[SIGNATURE]) == (frozenset(), "unsupported")
    sdk(lab, Anonymous=True).put_object(Bucket=BUCKET, Key="clean/anonymous", Body=b"abc")
    report = lab.report_on("clean/anonymous")
    assert found(report) == frozenset()
    assert SIGNATURE not in checks(report)


def test_plain_http_shows_the_signature(labs: Labs) -> None:
    sdk(labs.keyed, Scheme="http").put_object(Bucket=BUCKET, Key="clean/http", Body=b"abc")
    report = labs.keyed.report_on("clean/http")
    assert found(report) == {"credentials-in-clear warning"}
    assert checks(report)[SIGNATURE] == "match"


def test_signature_for_a_week_is_a_notice(labs: Labs) -> None:
    lab = labs.keyed
    lab.origin.put_object(BUCKET, "clean/week", b"abc")
    fetch(lab, sdk(lab).get_presigned_url(BUCKET, "clean/week", "GET", Expired=7 * 86400))
    assert found(lab.report_on("clean/week")) == {"signature-long-lived notice"}


def test_a_wrong_signature_that_was_taken_all_the_same(labs: Labs) -> None:
    """The key file is out of date, or belongs to another account: then the check says so."""
    lab, name = labs.keyed, "clean/other-key"
    headers = {"Authorization": sdk(lab, secret_key=OTHER_KEY).get_auth("GET", BUCKET, name)}
    report = answered_by_another(lab, name, headers)
    assert found(report) == {"signature-mismatch notice"}
    assert "out of date" in report["findings"][0]["detail"]
    (check,) = (item for item in report["checks"] if item["check"] == "signature")
    assert check["status"] == "mismatch"
    assert check["expected"] != check["actual"]
    assert check["expected"].startswith("[masked:")


def test_a_blank_in_a_parameter_that_cos_took(labs: Labs) -> None:
    lab, name = labs.keyed, "clean/blank"
    lab.origin.put_object(BUCKET, name, b"abc")
    judge, lab.origin.authorise = lab.origin.authorise, None
    try:
        sdk(lab).get_object(Bucket=BUCKET, Key=name, ResponseContentType="text/plain; a=b")
    finally:
        lab.origin.authorise = judge
    report = lab.report_on(name)
    assert (found(report), checks(report)[SIGNATURE]) == (frozenset(), "match")


def answered_by_another(lab: Lab, name: str, headers: dict[str, str]) -> Report:
    lab.origin.put_object(BUCKET, name, b"abc")
    judge, lab.origin.authorise = lab.origin.authorise, None
    try:
        assert lab.send("GET", name, headers=headers).status_code == 200
    finally:
        lab.origin.authorise = judge
    return lab.report_on(name)


WRONG_FILES = [
    ("readable", 0o644, f"[a]\nsecret_id = {SECRET_ID}\nsecret_key = {SECRET_KEY}\n"),
    ("no-section", 0o600, f"secret_id = {SECRET_ID}\nsecret_key = {SECRET_KEY}\n"),
    ("no-id", 0o600, f"[a]\nsecret_key = {SECRET_KEY}\n"),
    ("missing", None, ""),
]


@pytest.mark.parametrize(("name", "mode", "text"), WRONG_FILES, ids=lambda value: str(value)[:12])
def test_a_bad_key_file_stops_mitmdump(
    tmp_path: Path, name: str, mode: int | None, text: str
) -> None:
    path = tmp_path / f"{name}.conf"
    if mode is not None:
        path.write_text(text)
        path.chmod(mode)
    done = mitmdump("--no-server", ADDON_ARGUMENT, f"--set=cos_credentials={path}")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert SECRET_KEY not in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if "cos_credentials" in line)
    assert str(path) in line
