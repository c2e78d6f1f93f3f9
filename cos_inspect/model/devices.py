"""Who was connected: one row per client address, and what failed before there was a flow."""

from collections.abc import ItemsView, Iterable, Iterator
from typing import Literal

import msgspec

from cos_inspect.model.flow_report import ClientReport, Finding, FlowReport, Unmasked
from cos_inspect.model.report_facts import address_and_port

OTHERS = "(others)"
_BY_FAILURE: dict[str, "Refusal"] = {
    "client-refused-certificate": "ca-not-trusted",
    "client-closed-after-handshake": "pinned",
    "client-closed-in-handshake": "unclear",
}

Refusal = Literal["ca-not-trusted", "pinned", "unclear"]
Trust = Literal["trusted", "refused", "mixed", "doubtful"]
WAYS_AROUND = {
    "httpdns": "The app asks an HTTP DNS service and goes to IP addresses: turn HTTPDNS off in the"
    " debug build, or use WireGuard mode.",
    "quic": "The app speaks QUIC (UDP 443), which a Wi-Fi proxy never sees: use WireGuard mode, or"
    " turn QUIC off in the app.",
    "dns-only": "It asked for the address of a COS host and then did not come through the proxy:"
    " the app ignores the proxy that is set (use WireGuard mode), or goes by IPv6 or QUIC.",
}
"""What to do about each suspicion."""


class ConnectionFailureSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What failed between a client and a host before there was an exchange to judge."""

    host: str | None
    """That was asked for, as far as it is known."""
    client: str | None
    """The client's address."""
    failed: Unmasked
    """``client-…`` on the client's side, ``upstream-…`` on the server's."""
    count: int
    """Connections; on its way to the summary, how many more, or how many less."""
    findings: list[Finding]
    """Empty where it may be harmless, and where a flow has the finding."""
    detail: str | None = None
    """The text of mitmproxy."""
    fix: str | None = None
    """What to do about it."""
    flows: list[Unmasked] = []
    """The flows that failed by it."""
    run: int | None = None
    """The ``id`` of the run that tells it."""


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """A way around the proxy that the device seems to take."""

    what: Literal["httpdns", "quic", "dns-only"]
    why: str
    """What was seen."""


class DeviceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one client address."""

    address: str
    """Behind the label ``device``, where its captures have one: ``pixel-7 (10.0.0.5)``."""
    client: str | None = None
    """The SDK or tool of the latest COS flow."""
    version: str | None = None
    platform: str | None = None
    client_seen: str | None = None
    """When that flow began."""
    flows: int = 0
    """Of COS."""
    flows_over_tls: int = 0
    others: int = 0
    """Flows that were not COS traffic."""
    last_seen: str | None = None
    """When its latest flow or connection began."""
    tls: Trust | None = None
    """Whether it trusts the proxy's certificate for COS hosts; ``mixed``: for some of them or
    sometimes; ``doubtful``: it closed a connection right after the handshake, once. Null: it
    has not spoken TLS."""
    tls_refused: Refusal | None = None
    """Why, as far as the wire tells; ``unclear``: it closed the connection in the handshake."""
    tls_refused_hosts: list[str] = []
    clock_seconds: int | None = None
    """By how much its clock is ahead of the proxy's (negative: behind), where it was furthest
    off; 0: not more than rounding. Null: no request told."""
    clock_seconds_last: int | None = None
    """The same of the latest request that told: an SDK may have corrected its clock."""
    clock_seen: str | None = None
    """When that request began."""
    suspected: list[Suspicion] = []
    refused_other_hosts: list[str] = []
    """Hosts that are not known as ones of COS, for which it refused the proxy's certificate; the
    latest 20."""
    resolved: int = 0
    """How often it asked the proxy's DNS for a COS host."""
    doubted: str | None = None
    """The host of a connection that it closed right after the handshake."""
    run: int | None = None
    """The latest run in which it was seen."""


