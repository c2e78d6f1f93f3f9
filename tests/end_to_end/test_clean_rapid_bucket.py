"""A Rapid Bucket over plain HTTP, as its documents want it: nothing but that is said."""

import time
from collections.abc import Iterator

import pytest
import requests

from tests.end_to_end.harness import Report, checks, one_proxy, only, rules

pytestmark = pytest.mark.end_to_end

BUCKET = "examplebucket-x--1250000000"
HOST = f"{BUCKET}.cosrapid.ap-guangzhou.myqcloud.com"
SERVICE = "service.cosrapid.ap-guangzhou.myqcloud.com"
DATA = b"[Object Content]" * 1000
TOKEN = "a-token-of-a-session"


def signed() -> dict[str, str]:
    span = f"{int(time.time())};{int(time.time()) + 600}"
    return {
        "User-Agent": "cos-python-sdk-v5.1.9.45",
        "Authorization": f"q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time={span}"
        f"&q-key-time={span}&q-header-list=host&q-url-param-list="
        "&q-signature=3b8851a11a569213c17ba8fa7dcf2abec6935172",
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Report]]:
    with one_proxy(tmp_path_factory.mktemp("rapid")) as (_, proxy):

        def send(method: str, path: str, status: int = 200, **settings: object) -> None:
            headers = {**signed(), **settings.pop("headers", {})}  # type: ignore[dict-item]
            url = f"http://{settings.pop('host', HOST)}{path}"
            answer = requests.request(
                method,
                url,
                headers=headers,
                proxies=proxy.proxies,
                timeout=30,
                **settings,  # type: ignore[arg-type]
            )
            assert answer.status_code == status, answer.text

        token = {"x-cos-security-token": TOKEN}
        forbid = {"x-cos-forbid-overwrite": "true"}
        send("GET", "/", host=SERVICE)
        send("PUT", "/")
        send("GET", "/?session", headers={"x-cos-create-session-mode": "ReadWrite"})
        send("PUT", "/doc/", headers=token)
        send("PUT", "/doc/a.txt", data=DATA, headers=token)
        send("PUT", "/doc/b.txt", headers={**token, **forbid, "x-cos-rename-source": "/doc/a.txt"})
        send("GET", "/doc/b.txt", headers=token)
        send("HEAD", "/doc/b.txt", headers=token)
        send("PUT", "/doc/c.txt", data=b"other", headers=token)
        send(
            "PUT",
            "/doc/b.txt",
            409,
            headers={**token, **forbid, "x-cos-rename-source": "/doc/c.txt"},
        )
        proxy.stop()
        assert "Traceback" not in proxy.output
        assert TOKEN not in proxy.output
        yield proxy.reports


@pytest.mark.parametrize(
    ("operation", "key"),
    [
        ("GetService", None),
        ("PutBucket", None),
        ("CreateSession", None),
        ("PutObject", "doc/"),
        ("PutObject", "doc/a.txt"),
        ("GetObject", "doc/b.txt"),
        ("HeadObject", "doc/b.txt"),
    ],
)
def test_plain_http_is_all_that_is_said(
    reports: list[Report], operation: str, key: str | None
) -> None:
    """Once for the client and its key, on the earliest flow."""
    report = only(reports, operation, key)
    first = operation == "GetService"
    assert rules(report) == (["credentials-in-clear"] if first else [])
    assert report["verdict"] == ("notice" if first else "ok")
    assert report["cos"]["endpoint"] == ("service" if operation == "GetService" else "default")


def test_what_was_renamed_is_whole(reports: list[Report]) -> None:
    renamed, refused = (r for r in reports if r["cos"]["operation"] == "RenameObject")
    assert (rules(renamed), renamed["verdict"]) == ([], "ok")
    assert not {check for check, _ in checks(renamed)} & {"etag", "crc64"}
    assert rules(refused) == ["error-response"]
    assert refused["error"]["code"] == "FileAlreadyExists"
    read = only(reports, "GetObject", "doc/b.txt")
    assert checks(read)["crc64", "response"] == checks(read)["etag", "response"] == "match"
