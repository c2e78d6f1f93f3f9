"""Reads one piece: its exchanges go through a session, its reports into a file for later.

A report may be revised by what follows, also in another piece, so reports wait
on the disk until everything was read.
"""

import hashlib
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path

import msgspec

from cos_inspect.analysis.pieces import Piece, open_piece
from cos_inspect.analysis.settings import Settings
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import HarFile
from cos_inspect.captures.saved import UNINSPECTED, UNREADABLE, Remarks, Saved
from cos_inspect.captures.source import STDIN, STDIN_NAME, Progress, Stream, recognised
from cos_inspect.report.plain_text import encoded
from cos_inspect.report.summary import Lost
from cos_inspect.session import Inspected, Session

REMEMBERED = 262_144
"""Flows that are remembered by id, to count those once that were saved twice."""
_MOST_HOSTS = 1000
"""Hosts that are no COS, counted by name."""


class Read(msgspec.Struct, kw_only=True):
    """What is known of a piece that was read."""

    capture: str
    spool: str
    session: Session
    others: int
    offsets: array[int]
    """Where each report begins in the spool."""
    places: array[int]
    """Where each flow begins in the capture."""
    identities: array[int]
    """Of each report: a hash of its flow id; the last bit tells of saved digests."""
    revisions: dict[str, int]
    """Offsets in the spool of the reports that replace earlier ones, by flow id."""
    connections: dict[str, str]
    error: CaptureError | None = None
    """What ended the reading early."""
    notes: list[str] = []
    faults: list[str] = []
    """A line for each flow that is lost."""
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows that are in the piece, but could not be judged."""
    hosts: Counter[str] = msgspec.field(default_factory=Counter)
    """Who was asked in flows that are no COS traffic."""

    @property
    def is_empty(self) -> bool:
        """Whether it held nothing: neither a flow nor anything that is lost."""
        return not (self.offsets or self.others or self.lost.count or self.error)


class Spool:
    """Reports one after another in a file."""

    def __init__(self, path: str) -> None:
        self._file: BufferedWriter = Path(path).open("wb")  # noqa: SIM115
        self._at = 0

    def add(self, data: bytes) -> int:
        """Takes a report as JSON; where it begins."""
        at = self._at
        self._file.write(len(data).to_bytes(4, "little") + data)
        self._at += 4 + len(data)
        return at

    def close(self) -> None:
        self._file.close()


def new_session(settings: Settings) -> Session:
    return Session(
        hosts=settings.hosts,
        ignore=settings.ignore,
        redact=settings.redact,
        keys=settings.keys,
    )


def read_piece(
    piece: Piece, settings: Settings, spool_path: str, progress: Progress | None = None
) -> Read:
    """Never raises for what is wrong with the input: that stands in ``error``. OSError
    when the spool cannot be written."""
    session = new_session(settings)
    spool = Spool(spool_path)
    remarks = Remarks(STDIN_NAME if piece.path == STDIN else piece.path)
    read = Read(
        spool=spool_path,
        session=session,
        others=0,
        capture=remarks.file,
        offsets=array("Q"),
        places=array("Q"),
        identities=array("Q"),
        revisions={},
        connections={},
    )
    seen: OrderedDict[int, bool] = OrderedDict()
    try:
        stream = open_piece(piece, progress)
        try:
            for saved in _saved(stream, piece, settings, remarks, read):
                _take(saved, session, spool, read, seen, remarks)
        finally:
            stream.close()
    except CaptureError as error:
        read.error = error
        if error.loses:
            remarks.lost[UNREADABLE] += 1
    finally:
        spool.close()
    read.notes, read.faults = remarks.notes, remarks.faults
    for reason, count in remarks.lost.items():
        read.lost.add(reason, count)
    return read


def _saved(
    stream: Stream, piece: Piece, settings: Settings, remarks: Remarks, read: Read
) -> Iterator[Saved]:
    kind = piece.format
    if kind is None:
        kind = recognised(stream.name, stream.peek())
    if kind == "har":
        har = HarFile(
            stream,
            settings.hosts,
            end=piece.end,
            first_entry=piece.first_entry,
            creator=piece.creator,
        )
        yield from har.saved(remarks)
        return
    from cos_inspect.captures.mitm import FlowFile  # noqa: PLC0415 - HAR needs no mitmproxy

    file = FlowFile(stream, settings.hosts, piece.end)
    read.connections = file.connections
    yield from file.saved(remarks)


def _take(
    saved: Saved,
    session: Session,
    spool: Spool,
    read: Read,
    seen: OrderedDict[int, bool],
    remarks: Remarks,
) -> None:
    identity = identity_of(saved.flow_id)
    again = identity in seen
    if again and seen[identity] and not saved.judged:
        return
    try:
        found = _inspected(saved, session)
        reports = [] if found is None else [found.report, *found.revised]
        written = [encoded(report) for report in reports]
    except Exception as error:
        # As live: one flow that cannot be inspected costs its own report alone.
        what = f"a flow that cannot be inspected ({error!r:.200})"
        remarks.lose(what, saved.offset, saved.entry, UNINSPECTED)
        return
    seen[identity] = saved.judged
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
    if found is None:
        if not again:
            read.others += 1
            _note_host(saved.host, read.hosts)
        return
    at, *later = map(spool.add, written)
    if again:
        read.revisions[saved.flow_id] = at
    else:
        read.offsets.append(at)
        read.places.append(saved.offset)
        read.identities.append(identity | saved.judged)
    for report, place in zip(found.revised, later, strict=True):
        read.revisions[report.flow_id] = place


def _inspected(saved: Saved, session: Session) -> Inspected | None:
    exchange = saved.exchange
    if exchange is None:
        return None
    wanted = session.boundaries(exchange) if saved.marks is not None else []
    marks = saved.marks(wanted) if saved.marks is not None and wanted else ()
    return session.inspect(exchange, marks=marks)


def _note_host(host: str | None, hosts: Counter[str]) -> None:
    if host is not None and (host in hosts or len(hosts) < _MOST_HOSTS):
        hosts[host] += 1


def identity_of(flow_id: str) -> int:
    digest = hashlib.blake2b(flow_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") & ~1