class DeviceTally:
    """What came to be known of devices since the last call; at most ``most`` by address, the
    rest together."""

    def __init__(self, most: int = 500) -> None:
        self._most = most
        self._devices: dict[str, _Seen] = {}

    def __bool__(self) -> bool:
        return bool(self._devices)

    def add_flow(self, report: FlowReport) -> None:
        """Counts a flow for the device that it came from."""
        connection = report.connection
        address = address_and_port(connection.client if connection else None)[0]
        if connection is None or address is None:
            return
        if report.device is not None:
            # The label says whose it is; the address may be that of others, too.
            address = f"{report.device} ({address})"
        seen = self._seen(address)
        seen.flows += 1
        seen.over_tls += connection.tls is not None
        moment = report.started or ""
        seen.last_seen = max(seen.last_seen, moment)
        if report.cos.client is not None:
            seen.client = max(seen.client, (moment, _client(report.cos.client)))
        if connection.clock_seconds is not None:
            evidence = (moment, connection.clock_seconds)
            seen.clock = evidence if seen.clock == _NO_CLOCK else max(seen.clock, evidence)
            seen.worst_clock = _worse(seen.worst_clock, connection.clock_seconds)
        if connection.by_address:
            seen.suspect("httpdns", "a request went to an IP address, and named the host in Host")

    def note(self, address: str, moment: str) -> None:
        """A device was there at ``moment``, ISO 8601 in UTC; the latest counts."""
        seen = self._seen(address)
        seen.last_seen = max(seen.last_seen, moment)

    def add_other(self, address: str, moment: str) -> None:
        """Counts a flow of a device that was not COS traffic; ``moment`` as in ``note``."""
        self.note(address, moment)
        self._seen(address).others += 1

    def add_resolved(self, address: str, moment: str) -> None:
        """Counts a name of COS that was resolved for a device; ``moment`` is ISO 8601 in UTC."""
        self.note(address, moment)
        self._seen(address).resolved += 1

    def add_refused_other(self, address: str, host: str) -> None:
        """Notes a host that is no COS, to which a device refused the proxy's certificate."""
        seen = self._seen(address)
        seen.refused_others = _latest([*seen.refused_others, host])

    def suspect(self, address: str, what: str, why: str) -> None:
        """Notes that something of a device may go past the proxy, and what speaks for it."""
        self._seen(address).suspect(what, why)

    def doubt(self, address: str, host: str | None) -> None:
        """It closed a connection to ``host`` right after the handshake. None: a request came
        since."""
        self._seen(address).doubted = host or ""

    def _seen(self, address: str) -> "_Seen":
        seen = self._devices.get(address)
        if seen is None:
            if len(self._devices) >= self._most:
                address = OTHERS
            seen = self._devices.setdefault(address, _Seen())
        return seen

    def merge(self, other: "DeviceTally") -> None:
        """Adds all that another one knows."""
        for address, seen in other.items():
            self._seen(address).merge(seen)

    def items(self) -> "ItemsView[str, _Seen]":
        """Devices by their addresses."""
        return self._devices.items()

    def added_to(self, before: Iterable[DeviceSummary], run: int | None) -> list[DeviceSummary]:
        """The devices of a summary with these added, by address."""
        known = {device.address: device for device in before}
        for address, seen in self._devices.items():
            name = address
            if name not in known and len(known) >= self._most:
                name = OTHERS
            known[name] = seen.added_to(known.get(name) or DeviceSummary(address=name), run)
        return [known[address] for address in sorted(known)]


_Client = tuple[str, str, str]
_NO_CLIENT: tuple[str, _Client] = ("", ("", "", ""))
_NO_CLOCK = ("", 0)


class _Seen(msgspec.Struct, kw_only=True):
    """What is added of one device; "" is no time."""

    flows: int = 0
    over_tls: int = 0
    others: int = 0
    resolved: int = 0
    last_seen: str = ""
    client: tuple[str, _Client] = _NO_CLIENT
    clock: tuple[str, int] = _NO_CLOCK
    worst_clock: int | None = None
    suspected: dict[str, str] = msgspec.field(default_factory=dict)
    refused_others: list[str] = msgspec.field(default_factory=list)
    doubted: str | None = None

    def suspect(self, what: str, why: str) -> None:
        self.suspected[what] = min(self.suspected.get(what, why), why)

    def merge(self, other: "_Seen") -> None:
        self.flows += other.flows
        self.over_tls += other.over_tls
        self.others += other.others
        self.resolved += other.resolved
        self.last_seen = max(self.last_seen, other.last_seen)
        self.client = max(self.client, other.client)
        self.clock = max(self.clock, other.clock)
        if other.worst_clock is not None:
            self.worst_clock = _worse(self.worst_clock, other.worst_clock)
        for what, why in other.suspected.items():
            self.suspect(what, why)
        self.refused_others = _latest([*self.refused_others, *other.refused_others])
        if other.doubted is not None:
            self.doubted = other.doubted

    def added_to(self, device: DeviceSummary, run: int | None) -> DeviceSummary:
        known = (device.client or "", device.version or "", device.platform or "")
        client_seen, (name, version, platform) = max(self.client, (device.client_seen or "", known))
        clock_seen, last = max(
            self.clock, (device.clock_seen or "", device.clock_seconds_last or 0)
        )
        worst = device.clock_seconds
        if self.worst_clock is not None:
            worst = _worse(worst, self.worst_clock)
        suspected = {each.what: each for each in device.suspected}
        for what, why in self.suspected.items():
            suspected[what] = Suspicion(what=what, why=why)  # type: ignore[arg-type, index]
        return msgspec.structs.replace(
            device,
            flows=device.flows + self.flows,
            flows_over_tls=device.flows_over_tls + self.over_tls,
            others=device.others + self.others,
            resolved=device.resolved + self.resolved,
            last_seen=max(self.last_seen, device.last_seen or "") or None,
            suspected=[suspected[what] for what in sorted(suspected)],
            refused_other_hosts=_latest([*device.refused_other_hosts, *self.refused_others]),
            doubted=device.doubted if self.doubted is None else self.doubted or None,
            run=device.run if run is None else run,
            client=name or None,
            version=version or None,
            platform=platform or None,
            client_seen=client_seen or None,
            clock_seconds=worst,
            clock_seconds_last=None if worst is None else last,
            clock_seen=None if worst is None else clock_seen or None,
        )


