"""What the request itself tells of an error that COS answered: which argument is wrong, what
a copy was to be made from, which slash is missing."""

from collections.abc import Iterator
from typing import Any

import msgspec

from cos_inspect.cos.arguments import bad_arguments
from cos_inspect.cos.copy_source import CopySource, copy_source_of
from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.error import read_xml_fields
from cos_inspect.cos.escapes import escaped_again
from cos_inspect.cos.target import read_query, split_target
from cos_inspect.model.plain_text import shortened

_ARGUMENT_CODES = frozenset(("InvalidArgument", "InvalidRequest", "BadRequest", "BadRquest"))
_NAMED = frozenset(("ArgumentName", "ArgumentValue"))
_MOST_NAMED = 4
_MOST_SENT = 200
_SHORTEST_NAME = 4
_LONGEST_SHOWN = 300
_LONGEST_EXTENSION = 6


class Hint(msgspec.Struct, frozen=True):
    """What one request shows about its error, beyond the code."""

    detail: str
    """A sentence or two."""
    fix: str | None = None
    """What helps, where the request shows what is wrong; it replaces the advice for the code."""
    evidence: dict[str, Any] = {}


def hints(cos: CosExchange) -> tuple[Hint, ...]:
    """What is to be added to the meaning of the error's code."""
    return (
        *_of_copy(cos),
        *_of_rename(cos),
        *_of_arguments(cos),
        *_of_position(cos),
        *_of_website(cos),
        *_of_page(cos),
        *_of_key(cos),
    )


def _of_copy(cos: CosExchange) -> Iterator[Hint]:
    source = copy_source_of(cos.request.headers) if cos.operation.copies else None
    if source is None:
        return
    shown = _shown(source.value)
    detail = f"The copy's source is {shown} ({source.header})"
    fix = None
    if source.problems:
        detail += f": {'; '.join(source.problems)}"
        fix = f"Write {source.header} as <bucket>-<APPID>.cos.<region>.myqcloud.com/<encoded key>."
    elif _may_be_missing(cos) and (again := escaped_again(source.key or "")) is not None:
        detail += f"; its key still holds percent escapes, so it was escaped twice (for {again})"
        fix = f"URL-encode the key in {source.header} once."
    yield Hint(f"{detail}.", fix, {"copy_source": shown, **_where(source)})


def _where(source: CopySource) -> dict[str, Any]:
    return {"source_bucket": source.bucket, "source_key": source.key and _shown(source.key)}


def _of_arguments(cos: CosExchange) -> Iterator[Hint]:
    if cos.status != 400 or not _is_about_arguments(cos):
        return
    source = copy_source_of(cos.request.headers) if cos.operation.copies else None
    found = [
        bad
        for bad in bad_arguments(
            cos.operation.name, read_query(cos.request.target), cos.request_headers
        )
        # The source was told of before.
        if source is None or bad.name.lower() != source.header
    ]
    if not found:
        named = list(_as_named(cos))
        yield from named or _in_message(cos)
        return
    yield Hint(
        f"In this request {'; '.join(bad.words for bad in found[:_MOST_NAMED])}.",
        f"Correct {found[0].name}.",
        {"arguments": {bad.name: bad.value for bad in found[:_MOST_NAMED]}},
    )


def _is_about_arguments(cos: CosExchange) -> bool:
    """By its code, or by one that is not explained, so that nothing else is known."""
    code = cos.error.code if cos.error else None
    explained = cos.explanation
    return code in _ARGUMENT_CODES or (
        code is not None and explained is not None and not explained.code
    )


def _in_message(cos: CosExchange) -> Iterator[Hint]:
    """The parameter or header of the request that the message speaks of."""
    message = _letters(cos.error.message or "") if cos.error else ""
    if not message or len(message) > _LONGEST_SHOWN:
        return
    sent = [*read_query(cos.request.target).pairs]
    sent += [(each.name, each.value) for each in cos.request_headers if not each.fact.secret]
    for name, value in sent[:_MOST_SENT]:
        bare = _letters(name.lower().removeprefix("x-cos-").removeprefix("x-amz-"))
        if len(bare) >= _SHORTEST_NAME and bare in message and not name.startswith("q-"):
            yield Hint(
                f"The message speaks of {_shown(name)}, which is {_shown(value) or 'empty'} in this"
                " request.",
                evidence={"arguments": {_shown(name): _shown(value)}},
            )
            return


