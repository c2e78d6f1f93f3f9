"""``.saz``: the sessions of Fiddler (Classic, Everywhere, FiddlerCap), and of Whistle, which
exports the same form.

Fiddler keeps the bytes of the wire, with chunks and content codings on; so its bodies are checked
where those of a HAR cannot be. Whistle writes heads anew, takes codings off together with
the header that names them, and keeps the old Content-Length; bodies over 2 MiB it leaves out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import blake2b
from uuid import UUID
from zipfile import ZipInfo

from cos_inspect.captures.capture_format import CaptureFormat, read_whole
from cos_inspect.captures.captured_flow import CapturedFlow, InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.exports.archive import (
    Archive,
    ArchiveError,
    encryption_of,
    is_zip,
    session_name,
)
from cos_inspect.captures.exports.exported_body import NO_BODY, ExportedBody
from cos_inspect.captures.exports.exported_flow import (
    CACHED,
    OTHER_SCHEME,
    TUNNEL,
    WEB_SOCKET,
    ExportedFlow,
    split_url,
)
from cos_inspect.captures.exports.raw_message import (
    RawMessage,
    RawMessageError,
    StatusLine,
    behind,
    read_message,
    request_line,
    status_line,
)
from cos_inspect.captures.exports.session_facts import (
    ANSWER_DROPPED,
    BY_FIDDLER,
    FROM_CACHE,
    HTTPS,
    REQUEST_DROPPED,
    WEBSOCKET,
    SessionFacts,
    read_facts,
)
from cos_inspect.captures.source import Stream
from cos_inspect.inspection.redaction import fault_text
from cos_inspect.model.exchange import BrokeOff
from cos_inspect.recording.message_heads import DEFAULT_PORTS, AnswerHead, RequestHead, headers_of

_MOST_FACTS = 1024 * 1024
"""Bytes of a session's XML or JSON; frames of a WebSocket stand in the latter."""
_FIDDLER_FAILED = b"Fiddler - "
"""How the reason begins of an answer that Fiddler gives where it got none."""

_Members = dict[str, ZipInfo]


class SazFile:
    """Reads one archive."""

    def __init__(self, stream: Stream, hosts: Sequence[str]) -> None:
        self._stream = stream
        self._hosts = hosts
        self._met: Counter[bytes] = Counter()

    def saved(self, remarks: InputRemarks) -> Iterator[CapturedFlow]:
        """:raises CaptureError: where the archive is damaged, or holds no session."""
        with Archive.opened(self._stream) as archive:
            sessions = self._sessions(archive, remarks)
            if archive.comment.startswith("Fiddler"):
                program = archive.comment.removesuffix(".").partition(" Session Archive")[0]
                remarks.facts.program = program.replace("(", "").replace(")", "")
            encrypted: dict[str, list[int]] = {}
            for number, members in sessions:
                kept = (members[name] for name in ("c.txt", "s.txt") if name in members)
                how = next(filter(None, map(encryption_of, kept)), None)
                if how is not None:
                    encrypted.setdefault(how, []).append(number)
                    continue
                offset = members["c.txt"].header_offset
                try:
                    flow = self._one(archive, members, remarks)
                    if flow is not None:
                        yield flow.captured(self._hosts, offset=offset, entry=number)
                except (ArchiveError, RawMessageError) as error:
                    remarks.lose(f"skipped, {error}", offset, number)
                except CaptureError:
                    raise
                except Exception as error:
                    # Anything may stand in a session; the next one may be whole.
                    remarks.lose(
                        f"skipped, it cannot be read ({fault_text(error)})", offset, number
                    )
            for how, numbers in encrypted.items():
                reason = f"encrypted ({how})"
                what = f"{len(numbers)} sessions are encrypted ({how}), the first of them this one:"
                remarks.lose(f"{what} save them without a password", 0, numbers[0], reason)
                remarks.lost[reason] += len(numbers) - 1
                remarks.facts.misses_exchanges = True

    def _sessions(self, archive: Archive, remarks: InputRemarks) -> list[tuple[int, _Members]]:
        """By number. Of a name that stands more than once each member is one of another session
        of the same number."""
        found: dict[tuple[int, int], _Members] = {}
        seen: Counter[tuple[int, str]] = Counter()
        for member in archive.members:
            name = session_name(member.filename)
            if name is None:
                continue
            found.setdefault((name[0], seen[name]), {})[name[1]] = member
            seen[name] += 1
        sessions = sorted(found.items())
        alone = [key[0] for key, members in sessions if "c.txt" not in members]
        if alone:
            what = "sessions have no request: its member is missing"
            remarks.note(f"{self._stream.name}: {len(alone)} {what}")
            remarks.facts.leave_out("without a request", len(alone))
        again = sum(1 for _, occurrence in found if occurrence)
        if again:
            what = f"{again} sessions have the number of another one"
            remarks.note(f"{self._stream.name}: {what}, and are read as well")
        if not found:
            raise CaptureError(self._stream.name, "this zip archive holds no session of Fiddler")
        return [(key[0], members) for key, members in sessions if "c.txt" in members]

    def _one(
        self, archive: Archive, members: _Members, remarks: InputRemarks
    ) -> ExportedFlow | None:
        """None for what is no exchange, which is counted."""
        asked = read_message(archive.chunks(members["c.txt"]))
        if asked is None:
            raise RawMessageError("a request that is empty")
        method, target, version = request_line(asked.line)
        facts = read_facts(
            _facts_in(archive, members.get("m.xml")),
            _facts_in(archive, members.get("whistle.json")),
        )
        if facts.is_whistle:
            remarks.facts.program = remarks.facts.program or _whistle(facts)
        reason = _no_exchange(method, asked, facts, "w.txt" in members)
        if reason is not None:
            remarks.facts.leave_out(reason)
            return None
        url = target.decode("utf-8", "replace")
        scheme, host, port, path = split_url(url, tls=bool(facts.bits & HTTPS))
        if scheme not in DEFAULT_PORTS:
            remarks.facts.leave_out(OTHER_SCHEME)
            return None
        if not host and headers_of(asked.fields).get("host") is None:
            raise RawMessageError("a request that does not say who was asked")
        answered = members.get("s.txt")
        answer = None if answered is None else read_message(archive.chunks(answered))
        line = None if answer is None else status_line(answer.line)
        ended = _End(line, answer, facts)
        received = NO_BODY
        if answered is not None and answer is not None and ended.answered:
            received = _held(
                archive,
                answered,
                answer,
                facts,
                length=facts.transferred,
                dropped=bool(facts.bits & ANSWER_DROPPED),
            )
        answer_date = None if answer is None else headers_of(answer.fields).get("date")
        return ExportedFlow(
            flow_id=self._identity(asked, members, facts),
            head=RequestHead(
                asked.fields,
                method,
                scheme.encode(),
                b"",
                host,
                port,
                path.encode("utf-8", "surrogateescape"),
                version,
            ),
            answer=ended.head,
            sent=_held(
                archive,
                members["c.txt"],
                asked,
                facts,
                length=None,
                dropped=bool(facts.bits & REQUEST_DROPPED),
            ),
            received=received,
            timing=facts.timing(answer_date),
            error=ended.error,
            broke_off=ended.broke_off,
            cut=ended.broke_off is not None,
            answered_by="Fiddler" if facts.bits & BY_FIDDLER and ended.head is not None else None,
            peers=facts.peers(port),
            client_address=facts.address("x-clientip"),
            server_address=facts.address("x-hostip"),
        )

    def _identity(self, asked: RawMessage, members: _Members, facts: SessionFacts) -> str:
        """The same session in two archives has the same id; twice in one, it has two."""
        digest = blake2b(repr((asked.line, asked.fields)).encode(), digest_size=16)
        for name in ("c.txt", "s.txt"):
            member = members.get(name)
            digest.update(f"{member and (member.CRC, member.file_size)};".encode())
        digest.update(str(facts.timing(None).request_start).encode())
        self._met[digest.digest()] += 1
        if self._met[digest.digest()] > 1:
            digest.update(str(self._met[digest.digest()]).encode())
        return str(UUID(bytes=digest.digest()))