def with_connections(
    devices: Iterable[DeviceSummary],
    connections: Iterable[ConnectionFailureSummary],
    most: int = 500,
) -> list[DeviceSummary]:
    """The devices with what their connections say of TLS; those of which nothing else is known
    are among them."""
    refused: dict[str, list[ConnectionFailureSummary]] = {}
    for trouble in connections:
        if trouble.client and trouble.failed in _BY_FAILURE and trouble.findings:
            refused.setdefault(trouble.client, []).append(trouble)
    known = {device.address: device for device in devices}
    for address, troubles in refused.items():
        if address not in known and len(known) < most:
            run = max((each.run for each in troubles if each.run is not None), default=None)
            known[address] = DeviceSummary(address=address, run=run)
    return [_with_trust(known[name], refused.get(name, [])) for name in sorted(known)]


def _with_trust(device: DeviceSummary, refused: list[ConnectionFailureSummary]) -> DeviceSummary:
    refused = [each for each in refused if each.run == device.run]
    tls: Trust | None = "trusted" if device.flows_over_tls else None
    if refused:
        tls = "mixed" if device.flows_over_tls else "refused"
    elif tls is None and device.doubted:
        tls = "doubtful"
    kinds = {_BY_FAILURE[each.failed] for each in refused}
    order: tuple[Refusal, ...] = ("ca-not-trusted", "pinned", "unclear")
    hosts = sorted({each.host for each in refused if each.host})[:20]
    if tls is None and device.flows == 0 and device.resolved:
        why = f"it asked for the address of a COS host {device.resolved} times, and no more came"
        found = Suspicion(what="dns-only", why=why)
        others = [each for each in device.suspected if each.what != "dns-only"]
        device = msgspec.structs.replace(device, suspected=[*others, found])
    elif any(each.what == "dns-only" for each in device.suspected):
        others = [each for each in device.suspected if each.what != "dns-only"]
        device = msgspec.structs.replace(device, suspected=others)
    return msgspec.structs.replace(
        device,
        tls=tls,
        tls_refused=next((each for each in order if each in kinds), None),
        tls_refused_hosts=hosts,
    )


def _latest(hosts: list[str]) -> list[str]:
    return list(dict.fromkeys(reversed(hosts)))[:20][::-1]


def _client(client: ClientReport) -> _Client:
    return client.name, client.version or "", client.platform or ""


def _worse(known: int | None, seconds: int) -> int:
    """The one that is further off; of two as far, the one ahead."""
    return seconds if known is None else max((known, seconds), key=lambda each: (abs(each), each))


def advice_of(device: DeviceSummary) -> Iterator[str]:
    """What is wrong with a device, and what to do, a sentence or two each; nothing for one that
    is fine."""
    hosts = ", ".join(device.tls_refused_hosts[:3])
    if device.tls in ("refused", "mixed"):
        match device.tls_refused:
            case "pinned":
                yield (
                    f"It closes connections right after the handshake ({hosts}): it pins the"
                    " server's certificate. Use a build without pinning."
                )
            case "ca-not-trusted":
                yield (
                    f"It refuses the proxy's certificate ({hosts}): install mitmproxy's CA from"
                    " http://mitm.it, and have the app trust it."
                )
            case _:
                yield (
                    f"It closes connections in the handshake ({hosts}): it does not trust"
                    " mitmproxy's CA (http://mitm.it), or pins the server's certificate."
                )
    elif device.tls == "doubtful":
        yield (
            f"It closed a connection to {device.doubted} right after the handshake, once: if it"
            " does so again, it pins the server's certificate."
        )
    ahead = device.clock_seconds
    if ahead is not None and abs(ahead) > 300:
        direction = "ahead of" if ahead > 0 else "behind"
        yield (
            f"Its clock is {abs(ahead)} s {direction} this machine's: set it by network time; COS"
            " refuses signatures that are 15 minutes off."
        )
    for suspicion in device.suspected:
        yield f"{suspicion.why[:1].upper()}{suspicion.why[1:]}. {WAYS_AROUND[suspicion.what]}"
    if device.refused_other_hosts and not device.flows:
        named = ", ".join(device.refused_other_hosts[-3:])
        yield (
            f"It refuses the proxy's certificate for other hosts as well ({named}): mitmproxy's CA"
            " is not trusted by these apps. If one of them is a custom domain of a bucket, name it"
            " by cos_hosts."
        )
    elif not (device.flows or device.tls or device.suspected):
        yield (
            "No COS flow came from it: the app has sent nothing yet, or goes to a custom domain"
            " (name it by cos_hosts)."
            if device.others
            else "It connected and sent nothing that could be read."
        )
