"""What the hooks for connections are made into, without a network."""

import asyncio
import logging
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mitmproxy import connection, hooks, http, tls
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons, tflow, tutils

from cos_inspect.model.devices import ConnectionFailureSummary
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.model.summary_merging import merged
from cos_inspect.proxy import connection_failures as trouble
from cos_inspect.proxy import connection_tracker as connections
from cos_inspect.proxy import open_connections
from cos_inspect.proxy.connection_tracker import ConnectionTracker
from cos_inspect.proxy.exit_status import ExitStatus
from cos_inspect.proxy.inspector import CosInspect
from tests.proxy.test_resolved_names import answered

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"
OTHER = "www.example.com"
REFUSED = "[Errno 111] Connect call failed ('192.0.2.1', 443)"
ALERT = f"The client does not trust the proxy's certificate for {HOST} (tlsv1 alert unknown ca)"
SILENT = (
    f"The client disconnected during the handshake. If this happens consistently for {HOST},"
    " this may indicate that the client does not trust the proxy's certificate."
)


class Driver:
    """A watch, the hooks that mitmproxy would call, and the summary that comes of it."""

    def __init__(self, *patterns: str, ignored: frozenset[str] = frozenset()) -> None:
        self.tally = SummaryDelta()
        self.watch = ConnectionTracker(self.tally.add_connection)
        self.watch.use(patterns, ignored)

    def connect(self, host: str = HOST, address: str = "10.0.0.7") -> connection.Client:
        """A client's CONNECT."""
        client = tflow.tclient_conn()
        client.id = f"client-{id(client)}-{host}"
        client.peername = (address, 50000)
        client.timestamp_start = 1000.0
        client.timestamp_tls_setup = client.timestamp_end = None
        self.watch.http_connect(self.flow(client, host))
        return client

    def flow(self, client: connection.Client, host: str = HOST, text: str = "") -> http.HTTPFlow:
        request = tutils.treq(host=host, headers=http.Headers(((b"Host", host.encode()),)))
        flow = tflow.tflow(client_conn=client, req=request, err=bool(text))
        if flow.error:
            flow.error.msg = text
        return flow

    def hello(self, client: connection.Client, name: str | None = HOST) -> None:
        hello: Any = SimpleNamespace(sni=name)
        context: Any = SimpleNamespace(client=client, server=tflow.tserver_conn())
        context.server.address = (HOST, 443)
        self.watch.tls_clienthello(tls.ClientHelloData(context, hello))

    def established(self, client: connection.Client) -> None:
        client.timestamp_tls_setup = 1001.0
        self.watch.tls_established_client(tls.TlsData(client, _context(client)))

    def refused(self, client: connection.Client, text: str) -> None:
        client.error = text
        self.watch.tls_failed_client(tls.TlsData(client, _context(client)))

    def gone(self, client: connection.Client, after: float = 0.1) -> None:
        client.timestamp_end = (client.timestamp_tls_setup or client.timestamp_start) + after
        self.watch.client_disconnected(client)

    def pinned(self, host: str = HOST, after: float = 0.1, address: str = "10.0.0.7") -> None:
        """A whole connection without a request."""
        client = self.connect(host, address)
        self.hello(client, host)
        self.established(client)
        self.gone(client, after)

    def worked(self, host: str = HOST, address: str = "10.0.0.7") -> None:
        client = self.connect(host, address)
        self.hello(client, host)
        self.established(client)
        self.watch.requestheaders(self.flow(client, host))
        self.gone(client)

    def unreachable(
        self, client: connection.Client, text: str = REFUSED, host: str = HOST
    ) -> connection.Server:
        server = tflow.tserver_conn()
        server.address = (host, 443)
        server.sni = None
        server.error = text
        server.timestamp_start = client.timestamp_start
        self.watch.server_connect_error(ServerConnectionHookData(server=server, client=client))
        return server

    @property
    def troubles(self) -> list[ConnectionFailureSummary]:
        return merged(None, self.tally).connections

    @property
    def told(self) -> list[tuple[str, int, list[str]]]:
        return [
            (item.failed, item.count, [finding.rule for finding in item.findings])
            for item in self.troubles
        ]


