"""What was signed, as the wire has it and as COS has it."""

from typing import Any

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.signature import (
    HttpString,
    Signature,
    is_beyond_reading,
    policy_string_to_sign,
    policy_text,
    rebuild,
    sha1_hex,
    string_to_sign,
)
from cos_inspect.cos.signature_difference import (
    AMBIGUOUS,
    WORDS,
    Difference,
    first_difference,
    same_content,
)
from cos_inspect.rules.refusal import mismatched


class SignedContent(msgspec.Struct, frozen=True, kw_only=True):
    """What was signed, as the wire has it and as COS has it."""

    http_string: str | None
    string_to_sign: str
    agrees: bool | None
    """None where COS does not say what it hashed."""
    difference: Difference | None = None
    raw_names: tuple[str, ...] = ()
    """Of parameters that q-url-param-list names without percent-encoding."""


def compare(cos: CosExchange, signature: Signature) -> SignedContent | None:
    """What the wire gives as signed content, and whether COS hashed the same; None where the
    signature has no time, the form no policy, or the request more than is read."""
    window = signature.sign_time
    if window is None:
        return None
    error = cos.error if mismatched(cos) else None
    hashed = error.hashed_string if error else None
    if signature.over_policy:
        policy = policy_text(cos.form)
        if policy is None:
            return None
        ours = policy_string_to_sign(policy)
        agrees = None if hashed is None else hashed == ours
        return SignedContent(http_string=None, string_to_sign=ours, agrees=agrees)
    if is_beyond_reading(signature, cos.request):
        return None
    formatted = error.format_string if error else None
    wire = rebuild(signature, cos.request)
    blanks = rebuild(signature, cos.request, plus_is_blank=True)
    if not _agree(wire, hashed, formatted) and _agree(blanks, hashed, formatted):
        wire = blanks
    return _compare_http(cos, wire, window.text, hashed, formatted)


def _agree(wire: HttpString, hashed: str | None, formatted: str | None) -> bool:
    return hashed == sha1_hex(wire.text) or (
        formatted is not None and same_content(formatted, wire)
    )


def _compare_http(
    cos: CosExchange, wire: HttpString, sign_time: str, hashed: str | None, formatted: str | None
) -> SignedContent:
    text = wire.text
    shown = SignedContent(
        http_string=_printable(text),
        string_to_sign=string_to_sign(sign_time, text),
        agrees=None,
        raw_names=wire.raw_parameters,
    )
    if not wire.exact or (hashed is None and formatted is None):
        return shown
    if _agree(wire, hashed, formatted):
        return msgspec.structs.replace(shown, agrees=True)
    found = first_difference(formatted, wire, cos.request) if formatted is not None else None
    return msgspec.structs.replace(shown, agrees=False, difference=found)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def strings_of(content: SignedContent | None) -> dict[str, Any]:
    """Both strings for a finding's evidence; empty for None."""
    if content is None:
        return {}
    return {"http_string": content.http_string, "string_to_sign": content.string_to_sign}


def difference_words(difference: Difference) -> str:
    """Sentences that say where COS and the wire differ, and who may have changed it."""
    where = difference.line if difference.name is None else f"{difference.line} ({difference.name})"
    words = f"The first difference is in the {where}: {WORDS[difference.cause]}."
    if difference.server_part or difference.wire_part:
        words += (
            f" COS has …{difference.server_part!r}…, the wire has …{difference.wire_part!r}…"
            f" (character {difference.at})."
        )
    elif difference.line == "method":
        words += f" COS has {difference.server!r}, the wire has {difference.wire!r}."
    if difference.changed_by == "proxy":
        return f"{words} This proxy changed it."
    if difference.cause in AMBIGUOUS:
        return f"{words} It was written otherwise behind this proxy, or COS reads it otherwise."
    return f"{words} COS computes this from what it receives: it was changed behind this proxy."