class _End:
    """What came of a request: an answer of the server's, or what stands in its place."""

    def __init__(
        self, line: StatusLine | None, answer: RawMessage | None, facts: SessionFacts
    ) -> None:
        self.head: AnswerHead | None = None
        self.error: str | None = None
        self.broke_off: BrokeOff | None = None
        if line is None or answer is None:
            if facts.says("reqError"):
                self._by_client()
            elif facts.says("resError"):
                self.error = "Whistle: the server gave no answer"
            return
        no_head = facts.is_whistle and not answer.fields
        if line.reason.startswith(_FIDDLER_FAILED):
            self.error = line.reason.decode("latin-1")
        elif no_head and (facts.says("reqError") or line.reason == b"aborted"):
            # Whistle writes 502 where a client left.
            self._by_client()
        elif no_head and facts.says("resError"):
            self.error = "Whistle: the server gave no answer"
        elif line.status is not None:
            self.head = AnswerHead(answer.fields, line.status, line.reason, line.http_version)
            if line.reason == b"aborted" or facts.says("reqError"):
                self._by_client()
        else:
            self._by_client()

    @property
    def answered(self) -> bool:
        """Whether the answer is the server's."""
        return self.head is not None

    def _by_client(self) -> None:
        self.broke_off = BrokeOff(by="client")
        self.error = "client disconnected"


def _no_exchange(
    method: bytes, asked: RawMessage, facts: SessionFacts, has_frames: bool
) -> str | None:
    """Why a session is none that has a report."""
    if method.upper() == b"CONNECT":
        return TUNNEL
    upgrade = headers_of(asked.fields).get("upgrade") or ""
    if has_frames or facts.bits & WEBSOCKET or "websocket" in upgrade.lower():
        return WEB_SOCKET
    return CACHED if facts.bits & FROM_CACHE else None


def _facts_in(archive: Archive, member: ZipInfo | None) -> bytes | None:
    """What cannot be read there costs no session."""
    if member is None:
        return None
    try:
        return archive.read(member, _MOST_FACTS)
    except ArchiveError:
        return None


def _whistle(facts: SessionFacts) -> str:
    version = facts.whistle.get("version") if facts.whistle is not None else None
    return f"Whistle {version[:30]}" if isinstance(version, str) else "Whistle"


def _held(
    archive: Archive,
    member: ZipInfo,
    message: RawMessage,
    facts: SessionFacts,
    *,
    length: int | None,
    dropped: bool,
) -> ExportedBody:
    def content() -> Iterator[bytes]:
        return behind(archive.chunks(member), message.body)

    whistle = facts.is_whistle
    return ExportedBody(
        content=content,
        stored=max(0, member.file_size - message.body),
        length=None if whistle and not length else length,
        keeps_wire=not whistle,
        ended=not whistle and facts.is_over,
        dropped=dropped,
        hides_coding=whistle,
    )


def _never(_head: bytes) -> bool:
    """In folders it is found by the names of its members."""
    return False


SAZ = CaptureFormat(
    name="saz",
    called="a session archive of Fiddler",
    recognises=is_zip,
    recognises_in_folder=_never,
    suffixes=(".saz",),
    read=partial(read_whole, SazFile),
)
