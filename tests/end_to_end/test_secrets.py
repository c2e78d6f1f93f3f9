"""No secret stands in anything that is written or shown, wherever the protocol may have it.

Every place gets a secret of its own. Each is looked for by pieces of twelve characters, in
any case, so that percent-encoding, JSON, HTML, base64 or a cut in the middle hide none.
"""

import base64
import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from qcloud_cos import CosServiceError

from cos_inspect.report.formats import FORMATS
from cos_inspect.settings.addon_options import SIGNALS
from tests.end_to_end.harness import (
    BUCKET,
    HOST,
    REGION,
    SECRET_ID,
)
from tests.end_to_end.lab import Lab, saved_flows
from tests.end_to_end.test_signatures import sdk
from tests.origin.damage import Damage, Effect, answer, key
from tests.origin.effects import add_header, error, page, set_header
from tests.origin.errors import OriginError
from tests.origin.message import OriginRequest, Reply
from tests.origin.replies import error_reply, finish
from tests.origin.server import Origin
from tests.origin.signing import Verifier
from tests.planted import BY_A_SCRIPT, ECHOES, ENCODINGS, HOMES, Draft, Search, opened
from tests.telemetry.collector import Collector

pytestmark = pytest.mark.end_to_end

CI_HOST = f"{BUCKET}.ci.{REGION}.myqcloud.com"
WORD = re.compile(r"[a-z0-9+/=]{12,}")
"""Of these signs the secrets are."""
TOKEN_NAMES = ("x-cos-security-token", "x-ci-security-token", "x-amz-security-token")
KEY_NAMES = (
    "x-cos-server-side-encryption-customer-key",
    "x-cos-copy-source-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
)


def hexadecimal(place: str) -> str:
    return hashlib.sha1(place.encode()).hexdigest()


def opaque(place: str) -> str:
    """With both cases, and with signs that are percent-encoded."""
    return base64.b64encode(hashlib.sha512(place.encode()).digest()).decode()[:60] + "/+=="


def key_of(place: str) -> str:
    return base64.b64encode(hashlib.sha256(place.encode()).digest()).decode()


SECRET_KEY = hexadecimal("SecretKey")[:32]


