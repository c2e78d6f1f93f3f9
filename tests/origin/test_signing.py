"""The verifier, judged by the real SDK's signatures."""

from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from qcloud_cos import CosConfig, CosS3Client, CosServiceError
from requests.adapters import HTTPAdapter

from tests.origin.client import BUCKET, HOST
from tests.origin.server import Origin
from tests.origin.signing import TemporaryKey, Verifier, sign, string_to_sign

ID = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234"
KEY = "KEYEXAMPLEKEYEXAMPLEKEYEXAMPLE12"
TEMPORARY_ID = "AKIDtemporary-" + "x" * 50
TOKEN = "token-abcdefghijklmnop"


class ToOrigin(HTTPAdapter):
    """Sends what was signed for a host of COS to the server on loopback."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port

    def send(
        self, request: requests.PreparedRequest, *args: Any, **named: Any
    ) -> requests.Response:
        address = urlsplit(request.url or "")
        request.headers["Host"] = str(address.hostname)
        request.url = (
            f"http://127.0.0.1:{self.port}{str(request.url).split(str(address.netloc), 1)[1]}"
        )
        return super().send(request, *args, **named)


@pytest.fixture
def verifier(origin: Origin) -> Verifier:
    verifier = Verifier({ID: KEY}, {TEMPORARY_ID: TemporaryKey("temporary", TOKEN)})
    origin.authorise = verifier
    return verifier


def sdk(origin: Origin, secret_id: str = ID, key: str = KEY, **settings: Any) -> Any:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", ToOrigin(origin.http_port))
    config = CosConfig(
        Region="ap-guangzhou", SecretId=secret_id, SecretKey=key, Scheme="http", **settings
    )
    return CosS3Client(config, retry=0, session=session)


@pytest.mark.parametrize(
    "key", ["a.txt", "a b+c%20.txt", "目录/腾讯云(1)!*'.txt", "a//b", "~x=&y?"]
)
def test_the_sdk_is_let_through(origin: Origin, verifier: Verifier, key: str) -> None:
    client = sdk(origin)
    client.put_object(BUCKET, b"content", key, EnableMD5=True, Metadata={"x-cos-meta-a": "b c/d"})
    assert client.get_object(BUCKET, key)["Body"].get_raw_stream().read() == b"content"
    client.list_objects(BUCKET, Prefix=key[:1], MaxKeys=5)
    client.head_object(BUCKET, key)
    client.delete_objects(BUCKET, {"Object": [{"Key": key}]})
    assert verifier.refusals == []


def test_presigned_urls(origin: Origin, verifier: Verifier) -> None:
    client = sdk(origin)
    client.put_object(BUCKET, b"content", "a b/c.txt")
    url = client.get_presigned_url(
        BUCKET, "a b/c.txt", "GET", Params={"response-cache-control": "no-store"}
    )
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", ToOrigin(origin.http_port))
    assert session.get(url).content == b"content"
    assert session.get(url.replace("no-store", "no-cache")).status_code == 403
    assert verifier.refusals == ["SignatureDoesNotMatch"]


def test_a_wrong_key_is_told_what_was_signed(origin: Origin, verifier: Verifier) -> None:
    with pytest.raises(CosServiceError) as caught:
        sdk(origin, key="wrong").get_object(BUCKET, "a b.txt")
    error = caught.value
    assert error.get_status_code() == 403
    assert error.get_error_code() == "SignatureDoesNotMatch"
    assert verifier.refusals == ["SignatureDoesNotMatch"]


def test_what_the_answer_repeats(origin: Origin, verifier: Verifier) -> None:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", ToOrigin(origin.http_port))
    time = f"{int(verifier.clock())};{int(verifier.clock()) + 60}"
    signed = (
        f"q-sign-algorithm=sha1&q-ak={ID}&q-sign-time={time}&q-key-time={time}"
        f"&q-header-list=host&q-url-param-list=&q-signature={'0' * 40}"
    )
    answer = session.get(f"http://{HOST}/a%20b+c", headers={"Authorization": signed})
    text = f"get\n/a b+c\n\nhost={HOST}\n"
    assert f"<FormatString>{text}</FormatString>" in answer.text
    assert f"<StringToSign>{string_to_sign(time, text)}</StringToSign>" in answer.text
    right = signed.replace("0" * 40, sign(KEY, time, string_to_sign(time, text)))
    assert (
        session.get(f"http://{HOST}/a%20b+c", headers={"Authorization": right}).status_code == 404
    )


@pytest.mark.parametrize(
    ("off", "code"), [(20_000, "AccessDenied"), (-20_000, "RequestTimeTooSkewed"), (600, None)]
)
def test_clocks(origin: Origin, verifier: Verifier, off: int, code: str | None) -> None:
    clock = verifier.clock
    verifier.clock = lambda: clock() + off
    client = sdk(origin)
    if code is None:
        client.put_object(BUCKET, b"content", "a")
        return
    with pytest.raises(CosServiceError) as caught:
        client.put_object(BUCKET, b"content", "a")
    assert caught.value.get_error_code() == code
    if code == "AccessDenied":
        assert caught.value.get_error_msg() == "Request has expired"


def test_who_is_unknown(origin: Origin, verifier: Verifier) -> None:
    for client in (
        sdk(origin, "AKIDunknown"),
        sdk(origin, TEMPORARY_ID, "temporary"),
        sdk(origin, TEMPORARY_ID, "temporary", Token="another"),
    ):
        with pytest.raises(CosServiceError) as caught:
            client.put_object(BUCKET, b"content", "a")
        assert caught.value.get_error_code() == "InvalidAccessKeyId"
    sdk(origin, TEMPORARY_ID, "temporary", Token=TOKEN).put_object(BUCKET, b"content", "a")
    verifier.temporary = {TEMPORARY_ID: TemporaryKey("temporary", TOKEN, expires=1.0)}
    with pytest.raises(CosServiceError) as caught:
        sdk(origin, TEMPORARY_ID, "temporary", Token=TOKEN).put_object(BUCKET, b"content", "a")
    assert caught.value.get_error_code() == "ExpiredToken"


def test_anonymous(origin: Origin, verifier: Verifier) -> None:
    client = sdk(origin, Anonymous=True)
    with pytest.raises(CosServiceError) as caught:
        client.put_object(BUCKET, b"content", "a")
    assert caught.value.get_error_code() == "AccessDenied"
    verifier.anonymous = True
    client.put_object(BUCKET, b"content", "a")


def test_a_strict_bucket(origin: Origin, verifier: Verifier) -> None:
    verifier.strict = ("user-agent",)
    with pytest.raises(CosServiceError) as caught:
        sdk(origin).put_object(BUCKET, b"content", "a")
    assert caught.value.get_error_code() == "SignatureDoesNotMatch"