def _context(client: connection.Client) -> Context:
    context: Any = SimpleNamespace(client=client, server=None)
    return context  # type: ignore[no-any-return]


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.mark.parametrize(
    ("text", "failed", "rules"),
    [
        (ALERT, "client-refused-certificate", ["tls-untrusted"]),
        (
            f"The client may not trust the proxy's certificate for {HOST} (OpenSSL Error([('SSL"
            " routines', '', 'ssl/tls alert certificate expired')]))",
            "client-refused-certificate",
            ["tls-untrusted"],
        ),
        (SILENT, "client-closed-in-handshake", ["tls-untrusted"]),
        (
            "Client and mitmproxy cannot agree on a TLS version to use. You may need to adjust"
            " mitmproxy's tls_version_client_min option.",
            "client-handshake",
            [],
        ),
        (
            f"The client may not trust the proxy's certificate for {HOST} (OpenSSL Error([('SSL"
            " routines', '', 'tlsv1 alert internal error')]))",
            "client-handshake",
            [],
        ),
    ],
)
def test_what_mitmproxy_says_of_a_handshake(
    driver: Driver, text: str, failed: str, rules: list[str]
) -> None:
    client = driver.connect()
    driver.hello(client)
    driver.refused(client, text)
    driver.gone(client)
    assert driver.told == [(failed, 1, rules)]
    assert driver.troubles[0].detail == text
    assert driver.troubles[0].client == "10.0.0.7"
    assert driver.watch.has_errors is bool(rules)


def test_a_client_that_left_before_its_hello_was_whole_refused_nothing(driver: Driver) -> None:
    client = driver.connect()
    driver.refused(client, SILENT)
    driver.gone(client)
    other = driver.connect()
    driver.hello(other)
    driver.refused(other, "connection closed early")
    driver.gone(other)
    assert driver.told == []


def test_the_server_name_goes_before_the_address(driver: Driver) -> None:
    client = driver.connect("192.0.2.1")
    driver.hello(client, HOST.upper())
    driver.refused(client, ALERT)
    assert driver.troubles[0].host == HOST


def test_without_a_server_name_the_address_counts(driver: Driver) -> None:
    client = driver.connect("192.0.2.1")
    driver.hello(client, None)
    driver.refused(client, ALERT)
    assert driver.troubles[0].host == HOST


def test_hosts_that_are_not_cos_are_left_alone(driver: Driver) -> None:
    client = driver.connect(OTHER)
    hello: Any = SimpleNamespace(sni=OTHER)
    context: Any = SimpleNamespace(client=client, server=tflow.tserver_conn())
    driver.watch.tls_clienthello(tls.ClientHelloData(context, hello))
    driver.refused(client, ALERT)
    driver.unreachable(client, host=OTHER)
    driver.gone(client)
    driver.watch.finish()
    assert driver.told == []


def test_a_host_that_would_upset_a_terminal_is_none() -> None:
    driver = Driver("*")
    driver.refused(driver.connect("a\x1b[31m.example.com"), ALERT)
    assert driver.told == []


def test_patterns_name_further_hosts() -> None:
    driver = Driver("*.example.com")
    client = driver.connect(OTHER)
    driver.hello(client, OTHER)
    driver.refused(client, ALERT)
    assert driver.troubles[0].host == OTHER


def test_pinning_needs_a_second_try(driver: Driver) -> None:
    driver.pinned()
    assert driver.told == []
    driver.pinned()
    assert driver.told == [("client-closed-after-handshake", 2, ["tls-untrusted"])]
    driver.pinned()
    assert driver.told == [("client-closed-after-handshake", 3, ["tls-untrusted"])]


def test_one_unused_connection_is_listed_at_the_end(driver: Driver) -> None:
    driver.pinned()
    driver.watch.finish()
    assert driver.told == [("client-closed-after-handshake", 1, [])]
    assert not driver.watch.has_errors


def test_tries_of_several_clients_or_hosts_are_not_added_up(driver: Driver) -> None:
    driver.pinned()
    driver.pinned(address="10.0.0.8")
    driver.pinned("other-1250000000.cos.ap-guangzhou.myqcloud.com")
    assert driver.told == []


