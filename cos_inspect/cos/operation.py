"""What a request asks COS to do, by method, path, query and a few headers."""

import re
from functools import cache
from typing import Literal, cast

import msgspec

from cos_inspect.cos.ci_paths import CiPath, find_ci_path, path_fits, path_segments
from cos_inspect.cos.endpoint import Endpoint
from cos_inspect.cos.tables import rows
from cos_inspect.cos.target import NO_QUERY, Query, parse_query, read_query, split_target
from cos_inspect.model.flow_report import Level
from cos_inspect.model.headers import Headers

__all__ = ["Level", "Operation", "Query", "parse_query", "read_operation", "read_query"]

BodyContent = Literal["none", "object", "made", "form", "xml", "json", "events", "other"]
"""What a body is: an object's bytes, what image or media processing made of them, a
form upload, a document, an event stream, or something that depends on the operation."""

_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Operation(msgspec.Struct, frozen=True):
    """What a request asks COS to do, and what follows from that for its bodies."""

    name: str
    """As Tencent names the action, or ``Unknown``."""
    level: Level
    """What it works on, as the URL has it; ``none`` for services without buckets."""
    sends: BodyContent = "none"
    """The request's body."""
    answer: BodyContent = "none"
    """The body of a success."""
    processed: bool = False
    """The answer was made from the object by image or media processing."""
    processed_upload: bool = False
    """Images are made from what is uploaded, perhaps over the upload itself."""
    copies: bool = False
    """The object's bytes come from another object, not from the request."""
    etag_is_md5: bool = False
    """A success carries the MD5 of the uploaded bytes as its ETag, unless encrypted
    by SSE-KMS or SSE-C."""
    may_fail_late: bool = False
    """A 200 may have an ``<Error>`` for a body."""
    reads_result: bool = False
    """The answer's body says what later checks need (upload id, CRC-64, ETag)."""

    @property
    def uploads_object(self) -> bool:
        """PutObject, UploadPart, AppendObject, PostObject."""
        return self.sends in ("object", "form")

    @property
    def downloads_object(self) -> bool:
        """GetObject, and what processing makes of one (then ``processed``)."""
        return self.answer in ("object", "made")


class _Rule(msgspec.Struct, frozen=True):
    order: int
    operation: Operation
    query: tuple[tuple[str, str | None], ...]
    headers: tuple[str, ...]
    content_type: str
    path: tuple[str, ...]
    other_parameters: Literal["any", "plain", "signature"]
    """Which parameters may stand beside ``query``: ``plain``, none that looks like a
    sub-resource that the table does not have; ``signature``, only those of a signature."""
    template: bool
    """The operation's name has a place for a parameter's value."""


class _Rules(msgspec.Struct, frozen=True):
    """The rows of one family, level and method, in order, by what they ask for first."""

    by_name: dict[str, list[_Rule]]
    by_word: dict[str, list[_Rule]]
    others: list[_Rule]


_NO_RULES = _Rules({}, {}, [])
_BESIDE: dict[str, Literal["plain", "signature"]] = {"-": "plain", "--": "signature"}
_LEVELS: tuple[Level, ...] = ("service", "bucket", "object")
_UNKNOWN = {level: Operation("Unknown", level) for level in (*_LEVELS, "none")}


def read_operation(endpoint: Endpoint, method: str, target: str, headers: Headers) -> Operation:
    """The operation, with the name ``Unknown`` where the table has none. Never raises."""
    family = endpoint.family
    level: Level = "object" if endpoint.key is not None else "bucket"
    if level == "bucket" and endpoint.bucket is None and endpoint.kind != "custom":
        level = "service"
    query = read_query(target)
    if family in ("ci", "pic") and endpoint.key is None:
        path = split_target(target)[0]
        written_out = _read_written_out(path, method, level)
        if written_out is not None:
            return written_out
        ci = find_ci_path(path)
        if ci is not None:
            return _read_ci(ci, method, query, headers, level)
    rules = _rules().get((family, level, method), _NO_RULES)
    found = _first(rules, query, headers, target)
    if found is not None:
        return _named(found, query)
    if family == "xml" and method == "POST" and level == "object":
        # Early documents send moderation jobs to the bucket's own host.
        ci = find_ci_path(split_target(target)[0])
        if ci is not None:
            return _read_ci(ci, method, query, headers, "bucket")
    if family in ("batch", "vectors"):
        level = "none"
    elif family == "ci" and level == "object":
        # What CI has learned since, rather than an object that would have to have digests.
        level = "bucket" if endpoint.bucket is not None else "service"
    return _UNKNOWN[level]


def _first(rules: _Rules, query: Query, headers: Headers, target: str) -> _Rule | None:
    best: _Rule | None = None
    for name in query.first:
        candidates = rules.by_name.get(name)
        if candidates is None and rules.by_word:
            candidates = _by_word(rules.by_word, name)
        for rule in candidates or ():
            if best is not None and rule.order > best.order:
                break
            if _holds(rule, query, headers, target):
                best = rule
                break
    for rule in rules.others:
        if best is not None and rule.order > best.order:
            break
        if _holds(rule, query, headers, target):
            return rule
    return best


def _by_word(by_word: dict[str, list[_Rule]], name: str) -> list[_Rule] | None:
    """Image processing stands in a parameter's name: ``imageMogr2/thumbnail/50x``."""
    word, slash, _ = name.partition("|")[0].partition("/")
    return by_word.get(word) or (by_word.get(f"{word}/") if slash else None)


