"""What all flows say together, of all partitions."""

from collections.abc import Sequence

import msgspec

from cos_inspect.analyze.counting import CountedFlows
from cos_inspect.analyze.joining import Joined, merge_lists, partitions
from cos_inspect.analyze.judging import TransfersJudged
from cos_inspect.analyze.shards import Shard
from cos_inspect.analyze.spooled import ShardRead
from cos_inspect.analyze.workers import Workers
from cos_inspect.analyze.writing import SharedEvidence
from cos_inspect.captures import places
from cos_inspect.model.plain_text import packed
from cos_inspect.model.summary import SessionSummary


class AllJoined(msgspec.Struct, frozen=True):
    """What all flows say together."""

    counted: CountedFlows
    session: SessionSummary
    judged: TransfersJudged
    revisions: dict[int, list[str]]
    """Files for each shard."""
    shown: str
    """A file of ``SharedEvidence``."""
    told: list[str]
    """Files of all transfers and retries, for a dataset."""


def join_all(
    workers: Workers,
    shards: Sequence[Shard],
    reads: Sequence[ShardRead],
    folder: str,
    errors: list[str],
) -> AllJoined:
    """Second looks at all partitions, and once more where captures had to be read again."""
    counted, counted_path = workers.count(reads)
    found = partitions(reads, folder)
    joined = workers.join(found, counted_path, {})
    marks = _marks(workers, shards, joined)
    if marks:
        anew = [number for number, each in enumerate(joined) if each.overlaps]
        again = workers.join([found[number] for number in anew], counted_path, marks)
        for number, each in zip(anew, again, strict=True):
            joined[number] = each
    for each in joined:
        errors += [fault for fault in each.faults if fault not in errors]
    revisions: dict[int, list[str]] = {}
    for each in joined:
        for shard, path in each.revisions.items():
            revisions.setdefault(shard, []).append(path)
    secret_ids: dict[int, int] = {}
    for read in reads:
        for name, flags in read.secret_ids.items():
            secret_ids[name] = secret_ids.get(name, 0) | flags
    shown = places.join(folder, "shown")
    said_once = workers.said_once(reads, counted_path)
    judged = TransfersJudged()
    for each in joined:
        judged.merge(each.judged)
    places.write(shown, packed(SharedEvidence(secret_ids, said_once)))
    told = [each.told for each in joined if each.told is not None]
    return AllJoined(counted, merge_lists(joined).summary(), judged, revisions, shown, told)


def _marks(
    workers: Workers, shards: Sequence[Shard], joined: Sequence[Joined]
) -> dict[tuple[int, int], tuple[tuple[int, int], ...]]:
    """Where ranges overlap, their captures are read once more: a part of a body is told apart
    by its CRC-64, and where to part it is known only when all ranges were seen."""
    wanted: dict[int, dict[int, list[int]]] = {}
    for each in joined:
        for shard, by_index in each.overlaps.items():
            wanted.setdefault(shard, {}).update(by_index)
    numbers = sorted(wanted)
    found = workers.marks_of(
        [shards[number] for number in numbers], [wanted[number] for number in numbers]
    )
    return {
        (number, index): marks
        for number, by_index in zip(numbers, found, strict=True)
        for index, marks in by_index.items()
    }