def test_connections_that_were_kept_for_a_while_were_not_refused(driver: Driver) -> None:
    for _ in range(5):
        driver.pinned(after=60.0)
    driver.watch.finish()
    assert driver.told == [("client-closed-after-handshake", 5, [])]


def test_spare_connections_of_a_client_that_works_are_no_trouble(driver: Driver) -> None:
    driver.worked()
    for _ in range(5):
        driver.pinned()
    driver.watch.finish()
    assert driver.told == []


def test_a_silent_drop_of_a_client_that_works_is_listed_without_a_finding(driver: Driver) -> None:
    driver.worked()
    client = driver.connect()
    driver.hello(client)
    driver.refused(client, SILENT)
    assert driver.told == [("client-closed-in-handshake", 1, [])]


def test_a_later_request_takes_back_what_was_in_doubt(driver: Driver) -> None:
    driver.pinned()
    driver.pinned()
    client = driver.connect()
    driver.hello(client)
    driver.refused(client, SILENT)
    assert driver.watch.has_errors
    driver.worked(address="10.0.0.8")
    assert len(driver.told) == 2
    driver.worked()
    assert driver.told == []
    assert not driver.watch.has_errors


def test_an_alert_is_not_taken_back(driver: Driver) -> None:
    client = driver.connect()
    driver.hello(client)
    driver.refused(client, ALERT)
    driver.worked()
    assert driver.told == [("client-refused-certificate", 1, ["tls-untrusted"])]


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        (REFUSED, "upstream-refused"),
        ("[Errno 61] Connect call failed ('192.0.2.1', 443)", "upstream-refused"),
        (
            "Multiple exceptions: [Errno 101] Connect call failed ('2001:db8::1', 443, 0, 0),"
            " [Errno 111] Connect call failed ('192.0.2.1', 443)",
            "upstream-refused",
        ),
        ("[Errno 110] Connect call failed ('192.0.2.1', 443)", "upstream-timeout"),
        ("[Errno 113] Connect call failed ('192.0.2.1', 443)", "upstream-unreachable"),
        ("[Errno -2] Name or service not known", "upstream-dns"),
        ("[Errno -3] Temporary failure in name resolution", "upstream-dns"),
        ("[Errno 8] nodename nor servname provided, or not known", "upstream-dns"),
        ("[Errno 11001] getaddrinfo failed", "upstream-dns"),
        ("killed by an addon", "upstream-connect"),
    ],
)
def test_why_a_server_was_not_reached(driver: Driver, text: str, failed: str) -> None:
    client = driver.connect()
    driver.unreachable(client, text)
    driver.watch.http_connect_error(driver.flow(client))
    driver.gone(client)
    assert driver.told == [(failed, 1, ["connection-failed"])]


def test_a_flow_that_failed_by_it_is_named_and_not_accused_again(driver: Driver) -> None:
    client = driver.connect()
    driver.unreachable(client)
    flows = [driver.flow(client, text=REFUSED) for _ in range(2)]
    for flow in flows:
        driver.watch.error(flow)
    driver.watch.error(driver.flow(client, text="another reason"))
    driver.watch.error(driver.flow(client, OTHER, REFUSED))
    driver.gone(client)
    assert driver.told == [("upstream-refused", 1, [])]
    assert driver.troubles[0].flows == [flow.id for flow in flows]


def test_a_server_that_failed_before_any_request_is_told_when_the_client_goes(
    driver: Driver,
) -> None:
    client = driver.connect()
    server = tflow.tserver_conn()
    server.address, server.sni = (HOST, 443), HOST
    server.error = "Certificate verify failed: unable to get local issuer certificate"
    data = tls.TlsData(server, _context(client))
    driver.watch.tls_failed_server(data)
    driver.hello(client)
    driver.established(client)
    assert driver.told == []
    driver.gone(client)
    assert driver.told == [("upstream-certificate", 1, [])]
    server.error = "connection closed"
    driver.watch.tls_failed_server(data)
    driver.watch.finish()
    assert driver.told[1:] == [("upstream-tls", 1, [])]


