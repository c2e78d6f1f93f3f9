"""Requests signed by the Python SDK or by hand, for tests of signatures."""

import hashlib
import hmac
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import requests
from qcloud_cos.cos_auth import CosS3Auth

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.signature import Signature, read_signature
from cos_inspect.cos.signature_mistakes import Recomputed, recompute
from cos_inspect.cos.signature_scheme import read_signed
from cos_inspect.model.exchange import Request
from cos_inspect.model.headers import Headers

SECRET_ID = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE1234"
SECRET_KEY = "KEYEXAMPLEKEYEXAMPLEKEYEXAMPLE12"
HOST = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
START = 1577957984
WINDOW = f"{START};{START + 900}"

Fields = tuple[tuple[str, str], ...]


def request_of(
    method: str, target: str, headers: Fields, *, dropped: Fields = (), host: str = HOST
) -> Request:
    return Request(
        method=method,
        scheme="https",
        host=host,
        port=443,
        target=target,
        http_version="HTTP/1.1",
        headers=Headers((("Host", host), *headers)),
        dropped_headers=dropped,
    )


def signed_by_sdk(
    method: str, key: str, params: dict[str, str], headers: dict[str, str], start: int = START
) -> Request:
    """As the Python SDK signs and sends it."""
    configuration: Any = SimpleNamespace(
        _secret_id=SECRET_ID,
        _secret_key=SECRET_KEY,
        _anonymous=False,
        _sign_params=True,
        _sign_host=True,
    )
    url = f"https://{HOST}/{quote(key, safe='/-_.~')}"
    if params:
        url += "?" + "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in params.items())
    prepared = requests.Request(method, url, headers=headers).prepare()
    prepared.headers["Content-Length"] = "0"
    with patch("time.time", return_value=start + 60):
        CosS3Auth(configuration, key, params)(prepared)
    sent = tuple((name, str(value)) for name, value in prepared.headers.items())
    target = url.removeprefix(f"https://{HOST}")
    return request_of(method, target, sent)


def signed_by_hand(
    http_string: str,
    *,
    sign_time: str = WINDOW,
    key_time: str = WINDOW,
    header_list: str = "host",
    parameter_list: str = "",
    key: str | None = None,
    raw_key: bool = False,
    string_to_sign: str | None = None,
    secret_id: str = SECRET_ID,
) -> str:
    """An Authorization header that signs whatever is given."""
    digest = hmac.new((key or SECRET_KEY).encode(), key_time.encode(), hashlib.sha1)
    sign_key = digest.digest() if raw_key else digest.hexdigest().encode()
    text = string_to_sign
    if text is None:
        text = f"sha1\n{sign_time}\n{hashlib.sha1(http_string.encode()).hexdigest()}\n"
    value = hmac.new(sign_key, text.encode(), hashlib.sha1).hexdigest()
    return (
        f"q-sign-algorithm=sha1&q-ak={secret_id}&q-sign-time={sign_time}&q-key-time={key_time}"
        f"&q-header-list={header_list}&q-url-param-list={parameter_list}&q-signature={value}"
    )


def signature_in(request: Request, form: Headers | None = None) -> Signature:
    signed = read_signed(request.headers, request.target, form)
    signature = read_signature(signed, request.headers, request.target, form)
    assert signature is not None
    return signature


def recomputed(
    request: Request, form: Headers | None = None, key: str = SECRET_KEY
) -> Recomputed | None:
    endpoint = read_endpoint(request.host, request.target)
    assert endpoint is not None
    return recompute(signature_in(request, form), request, form, endpoint, key)