def _letters(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isalnum())


def _of_position(cos: CosExchange) -> Iterator[Hint]:
    """Where the append wanted to begin, and where the object ends."""
    code = cos.error.code if cos.error else None
    if cos.operation.name != "AppendObject" or code != "AppendPositionErr":
        return
    if cos.response is None:
        return
    position = read_query(cos.request.target).first.get("position")
    ends = _shown((cos.response.headers.get("x-cos-next-append-position") or "").strip())
    told = f" COS says that the next append goes to {ends}." if ends else ""
    yield Hint(
        f"This request wants to append at position {_shown(position or 'none')}, and that is not"
        f" where the object ends.{told}",
        f"Append at position {ends}, after a look at what is there: perhaps this very piece, which"
        " an earlier try has stored."
        if ends
        else None,
        {"position": _shown(position or ""), "next_position": ends or None},
    )


def _as_named(cos: CosExchange) -> Iterator[Hint]:
    """The argument that the error's body names."""
    response = cos.response
    named = read_xml_fields(response.body.text, _NAMED) if response is not None else {}
    name = (named.get("ArgumentName") or "").strip()
    if name:
        value = (named.get("ArgumentValue") or "").strip()
        yield Hint(
            f"COS means {_shown(name)}{f', which is {_shown(value)}' if value else ''}.",
            evidence={"arguments": {_shown(name): _shown(value) or None}},
        )


def _of_rename(cos: CosExchange) -> Iterator[Hint]:
    source = cos.request.headers.get("x-cos-rename-source")
    if cos.operation.name == "RenameObject" and source and _may_be_missing(cos):
        yield Hint(
            f"What is missing is the source, {_shown(source)} (x-cos-rename-source), or the"
            " directory of the new name.",
            evidence={"rename_source": _shown(source)},
        )


def _of_website(cos: CosExchange) -> Iterator[Hint]:
    if cos.status != 404 or "website" not in cos.contexts:
        return
    code = cos.error.code if cos.error else None
    if cos.request.method not in ("GET", "HEAD") or code not in (None, "NoSuchKey"):
        return
    key = cos.key or ""
    if not key or key.endswith("/"):
        yield Hint(
            "The address is that of a directory, for which the website answers with its index"
            " document (index.html mostly): there is none.",
            "Upload the index document into this directory, or correct its name in the website's"
            " settings.",
        )
    elif _looks_like_directory(key):
        yield Hint(
            "The name looks like that of a directory. A static website looks for an object of"
            " exactly this name, and takes the index document only where the address ends in a"
            " slash.",
            f"Ask for /{_shown(key)}/ with the slash at its end, or let a redirection rule add it.",
            {"with_slash": f"/{_shown(key)}/"},
        )


def _looks_like_directory(key: str) -> bool:
    name, dot, extension = key.rpartition("/")[2].rpartition(".")
    if not dot or not name:
        return True
    return extension.isdigit() or len(extension) > _LONGEST_EXTENSION or " " in extension


def _of_page(cos: CosExchange) -> Iterator[Hint]:
    """Hotlink rules, where the answer has no body that could say so."""
    referer = cos.request.headers.get("referer")
    if cos.status == 403 and referer and (cos.error is None or cos.error.code is None):
        yield Hint(f"The request's Referer is {_shown(referer)}.", evidence={"referer": referer})


def _of_key(cos: CosExchange) -> Iterator[Hint]:
    if cos.operation.copies or not _may_be_missing(cos) or not cos.key:
        return
    again = escaped_again(cos.key)
    if again is not None:
        yield Hint(
            f"The key that was asked for still holds percent escapes, {_shown(cos.key)}: it was"
            f" probably escaped twice, for {_shown(again)}.",
            "Encode the key once.",
        )
    elif "%2f" in split_target(cos.request.target)[0].lower():
        yield Hint(
            "The path holds %2F, which COS reads as a slash of the key. An object whose name holds"
            " these three characters is asked for with %252F."
        )


def _may_be_missing(cos: CosExchange) -> bool:
    code = cos.error.code if cos.error else None
    return cos.status == 404 and code in (None, "NoSuchKey", "NoSuchCopySource")


def _shown(text: str) -> str:
    return shortened(text, _LONGEST_SHOWN)