class Planted:
    """``shown``: without redaction it stands in the report, so that the search can find it."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.hidden: set[str] = set()

    def plant(self, place: str, value: str, *, shown: bool = True) -> str:
        self.secrets[place] = value
        if not shown:
            self.hidden.add(place)
        return value


def authorization(value: str) -> str:
    now = int(time.time())
    window = f"{now - 60};{now + 900}"
    return (
        f"q-sign-algorithm=sha1&q-ak={SECRET_ID}&q-sign-time={window}&q-key-time={window}"
        f"&q-header-list=host&q-url-param-list=&q-signature={value}"
    )


def lower_escapes(text: str) -> str:
    return quote(text, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d")


def in_headers(lab: Lab, planted: Planted) -> None:
    plant = planted.plant
    for name in (*TOKEN_NAMES, "x-cos-mfa", "Cookie"):
        lab.send("GET", f"header/{name}", headers={name: plant(name, opaque(name))})
        upper = f"{name} in upper case"
        lab.send("GET", f"upper/{name}", headers={name.upper(): plant(upper, opaque(upper))})
    for name in KEY_NAMES:
        value = plant(name, key_of(name))
        lab.send("PUT", f"header/{name}", data=b"abc", headers={name: value})
    signatures = {
        "header signature": authorization(hexadecimal("header signature")),
        "upper-case signature": authorization(hexadecimal("upper-case signature").upper()),
        "AWS4 in the header": "AWS4-HMAC-SHA256 Credential=AKIDx/20261122/a/s3/aws4_request,"
        f" SignedHeaders=host, Signature={hexadecimal('AWS4 in the header')}",
        "AWS2 in the header": f"AWS AKIDx:{opaque('AWS2 in the header')}",
        "Bearer": f"Bearer {opaque('Bearer')}",
        "bare Authorization": opaque("bare Authorization"),
    }
    for place, value in signatures.items():
        is_hex = "signature" in place or place.startswith("AWS4")
        plant(place, hexadecimal(place) if is_hex else opaque(place))
        lab.send("GET", f"header/{place}", headers={"Authorization": value})


def in_urls(lab: Lab, planted: Planted) -> None:
    plant = planted.plant
    place = "query signature"
    text = authorization(plant(place, hexadecimal(place)))
    lab.send("GET", "query/q", query="?" + quote(text, safe="=&"))
    place = "sign="
    text = authorization(plant(place, hexadecimal(place)))
    lab.send("GET", "query/sign", query="?sign=" + quote(text, safe=""))
    place = "sign= in lower case"
    text = authorization(plant(place, hexadecimal(place)))
    lab.send("GET", "query/lower", query="?sign=" + quote(text, safe="").lower())
    place = "sign= twice encoded"
    text = authorization(plant(place, hexadecimal(place)))
    lab.send("GET", "query/twice", query="?sign=" + quote(quote(text, safe=""), safe=""))
    for name in (*TOKEN_NAMES, "X-Cos-Security-Token", "X-Amz-Security-Token", "token"):
        for how, encode in (
            ("encoded", lambda text: quote(text, safe="")),
            ("lower-case escapes", lower_escapes),
            ("raw", lambda text: text),
        ):
            place = f"{name} in the query, {how}"
            value = encode(plant(place, opaque(place)))
            lab.send("GET", f"query/{name}/{how}", query=f"?{name}={value}&a=b")
    place = "X-Amz-Signature"
    signature = plant(place, hexadecimal(place))
    lab.send("GET", "query/aws4", query=f"?X-Amz-Credential=AKIDx&X-Amz-Signature={signature}")
    place = "AWS2 in the query"
    signature = quote(plant(place, opaque(place)), safe="")
    lab.send("GET", "query/aws2", query=f"?AWSAccessKeyId=AKIDx&Expires=9&Signature={signature}")


def in_a_retry(lab: Lab, planted: Planted) -> None:
    """Chains of tries have a place of their own in the summary."""
    url = signed_url(lab, planted, "a retry")
    query = f"?{url.partition('?')[2]}&{KEY_NAMES[0]}="
    query += quote(planted.plant("SSE-C key in the query", key_of("SSE-C key in the query")))
    lab.origin.damage(Damage(error("SlowDown"), when=key("retry"), times=1))
    for status in (503, 200):
        assert lab.send("PUT", "retry", query=query, data=b"abc").status_code == status


def signed_url(lab: Lab, planted: Planted, place: str) -> str:
    """A presigned URL of the SDK, with a token, as it may stand inside something else."""
    token = planted.plant(f"token in {place}", opaque(place))
    url = sdk(lab).get_presigned_url(BUCKET, "source", "GET")
    signature = planted.plant(f"signature in {place}", hexadecimal(place))
    head = url.partition("&q-signature=")[0]
    return f"{head}&q-signature={signature}&x-cos-security-token={quote(token, safe='')}"


def urls_in_headers(lab: Lab, planted: Planted) -> None:
    for name in ("Referer", "x-cos-copy-source", "x-cos-meta-url", "x-cos-fetch-source"):
        url = signed_url(lab, planted, name)
        method = "GET" if name == "Referer" else "PUT"
        with contextlib.suppress(requests.RequestException):
            lab.send(method, f"urls/{name}", headers={name: url})
    url = signed_url(lab, planted, "an encoded Referer")
    lab.send("GET", "urls/encoded", headers={"Referer": f"https://a.example/?u={quote(url)}"})
    url = signed_url(lab, planted, "a value without =")
    lab.send("GET", "urls/no-equals", headers={"x-cos-meta-url": quote(url, safe="")})
    url = signed_url(lab, planted, "Location")
    lab.damage("urls/location", page(302, headers=[("Location", url)]))
    lab.send("GET", "urls/location")
    url = signed_url(lab, planted, "Content-Location")
    lab.damage("urls/content-location", set_header("Content-Location", url))
    lab.origin.put_object(BUCKET, "urls/content-location", b"abc")
    lab.send("GET", "urls/content-location")
    url = signed_url(lab, planted, "Link")
    lab.damage("urls/link", set_header("Link", f"<{url}>; rel=canonical"))
    lab.origin.put_object(BUCKET, "urls/link", b"abc")
    lab.send("GET", "urls/link")


def in_answers(lab: Lab, planted: Planted) -> None:
    cookie = planted.plant("Set-Cookie", opaque("Set-Cookie"))
    other = planted.plant("second Set-Cookie", opaque("second Set-Cookie"))
    lab.origin.put_object(BUCKET, "answer/cookie", b"abc")
    lab.damage(
        "answer/cookie",
        add_header("Set-Cookie", f"session={cookie}; Path=/"),
        add_header("Set-Cookie", f"other={other}"),
    )
    lab.send("GET", "answer/cookie")
    for name in ("x-cos-security-token", "x-cos-server-side-encryption-customer-key"):
        place = f"{name} answered"
        lab.damage(f"answer/{name}", set_header(name, planted.plant(place, opaque(place))))
        lab.origin.put_object(BUCKET, f"answer/{name}", b"abc")
        lab.send("GET", f"answer/{name}")


def refusal(message: str, *extra: tuple[str, str]) -> Effect:
    def make(request: OriginRequest) -> Reply:
        refused = OriginError("SignatureDoesNotMatch", message, 403, extra=extra)
        return finish(error_reply(refused, request), request, failure=True)

    return answer(make)


def in_echoes(lab: Lab, planted: Planted) -> None:
    """COS repeats what was signed; proxies and gateways repeat it in their own words."""
    place = "signed token"
    client = sdk(lab, Token=planted.plant(place, opaque(place)), secret_key="x" * 32)
    with contextlib.suppress(CosServiceError):
        client.put_object(Bucket=BUCKET, Key="echo/format-string", Body=b"abc")
    place = "signed token, other content"
    token = planted.plant(place, opaque(place))
    lab.damage(
        "echo/difference",
        refusal(
            "The Signature you specified is invalid.",
            ("StringToSign", f"sha1\n1;2\n{'0' * 40}\n"),
            (
                "FormatString",
                f"put\n/echo/difference\n\nhost={HOST}&x-cos-security-token="
                f"{quote(token, safe='')[:-3]}\n",
            ),
        ),
    )
    with contextlib.suppress(CosServiceError):
        sdk(lab, Token=token).put_object(Bucket=BUCKET, Key="echo/difference", Body=b"abc")
    for how, encode in (
        ("raw", str),
        ("encoded", lambda text: quote(text, safe="")),
        ("lower-case", lambda text: quote(text, safe="").lower()),
        ("lower-case escapes", lower_escapes),
        ("all in lower case", str.lower),
    ):
        place = f"token echoed {how}"
        token = planted.plant(place, opaque(place))
        name = f"echo/{how}"
        lab.damage(name, error("AccessDenied", 403, f"The token '{encode(token)}' is unknown."))
        lab.send("GET", name, headers={"x-cos-security-token": token})
        place = f"signature echoed {how}"
        value = planted.plant(place, hexadecimal(place))
        name = f"echo/signature {how}"
        lab.damage(name, error("AccessDenied", 403, f"({encode(value)}) does not match."))
        lab.send("GET", name, headers={"Authorization": authorization(value)})


def in_forms(lab: Lab, planted: Planted) -> None:
    """No field of a form stands in a report, masked or not, but the signature in its check."""

    def plant(place: str, value: str) -> str:
        return planted.plant(f"{place} in a form", value, shown=place == "q-signature")

    policy = base64.b64encode(
        b'{"expiration":"2000-01-01T00:00:00Z","conditions":[["eq","$x-cos-security-token","'
        + plant("token in the policy", opaque("policy token")).encode()
        + b'"]]}'
    ).decode()
    fields = {
        "key": "form/secrets",
        "policy": plant("policy", policy),
        "q-sign-algorithm": "sha1",
        "q-ak": SECRET_ID,
        "q-key-time": "1700000000;1700000900",
        "q-signature": plant("q-signature", hexadecimal("form signature")),
        **{name: plant(name, opaque(f"form {name}")) for name in TOKEN_NAMES},
        **{name: plant(name, key_of(f"form {name}")) for name in KEY_NAMES},
        "Signature": plant("Signature", opaque("form Signature")),
    }
    parts = [(name, (None, value)) for name, value in fields.items()]
    requests.post(
        f"https://{HOST}/",
        files=[*parts, ("file", ("a.bin", b"abc"))],
        proxies=lab.proxies,
        verify=lab.ca_pem,
        timeout=30,
    )


def of_draft(draft: Draft) -> Effect:
    """The answer of a draft."""

    def make(request: OriginRequest) -> Reply:
        refused = OriginError("AccessDenied", "Access Denied.", draft.status)
        reply = finish(error_reply(refused, request), request, failure=True)
        reply.reason = draft.reason
        for name, value in draft.answer:
            reply.set(name, value)
        reply.set_body(draft.document())
        return reply

    return answer(make)


def send_draft(lab: Lab, draft: Draft) -> None:
    """As it is: libraries of clients write escapes in a way of their own."""
    target = draft.path + (f"?{'&'.join(draft.query)}" if draft.query else "")
    fields = "".join(f"\n{name}: {value}" for name, value in draft.headers)
    with lab.raw(f"GET {target}\nConnection: close{fields}") as connection:
        while connection.recv(65536):
            pass


def in_every_home(lab: Lab, planted: Planted) -> None:
    for number, (home, plant) in enumerate(HOMES.items()):
        if home.startswith("form") or home in BY_A_SCRIPT:
            continue
        draft = Draft(path=f"/home/{number}")
        place = f"home {home}"
        plant(draft, planted.plant(place, opaque(place)[:60]))
        lab.damage(draft.path[1:], of_draft(draft))
        send_draft(lab, draft)


def in_every_echo(lab: Lab, planted: Planted) -> None:
    # Damage is found by the key, and one Location would end the other's.
    echoes = {name: plant for name, plant in ECHOES.items() if name != "the key"}
    for number, (encoding, encode) in enumerate(ENCODINGS.items()):
        draft = Draft(path=f"/echo-of/{number}")
        place = f"all echoes, {encoding}"
        secret = planted.plant(place, opaque(place)[:60])
        HOMES["x-cos-security-token"](draft, secret)
        for plant in echoes.values():
            plant(draft, encode(secret))
        lab.damage(draft.path[1:], of_draft(draft))
        send_draft(lab, draft)


PLACES: list[Callable[[Lab, Planted], None]] = [
    in_headers,
    in_urls,
    urls_in_headers,
    in_answers,
    in_a_retry,
    in_every_home,
    in_every_echo,
    in_echoes,
    in_forms,
]


class Searched:
    """Everything that one run wrote, by where it stands, with what it may stand for."""

    def __init__(self, lab: Lab, capture: Path, sent: Sequence[bytes]) -> None:
        """``sent``: what a collector of OpenTelemetry got."""
        texts = {
            str(path.relative_to(lab.report_dir)): path.read_text(errors="replace")
            for path in lab.report_dir.rglob("*")
            if path.is_file() and path.parent.name != "assets"
        }
        texts["terminal"] = lab.output
        for number, payload in enumerate(sent):
            texts[f"OTLP {number}"] = payload.decode(errors="replace")
        for flow in saved_flows(capture):
            texts[f"flow {flow.request.path[:60]}"] = f"{flow.comment}\n{flow.metadata}"
        self.texts = {name: opened(text) for name, text in texts.items()}
        # Most of one file stands in others as well.
        self._words = "\n".join(
            {word for text in self.texts.values() for word in WORD.findall(text)}
        )

    def holds(self, secret: str) -> bool:
        return Search(secret).is_in(self._words)

    def holding(self, secret: str) -> list[str]:
        """Where a piece of it stands."""
        if not self.holds(secret):
            return []
        search = Search(secret)
        return [name for name, text in self.texts.items() if search.is_in(text)]


def run(folder: Path, *arguments: str) -> tuple[Planted, Searched]:
    planted = Planted()
    planted.plant("SecretKey", SECRET_KEY, shown=False)
    folder.mkdir()
    keys = folder / "cos.conf"
    keys.write_text(f"[a]\nsecret_id = {SECRET_ID}\nsecret_key = {SECRET_KEY}\n")
    keys.chmod(0o600)
    capture = folder / "live.mitm"
    settings = (
        *(f"--set=cos_report_format={name}" for name in FORMATS),
        f"--set=cos_credentials={keys}",
        f"--save-stream-file={capture}",
        *(f"--set=cos_otel={name}" for name in SIGNALS),
        *arguments,
    )
    header, note = opaque("OTLP header"), opaque("resource")
    planted.plant("OTLP header", header, shown=False)
    planted.plant("resource", note)
    with Origin() as origin, Collector() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={quote(header, safe='')}")
        patch.setenv(
            "OTEL_RESOURCE_ATTRIBUTES", f"note={quote(f'x-cos-security-token={note}', safe='')}"
        )
        with Lab(origin, folder, *settings) as lab:
            for plant in PLACES:
                if plant is in_echoes:
                    origin.authorise = Verifier({SECRET_ID: SECRET_KEY}, anonymous=True)
                plant(lab, planted)
            lab.stop()
            assert "Traceback" not in lab.output
            assert "not inspected" not in lab.output
            assert len(collector.spans) == len(lab.reports)
            assert collector.received_headers[0]["authorization"] == header
            searched = Searched(lab, capture, collector.payloads)
        assert not origin.faults
    return planted, searched


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Planted, Searched]:
    return run(tmp_path_factory.mktemp("secrets") / "masked")


@pytest.fixture(scope="module")
def unmasked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Planted, Searched]:
    return run(tmp_path_factory.mktemp("secrets") / "unmasked", "--set=cos_redact=false")


def test_no_secret_is_written_or_shown(masked: tuple[Planted, Searched]) -> None:
    planted, searched = masked
    leaks = {
        place: where
        for place, secret in planted.secrets.items()
        if (where := searched.holding(secret))
    }
    assert not leaks, "\n".join(f"{place}: {leaks[place]}" for place in leaks)


def test_masks_stand_where_the_secrets_were(masked: tuple[Planted, Searched]) -> None:
    _, searched = masked
    masks = sum(text.count("[masked:") for text in searched.texts.values())
    assert masks > 100


def test_a_secret_id_is_none(masked: tuple[Planted, Searched]) -> None:
    assert masked[1].holds(SECRET_ID)


def test_every_kind_of_file_was_searched(masked: tuple[Planted, Searched]) -> None:
    names = set(masked[1].texts)
    endings = {name.rpartition(".")[2] for name in names}
    assert {"json", "jsonl", "md", "js", "html"} <= endings
    assert {"summary.json", "terminal"} <= names
    assert sum(name.startswith("flow ") for name in names) > 40


def test_without_masks_the_same_search_finds_them(unmasked: tuple[Planted, Searched]) -> None:
    planted, searched = unmasked
    unseen = [
        place
        for place, secret in planted.secrets.items()
        if place not in planted.hidden and not searched.holds(secret)
    ]
    assert unseen == []


def test_without_masks_no_secret_key_and_no_form_field_is_written_either(
    unmasked: tuple[Planted, Searched],
) -> None:
    planted, searched = unmasked
    assert {"SecretKey", "policy in a form"} <= planted.hidden
    for place in planted.hidden:
        assert searched.holding(planted.secrets[place]) == [], place
