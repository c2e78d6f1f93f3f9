"""Rows are what the report says, under other names. All columns of real reports are compared
in ``tests/analyze/test_datasets.py``."""

import msgspec
import pytest

from cos_inspect.dataset.rows import day_of, rows_of
from cos_inspect.model.flow_report import BrokeOffReport, ConnectionReport, TransferReport
from cos_inspect.model.moments import microseconds_of
from tests.report.build import finding, flow_report, healed_try


def test_days() -> None:
    moment = microseconds_of("2026-11-22T23:59:59.999Z")
    assert moment == 1795391999_999000
    assert day_of(moment) == "2026-11-22"
    assert day_of(1795391999_999000 + 1000) == "2026-11-23"
    assert day_of(None) == day_of(2**62) == "unknown"


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("10.0.0.5:41234", "10.0.0.5"),
        ("[2001:db8::1]:41234", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("10.0.0.5", "10.0.0.5"),
        ("phone", "phone"),
        (None, None),
    ],
)
def test_the_address_is_the_clients_without_its_port(
    client: str | None, address: str | None
) -> None:
    connection = ConnectionReport(client=client, server=None, sni=None, tls=None, by_address=False)
    report = msgspec.structs.replace(flow_report(), connection=connection)
    assert rows_of(report, "a.mitm").flow.client_address == address


@pytest.mark.parametrize(
    ("query", "upload_id", "number"),
    [
        ("partNumber=3&uploadId=u%2F1", "u/1", 3),
        ("uploadId=u1", "u1", None),
        ("uploads", None, None),
        ("partNumber=99999999999999999999&uploadId=", None, None),
        ("partNumber=10001&uploadId=a", "a", None),
        ("partNumber=-1&uploadId=a&uploadId=b", "a", None),
    ],
)
def test_upload_and_part_are_those_of_the_url(
    query: str, upload_id: str | None, number: int | None
) -> None:
    report = flow_report()
    request = msgspec.structs.replace(report.request, url=f"https://host/a.txt?{query}")
    flow = rows_of(msgspec.structs.replace(report, request=request), "a.mitm").flow
    assert (flow.upload_id, flow.part_number) == (upload_id, number)


def test_an_upload_that_the_transfer_knows_has_its_id() -> None:
    transfer = TransferReport(kind="multipart-upload", id="u1")
    flow = rows_of(msgspec.structs.replace(flow_report(), transfer=transfer), "a.mitm").flow
    assert (flow.upload_id, flow.transfer_kind, flow.transfer_id) == (
        "u1",
        "multipart-upload",
        "u1",
    )


def test_a_connection_has_a_row_where_it_failed() -> None:
    assert rows_of(flow_report(), "a.mitm").connections == []
    broke_off = BrokeOffReport(by="client", option=None, after_ms=5.0, waited_ms=4.0, said="gone")
    report = msgspec.structs.replace(flow_report(status=None), broke_off=broke_off)
    (row,) = rows_of(report, "a.mitm").connections
    assert (row.failed, row.after_ms, row.waited_ms, row.said) == ("client", 5.0, 4.0, "gone")
    assert row.rule is None
    failed = flow_report(status=None, findings=[finding("connection-failed", group="connection")])
    (row,) = rows_of(failed, "a.mitm").connections
    assert (row.failed, row.rule, row.severity) == (None, "connection-failed", "error")


def test_a_healed_try_is_told_as_one() -> None:
    rows = rows_of(healed_try(), "a.mitm")
    assert rows.flow.healed
    assert [each.healed for each in rows.findings] == [True]
    assert rows.flow.rules == ["error-response"]


def test_evidence_is_json_whatever_it_holds() -> None:
    odd = msgspec.structs.replace(finding(), evidence={"a": ["\ud800", 1], "b": {"c": None}})
    (row,) = rows_of(flow_report(findings=[odd]), "a.mitm").findings
    assert msgspec.json.decode(row.evidence) == {
        "a": ["\N{REPLACEMENT CHARACTER}", 1],
        "b": {"c": None},
    }