@pytest.mark.parametrize(("waited", "expected"), [(0.2, []), (9.0, ["upstream-timeout"])])
def test_a_client_that_gave_up_waiting(driver: Driver, waited: float, expected: list[str]) -> None:
    client = driver.connect()
    driver.gone(client, waited)
    driver.unreachable(client, "client disconnected")
    assert [failed for failed, _, _ in driver.told] == expected


def test_ignored_rules_are_not_found() -> None:
    driver = Driver(ignored=frozenset({"tls-untrusted", "connection-failed"}))
    client = driver.connect()
    driver.unreachable(client)
    driver.watch.http_connect_error(driver.flow(client))
    driver.hello(client)
    driver.refused(client, ALERT)
    assert [rules for _, _, rules in driver.told] == [[], []]
    assert not driver.watch.has_errors


def test_each_trouble_is_told_once_and_counted_at_the_end(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        client = driver.connect()
        driver.hello(client)
        driver.refused(client, ALERT)
        driver.gone(client)
    first = "\n".join(caplog.messages)
    assert len(caplog.records) == 1
    assert "tls-untrusted" in first
    assert "(tlsv1 alert unknown ca)" in first
    assert first.count("Android: ") == 1
    caplog.clear()
    driver.watch.finish()
    assert len(caplog.records) == 1
    assert caplog.messages[0].endswith("(3 times in all)")
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_nothing_is_told_after_the_end(driver: Driver) -> None:
    driver.watch.finish()
    driver.pinned()
    driver.pinned()
    client = driver.connect()
    driver.hello(client)
    driver.refused(client, ALERT)
    assert not driver.tally


def test_memory_is_bounded(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "_MOST_OPEN", 10)
    monkeypatch.setattr(open_connections, "_MOST_LEFT", 10)
    monkeypatch.setattr(trouble, "_REMEMBERED", 10)
    for number in range(50):
        host = f"b{number}-1250000000.cos.ap-guangzhou.myqcloud.com"
        driver.gone(driver.connect(host))
        client = driver.connect(host)
        driver.hello(client, host)
        driver.refused(client, SILENT)
    watch = driver.watch
    assert len(watch._open._open) == len(watch._open._left) == 10
    assert len(watch._failures._pairs) == len(watch._failures._totals) == 10
    assert watch.has_errors


def test_mitmproxy_feeds_it_through_the_addon() -> None:
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir="", cos_fail_on="error")
        assert not addon.is_failure
        driver = Driver()
        # Its hooks are the addon's own.
        driver.watch = cast("ConnectionTracker", addon)
        client = driver.connect()
        driver.hello(client)
        driver.refused(client, ALERT)
        assert addon.is_failure


def test_the_addon_has_each_of_its_hooks() -> None:
    known = {hook for hook in hooks.all_hooks if hasattr(ConnectionTracker, hook)}
    assert len(known) >= 9
    assert all(hasattr(CosInspect(), hook) for hook in known)


def test_a_run_that_may_fail_ends_with_its_exit_status() -> None:
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir="")
        addon.running()

        def places() -> list[bool]:
            return [isinstance(one, ExitStatus) for one in context.master.addons.chain]

        assert not any(places())
        context.configure(addon, cos_fail_on="error")
        context.configure(addon, cos_fail_on="notice")
        assert places()[-1]
        assert sum(places()) == 1
        context.configure(addon, cos_fail_on="never")
        assert not any(places())


UPSTREAM = ("127.0.0.1", 3128)


def test_a_dead_upstream_proxy_is_named_and_not_the_host(driver: Driver) -> None:
    client = driver.connect()
    client.proxy_mode = ProxyMode.parse("upstream:http://127.0.0.1:3128")
    server = tflow.tserver_conn()
    server.address, server.sni = UPSTREAM, None
    server.error = "[Errno 111] Connect call failed ('127.0.0.1', 3128)"
    driver.watch.server_connect_error(ServerConnectionHookData(server=server, client=client))
    driver.gone(client)
    (trouble,) = driver.troubles
    assert (trouble.host, trouble.failed) == (HOST, "upstream-proxy")
    assert "upstream proxy" in (trouble.fix or "")


