"""Rules about what was signed, told from COS's answer or with the key."""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.signature import Signature, encode, wire_parameters, wire_path
from cos_inspect.cos.signature_difference import AMBIGUOUS
from cos_inspect.cos.signature_mistakes import Mistake, mistake_of
from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import Check, Finding, Severity
from cos_inspect.rules.actors import changes_evidence, changes_words
from cos_inspect.rules.precondition import Precondition
from cos_inspect.rules.refusal import (
    accepted,
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
from cos_inspect.rules.rule import PendingFinding, Rule
from cos_inspect.rules.signature_comparison import (
    SignedContent,
    compare,
    difference_words,
    strings_of,
)

SIGNATURE_BROKEN_BY_PROXY = Rule(
    id="signature-broken-by-proxy",
    group="signature",
    severity=Severity.WARNING,
    title="The proxy broke the signature",
    when="a signature is refused that covers what the proxy did not pass on as it came: Expect,"
    " Host in reverse mode, whatever map_remote, modify_headers, a script or a person changed",
    cause="This proxy answers Expect: 100-continue itself, in reverse mode writes its own Host, and"
    " does what its options, scripts and users want.",
    fix="Without the proxy the signature is right. In reverse mode set keep_host_header; for"
    " Expect, turn it off in the client; leave alone what is signed, or sign again behind it.",
    example="Expect in q-header-list, 403 SignatureDoesNotMatch",
    precondition=Precondition.CHANGE,
)


def signature_broken_by_proxy(cos: CosExchange, _checks: Sequence[Check]) -> Iterator[Finding]:
    names = broken_by_proxy(cos)
    if names:
        proved = proved_by_key(cos)
        sure = " With them put back, the signature is right." if proved else ""
        yield SIGNATURE_BROKEN_BY_PROXY.finding(
            f"The signature covers {listed(names)}, which the proxy did not pass on as it came."
            + sure
            + changes_words(cos),
            headers=list(names),
            proved=proved,
            **changes_evidence(cos),
        )


SIGNATURE_MISMATCH = Rule(
    id="signature-mismatch",
    group="signature",
    severity=Severity.ERROR,
    title="The signature is not that of the request",
    when="the signature of a refused request is not the one recomputed with its key; or COS answers"
    " SignatureDoesNotMatch, and its StringToSign differs from the one of the wire or the same"
    " SecretId was accepted elsewhere; a notice where COS accepted the request",
    cause="The client encodes path, parameters or headers otherwise when it signs than when it"
    " sends, or something changed the request after it passed here.",
    fix="COS signs what it receives: the path decoded, names and values of parameters and headers"
    " percent-encoded with upper-case hex. Compare that with what the client signs.",
    example="the client signed /a%20b.txt, COS signs /a b.txt",
    joins=("secret-id",),
    precondition=Precondition.TROUBLE,
    checks=("signature",),
)

_BY_CLIENT = "The client signed something else than it sent"
_BEHIND = "COS got another request than the one that passed here"
_KEY_AT_HAND = "The key at hand does not give the signature"


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
    content = compare(cos, signature)
    made = cos.recomputed
    mistake = made.mistake if made else None
    if mistake is None and mismatched(cos) and content is not None and content.raw_names:
        mistake = mistake_of("parameter-names-not-encoded", ", ".join(content.raw_names))
    if mistake is not None:
        yield _mistaken(cos, mistake, content)
    elif content is not None and content.agrees is False and not accepted(cos):
        yield _changed(cos, content)
    elif failed_check and not (mismatched(cos) and content is not None and content.agrees):
        yield _unexplained(cos, content)


def _mistaken(cos: CosExchange, mistake: Mistake, content: SignedContent | None) -> Finding:
    """What was signed instead is known."""
    about = f" ({mistake.about})" if mistake.about else ""
    key = "" if cos.recomputed is None else "The SecretKey is right, but the "
    words = f"{key or 'The '}client signed {mistake.said}{about}."
    taken = accepted(cos)
    if taken:
        words += " COS accepted it all the same."
    return SIGNATURE_MISMATCH.finding(
        words,
        severity=Severity.NOTICE if taken else None,
        title=_BY_CLIENT,
        fix=mistake.fix,
        mistake=mistake.name,
        about=mistake.about,
        changed_by="client",
        **strings_of(content),
    )


def _changed(cos: CosExchange, content: SignedContent) -> Finding:
    """COS computes its strings from what it receives, and they are not those of the wire."""
    difference, made = content.difference, cos.recomputed
    key = ""
    if made is not None:
        key = " The client signed what it sent." if made.same else f" {_KEY_AT_HAND} either."
    if difference is None:
        return SIGNATURE_MISMATCH.finding(
            "COS hashed another HttpString than the one that the request has here, and does not"
            f" show it.{key}",
            title=_BEHIND,
            fix=_LOOK_BEHIND,
            changed_by="behind-proxy",
            **strings_of(content),
        )
    return SIGNATURE_MISMATCH.finding(
        difference_words(difference) + key,
        title=_BEHIND,
        fix=_SEND_PLAINLY if difference.cause in AMBIGUOUS else _LOOK_BEHIND,
        line=difference.line,
        name=difference.name,
        cos_has=difference.server,
        wire_has=difference.wire,
        at=difference.at,
        cos_part=difference.server_part,
        wire_part=difference.wire_part,
        difference=difference.cause,
        changed_by=difference.changed_by,
        **strings_of(content),
    )


_LOOK_BEHIND = (
    "Look at what stands between this proxy and COS (gateway, CDN, another proxy): it must pass on"
    " method, path, parameters and signed headers as they come."
)
_SEND_PLAINLY = (
    "Percent-encode everything but A-Z a-z 0-9 - _ . ~ and / once, a space as %20 and + as %2B,"
    " so that nobody on the way can read it in two ways; sign the path decoded."
)


def _unexplained(cos: CosExchange, content: SignedContent | None) -> Finding:
    words = (
        "The signature is not the one that the key at hand gives, and no known mistake gives it:"
        " another SecretKey was used, or other content was signed."
    )
    taken = accepted(cos)
    if taken:
        words += " COS accepted it all the same, so the key at hand may be out of date."
    return SIGNATURE_MISMATCH.finding(
        words,
        severity=Severity.NOTICE if taken else None,
        title=_KEY_AT_HAND,
        fix="Look at whether the file of keys has the SecretKey that belongs to this SecretId now."
        if taken
        else None,
        **strings_of(content),
    )


SIGNATURE_WRONG_KEY = Rule(
    id="signature-wrong-key",
    group="signature",
    severity=Severity.ERROR,
    title="Another SecretKey, or signed otherwise than sent",
    when="COS answers SignatureDoesNotMatch, its StringToSign is the one rebuilt from the wire, and"
    " nothing else is known of the key",
    cause="Nothing was changed on the way. Either the SecretKey is not the one of this SecretId"
    " (cut when it was copied, of another pair, replaced), or the client signs path, parameters or"
    " headers in another form than COS: that shows with blanks, +, letters beyond ASCII and"
    " operations of CI, while plain names work.",
    fix="Try a plain name (letters and digits alone) with the same keys: if that works, the keys"
    " are right, and the client must sign the path decoded and names and values of parameters"
    " percent-encoded. If not, copy both halves of one key pair again. With cos_credentials the"
    " inspector tells which it is.",
    example="403, line 3 of StringToSign is the SHA-1 of the request as sent",
    joins=("secret-id",),
    precondition=Precondition.TROUBLE,
    checks=("signature",),
)

_SIGNED_OTHERWISE = "Signed otherwise than sent, or another SecretKey"
_KEY_OF_COS = "COS has another SecretKey for the SecretId"


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
    content = compare(cos, signature) if signature is not None else None
    if signature is None or content is None or not content.agrees or content.raw_names:
        return
    evidence = {"secret_id": signature.secret_id, **strings_of(content)}
    if made is not None and made.same:
        yield SIGNATURE_WRONG_KEY.finding(
            "COS and the wire agree on what is to be signed, and the key at hand gives the same"
            f" signature: COS has another SecretKey for SecretId {signature.secret_id}.",
            title=_KEY_OF_COS,
            fix="Compare the key pair with the one in the console: it was replaced, disabled, or"
            " copied in part.",
            likely="key",
            **evidence,
        )
        return
    key = f"the SecretKey does not belong to SecretId {signature.secret_id}"
    special = _special(cos, signature)
    if special is None:
        causes = f"either {key}, or the client signed otherwise than it sent"
    else:
        causes = f"either the client signed {special} otherwise than it sent it, or {key}"
    if made is not None:
        causes += ". It is not the key at hand, whose signature is another, mistakes included"
    yield SIGNATURE_WRONG_KEY.finding(
        "COS and the wire agree on what is to be signed, so nothing was changed on the way:"
        f" {causes}.",
        title=None if special is None else _SIGNED_OTHERWISE,
        likely="key" if special is None else "client",
        **evidence,
    )


def _special(cos: CosExchange, signature: Signature) -> str | None:
    """The part of the request that clients are known to sign in another form: a path or
    parameters that hold more than ``A-Za-z0-9-_.~/``."""
    if signature.over_policy:
        return None
    path = wire_path(cos.request.target)
    signs = _signs(path)
    if signs:
        return f"the path (it holds {signs})"
    for name, value in wire_parameters(cos.request.target):
        if encode(name).lower() not in signature.parameters:
            continue
        signs = _signs(name + value)
        if signs or "/" in name:
            shown = name[:60].encode("utf-8", "replace").decode()
            return f"the parameter {shown}" + (f" (it holds {signs})" if signs else "")
    return None


def _signs(text: str) -> str:
    """Those that need percent-encoding, to be read."""
    found = dict.fromkeys(_SPECIAL.findall(text))
    kinds = (
        "".join(sign for sign in found if "!" <= sign <= "~"),
        "blanks" if " " in found else "",
        "letters beyond ASCII" if any(sign > "\x7f" for sign in found) else "",
        "control characters" if any(sign < " " or sign == "\x7f" for sign in found) else "",
    )
    return " and ".join(kind for kind in kinds if kind)


_SPECIAL = re.compile(r"[^A-Za-z0-9\-_.~/]")


def key_accepted_elsewhere(cos: CosExchange, checks: Sequence[Check]) -> Iterator[PendingFinding]:
    """The key is right, if COS accepted it elsewhere."""
    found = next(signature_wrong_key(cos, checks), None)
    secret_id = cos.signed.secret_id
    if found is None or not secret_id or (cos.recomputed is not None and cos.recomputed.same):
        return
    signature = cos.signature
    special = _special(cos, signature) if signature is not None else None
    part = special or "path, parameters or headers"
    yield PendingFinding(
        shown="accepted",
        finding=SIGNATURE_MISMATCH.finding(
            f"COS accepted another request of SecretId {secret_id}, so the key is right; and what"
            " COS rebuilt is what is on the wire, so nothing was changed on the way. The client"
            f" signed {part} otherwise than it sent {'it' if special else 'them'}.",
            title=_BY_CLIENT,
            **found.evidence | {"likely": "client", "changed_by": "client"},
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
    precondition=Precondition.TROUBLE,
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
