"""The mark of a flow that was signed anew counts for that signature alone."""

import pytest

from cos_inspect.model.exchange import Request, Resigned
from cos_inspect.model.headers import Headers
from cos_inspect.recording.resigned import RESIGNED_KEY, resigned_data, resigned_of

VALUE = "0123456789" * 4
MARK = Resigned(secret_id="AKID1", token_removed=True, at=1_795_000_000)


def _request(authorization: str, target: str = "/a") -> Request:
    return Request(
        method="GET",
        scheme="https",
        host="h",
        port=443,
        target=target,
        http_version="HTTP/1.1",
        headers=Headers([("Authorization", authorization)]),
    )


def test_it_is_read_back() -> None:
    metadata = {RESIGNED_KEY: resigned_data(VALUE, MARK)}
    assert resigned_of(metadata, _request(f"q-ak=AKID1&q-signature={VALUE}")) == MARK
    assert resigned_of(metadata, _request("", f"/a?q-signature={VALUE}")) == MARK


def test_a_signature_by_somebody_else_takes_it_away() -> None:
    metadata = {RESIGNED_KEY: resigned_data(VALUE, MARK)}
    assert resigned_of(metadata, _request(f"q-signature={'1' * 40}")) is None
    assert resigned_of({}, _request(VALUE)) is None


@pytest.mark.parametrize(
    "data",
    [
        None,
        "x",
        {},
        {"signature": "", "secret_id": "a", "at": 1},
        {"signature": VALUE, "secret_id": 7, "at": 1},
        {"signature": VALUE, "secret_id": "a", "at": 10**20},
        {"signature": VALUE, "secret_id": "a", "at": "1"},
    ],
)
def test_odd_marks_are_none(data: object) -> None:
    assert resigned_of({RESIGNED_KEY: data}, _request(VALUE)) is None
