"""Reads one piece: its exchanges go through a session, its reports into a file for later.

A report may be revised by what follows, also in another piece, so reports wait
on the disk until everything was read.
"""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path

import msgspec

from cos_inspect.analysis.pieces import Piece, open_piece
from cos_inspect.analysis.settings import Settings
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.har import HarFile
from cos_inspect.captures.saved import Note, Saved
from cos_inspect.captures.source import Progress, Stream, recognised
from cos_inspect.report.model import FlowReport
from cos_inspect.report.plain_text import encoded
from cos_inspect.report.summary import Lost
from cos_inspect.session import Session

REMEMBERED = 262_144
"""Flows that are remembered by id, to count those once that were saved twice."""
_MOST_NOTES = 100


class Read(msgspec.Struct, kw_only=True):
    """What is known of a piece that was read."""

    spool: str
    session: Session
    others: int
    offsets: array[int]
    """Where each report begins in the spool."""
    identities: array[int]
    """Of each report: a hash of its flow id; the last bit tells of saved digests."""
    revisions: dict[str, int]
    """Offsets in the spool of the reports that replace earlier ones, by flow id."""
    connections: dict[str, str]
    error: CaptureError | None
    notes: list[str]
    lost: Lost = msgspec.field(default_factory=Lost)
    """Flows that are in the piece, but could not be judged."""


class Spool:
    """Reports one after another in a file."""

    def __init__(self, path: str) -> None:
        self._file: BufferedWriter = Path(path).open("wb")  # noqa: SIM115
        self._at = 0

    def add(self, report: FlowReport) -> int:
        """Where it begins."""
        data = encoded(report)
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
    notes: list[str] = []
    read = Read(
        spool=spool_path,
        session=session,
        others=0,
        offsets=array("Q"),
        identities=array("Q"),
        revisions={},
        connections={},
        error=None,
        notes=notes,
    )

    def note(line: str) -> None:
        if len(notes) < _MOST_NOTES:
            notes.append(line)
        elif len(notes) == _MOST_NOTES:
            notes.append(f"{piece.path}: and more of the kind")

    seen: OrderedDict[int, bool] = OrderedDict()
    try:
        stream = open_piece(piece, progress)
        try:
            for saved in _saved(stream, piece, settings, note, read):
                _take(saved, session, spool, read, seen)
        finally:
            stream.close()
    except CaptureError as error:
        read.error = error
    finally:
        spool.close()
    return read


def _saved(
    stream: Stream, piece: Piece, settings: Settings, note: Note, read: Read
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
        yield from har.saved(note)
        return
    from cos_inspect.captures.mitm import FlowFile  # noqa: PLC0415 - HAR needs no mitmproxy

    file = FlowFile(stream, settings.hosts, piece.end)
    read.connections = file.connections
    yield from file.saved(note)


def _take(
    saved: Saved, session: Session, spool: Spool, read: Read, seen: OrderedDict[int, bool]
) -> None:
    identity = identity_of(saved.flow_id)
    again = identity in seen
    if again and seen[identity] and not saved.judged:
        return
    seen[identity] = saved.judged
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
    exchange = saved.exchange
    found = None
    if exchange is not None:
        wanted = session.boundaries(exchange) if saved.marks is not None else []
        marks = saved.marks(wanted) if saved.marks is not None and wanted else ()
        found = session.inspect(exchange, marks=marks)
    if found is None:
        read.others += not again
        return
    at = spool.add(found.report)
    if again:
        read.revisions[saved.flow_id] = at
    else:
        read.offsets.append(at)
        read.identities.append(identity | saved.judged)
    for report in found.revised:
        read.revisions[report.flow_id] = spool.add(report)


def identity_of(flow_id: str) -> int:
    digest = hashlib.blake2b(flow_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") & ~1
