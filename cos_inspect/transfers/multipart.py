"""What was seen of a multipart upload.

The state is a set of facts by flow id, so that it is the same in whatever order they come.
"""

import bisect
from collections.abc import Sequence

import msgspec

from cos_inspect.cos.encryption import EtagForm
from cos_inspect.model.flow_report import SseMode
from cos_inspect.transfers.account import Fact, keep
from cos_inspect.transfers.limits import JudgingBudget, Limits
from cos_inspect.transfers.observation import Observation, Unread, plain_etag

SMALLEST_PART = 1024 * 1024
"""Bytes; COS documents, page 436/7742."""
LAST_NUMBER = 10_000
"""Of parts; COS documents, pages 436/7742 and 436/14518."""
PART_ERRORS = frozenset({"InvalidPart"})
"""What COS answers where a listed part is missing, or has another ETag."""
GONE = ("NoSuchUpload", "PathConflict")
"""What COS says of an upload that it has completed, or is completing."""


class PartTry(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """One upload of one part."""

    number: int
    stored: bool = False
    """COS said so."""
    unanswered: bool = False
    """The whole body went out and nobody knows whether COS stored it."""
    stopped: bool = False
    """It was under way when the recording ended."""
    sent: int = 0
    """Bytes of the body that passed."""
    size: int | None = None
    """Bytes of the part itself."""
    announced: int | None = None
    """Content-Length, where the bytes themselves were not kept; COS takes no other number."""
    md5: str | None = None
    crc64: int | None = None
    """Of the bytes that passed; of a copied part as COS told."""
    etag: str | None = None
    """As COS answered."""
    host: str = ""


class CompleteTry(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """One CompleteMultipartUpload."""

    succeeded: bool = False
    unanswered: bool = False
    """It is open whether COS did it: it broke off, failed inside COS, or somebody else
    answered for it."""
    answer_cut: bool = False
    error_code: str | None = None
    listed: tuple[tuple[int, str], ...] | None = None
    """Number and ETag of its parts, as listed; None where the list could not be read."""
    no_numbers: tuple[str, ...] = ()
    """What stands in the list where numbers of parts belong."""
    crc64: int | None = None
    """Of the whole object, as COS told."""
    crc64_unread: Unread | None = None
    etag: str | None = None
    """Of the whole object, as the answer's body tells."""
    etag_unread: bool = False
    callback: bool = False
    """The answer is what a callback or the client's own template makes of it."""


class ListedPart(msgspec.Struct, frozen=True, gc=False):
    """A part as ListParts told of it; it may have been sent before anything was seen."""

    flow_id: str
    moment: float
    etag: str
    size: int | None


class Step(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """Another exchange of the upload: Initiate, Abort, ListParts, a part without a number."""

    operation: str
    succeeded: bool = False
    error_code: str | None = None
    encryption: SseMode = "none"
    etag_form: EtagForm = "md5"


def _begin(complete: CompleteTry) -> tuple[float, str]:
    return complete.begin


class Upload(msgspec.Struct, kw_only=True, dict=True):
    """All that was seen of one upload id."""

    upload_id: str
    bucket: str | None
    key: str | None
    parts: dict[int, dict[str, PartTry]] = {}
    """By number, then by flow."""
    completes: dict[str, CompleteTry] = {}
    steps: dict[str, Step] = {}
    listed: dict[int, ListedPart] = {}
    """By number, as they were told last."""
    facts: int = 0
    """Exchanges, and parts that ListParts told of; bounds of memory count them."""
    left_out: int = 0
    """Exchanges that were not kept, to bound memory."""
    done: bool = False
    """A Complete succeeded."""
    is_open: bool = False
    """Of some Complete it is open whether COS did it."""
    is_aborted: bool = False
    """An Abort succeeded."""
    is_gone: bool = False
    """COS said that it does not know the upload, or that another write is in its way."""

    def __post_init__(self) -> None:
        self._begun: tuple[SseMode, EtagForm] | None = None
        self._effort = JudgingBudget()
        self._put_off: set[str] = set()
        self._listed_etags: dict[str, dict[int, str | None]] = {}
        self._unanswered: list[CompleteTry] | None = None

    def add(self, seen: Observation, limits: Limits) -> bool:
        """Takes one exchange in; False when it is too much."""
        is_part = seen.operation in ("UploadPart", "UploadPartCopy") and seen.no_part_number is None
        steps = len(self.steps) + len(self.completes)
        if self.facts >= limits.parts or (not is_part and steps >= limits.steps):
            self.left_out += 1
            return False
        if is_part:
            self._add_part(_part_try(seen))
        elif seen.operation == "CompleteMultipartUpload":
            self._add_complete(_complete_try(seen))
        else:
            self._add_step(_step(seen))
            self._add_listed(seen)
        return True

    def _add_listed(self, seen: Observation) -> None:
        for number, etag, size in seen.stored_parts:
            known = self.listed.get(number)
            told = ListedPart(seen.flow_id, seen.ended, plain_etag(etag), size)
            if known is None or (known.moment, known.flow_id) < (told.moment, told.flow_id):
                self.facts += known is None
                self.listed[number] = told

    def _add_part(self, part: PartTry) -> None:
        tries = self.parts.setdefault(part.number, {})
        self.facts += part.flow_id not in tries
        keep(tries, part)

    def _add_complete(self, complete: CompleteTry) -> None:
        self._listed_etags.pop(complete.flow_id, None)
        if self._unanswered is not None:
            if complete.flow_id in self.completes:
                self._unanswered = None
            elif complete.unanswered:
                bisect.insort(self._unanswered, complete, key=_begin)
        self.facts += complete.flow_id not in self.completes
        keep(self.completes, complete)
        self.done |= complete.succeeded
        self.is_open |= complete.unanswered
        self.is_gone |= complete.error_code in GONE

    def _add_step(self, step: Step) -> None:
        self.facts += step.flow_id not in self.steps
        keep(self.steps, step)
        self.is_gone |= step.error_code in GONE
        self.is_aborted |= step.operation == "AbortMultipartUpload" and step.succeeded
        self._begun = None

    @property
    def unanswered(self) -> Sequence[CompleteTry]:
        """The Completes without an answer, by their beginning."""
        if self._unanswered is None:
            found = (each for each in self.completes.values() if each.unanswered)
            self._unanswered = sorted(found, key=_begin)
        return self._unanswered

    @property
    def encryption(self) -> tuple[SseMode, EtagForm]:
        """As Initiate settled it, and what it makes of the parts' ETags; the parts do not
        repeat it."""
        if self._begun is None:
            begun = [
                step
                for step in self.steps.values()
                if step.operation == "InitiateMultipartUpload" and step.encryption != "none"
            ]
            first = min(begun, key=lambda step: step.order, default=None)
            self._begun = (first.encryption, first.etag_form) if first else ("none", "md5")
        return self._begun

    @property
    def gone_flows(self) -> set[str]:
        """Those that were told that there is no such upload."""
        return {
            each.flow_id
            for group in (self.completes, self.steps)
            for each in group.values()
            if each.error_code == "NoSuchUpload"
        }

    @property
    def was_begun(self) -> bool:
        """Whether its beginning was seen, so that nothing came before it."""
        return any(
            step.operation == "InitiateMultipartUpload" and step.succeeded
            for step in self.steps.values()
        )

    def has_parts_of(self, complete: CompleteTry) -> bool:
        """Whether as many parts were seen as were listed: before, nothing can be joined."""
        seen = len(self.parts.keys() | self.listed.keys()) if self.listed else len(self.parts)
        return complete.listed is not None and seen >= len(self._etags_in(complete))

    def due(self, part: PartTry | None = None) -> set[str]:
        """Completes of which something else may be said now that one more part was seen, which
        is ``part`` where nothing else changed; where they list many parts, only now and then."""
        found = set()
        for complete in self.completes.values():
            is_whole = self.has_parts_of(complete) or complete.error_code in PART_ERRORS
            if not is_whole and part is not None and not self._matters_alone(complete, part):
                continue
            if self._effort.allows(1 + len(complete.listed or ()), self.facts):
                found.add(complete.flow_id)
            else:
                self._put_off.add(complete.flow_id)
        return found

    def _matters_alone(self, complete: CompleteTry, part: PartTry) -> bool:
        """Whether one part says something of a Complete while others are not seen yet: it has
        another ETag than is listed, breaks a rule for parts or shows that COS takes its number,
        or it takes the place of what was known of it."""
        listed = self._etags_in(complete)
        if part.number not in listed:
            return False
        etag = listed[part.number]
        is_odd = not 1 <= part.number <= LAST_NUMBER
        is_small = part.size is not None and part.size < SMALLEST_PART
        differs = not part.stored or etag is None or part.etag != etag
        replaces = part.number in self.listed or len(self.parts.get(part.number, ())) > 1
        return is_odd or is_small or differs or replaces

    def _etags_in(self, complete: CompleteTry) -> dict[int, str | None]:
        """By number, as the Complete lists them; None where it lists different ones."""
        found = self._listed_etags.get(complete.flow_id)
        if found is None:
            found = self._listed_etags[complete.flow_id] = {}
            for number, text in complete.listed or ():
                etag = plain_etag(text)
                found[number] = etag if found.get(number, etag) == etag else None
        return found

    def settle(self) -> set[str]:
        """The Completes that ``due`` put off."""
        put_off, self._put_off = self._put_off, set()
        return put_off


def _part_try(seen: Observation) -> PartTry:
    copied = seen.operation == "UploadPartCopy"
    size, crc64 = seen.size, seen.crc64
    if copied:
        crc64 = seen.result_crc64 if seen.result_crc64 is not None else seen.header_crc64
        if seen.copy_span is not None and seen.copy_span[1] >= 0:
            size = seen.copy_span[1] - seen.copy_span[0] + 1
    elif crc64 is None:
        # What COS stored, where the bytes themselves were not kept.
        crc64 = seen.header_crc64
    return PartTry(
        flow_id=seen.flow_id,
        number=seen.part_number or 0,
        started=seen.started,
        ended=seen.ended,
        stored=seen.succeeded,
        unanswered=not seen.succeeded
        and not seen.request_cut
        and (seen.status is None or (seen.status >= 500 and not copied and not seen.from_cos)),
        stopped=seen.stopped,
        sent=seen.sent_size or 0,
        size=size,
        announced=seen.announced if size is None and not copied else None,
        md5=seen.md5,
        crc64=crc64,
        etag=(seen.result_etag or seen.etag) if seen.succeeded else None,
        host=seen.host,
    )


def _complete_try(seen: Observation) -> CompleteTry:
    crc64 = seen.header_crc64 if seen.header_crc64 is not None else seen.result_crc64
    return CompleteTry(
        flow_id=seen.flow_id,
        started=seen.started,
        ended=seen.ended,
        succeeded=seen.succeeded,
        # An error may come after COS has begun to join the parts, and goes on with it.
        unanswered=not seen.succeeded
        and (seen.status is None or seen.answer_cut or seen.status >= 500 or seen.status == 200),
        answer_cut=seen.answer_cut,
        error_code=seen.error_code,
        listed=seen.listed,
        crc64=crc64,
        no_numbers=seen.no_numbers,
        crc64_unread=seen.crc64_unread,
        etag=seen.result_etag,
        etag_unread=seen.etag_unread,
        callback=seen.callback,
    )


def _step(seen: Observation) -> Step:
    return Step(
        flow_id=seen.flow_id,
        operation=seen.operation,
        started=seen.started,
        ended=seen.ended,
        succeeded=seen.succeeded,
        error_code=seen.error_code,
        encryption=seen.encryption,
        etag_form=seen.etag_form,
    )
