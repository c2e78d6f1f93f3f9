"""Rules about what was signed, told from COS's answer or with the key."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import msgspec

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.signature import (
    HttpString,
    Signature,
    policy_string_to_sign,
    policy_text,
    rebuild,
    sha1_hex,
    string_to_sign,
)
from cos_inspect.cos.signature_difference import (
    WORDS,
    Difference,
    first_difference,
    same_content,
)
from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.refusal import (
    broken_by_proxy,
    clocks_of,
    code_of,
    explained,
    is_early,
    listed,
    mismatched,
    proved_by_key,
    refused,
)
from cos_inspect.rules.rule import Pending, Rule

SIGNATURE_BROKEN_BY_PROXY = Rule(
    id="signature-broken-by-proxy",
    group="signature",
    severity=Severity.WARNING,
    title="The proxy broke the signature",
    when="a signature is refused that covers a header which the proxy did not pass on as it came"
    " (Expect, Host in reverse mode)",
    cause="This proxy answers Expect: 100-continue itself, and in reverse mode writes its own"
    " Host.",
    fix="Without the proxy the signature is right. In reverse mode set keep_host_header; for"
    " Expect, turn it off in the client.",
    example="Expect in q-header-list, 403 SignatureDoesNotMatch",
)


def signature_broken_by_proxy(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    names = broken_by_proxy(cos)
    if names:
        proved = proved_by_key(cos)
        sure = " With them put back, the signature is right." if proved else ""
        yield SIGNATURE_BROKEN_BY_PROXY.finding(
            f"The signature covers {listed(names)}, which the proxy did not pass on as it came."
            + sure,
            headers=list(names),
            proved=proved,
        )


SIGNATURE_MISMATCH = Rule(
    id="signature-mismatch",
    group="signature",
    severity=Severity.ERROR,
    title="The client signed something else",
    when="the signature is not the one recomputed with its key, or COS answers"
    " SignatureDoesNotMatch and its StringToSign differs from the one of the wire",
    cause="Path, parameters or headers were encoded otherwise when signing than when sending, or"
    " something changed them after they were signed.",
    fix="Look at the first difference; the path is signed decoded, values percent-encoded with"
    " upper-case hex.",
    example="COS has the path /a b.txt, the wire has /a+b.txt",
    joins=("secret-id",),
)


def signature_mismatch(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    failed_check = any(
        check.check == "signature" and check.status == "mismatch" for check in checks
    )
    if not failed_check and not mismatched(cos):
        return
    if broken_by_proxy(cos) or (refused(cos) and explained(cos)):
        return
    signature = cos.signature
    if signature is None:
        return
    made = cos.recomputed
    mistake = made.mistake if made else None
    content = _compare(cos, signature)
    if mistake is not None:
        about = f" ({mistake.about})" if mistake.about else ""
        yield SIGNATURE_MISMATCH.finding(
            f"The SecretKey is right, but the client signed {mistake.said}{about}.",
            fix=mistake.fix,
            mistake=mistake.name,
            about=mistake.about,
            changed_by="client",
            **_strings(content),
        )
        return
    if content is None or content.agrees is None:
        if failed_check:
            yield SIGNATURE_MISMATCH.finding(_unexplained(cos), **_strings(content))
        return
    if content.agrees:
        if failed_check and not mismatched(cos):
            yield SIGNATURE_MISMATCH.finding(_unexplained(cos), **_strings(content))
        return
    difference = content.difference
    if difference is None:
        yield SIGNATURE_MISMATCH.finding(
            "COS hashed another HttpString than the one that the request has here, and does not"
            " show it.",
            **_strings(content),
        )
        return
    if made is not None and made.same:
        # The client signed what stands on the wire here.
        difference = msgspec.structs.replace(difference, changed_by="behind-proxy")
    yield SIGNATURE_MISMATCH.finding(
        _difference_words(difference),
        line=difference.line,
        name=difference.name,
        cos_has=difference.server,
        wire_has=difference.wire,
        at=difference.at,
        cos_part=difference.server_part,
        wire_part=difference.wire_part,
        difference=difference.cause,
        changed_by=difference.changed_by,
        **_strings(content),
    )


def _unexplained(cos: CosExchange) -> str:
    words = (
        "The signature is not the one that the key at hand gives, and no known mistake gives it:"
        " another SecretKey was used, or other content was signed."
    )
    if cos.succeeded:
        words += " COS took it all the same, so the key at hand may be out of date."
    return words


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    """What was signed, as the wire has it and as COS has it."""

    http_string: str | None
    string_to_sign: str
    agrees: bool | None
    """None where COS does not say what it hashed."""
    difference: Difference | None = None


def _compare(cos: CosExchange, signature: Signature) -> _Content | None:
    window = signature.sign_time
    if window is None:
        return None
    error = cos.error if mismatched(cos) else None
    theirs = error.string_to_sign if error else None
    hashed = _last_line(theirs)
    if signature.over_policy:
        policy = policy_text(cos.form)
        if policy is None:
            return None
        ours = policy_string_to_sign(policy)
        agrees = None if hashed is None else hashed == ours
        return _Content(http_string=None, string_to_sign=ours, agrees=agrees)
    wire = rebuild(signature, cos.request)
    return _compare_http(cos, wire, window.text, hashed, error.format_string if error else None)


def _compare_http(
    cos: CosExchange, wire: HttpString, sign_time: str, hashed: str | None, formatted: str | None
) -> _Content:
    text = wire.text
    shown = _Content(
        http_string=_printable(text), string_to_sign=string_to_sign(sign_time, text), agrees=None
    )
    if not wire.exact or (hashed is None and formatted is None):
        return shown
    if hashed == sha1_hex(text) or (formatted is not None and same_content(formatted, wire)):
        return msgspec.structs.replace(shown, agrees=True)
    found = first_difference(formatted, wire, cos.request) if formatted is not None else None
    return msgspec.structs.replace(shown, agrees=False, difference=found)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _last_line(text: str | None) -> str | None:
    lines = (text or "").split()
    return lines[-1].lower() if lines else None


def _strings(content: _Content | None) -> dict[str, Any]:
    if content is None:
        return {}
    return {"http_string": content.http_string, "string_to_sign": content.string_to_sign}


_CHANGED_BY = {
    "client": "the client signs or encodes it otherwise than it sends it",
    "proxy": "the proxy changed it",
    "behind-proxy": "the client, or something between here and COS, changed it",
}


def _difference_words(difference: Difference) -> str:
    where = difference.line if difference.name is None else f"{difference.line} ({difference.name})"
    words = f"The first difference is in the {where}: {WORDS[difference.cause]}."
    if difference.server_part or difference.wire_part:
        words += (
            f" COS has …{difference.server_part!r}…, the wire has …{difference.wire_part!r}…"
            f" (character {difference.at})."
        )
    elif difference.line == "method":
        words += f" COS has {difference.server!r}, the wire has {difference.wire!r}."
    return f"{words} Most likely {_CHANGED_BY[difference.changed_by]}."


SIGNATURE_WRONG_KEY = Rule(
    id="signature-wrong-key",
    group="signature",
    severity=Severity.ERROR,
    title="The SecretKey does not belong to the SecretId",
    when="COS answers SignatureDoesNotMatch, and its StringToSign is the one rebuilt from the wire",
    cause="The SecretKey is that of another SecretId, was cut when it was copied, or the key pair"
    " was replaced. What was signed agrees on both sides.",
    fix="Copy both halves of one key pair again. With cos_credentials the inspector can also tell"
    " whether the client signed other text than it sent.",
    example="403, line 3 of StringToSign is the SHA-1 of the request as sent",
    joins=("secret-id",),
)


def signature_wrong_key(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    if not mismatched(cos) or broken_by_proxy(cos) or explained(cos):
        return
    made = cos.recomputed
    if made is not None and made.mistake is not None:
        return
    signature = cos.signature
    if made is not None and made.same and signature is not None and _unsigned(cos, signature):
        # The key at hand signs the same, and there is another reason to refuse it.
        return
    content = _compare(cos, signature) if signature is not None else None
    if signature is None or content is None or not content.agrees:
        return
    detail = (
        "COS and the wire agree on what is to be signed, so most likely the SecretKey does not"
        f" belong to SecretId {signature.secret_id}."
    )
    if made is None:
        detail += " Only with the key can it be told whether the client signed other content."
    elif made.same:
        detail += " The key at hand gives the same signature, so COS has another one."
    else:
        detail += " It is not the key at hand either, or the client signed other content."
    yield SIGNATURE_WRONG_KEY.finding(detail, secret_id=signature.secret_id, **_strings(content))


def key_accepted_elsewhere(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Pending]:
    """The key is right, if COS accepted it elsewhere."""
    found = next(signature_wrong_key(cos, checks), None)
    secret_id = cos.signed.secret_id
    if found is not None and secret_id:
        yield Pending(
            secret_id=secret_id,
            shown="accepted",
            finding=SIGNATURE_MISMATCH.finding(
                "What COS rebuilt is what is on the wire, and it accepted another request of the"
                f" same SecretId {secret_id}: the key is right, so the client signed something"
                " else than it sent.",
                **found.evidence,
            ),
            mutes=(SIGNATURE_WRONG_KEY.id,),
        )


SIGNATURE_HEADER_UNSIGNED = Rule(
    id="signature-header-unsigned",
    group="signature",
    severity=Severity.NOTICE,
    title="Headers were sent but not signed",
    when="a signature is refused by 403 and leaves out headers that buckets with strict signatures"
    " want signed",
    cause="An older SDK, or a header that was added after signing.",
    fix="Take a newer SDK, or sign these headers too; nothing is wrong where the bucket does not"
    " ask for it.",
    example="Content-Type is sent, q-header-list=host, 403",
)


def signature_header_unsigned(cos: CosExchange, checks: Sequence[Check]) -> Iterator[Finding]:
    if cos.status != 403 or cos.signed.place != "header" or not refused(cos):
        return
    if code_of(cos) not in (None, "SignatureDoesNotMatch", "AccessDenied"):
        return
    if "referer" in ((cos.error.message if cos.error else None) or "").lower():
        return
    signature = cos.signature
    if signature is None or explained(cos) or broken_by_proxy(cos):
        return
    clocks = clocks_of(cos)
    if clocks is not None and (
        clocks.about_time or clocks.earliest > clocks.end or is_early(clocks)
    ):
        return
    if any(True for _ in signature_mismatch(cos, checks)):
        return
    unsigned = _unsigned(cos, signature)
    if unsigned:
        yield SIGNATURE_HEADER_UNSIGNED.finding(
            f"{listed(unsigned)} {'is' if len(unsigned) == 1 else 'are'} sent and not signed;"
            " a bucket with strict signatures refuses that.",
            headers=unsigned,
        )


def _unsigned(cos: CosExchange, signature: Signature) -> list[str]:
    """Headers that were sent, and that strict buckets want signed."""
    if signature.place != "header":
        return []
    exact, families = _wanted_headers()
    return [
        name
        for name, value in cos.request.headers
        if value.strip()
        and ((lower := name.lower()) in exact or lower.startswith(families))
        and lower not in signature.headers
    ]


@cache
def _wanted_headers() -> tuple[frozenset[str], tuple[str, ...]]:
    names = [row["name"] for row in rows("signed_headers")]
    exact = frozenset(name for name in names if not name.endswith("*"))
    return exact, tuple(name[:-1] for name in names if name.endswith("*"))
