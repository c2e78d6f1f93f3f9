"""What somebody needs who puts a client behind this proxy: its addresses in the network, codes to
scan, and a few steps for each kind of client. The page ``/cos/setup`` of mitmweb shows it.
"""

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import segno
from mitmproxy import ctx, version
from mitmproxy.net import local_ip

from cos_inspect.cos.tables import rows
from cos_inspect.model.devices import DeviceSummary, advice_of
from cos_inspect.report.folder import read_below

CA_PAGE = "http://mitm.it"
"""Where mitmproxy offers its CA to whoever comes through the proxy."""
_PORTS_OF_CLIENTS = frozenset({"regular", "upstream", "socks5"})
"""Modes whose address is set in a client."""


class QrCode(msgspec.Struct, frozen=True):
    """A QR code; ``modules`` are its rows of ``0`` and ``1`` (dark), without the quiet zone."""

    title: str
    text: str
    modules: list[str]


class ProxyAddress(msgspec.Struct, frozen=True):
    """Where the proxy listens in one of its modes."""

    mode: str
    host: str
    port: int
    is_reachable: bool
    """Whether other machines reach it; false where it listens on this machine alone."""


class ClientSteps(msgspec.Struct, frozen=True):
    """What is to be done on one kind of client, step by step."""

    client: str
    steps: list[str]


class Setup(msgspec.Struct, frozen=True):
    """How clients get to this proxy: what the page that says so is made of."""

    proxies: list[ProxyAddress]
    codes: list[QrCode]
    wireguard: str | None
    """The configuration for the WireGuard app; it holds a private key, and is for the person at
    this page alone."""
    clients: list[ClientSteps]
    remarks: list[str]
    """What stands in the way at present, or limits what can be seen."""
    mitmproxy: str
    advice: dict[str, list[str]] = {}
    """What keeps a device from being seen, and what to do, by its address."""


class _Known(msgspec.Struct):
    """Of ``summary.json``."""

    devices: list[DeviceSummary] = []


def advice_by_device(directory: Path | None) -> dict[str, list[str]]:
    """For each device of the report directory's summary, by address. Reads a file."""
    content = None if directory is None else read_below(directory, "summary.json")
    if content is None:
        return {}
    try:
        devices = msgspec.json.decode(content, type=_Known).devices
    except msgspec.DecodeError:
        return {}
    return {device.address: list(advice_of(device)) for device in devices}


def setup(advice: dict[str, list[str]] | None = None) -> Setup:
    """What holds at this moment: modes and options may change while the proxy runs."""
    servers = _servers()
    network = _network_address()
    proxies = [each for server in servers for each in _addresses(server, network)]
    wireguard = next((conf for server in servers if (conf := _wireguard(server))), None)
    codes = [_code("The CA, once the proxy is set", CA_PAGE)]
    if wireguard is not None:
        codes.insert(0, _code("WireGuard: a tunnel to this proxy", wireguard))
    set_in_clients = [each for each in proxies if each.mode in _PORTS_OF_CLIENTS]
    shown = set_in_clients[0] if set_in_clients else None
    return Setup(
        proxies=proxies,
        codes=codes,
        wireguard=wireguard,
        clients=_clients(shown),
        remarks=list(_remarks(proxies, wireguard, network)),
        mitmproxy=version.VERSION,
        advice=advice or {},
    )


def where_to_connect() -> str:
    """Where clients find this proxy, in a few words."""
    for server in _servers():
        for each in _addresses(server, None):
            return f"{each.host}, port {each.port}"
    return "the address and port that this proxy listens on"


def _servers() -> list[Any]:
    proxyserver = ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
    return [server for server in getattr(proxyserver, "servers", ()) if server.is_running]


def _addresses(server: Any, network: str | None) -> Iterable[ProxyAddress]:
    """One for each port, by the address that a client in the network would use."""
    mode = server.mode.type_name
    ports: dict[int, list[str]] = {}
    for host, port, *_ in server.listen_addrs:
        ports.setdefault(port, []).append(host)
    for port, hosts in ports.items():
        addresses = [ipaddress.ip_address(host.partition("%")[0]) for host in hosts]
        reachable = [each for each in addresses if not each.is_loopback]
        if any(each.is_unspecified for each in reachable):
            host = network or "this machine's address"
        else:
            host = str((reachable or addresses)[0])
        yield ProxyAddress(mode=mode, host=host, port=port, is_reachable=bool(reachable))


def _wireguard(server: Any) -> str | None:
    if server.mode.type_name != "wireguard":
        return None
    conf: str | None = server.client_conf()
    return conf


def _network_address() -> str | None:
    """The address by which this machine goes out; nothing is sent for it."""
    return local_ip.get_local_ip() or local_ip.get_local_ip6()


def _code(title: str, text: str) -> QrCode:
    found = segno.make(text, error="m", micro=False)
    return QrCode(
        title, text, ["".join("1" if dark else "0" for dark in row) for row in found.matrix]
    )


def _clients(proxy: ProxyAddress | None) -> list[ClientSteps]:
    host = proxy.host if proxy else "HOST"
    port = str(proxy.port) if proxy else "PORT"
    name = f"[{host}]" if ":" in host else host
    values = {"{host}": host, "{port}": port, "{proxy}": f"http://{name}:{port}"}
    advice = {row["platform"]: row["advice"] for row in rows("trust")}
    steps: dict[str, list[str]] = {}
    trust: dict[str, str] = {}
    for row in rows("client_setup"):
        text = row["step"]
        for sign, value in values.items():
            text = text.replace(sign, value)
        steps.setdefault(row["client"], []).append(text)
        trust[row["client"]] = advice[row["trust"]]
    return [ClientSteps(client, [*told, trust[client]]) for client, told in steps.items()]


def _remarks(
    proxies: list[ProxyAddress], wireguard: str | None, network: str | None
) -> Iterable[str]:
    if not proxies:
        yield "No proxy is listening: see the log for the reason."
    elif not any(each.is_reachable for each in proxies):
        yield (
            "The proxy listens on this machine alone, so no phone reaches it: start it with"
            " --listen-host 0.0.0.0, or leave that option out."
        )
    if wireguard is None:
        yield (
            "WireGuard mode does not run. It is the surest way for a phone: add --mode wireguard"
            " (beside --mode regular) to the command line."
        )
    else:
        if network is None:
            yield (
                "This machine's address in the network is not known: put it into Endpoint by hand."
            )
        yield (
            "Behind WireGuard every device has the same address here, so that devices are told"
            " apart by client and version alone; its tunnel carries IPv4: switch IPv6 off where"
            " apps use it."
        )
    if getattr(ctx.options, "http3", False):
        yield (
            "HEAD over HTTP/3 fails in mitmproxy: --set http3=false has clients use TCP, where"
            " all of it works."
        )
    passing = [name for name in ("ignore_hosts", "allow_hosts") if getattr(ctx.options, name, None)]
    if passing:
        yield f"{' and '.join(passing)}: hosts that pass unread are not seen here."
    if getattr(ctx.options, "proxyauth", None):
        yield "proxyauth: clients have to give the proxy's user and password."