def half_closed(driver: Driver, times: int = 2) -> list[connection.Client]:
    """A JVM closes its side after the handshake, and mitmproxy keeps the other."""
    clients = []
    for number in range(times):
        client = driver.connect()
        client.id = f"half-{number}"
        driver.watch.http_connect(driver.flow(client))
        driver.hello(client)
        driver.established(client)
        client.timestamp_tls_setup = time.time()
        client.state = connection.ConnectionState.CAN_WRITE
        clients.append(client)
    return clients


def test_half_closed_connections_are_told_at_the_end(driver: Driver) -> None:
    half_closed(driver)
    driver.watch.note_half_closed()
    driver.watch.finish()
    assert driver.told == [("client-closed-after-handshake", 2, ["tls-untrusted"])]


def test_half_closed_connections_are_counted_once(driver: Driver) -> None:
    clients = half_closed(driver)
    driver.watch.note_half_closed()
    driver.watch._count_half_closed()
    for client in clients:
        driver.gone(client)
    driver.watch.finish()
    assert driver.told == [("client-closed-after-handshake", 2, ["tls-untrusted"])]


def test_open_connections_are_no_trouble_at_the_end(driver: Driver) -> None:
    for client in half_closed(driver):
        client.state = connection.ConnectionState.OPEN
    driver.watch.note_half_closed()
    driver.watch.finish()
    assert driver.told == []


def test_half_closed_connections_are_seen_by_a_timer(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.01)

    async def until_told() -> None:
        half_closed(driver)
        while not driver.troubles:  # noqa: ASYNC110 (nothing tells of it but what is looked at)
            await asyncio.sleep(0.005)
        assert not driver.watch._looks_again

    asyncio.run(asyncio.wait_for(until_told(), 60))
    assert driver.told == [("client-closed-after-handshake", 2, ["tls-untrusted"])]


def test_nothing_is_noted_while_everything_ends(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.01)
    asked: list[None] = []

    def may_not() -> bool:
        asked.append(None)
        return False

    driver.watch.may_judge = may_not

    async def until_asked() -> None:
        half_closed(driver)
        while len(asked) < 3:  # noqa: ASYNC110 (the same)
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(until_asked(), 60))
    driver.watch.finish()
    assert driver.told == []


def test_a_failure_by_address_has_the_name_that_was_asked(driver: Driver) -> None:
    client = tflow.tclient_conn()
    client.id, client.peername = "by-address", ("10.0.0.7", 50000)
    driver.watch.dns_response(answered(HOST, "203.0.113.9"))
    server = tflow.tserver_conn()
    server.address, server.sni, server.error = ("203.0.113.9", 443), None, REFUSED
    driver.watch.server_connect_error(ServerConnectionHookData(server=server, client=client))
    driver.gone(client)
    (trouble,) = driver.troubles
    assert (trouble.host, trouble.client, trouble.failed) == (HOST, "10.0.0.7", "upstream-refused")


def test_a_refusal_over_quic(driver: Driver) -> None:
    client = driver.connect()
    client.transport_protocol = "udp"
    driver.hello(client)
    driver.refused(client, "unknown error (0x12a)")
    assert driver.told == [("client-refused-certificate", 1, ["tls-untrusted"])]


def test_raw_streams_pass_unread_and_are_no_pinning(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    with taddons.context() as context, caplog.at_level(logging.WARNING):
        context.options.update(tcp_hosts=["myqcloud"])
        for _ in range(3):
            client = driver.connect()
            driver.hello(client)
            driver.established(client)
            flow = tflow.ttcpflow(client_conn=client)
            flow.live = True
            flow.server_conn.address = (HOST, 443)
            driver.watch.raw_start(flow)
            driver.gone(client)
    driver.watch.finish()
    assert driver.told == [("passes-unread", 3, [])]
    assert driver.troubles[0].detail == "the option tcp_hosts names them"
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"COS hosts pass unread, because the option tcp_hosts names them: {HOST}",
    ]