def _holds(rule: _Rule, query: Query, headers: Headers, target: str) -> bool:
    first = query.first
    for name, value in rule.query:
        if name not in first or (value is not None and first[name] != value):
            return False
    if rule.headers and not any(name in headers for name in rule.headers):
        return False
    if rule.content_type:
        sent = headers.get("content-type") or ""
        if not sent.lstrip().lower().startswith(rule.content_type):
            return False
    if rule.path and not _path_fits(rule.path, target):
        return False
    if rule.other_parameters == "any" or query is NO_QUERY:
        return True
    return _is_plain(query, only_signature=rule.other_parameters == "signature")


def _path_fits(wanted: tuple[str, ...], target: str) -> bool:
    return path_fits(wanted, path_segments(split_target(target)[0]))


def _is_plain(query: Query, *, only_signature: bool) -> bool:
    for name, value in query.pairs:
        if value and not only_signature:
            continue
        parameter = _parameter(name.lower())
        if parameter is None or not (value or parameter["empty"] == "yes"):
            return False
        if only_signature and parameter["role"] not in ("signature", "client"):
            return False
    return True


def _named(rule: _Rule, query: Query) -> Operation:
    if not rule.template:
        return rule.operation
    value = query.get(rule.query[0][0]) or ""
    if _VALUE.fullmatch(value) is None:
        return msgspec.structs.replace(rule.operation, name="Unknown")
    name = rule.operation.name.replace("{value}", value)
    return msgspec.structs.replace(rule.operation, name=name)


def _read_written_out(path: str, method: str, level: Level) -> Operation | None:
    """The call of CI whose path stands in the table as it is."""
    segments = path_segments(path)
    for rule in _written_out().get(method, ()):
        if path_fits(rule.path, segments):
            return msgspec.structs.replace(rule.operation, level=level)
    return None


def _read_ci(ci: CiPath, method: str, query: Query, headers: Headers, level: Level) -> Operation:
    item = ("{ci}", "*") if ci.has_item else ("{ci}",)
    for rule in _ci_rules().get((method, item), ()):
        if _holds(rule, query, headers, ""):
            return Operation(
                rule.operation.name.replace("{noun}", ci.noun),
                level,
                rule.operation.sends,
                cast(BodyContent, ci.answer),
            )
    # What stands for every path of CI is the CORS preflight.
    preflight = _rules().get(("ci", level, method), _NO_RULES).others
    return preflight[0].operation if method == "OPTIONS" else _UNKNOWN[level]


def _rule(order: int, row: dict[str, str], level: Level) -> _Rule:
    flags = dict.fromkeys(row["flags"].split(), True)
    operation = Operation(
        row["name"],
        level,
        cast(BodyContent, row["sends"]),
        cast(BodyContent, row["answer"] if row["answer"] != "{ci}" else "other"),
        **flags,
    )
    template = "{value}" in row["query"]
    wanted: list[tuple[str, str | None]] = []
    for piece in row["query"].split("&"):
        name, separator, value = piece.partition("=")
        if name and name not in _BESIDE and not name.endswith("*"):
            wanted.append((name, value if separator and value != "{value}" else None))
    return _Rule(
        order,
        operation,
        tuple(wanted),
        tuple(row["header"].split("|")) if row["header"] else (),
        row["content_type"],
        tuple(row["path"][1:].split("/")) if row["path"] else (),
        _BESIDE.get(row["query"], "any"),
        template,
    )


@cache
def _rules() -> dict[tuple[str, str, str], _Rules]:
    table: dict[tuple[str, str, str], _Rules] = {}
    for order, row in enumerate(rows("operations")):
        for level in _LEVELS:
            if level not in row["level"].split(","):
                continue
            for family in row["family"].split(","):
                known: Level = "none" if family in ("batch", "vectors") else level
                rule = _rule(order, row, known)
                word = row["query"][:-1] if row["query"].endswith("*") else None
                for method in row["method"].split(","):
                    group = table.setdefault((family, level, method), _Rules({}, {}, []))
                    if word is not None:
                        group.by_word.setdefault(word, []).append(rule)
                    elif rule.query:
                        group.by_name.setdefault(rule.query[0][0], []).append(rule)
                    else:
                        group.others.append(rule)
    return table


@cache
def _written_out() -> dict[str, list[_Rule]]:
    table: dict[str, list[_Rule]] = {}
    for order, row in enumerate(rows("operations")):
        if row["family"] == "ci-path" and "{ci}" not in row["path"]:
            table.setdefault(row["method"], []).append(_rule(order, row, "bucket"))
    return table


@cache
def _ci_rules() -> dict[tuple[str, tuple[str, ...]], tuple[_Rule, ...]]:
    table: dict[tuple[str, tuple[str, ...]], list[_Rule]] = {}
    for order, row in enumerate(rows("operations")):
        if row["family"] == "ci-path" and "{ci}" in row["path"]:
            path = tuple(row["path"][1:].split("/"))
            rule = msgspec.structs.replace(_rule(order, row, "bucket"), path=())
            table.setdefault((row["method"], path), []).append(rule)
    return {key: tuple(found) for key, found in table.items()}


def _parameter(name: str) -> dict[str, str] | None:
    """What is known of a parameter that names no operation; ``name`` in lower case."""
    exact, prefixes = _parameters()
    found = exact.get(name)
    if found is not None:
        return found
    return next((row for prefix, row in prefixes if name.startswith(prefix)), None)


@cache
def _parameters() -> tuple[dict[str, dict[str, str]], tuple[tuple[str, dict[str, str]], ...]]:
    table = rows("parameters")
    exact = {row["name"]: row for row in table if not row["name"].endswith("*")}
    return exact, tuple((row["name"][:-1], row) for row in table if row["name"].endswith("*"))
