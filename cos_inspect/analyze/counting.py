"""Counts each flow once, of whatever shards: which count, which opened their connections, and
what is said once for many of them. Works on one partition at a time, as ``joining`` does.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from cos_inspect.analyze.spool import read_at, records
from cos_inspect.analyze.spooled import (
    OTHER,
    ConnectionUse,
    FlowIdentity,
    ShardRead,
    SpooledReport,
)
from cos_inspect.captures.places import open_to_read
from cos_inspect.inspection.said_once import SaidOnce, said_once_names


class CountedFlows(msgspec.Struct, frozen=True):
    """Which flows count."""

    dropped: dict[int, bytes] = {}
    """For each shard a bit for each report: another capture knows the flow as well or
    better."""
    not_first: dict[int, bytes] = {}
    """The same for flows on a connection that an earlier flow opened."""
    others: int = 0
    """Flows that were not COS traffic, each once."""
    other_hosts: dict[str, int] = {}
    """Who was asked in these."""
    gaps: dict[int, list[tuple[int, int]]] = {}
    """Of each shard, as in ``ShardRead``."""

    @classmethod
    def none(cls, reads: Sequence[ShardRead]) -> "CountedFlows":
        """Before anything was counted."""
        return cls({}, {}, 0, {}, {read.number: read.gaps for read in reads if read.gaps})

    def with_dropped(self, found: "FlowsCounted") -> "CountedFlows":
        """With what one more partition says."""
        dropped = dict(self.dropped)
        for shard, indexes in found.dropped.items():
            bits = bytearray(dropped.get(shard, b""))
            for index in indexes:
                _set_bit(bits, index)
            dropped[shard] = bytes(bits)
        hosts = Counter(self.other_hosts)
        hosts.update(found.other_hosts)
        return msgspec.structs.replace(
            self,
            dropped=dropped,
            others=self.others + found.others,
            other_hosts=dict(sorted(hosts.items(), key=lambda host: (-host[1], host[0]))),
        )

    def with_not_first(self, found: Mapping[int, bytes]) -> "CountedFlows":
        """With what ``first_on_connections`` says of one more partition."""
        not_first = dict(self.not_first)
        for shard, bits in found.items():
            not_first[shard] = _either(not_first.get(shard, b""), bits)
        return msgspec.structs.replace(self, not_first=not_first)

    def is_dropped(self, shard: int, index: int) -> bool:
        """Whether a report does not count, as another capture has the flow as well or better."""
        return _bit(self.dropped.get(shard), index)

    def is_not_first(self, shard: int, index: int) -> bool:
        """Whether an earlier flow opened the connection that this one came on."""
        return _bit(self.not_first.get(shard), index)

    def is_beside_gaps(self, shard: int, index: int) -> bool:
        """Whether a report is of a capture that may not show all that happened."""
        return any(begin <= index < end for begin, end in self.gaps.get(shard, ()))

    def kept(self, read: ShardRead) -> Iterator[int]:
        """The indexes of the reports of a shard that count."""
        dropped = self.dropped.get(read.number)
        return (index for index in range(len(read.offsets)) if not _bit(dropped, index))


class FlowsCounted(msgspec.Struct):
    """What one partition of identities says; lists are of indexes, by shard."""

    dropped: dict[int, list[int]] = {}
    others: int = 0
    other_hosts: dict[str, int] = {}


def count_partition(paths: Sequence[str]) -> FlowsCounted:
    """Finds the flows that several captures hold, so that each counts once."""
    counted = FlowsCounted({}, 0, {})
    hosts: Counter[str] = Counter()
    decoder = msgspec.msgpack.Decoder(FlowIdentity)
    best: dict[int, FlowIdentity] = {}
    for path in paths:
        for found in records(path, decoder):
            known = best.setdefault(found.name, found)
            if known is found:
                continue
            worse = found
            if found.rank > known.rank:
                best[found.name], worse = found, known
            if worse.index != OTHER:
                counted.dropped.setdefault(worse.shard, []).append(worse.index)
    for found in best.values():
        if found.index == OTHER:
            counted.others += 1
            if found.host:
                hosts[found.host] += 1
    counted.other_hosts = dict(hosts)
    return counted


def first_on_connections(paths: Sequence[str], counted: CountedFlows) -> dict[int, bytes]:
    """For each shard a bit for each flow on a connection of this partition that an earlier
    flow opened."""
    not_first: dict[int, bytearray] = {}
    decoder = msgspec.msgpack.Decoder(ConnectionUse)
    first: dict[int, ConnectionUse] = {}
    for path in paths:
        for flow in records(path, decoder):
            if counted.is_dropped(flow.shard, flow.index):
                continue
            earliest = first.setdefault(flow.name, flow)
            if earliest is flow:
                continue
            later = flow
            if flow.begin < earliest.begin:
                first[flow.name], later = flow, earliest
            _set_bit(not_first.setdefault(later.shard, bytearray()), later.index)
    return {shard: bytes(bits) for shard, bits in not_first.items()}


def count_said_once(reads: Sequence[ShardRead], counted: CountedFlows) -> dict[str, SaidOnce]:
    """By the names that ``said_once_names`` gives."""
    found: dict[str, SaidOnce] = {}
    decoder = msgspec.msgpack.Decoder(SpooledReport)
    for read in reads:
        if not read.said_once:
            continue
        with open_to_read(read.spool) as file:
            for index in read.said_once:
                if counted.is_dropped(read.number, index):
                    continue
                held = read_at(file, read.offsets[index], decoder)
                seen = held.seen
                if seen is None:
                    continue
                for _, name in said_once_names(held.alone.findings, seen):
                    if name in found:
                        found[name].add(seen)
                    else:
                        found[name] = SaidOnce.of(seen)
    return found


def _bit(bits: bytes | bytearray | None, index: int) -> bool:
    place = index >> 3
    return bits is not None and place < len(bits) and bool(bits[place] & 1 << (index & 7))


def _set_bit(bits: bytearray, index: int) -> None:
    missing = (index >> 3) + 1 - len(bits)
    if missing > 0:
        bits.extend(bytes(missing))
    bits[index >> 3] |= 1 << (index & 7)


def _either(one: bytes, other: bytes) -> bytes:
    both = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return both.to_bytes(max(len(one), len(other)), "little")
