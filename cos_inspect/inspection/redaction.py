"""Masks secrets, as one step between a report and everything that is written or shown.

A secret is known by the name it stands under (``tables/secrets.tsv``), and from then on
by its value: where that stands again in the same exchange, in whatever escapes, it is
masked as well. Equal values get equal masks, made of their SHA-256, so that they can
still be told apart. A SecretId is no secret.

Every text of a report is looked at; see ``texts``. Time is linear in what is looked at,
and where nothing secret is there it takes a few microseconds.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from cos_inspect.cos.digest_plan import XML_SAMPLE
from cos_inspect.cos.secret_names import (
    SECRET_KINDS,
    SecretKind,
    canonical,
    kind_of,
    kind_of_header,
    kind_of_parameter,
)
from cos_inspect.inspection import texts
from cos_inspect.inspection.echo_traces import found_by
from cos_inspect.inspection.escapes import decode, encoded, plain
from cos_inspect.inspection.known_secrets import (
    MOST,
    SHORTEST,
    Echo,
    KnownSecrets,
    Span,
    fold,
    mask_of,
)
from cos_inspect.inspection.plain_success import SIGNATURE
from cos_inspect.inspection.secret_finder import find_in
from cos_inspect.inspection.secret_free_texts import SECRET_FREE, secret_hint_of
from cos_inspect.inspection.secret_hints import SecretHint, secret_hint
from cos_inspect.inspection.secret_shapes import (
    MASK,
    credentials_begin,
    has_fields,
    is_base64,
    parts_of,
)
from cos_inspect.model.exchange import EchoTrace
from cos_inspect.model.headers import MAX_VALUE, Headers

LONGEST = XML_SAMPLE
"""Characters of a text that is looked into closely: as long as what is kept of a document, which
a saved flow has only where it was."""
MOST_NAMED = 256
"""Secrets that texts of one exchange name; no client or server sends as many. Texts that name
more are masked whole, and every word of them."""
_MOST_UNREAD = 256 * 1024
"""Bytes of headers beyond all bounds that are looked for elsewhere."""
_MOST_OF_TARGET = 128 * 1024
"""Characters of a target that is not read whole."""
_SEGMENTS = bytes.maketrans(b"/:@", b"   ")
"""What may stand between a secret and what else is in a URL."""
_HEX = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def mask(value: str) -> str:
    """``[masked:…]`` with eight hex digits of the value's SHA-256, or ``[masked:short]``."""
    return mask_of(plain(encoded(value)).strip())


