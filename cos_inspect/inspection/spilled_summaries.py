"""What histories that are not in memory give to the summary: the worst of it is held, the rest
is counted."""

from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from cos_inspect.inspection.transfer_summary import HistorySummary, SummaryListsState
from cos_inspect.model.flow_report import VERDICT_RANKS
from cos_inspect.model.plain_text import packed
from cos_inspect.model.summary_merging import MOST_LISTED

_MOST_HELD = 2 * MOST_LISTED
_decode = msgspec.msgpack.Decoder(HistorySummary).decode


class SpilledSummaries:
    """By the name of the history."""

    def __init__(self, most: int = _MOST_HELD) -> None:
        self._most = most
        self._held: dict[str, tuple[int, bytes]] = {}
        """Badness, and what the history gives, packed: 400 bytes, where the objects take 3 KB."""
        self._counted: set[int] = set()
        """Hashes of the names of which nothing is held."""
        self._verdicts: Counter[str] = Counter()
        self._transfers = 0
        self._retries = 0

    def put(self, name: str, listing: HistorySummary) -> None:
        """Takes what a history gives that leaves memory."""
        if not listing:
            return
        self._held[name] = _badness(listing), packed(listing)
        if len(self._held) > self._most:
            self._count_best()

    def take_back(self, name: str, list_again: Callable[[], HistorySummary]) -> None:
        """The history is in memory again, and gives what it gave when it left."""
        if self._held.pop(name, None) is None and hash(name) in self._counted:
            self._counted.discard(hash(name))
            self._count(list_again(), -1)

    def get(self, name: str) -> HistorySummary | None:
        """What is held of a history."""
        held = self._held.get(name)
        return None if held is None else _decode(held[1])

    def items(self) -> Iterator[tuple[str, HistorySummary]]:
        """What is held, by the names of the histories."""
        return ((name, _decode(held)) for name, (_, held) in self._held.items())

    def counted(self) -> SummaryListsState:
        """Of what is not held."""
        return SummaryListsState(
            verdicts=dict(+self._verdicts),
            left_out=self._transfers,
            retries_left_out=self._retries,
        )

    def _count_best(self) -> None:
        """Half of it goes; of the same badness what came first."""
        ordered = sorted(self._held, key=lambda name: self._held[name][0])
        for name in ordered[: len(ordered) - self._most // 2]:
            self._count(_decode(self._held.pop(name)[1]), 1)
            self._counted.add(hash(name))

    def _count(self, listing: HistorySummary, sign: int) -> None:
        for _, transfer in listing.transfers:
            self._verdicts[transfer.verdict] += sign
        self._transfers += sign * len(listing.transfers)
        self._retries += sign * len(listing.retries)


def _badness(listing: HistorySummary) -> int:
    return max((VERDICT_RANKS[transfer.verdict] for _, transfer in listing.transfers), default=-1)


def worse_of(before: HistorySummary, now: HistorySummary) -> HistorySummary:
    """Of a history that was forgotten and began anew: each transfer once, as it was at its
    worst."""
    transfers = {(each.kind, each.id): (begun, each) for begun, each in before.transfers}
    for begun, each in now.transfers:
        known = transfers.get((each.kind, each.id))
        if known is None or VERDICT_RANKS[each.verdict] >= VERDICT_RANKS[known[1].verdict]:
            transfers[each.kind, each.id] = (begun, each)
    retries = {each.id: (begun, each) for begun, each in (*before.retries, *now.retries)}
    read_backs = {each.write: each for each in (*before.read_backs, *now.read_backs)}
    return HistorySummary(
        list(transfers.values()), list(retries.values()), list(read_backs.values())
    )
