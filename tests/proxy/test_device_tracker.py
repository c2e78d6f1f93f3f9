"""What the proxy sees of devices besides flows of COS."""

from mitmproxy import connection
from mitmproxy.test import tflow

from cos_inspect.model.devices import DeviceSummary, DeviceTally, with_connections
from cos_inspect.proxy.device_tracker import DeviceTracker

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


class Rows:
    def __init__(self) -> None:
        self.rows: list[DeviceSummary] = []
        self.tracker = DeviceTracker(self._take)

    def _take(self, tally: DeviceTally) -> None:
        self.rows = with_connections(tally.added_to(self.rows, 1), [])

    @property
    def one(self) -> DeviceSummary:
        (row,) = self.rows
        return row


def client_of(address: str = "10.0.0.5") -> connection.Client:
    client = tflow.tclient_conn()
    client.peername = (address, 41234)
    return client


def test_who_sent_something_was_seen() -> None:
    rows = Rows()
    rows.tracker.seen(client_of())
    assert rows.one.address == "10.0.0.5"
    assert rows.one.last_seen


def test_a_client_without_an_address_is_no_device() -> None:
    rows = Rows()
    client = client_of()
    client.peername = None  # type: ignore[assignment]
    rows.tracker.seen(client)
    rows.tracker.resolved(client)
    assert rows.rows == []


def test_other_flows_count_and_http_dns_is_told() -> None:
    rows = Rows()
    flow = tflow.tflow()
    flow.client_conn = client_of()
    rows.tracker.other_flow(flow, "api.example.com")
    assert (rows.one.others, rows.one.suspected) == (1, [])
    rows.tracker.other_flow(flow, "119.29.29.29")
    assert [each.what for each in rows.one.suspected] == ["httpdns"]


def test_doubt_is_taken_back_by_a_request() -> None:
    rows = Rows()
    rows.tracker.trusted("10.0.0.5")
    assert rows.rows == []
    rows.tracker.doubted("10.0.0.5", HOST)
    assert rows.one.tls == "doubtful"
    rows.tracker.trusted("10.0.0.5")
    assert rows.one.tls is None


def test_quic_and_addresses_are_told() -> None:
    rows = Rows()
    rows.tracker.quic("10.0.0.5", HOST)
    rows.tracker.went_by_address(client_of())
    rows.tracker.refused_other(client_of(), "cdn.example.com")
    assert [each.what for each in rows.one.suspected] == ["httpdns", "quic"]
    assert rows.one.refused_other_hosts == ["cdn.example.com"]


def test_names_that_were_asked_for_are_counted() -> None:
    rows = Rows()
    rows.tracker.resolved(client_of())
    rows.tracker.resolved(client_of())
    assert rows.one.resolved == 2
