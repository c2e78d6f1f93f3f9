"""The policy of a form upload: decoded, and held against the form.

As COS documents POST Object: the policy is JSON in base64 with an expiration and
conditions, each an object (exact match) or an array ``["eq"|"starts-with", "$field",
value]`` or ``["content-length-range", least, most]``.
"""

from typing import Any

import msgspec

from cos_inspect.cos.clock import iso_date
from cos_inspect.cos.signature import policy_text
from cos_inspect.model.headers import Headers

_MAX_CONDITIONS = 200
_LONGEST = 200
_SECRET = frozenset({"x-cos-security-token", "x-amz-security-token", "q-signature", "signature"})


class FailedCondition(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that does not hold, or what is wrong with the policy itself."""

    kind: str
    """``malformed``, ``expired``, ``eq``, ``starts-with`` or ``content-length-range``."""
    field: str | None
    wanted: str
    found: str | None
    """None where the form does not have the field."""
    words: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A form's policy, and which of its conditions the form does not meet."""

    expiration: float | None
    """Seconds since the epoch."""
    conditions: int
    """How many it has."""
    failed: tuple[FailedCondition, ...]


def evaluate_policy(
    form: Headers,
    *,
    bucket: str | None,
    size: int | None,
    file_name: str | None,
    moment: float | None,
) -> Policy | None:
    """None for a form without a policy. Never raises.

    :param bucket: of the host; None where it is not known.
    :param size: the file's bytes; None where it was not seen whole.
    :param moment: of the request, by the best clock at hand; None: it is not known.
    """
    encoded = form.get("policy")
    if encoded is None:
        return None
    text = policy_text(form)
    if text is None:
        return _malformed("the policy is not base64")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return _malformed("the policy is not JSON")
    if not isinstance(document, dict):
        return _malformed("the policy is no JSON object")
    failed: list[FailedCondition] = []
    expiration = _expiration(document.get("expiration"), moment, failed)
    conditions = document.get("conditions")
    if not isinstance(conditions, list) or not conditions:
        failed.append(_wrong("the policy has no conditions"))
        conditions = []
    fields = _fields(form, bucket, file_name)
    for condition in conditions[:_MAX_CONDITIONS]:
        failed += _judge(condition, fields, size)
    return Policy(expiration=expiration, conditions=len(conditions), failed=tuple(failed))


def _wrong(words: str) -> FailedCondition:
    return FailedCondition(kind="malformed", field=None, wanted="", found=None, words=words)


def _malformed(words: str) -> Policy:
    return Policy(expiration=None, conditions=0, failed=(_wrong(words),))


def _expiration(value: Any, moment: float | None, failed: list[FailedCondition]) -> float | None:
    expiration = iso_date(value) if isinstance(value, str) else None
    if expiration is None:
        failed.append(_wrong("the policy's expiration is missing or no ISO 8601 time with a zone"))
    elif moment is not None and expiration < moment:
        late = round(moment - expiration)
        failed.append(
            FailedCondition(
                kind="expired",
                field="expiration",
                wanted=str(value),
                found=None,
                words=f"the policy had expired {late} s before the request",
            )
        )
    return expiration


def _fields(form: Headers, bucket: str | None, file_name: str | None) -> dict[str, tuple[str, ...]]:
    """The values that a condition may hold for, by lower-case name."""
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in form.fields:
        fields.setdefault(name.lower(), (value,))
    key = form.get("key")
    if key is not None and "${filename}" in key and file_name is not None:
        fields["key"] = (key, key.replace("${filename}", file_name))
    if bucket is not None:
        fields["bucket"] = (bucket,)
    # The form names the signing time by its key time alone.
    if "q-sign-time" not in fields and "q-key-time" in fields:
        fields["q-sign-time"] = fields["q-key-time"]
    return fields


def _judge(
    condition: Any, fields: dict[str, tuple[str, ...]], size: int | None
) -> list[FailedCondition]:
    match condition:
        case dict():
            found = []
            for name, value in condition.items():
                found += _text("eq", str(name), value, fields)
            return found
        case [str(kind), str(name), value] if kind.lower() in ("eq", "starts-with"):
            if not name.startswith("$"):
                return [_wrong(f"the condition {kind} names {name[:40]} without its dollar sign")]
            return _text(kind.lower(), name[1:], value, fields)
        case [str(kind), least, most] if kind.lower() == "content-length-range":
            return _range(least, most, size)
        case _:
            return [_wrong("a condition has a form that COS does not know")]


def _text(
    kind: str, name: str, value: Any, fields: dict[str, tuple[str, ...]]
) -> list[FailedCondition]:
    if not isinstance(value, str | int):
        return [_wrong(f"the condition on {name[:40]} has no text to compare with")]
    wanted = str(value)
    lower = name.lower()
    found = fields.get(lower)
    if found is None:
        # Whether an absent field satisfies an empty beginning is written down nowhere;
        # of a custom domain the bucket is not known.
        if (kind == "starts-with" and not wanted) or lower == "bucket":
            return []
    elif kind == "eq":
        if wanted in found:
            return []
    elif any(text.startswith(wanted) for text in found):
        return []
    hidden = lower in _SECRET
    shown = None if found is None else "(secret)" if hidden else found[-1][:_LONGEST]
    wanted = "(secret)" if hidden else wanted[:_LONGEST]
    verb = "be" if kind == "eq" else "begin with"
    has = f"the form has {shown!r}" if shown is not None else "the form does not have it"
    return [
        FailedCondition(
            kind=kind,
            field=name,
            wanted=wanted,
            found=shown,
            words=f"{name} must {verb} {wanted!r}, {has}",
        )
    ]


def _range(least: Any, most: Any, size: int | None) -> list[FailedCondition]:
    try:
        low, high = int(least), int(most)
    except (TypeError, ValueError, OverflowError):
        return [_wrong("content-length-range does not hold two numbers")]
    if size is None or low <= size <= high:
        return []
    return [
        FailedCondition(
            kind="content-length-range",
            field="file",
            wanted=f"{low}-{high}",
            found=str(size),
            words=f"the file must have {low} to {high} bytes, it has {size}",
        )
    ]
