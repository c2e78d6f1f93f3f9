"""The line for a support ticket."""

import msgspec

from cos_inspect.inspection.first_look import first_look
from cos_inspect.inspection.ticket import ticket_line
from tests.rules.exchanges import REQUEST_ID, TRACE_ID, exchange

ERROR = (
    b"<Error><Code>NoSuchKey</Code><Message>no</Message>"
    + f"<RequestId>{REQUEST_ID}</RequestId><TraceId>{TRACE_ID}</TraceId></Error>".encode()
)


def ticket(**how: object) -> str | None:
    found = first_look(exchange(**how))  # type: ignore[arg-type]
    assert found is not None
    assert ticket_line(found.report) == found.report.ticket
    return found.report.ticket


def test_a_failure() -> None:
    agent = (("User-Agent", "cos-python-sdk-v5.1.9.44"),)
    assert ticket(status=404, answer=ERROR, headers=agent) == (
        f"request id: {REQUEST_ID}; trace id: {TRACE_ID}; time: 2020-01-02T09:39:44.000Z;"
        " method: GET (GetObject); bucket: examplebucket-1250000000; region: ap-beijing;"
        " key: exampleobject; status: 404; code: NoSuchKey; client: cos-python-sdk-v5 1.9.44"
    )


def test_a_success_has_none() -> None:
    assert ticket() is None
    assert ticket(status=304) is None


def test_an_error_in_a_success() -> None:
    line = ticket(method="POST", target="/a?uploadId=1", answer=ERROR)
    assert line is not None
    assert "status: 200; code: NoSuchKey" in line


def test_no_answer() -> None:
    line = ticket(status=None, error="reset")
    assert line is not None
    assert "request id: none; trace id: none" in line
    assert "status: no response" in line


def test_it_stays_one_line_without_secrets() -> None:
    line = ticket(
        target="/a%0Ab%E2%80%A8c%7F?x-cos-security-token=secret-token&q-signature=abcdef0123456789",
        status=403,
        headers=(("x-cos-security-token", "secret-token"),),
    )
    assert line is not None
    assert "key: a%0Ab%E2%80%A8c%7F;" in line
    assert len(line.splitlines()) == 1
    assert "secret-token" not in line
    assert "abcdef0123456789" not in line


def test_it_stands_in_the_written_report() -> None:
    found = first_look(exchange(status=404, answer=ERROR))
    assert found is not None
    assert msgspec.json.decode(msgspec.json.encode(found.report))["ticket"] == found.report.ticket


def test_damage_under_a_status_of_success_has_one() -> None:
    line = ticket(answer=b"damaged", answer_headers=(("x-cos-hash-crc64ecma", "1"),))
    assert line is not None
    assert "status: 200" in line
    assert "damage: crc64-mismatch" in line
