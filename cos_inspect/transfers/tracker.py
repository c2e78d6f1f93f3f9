"""Keeps what is open: takes observations in, joins with another tracker, forgets what is old.

Nothing depends on the order of arrival, as long as no limit is reached. Over
a limit, what was touched longest ago is closed and handed out as it stands.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Protocol, Self

import msgspec

from cos_inspect.transfers.appends import Log
from cos_inspect.transfers.multipart import Upload
from cos_inspect.transfers.multipart_verdict import probably_completed
from cos_inspect.transfers.objects import Content, Sight, copy_of, sight_of
from cos_inspect.transfers.observation import Observation, belongs_to_upload, writes_object
from cos_inspect.transfers.pieces import piece_of
from cos_inspect.transfers.ranges import Head, Reading, version_name
from cos_inspect.transfers.retries import Chain, Tries, chains_of, try_of

MAX_OPEN = 4096
"""Transfers of each kind that are followed at once."""
MAX_PARTS = 20_000
"""Exchanges of one transfer: every part of the largest upload, twice."""
MAX_FACTS = 120_000
"""Exchanges of all transfers of a kind together."""
MAX_REMEMBERED = 8192
"""Objects and requests that are remembered, to know them again."""


class _State(Protocol):
    last: float

    @property
    def facts(self) -> int: ...


class _Store[S: _State]:
    """States by name, the one touched longest ago first."""

    def __init__(self, most: int, most_facts: int) -> None:
        self._most = most
        self._most_facts = most_facts
        self._facts = 0
        self.states: OrderedDict[str, S] = OrderedDict()
        self.closed: list[S] = []

    def get(self, name: str) -> S | None:
        return self.states.get(name)

    def keep(self, name: str, state: S, facts_before: int) -> None:
        """Notes that ``state`` was touched; closes others where that makes too many."""
        self.states[name] = state
        self.states.move_to_end(name)
        self._facts += state.facts - facts_before
        while len(self.states) > self._most or (
            self._facts > self._most_facts and len(self.states) > 1
        ):
            _, oldest = self.states.popitem(last=False)
            self._facts -= oldest.facts
            self.closed.append(oldest)

    def by_age(self) -> list[tuple[str, S]]:
        return sorted(self.states.items(), key=lambda item: (item[1].last, item[0]))


class TrackerState(msgspec.Struct, kw_only=True):
    """Everything a tracker knows, as plain data; can be sent to another process."""

    uploads: dict[str, Upload] = {}
    readings: dict[str, Reading] = {}
    logs: dict[str, Log] = {}
    contents: dict[str, Content] = {}
    tries: dict[str, Tries] = {}


class Tracker:
    """Transfers under way, by what their exchanges say."""

    def __init__(
        self,
        *,
        max_open: int = MAX_OPEN,
        max_parts: int = MAX_PARTS,
        max_facts: int = MAX_FACTS,
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._max_parts = max_parts
        self._uploads: _Store[Upload] = _Store(max_open, max_facts)
        self._readings: _Store[Reading] = _Store(max_open, max_facts)
        self._logs: _Store[Log] = _Store(max_open, max_facts)
        self._contents: _Store[Content] = _Store(max_remembered, max_facts)
        self._tries: _Store[Tries] = _Store(max_remembered, max_facts)
        self._readers: dict[str, set[str]] = {}

    def add(self, seen: Observation, marks: Sequence[tuple[int, int]] = ()) -> set[str]:
        """Takes one exchange in; the flows of which something else is to be said now,
        itself among them. ``marks``: running CRC-64s of the answer's body by offset."""
        touched = {seen.flow_id}
        if belongs_to_upload(seen.operation):
            touched |= self._add_to_upload(seen)
        if seen.key is not None:
            if seen.operation == "AppendObject":
                touched |= self._add_to_log(seen)
            if seen.describes_object or writes_object(seen.operation):
                touched |= self._add_to_content(seen)
            if seen.operation == "GetObject" and piece_of(seen) is not None:
                touched |= self._add_to_reading(seen, marks)
        return touched | self._add_to_tries(seen)

    def upload_of(self, seen: Observation) -> Upload | None:
        return self._uploads.get(_upload_name(seen)) if seen.upload_id else None

    def log_of(self, seen: Observation) -> Log | None:
        return self._logs.get(object_name(seen)) if seen.operation == "AppendObject" else None

    def appended(self, seen: Observation) -> bool:
        """Whether the object that was read was made by an append that was seen."""
        log = self._logs.get(object_name(seen))
        return log is not None and seen.etag is not None and log.appended_as(seen.etag, seen.ended)

    def reading_of(self, seen: Observation) -> Reading | None:
        """The reading that has the answer for a piece."""
        reading = self._readings.get(_reading_name(seen)) if seen.describes_object else None
        version = reading.versions.get(version_name(seen)) if reading else None
        return reading if version is not None and seen.flow_id in version.pieces else None

    def content_of(self, seen: Observation) -> Content | None:
        return self._contents.get(object_name(seen))

    def source_of(self, seen: Observation) -> Content | None:
        """What is known of a copy's source."""
        return self._contents.get(_source_name(seen))

    def chain_of(self, seen: Observation) -> Chain | None:
        tries = self._tries.get(seen.same_request)
        for chain in chains_of(tries) if tries else ():
            if seen.flow_id in chain.flows:
                return chain
        return None

    def boundaries(self, seen: Observation) -> list[int]:
        """Offsets in the body of a ranged answer, of which only the headers came yet, at
        which earlier pieces begin or end: a running CRC-64 there lets overlaps be joined."""
        reading = self._readings.get(_reading_name(seen))
        if reading is None or seen.span is None:
            return []
        first, last = seen.span
        found = reading.boundaries(version_name(seen), first, last + 1)
        return [at - first for at in found]

    def chains(self) -> list[Chain]:
        found = [chain for tries in self._tries.states.values() for chain in chains_of(tries)]
        return sorted(found, key=lambda chain: (chain.started, chain.id))

    def uploads(self) -> list[Upload]:
        return [upload for _, upload in self._uploads.by_age()]

    def readings(self) -> list[Reading]:
        return [reading for _, reading in self._readings.by_age()]

    def logs(self) -> list[Log]:
        return [log for _, log in self._logs.by_age()]

    def contents(self) -> list[Content]:
        return [content for _, content in self._contents.by_age()]

    def settle(self) -> set[str]:
        """Does what was put off to save time; the flows of which something else is to be
        said now."""
        touched: set[str] = set()
        for reading in self._readings.states.values():
            touched |= reading.settle()
        return touched

    def take_closed(self) -> tuple[list[Upload], list[Reading], list[Log]]:
        """What had to be closed since the last call."""
        self._contents.closed.clear()
        self._tries.closed.clear()
        for reading in self._readings.closed:
            reading.settle()
        taken = self._uploads.closed, self._readings.closed, self._logs.closed
        self._uploads.closed, self._readings.closed, self._logs.closed = [], [], []
        return taken

    def state(self) -> TrackerState:
        """What is known, by age; shared with the tracker, so encode it before going on."""
        return TrackerState(
            uploads=dict(self._uploads.by_age()),
            readings=dict(self._readings.by_age()),
            logs=dict(self._logs.by_age()),
            contents=dict(self._contents.by_age()),
            tries=dict(self._tries.by_age()),
        )

    def merge(self, other: Self | TrackerState) -> set[str]:
        """Joins what another tracker knows; the flows of which something else may be to
        be said now. The other one is to be used no more."""
        state = other if isinstance(other, TrackerState) else other.state()
        touched: set[str] = set()
        for name, upload in state.uploads.items():
            touched |= _flows_of(self._merge_upload(name, upload))
        for name, reading in state.readings.items():
            touched |= self._merge_reading(name, reading)
        for name, log in state.logs.items():
            known_log = self._logs.get(name) or Log(id=log.id, bucket=log.bucket, key=log.key)
            before = known_log.facts
            touched |= known_log.join(log, self._max_parts)
            self._logs.keep(name, known_log, before)
        for name, content in state.contents.items():
            known = self._contents.get(name) or Content(bucket=content.bucket, key=content.key)
            before = known.facts
            known.join(content)
            self._contents.keep(name, known, before)
            touched |= known.sights.keys()
            for sight in known.sights.values():
                touched |= self._tell_readers(name, sight)
        for name in state.contents.keys() | state.logs.keys():
            touched |= self._tell_log(name)
        for name, tries in state.tries.items():
            known_tries = self._tries.get(name) or msgspec.structs.replace(tries, tries={})
            before = known_tries.facts
            known_tries.join(tries)
            self._tries.keep(name, known_tries, before)
            touched |= {flow for chain in chains_of(known_tries) for flow in chain.flows}
        return touched

    def _merge_upload(self, name: str, upload: Upload) -> Upload:
        known = self._uploads.get(name) or Upload(
            upload_id=upload.upload_id, bucket=upload.bucket, key=upload.key
        )
        before = known.facts
        known.join(upload)
        self._uploads.keep(name, known, before)
        return known

    def _merge_reading(self, name: str, reading: Reading) -> set[str]:
        known = self._readings.get(name)
        if known is None:
            known = self._new_reading(name, reading.id, reading.bucket, reading.key)
        before = known.facts
        touched = known.join(reading)
        self._readings.keep(name, known, before)
        return touched

    def _add_to_upload(self, seen: Observation) -> set[str]:
        if not seen.upload_id:
            return set()
        name = _upload_name(seen)
        upload = self._uploads.get(name) or Upload(
            upload_id=_shown_id(seen.upload_id, name), bucket=seen.bucket, key=seen.key
        )
        before, lost = upload.facts, self._lost(upload)
        upload.add(seen, self._max_parts)
        self._uploads.keep(name, upload, before)
        touched = {
            complete.flow_id
            for complete in upload.completes.values()
            if upload.has_parts_of(complete)
        }
        if seen.operation == "InitiateMultipartUpload" and seen.etag_form != "md5":
            touched |= _flows_of(upload)
        return touched | (lost ^ self._lost(upload))

    @staticmethod
    def _lost(upload: Upload) -> set[str]:
        if not upload.completes:
            return set()
        found = probably_completed(upload)
        return {found} if found else set()

    def _add_to_log(self, seen: Observation) -> set[str]:
        name = object_name(seen)
        log = self._logs.get(name) or Log(
            id=f"append-{_digest(name)}", bucket=seen.bucket, key=seen.key
        )
        before = log.facts
        touched = log.add(seen, self._max_parts)
        self._logs.keep(name, log, before)
        return touched | self._tell_log(name)

    def _tell_log(self, name: str) -> set[str]:
        """What was read of an object says what is appended to."""
        log, content = self._logs.get(name), self._contents.get(name)
        if log is None or content is None:
            return set()
        before = log.facts
        touched: set[str] = set()
        for sight in content.sights.values():
            touched |= self._tell(log, sight)
        self._logs.keep(name, log, before)
        return touched

    def _tell(self, log: Log, sight: Sight) -> set[str]:
        if sight.kind != "read" or sight.cached or sight.size is None or sight.crc64 is None:
            return set()
        return log.learn(sight.size, sight.crc64, sight.ended, self._max_parts)

    def _add_to_content(self, seen: Observation) -> set[str]:
        sight = sight_of(seen)
        if sight is None:
            return set()
        name = object_name(seen)
        content = self._contents.get(name) or Content(bucket=seen.bucket, key=seen.key)
        before = content.facts
        copied = seen.operation == "PutObjectCopy" and seen.succeeded
        content.add(sight, copy_of(seen, _source_name(seen)) if copied else None)
        self._contents.keep(name, content, before)
        if sight.kind == "read":
            touched = self._tell_readers(name, sight)
            log = self._logs.get(name)
            if log is not None:
                before = log.facts
                touched |= self._tell(log, sight)
                self._logs.keep(name, log, before)
            return touched
        return {read.flow_id for read in content.sights.values() if read.started >= sight.started}

    def _add_to_reading(self, seen: Observation, marks: Sequence[tuple[int, int]]) -> set[str]:
        name = _reading_name(seen)
        reading = self._readings.get(name)
        if reading is None:
            identity = f"read-{_digest(name)}"
            reading = self._new_reading(name, identity, seen.bucket, seen.key)
        before = reading.facts
        touched = reading.add(seen, marks, self._max_parts)
        self._readings.keep(name, reading, before)
        return touched

    def _new_reading(
        self, name: str, identity: str, bucket: str | None, key: str | None
    ) -> Reading:
        reading = Reading(id=identity, bucket=bucket, key=key)
        of = name.rpartition("\0")[0]
        readers = self._readers.setdefault(of, set())
        readers.add(name)
        if len(self._readers) > 2 * len(self._readings.states) + 64:
            self._forget_readers()
            self._readers.setdefault(of, set()).add(name)
        content = self._contents.get(of)
        for sight in content.sights.values() if content else ():
            if sight.kind == "read" and sight.etag and sight.size is not None:
                reading.learn(sight.etag, Head(sight.ended, sight.size, sight.crc64))
        return reading

    def _forget_readers(self) -> None:
        self._readers = {}
        for name in self._readings.states:
            self._readers.setdefault(name.rpartition("\0")[0], set()).add(name)

    def _tell_readers(self, name: str, sight: Sight) -> set[str]:
        """A HEAD or GET tells size and CRC of a version to those who read parts of it."""
        touched: set[str] = set()
        if sight.kind != "read" or not sight.etag or sight.size is None:
            return touched
        for reader in self._readers.get(name, ()):
            reading = self._readings.get(reader)
            if reading is not None:
                touched |= reading.learn(sight.etag, Head(sight.ended, sight.size, sight.crc64))
        return touched

    def _add_to_tries(self, seen: Observation) -> set[str]:
        name = seen.same_request
        tries = self._tries.get(name)
        if tries is None:
            tries = Tries(
                id=f"retry-{name}", operation=seen.operation, bucket=seen.bucket, key=seen.key
            )
        before = tries.facts
        tries.add(try_of(seen))
        self._tries.keep(name, tries, before)
        touched: set[str] = set()
        for chain in chains_of(tries):
            if chain.flows[-1] != seen.flow_id:
                touched.update(chain.flows)
                continue
            # One more try changes what is said of the one before, and of those that it
            # shows to have been refused for the clock.
            touched.update(chain.flows[-2:], chain.clock_corrected)
        return touched


def object_name(seen: Observation) -> str:
    return f"{seen.place}\0{seen.key}"


def _source_name(seen: Observation) -> str:
    return f"{seen.copy_place}\0{seen.copy_key}"


def _reading_name(seen: Observation) -> str:
    return f"{seen.place}\0{seen.key}\0{seen.client}"


def _upload_name(seen: Observation) -> str:
    return f"{seen.place}\0{seen.key}\0{seen.upload_id}"


def _shown_id(upload_id: str, name: str) -> str:
    return upload_id if len(upload_id) <= 128 else f"upload-{_digest(name)}"


def _digest(name: str) -> str:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _flows_of(upload: Upload) -> set[str]:
    parts: Iterable[str] = (flow for tries in upload.parts.values() for flow in tries)
    return {*parts, *upload.completes, *upload.steps}