class Redactor:
    """Masks one exchange's secrets; remembers them to find their echoes.

    ``secrets``: values that are known from elsewhere; ``others``: those of other exchanges;
    ``longest``: characters of a text that is looked into closely, a longer one that may hold
    a secret is masked whole. ``remembers``: what one text names is looked for in the others.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        *,
        others: KnownSecrets | None = None,
        longest: int = LONGEST,
        remembers: bool = True,
    ) -> None:
        self._longest = longest
        self._known = KnownSecrets(most=MOST if remembers else 0)
        self._others = others
        self._named = 0
        """How many secrets texts have named."""
        self.looks_for_pieces = False
        """Whether a part of a secret is looked for in texts as well."""
        self._own: dict[str, str] = {}
        """Texts that name a secret, and what is shown of them."""
        self._spans: dict[str, list[Span]] = {}
        """Where in these they stand."""
        self._parsed: set[str] = set()
        """Texts that are masked already, and name nothing else."""
        self._hits: set[str] = set()
        self.repeated: dict[str, str] = {}
        """Pieces of texts that were masked for their value, so far, and the mask of each."""
        self._public: set[bytes] = set()
        for secret in secrets:
            self.learn(secret)

    @property
    def knows(self) -> bool:
        """Whether a secret is known by now."""
        return bool(self._known)

    @property
    def echoes(self) -> tuple[Echo, ...]:
        """Secrets that were found by their value, so far."""
        if not self._hits:
            return ()
        return tuple(held for held in self._known.values() if held[1] in self._hits)

    def learn(self, value: str) -> None:
        """Takes a value for a secret."""
        self._known.learn(plain(encoded(value)))

    def learn_echoes(self, traces: Sequence[EchoTrace], held: Iterable[str]) -> None:
        """Learns the secrets that left these traces, where they stand in texts."""
        for piece, shown in found_by(traces, held) if traces else ():
            self._known.learn(plain(piece), shown)

    def learn_echoes_in(self, traces: Sequence[EchoTrace], struct: msgspec.Struct) -> None:
        """The same for the texts of a struct."""
        if traces:
            named = [text for _, text in texts.collect_named(struct)]
            self.learn_echoes(traces, [*filter(None, texts.collect(struct)), *named])

    def learn_from(self, text: str) -> None:
        """Learns the secrets that a text names."""
        self._read(text)

    def learn_unread(self, headers: Headers) -> None:
        """Takes all for a secret that header fields say which are not read."""
        if not headers.unread:
            return
        values = [encoded(value) for _, value in headers.fields if len(value) > MAX_VALUE]
        values += [value for _, value in headers.beyond]
        self._known.learn_words(plain(b"\n".join(values)[:_MOST_UNREAD]))

    def learn_unread_target(self, target: str) -> None:
        """The same of a target of which not all is read; and parts of secrets are looked for, as
        one may be cut where the report's target ends."""
        if target:
            held = plain(encoded(target[:_MOST_OF_TARGET]))
            self._known.learn_words(held)
            self._known.learn_words(held.translate(_SEGMENTS))
            self.looks_for_pieces = True

    def learn_head(self, url: str, headers: Iterable[tuple[str, str]]) -> None:
        """Learns the secrets in a message's head."""
        self.text(self.url(url))
        for name, value in headers:
            kind = kind_of_header(name)
            if kind in SECRET_KINDS:
                self.value(kind, value)
            else:
                self._read(value)

    def text(self, text: str) -> str:
        """Masks what the text names and what is known, anywhere in it."""
        self._read(text)
        return self._masked(text)

    def struct[S: msgspec.Struct](
        self, struct: S, public: Callable[[S], Iterable[str | None]] | None = None
    ) -> S:
        """A struct of the reports with every text inside of it masked.

        :param public: what is no secret, but where a secret's name stands before it.
        """
        held = list(filter(None, texts.collect(struct)))
        self._read_all(set(held))
        found = texts.collect_named(struct)
        if not self._own and not found:
            # Mostly nothing is known, so that even to join the texts would be too much.
            if not self._known and not self._others:
                return struct
            if not self._knows_of("\n".join(held)):
                return struct
        named = {(name, text): self.value(kind_of(canonical(name)), text) for name, text in found}
        changes = self._own
        if self._knows_of("\n".join([changes.get(text, text) for text in held])):
            for value in filter(None, public(struct) if public else ()):
                self._public.add(fold(plain(encoded(value))))
            # Where a value is repeated, a part of it may have been read for something else.
            self.looks_for_pieces = True
            changes = {text: self._masked(text) for text in dict.fromkeys(held)}
        return texts.changed(struct, texts.TextChanges(changes, named))

    def _knows_of(self, text: str) -> bool:
        """Whether a secret that is known may stand in a text."""
        data = encoded(text)
        return self._known.stands_in(data, pieces=self.looks_for_pieces) or (
            self._others is not None and self._others.stands_in(data)
        )

    def _read_all(self, held: set[str]) -> None:
        """Learns the secrets that texts name."""
        unknown = held - SECRET_FREE
        unknown -= self._parsed
        hint = secret_hint_of(unknown)
        for text in unknown if hint else ():
            if hint is SecretHint.MARKS or _has_separators(text):
                self._read(text)

    def _read(self, text: str) -> None:
        """Learns the secrets that a text names."""
        if text in self._own or not secret_hint(plain(encoded(text), ascii_only=True)):
            return
        left = MOST_NAMED - self._named
        if len(text) > self._longest or left <= 0:
            self._mask_whole(text)
            return
        found = find_in(text, most=MOST_NAMED)
        self._named += len(found.secrets)
        if len(found.secrets) > left:
            self._mask_whole(text)
            return
        spans: list[Span] = []
        decoded = decode(text)
        for secret in found.secrets:
            shown = mask_of(secret.value)
            spans.append((*decoded.span(secret.start, secret.end), shown))
            self._known.learn(secret.value, shown)
            for part in secret.also:
                self._known.learn(part)
        self._public.update([fold(value) for value in found.ids])
        if spans:
            self._spans[text] = spans
            self._own[text] = _with_masks(text, spans)

    def _mask_whole(self, text: str) -> None:
        data = encoded(text)
        self._own[text] = mask_of(data)
        self._known.learn_words(plain(data))

    def _masked(self, text: str) -> str:
        """Of a text that was read before."""
        shown = self._own.get(text, text)
        if not self._knows_of(shown):
            return shown
        if len(text) > self._longest:
            return mask_of(encoded(text))
        decoded = decode(text)
        spans = self._known.spans(decoded, pieces=self.looks_for_pieces, public=self._public)
        if self._others is not None:
            spans += self._others.spans(decoded, public=self._public)
        self._hits.update(mask for _, _, mask in spans)
        self.repeated.update([(text[start:end], mask) for start, end, mask in spans])
        return _with_masks(text, [*self._spans.get(text, ()), *spans])

    def value(self, kind: SecretKind, value: str) -> str:
        """Masks a value that is a secret as its name tells."""
        if kind == "credentials":
            return self._credentials(value)
        held = plain(encoded(value)).strip()
        if not held or MASK.fullmatch(held):
            return value
        self._learn_parts(kind, held)
        return mask_of(held)

    def _learn_parts(self, kind: SecretKind, held: bytes) -> None:
        """Learns a secret and what is secret by itself inside of it; of very many the words."""
        if self._named < MOST_NAMED:
            parts = parts_of(kind, held)
            self._named += 1 + len(parts)
            self._known.learn(held)
            for part in parts[:MOST_NAMED]:
                self._known.learn(part)
            if len(parts) <= MOST_NAMED:
                return
        self._known.learn_words(held)

    def url(self, url: str) -> str:
        """Masks the secrets of a URL's own parameters; others may stand inside of theirs."""
        address, _, query = url.partition("?")
        if "=" not in query:
            return url
        if len(query) > self._longest:
            # Longer than any that a server takes.
            data = encoded(query)
            self._known.learn_words(plain(data[:_MOST_UNREAD]))
            return f"{address}?{mask_of(data)}"
        masked = False
        pieces = query.split("&")
        for at, piece in enumerate(pieces):
            name, sign, value = piece.partition("=")
            kind = kind_of_parameter(name)
            if kind in SECRET_KINDS and value and (kind != "base64" or is_base64(value)):
                if _HEX.fullmatch(value) and name.endswith("ignature"):
                    shown = self.signature(value)
                else:
                    shown = self.value(kind, value)
                pieces[at] = f"{name}{sign}{shown}"
                masked = True
        return f"{address}?{'&'.join(pieces)}" if masked else url

    def signature(self, value: str) -> str:
        """Masks a signature in hex."""
        held = value.encode()
        shown = mask_of(held)
        self._known.learn(held, shown)
        return shown

    def _credentials(self, value: str) -> str:
        """As in Authorization, with only its secret part masked where its form is known."""
        if SIGNATURE.fullmatch(value):
            shown = value[:-40] + self.signature(value[-40:])
            self._parsed.add(shown)
            return shown
        held = plain(encoded(value)).strip()
        if has_fields(held):
            return self.text(value)
        begin = credentials_begin(held)
        secret = held[begin:].strip()
        if not secret or MASK.fullmatch(secret):
            return value
        self._learn_parts("credentials", secret)
        return held[:begin].decode("utf-8", "replace") + mask_of(secret)

    def plain(self, data: Any) -> Any:
        """Plain data with every text inside of it masked."""
        holder = _Holder(data)
        return self.struct(holder).data


def fault_text(error: Exception) -> str:
    """What a fault says, in a line of 200 characters at most, without what it quotes: that
    may be anything that was read."""
    said = Redactor().text(_QUOTED.sub("'…'", f"{type(error).__name__}: {error}"))
    return said[:_LONGEST_FAULT]


_QUOTED = re.compile(r"'[^']*+'|\"[^\"]*+\"")
_LONGEST_FAULT = 200


def masked_lists[S: msgspec.Struct](lists: S, others: KnownSecrets | None = None) -> S:
    """What is said of many exchanges, with its secrets masked: of each text those that it
    names, and those that exchanges repeat."""
    return Redactor(others=others, remembers=False).struct(lists)


class _Holder(msgspec.Struct, frozen=True):
    data: Any


def _has_separators(text: str) -> bool:
    """Whether a name may stand in a text with something behind it; most have none."""
    return "=" in text or ":" in text or ">" in text or "%" in text or "\\" in text or "&" in text


def _with_masks(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end, shown in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= done:
            pieces += (text[done:start], shown)
        done = max(done, end)
    return "".join([*pieces, text[done:]])


__all__ = ["LONGEST", "MOST_NAMED", "SHORTEST", "Echo", "KnownSecrets", "Redactor", "mask"]
