"""Which names in the sources of an SDK the tables do not know.

The tables are written by hand, with words and a source for each row; what is found here is
looked up, and becomes a row of a table or, where it is no name of COS on the wire, a row of
``sdk_names_set_aside.tsv``. Names are read from the string literals of the sources, whatever
the language; what an SDK puts together from pieces is not found.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

from cos_inspect.cos.endpoint import is_other_host, read_endpoint
from cos_inspect.cos.error_table import explanations_of
from cos_inspect.cos.headers import describe
from cos_inspect.cos.tables import rows

Kind = Literal["header", "sub-resource", "parameter", "code", "host"]
"""A sub-resource is a query name without a value, which tells operations apart; of those with
a value most belong to one call alone, and are counted only."""
KINDS: tuple[Kind, ...] = ("header", "sub-resource", "parameter", "code", "host")
TABLES: dict[Kind, str] = {
    "header": "headers.tsv",
    "sub-resource": "operations.tsv or parameters.tsv",
    "parameter": "operations.tsv or parameters.tsv",
    "code": "errors.tsv",
    "host": "hosts.tsv",
}
SET_ASIDE = Path(__file__).with_name("sdk_names_set_aside.tsv")
# fmt: off
LANGUAGES = frozenset({
    ".go", ".java", ".kt", ".js", ".mjs", ".cjs", ".ts", ".ets", ".m", ".mm", ".h", ".hpp", ".c",
    ".cc", ".cpp", ".php", ".cs", ".py", ".swift", ".rs", ".dart",
})
# fmt: on
_NO_SOURCES = re.compile(
    r"(?i:(?:^|[_.-])(?:tests?|demos?|examples?|samples?|docs?|dist|vendor|node_modules|pods|third_?"
    r"party)(?:$|[_.-]))|Tests?(?:$|[A-Z.])|min\.js$|unittest|demo",
)
_LARGEST = 4 * 1024 * 1024

_LITERAL = re.compile(r"""(["'`])((?:(?!\1)[^\\\n]|\\.){1,300})\1""")
_HEADER = re.compile(r"(?i)x-(?:cos|ci)-[a-z0-9-]*[a-z0-9]")
_HOST = re.compile(
    r"[^\s/\"'`,;=@()?]*\.?(?:myqcloud\.com|tencentcos\.c(?:n|om)|tencentci\.cn|coslake\.com)"
)
_NAME = r"(?P<name>[A-Za-z][A-Za-z0-9_-]{1,40})"
_IN_QUERY = re.compile(rf"[?&]{_NAME}(?P<value>=|(?=&|$))")
_GO_TAG = re.compile(rf"url:\"{_NAME}[,\"]")
# How SDKs set a parameter: addParameter("acl", null), params["acl"], queryParameters.put("acl", …)
_SET = re.compile(
    r"(?i)(?:add_?(?:request)?_?param(?:eter)?s?|setqueryparam(?:eter)?|add_?query|query_?(?:string|"
    r"param(?:eter)?s?)?(?:\.put|\.add|\.set|\[)|params?(?:\.put|\.add|\[)|_table_add\s*\(\s*\w+\s*,)"
    rf"\s*\(?\s*@?[\"']{_NAME}[\"'](?P<empty>\]?\s*[,=]\s*@?(?:null|nil|\"\"|''))?"
)
# … and a sub-resource alone: subResource: 'acl', URIMethod = @"acl", {'acl': ''}
_SUB_RESOURCE = re.compile(
    rf"(?i)(?:(?:sub_?resource|urimethod)['\"]?\s*[:=]|\b(?:action|query)\s*:)\s*@?[\"']{_NAME}[\"']"
    r"|(?:^|[{,])\s*[\"'](?P<python>[a-z][A-Za-z0-9-]{2,40})[\"']\s*:\s*(?:''|\"\")\s*[,}]?"
)
_CODE = re.compile(r"(?:[A-Z][a-z0-9]+){2,}(?:[A-Z]{1,5})?")
_OF_ERRORS = re.compile(r"(?i)error|exception|fault")
_CODE_ON_LINE = re.compile(
    r"(?i)(?:error_?code|err\w*\.code|\bcode)\b[^\"'\w]{1,12}(?:equals\w*\()?@?[\"'](\w+)[\"']"
)
_PLACE = re.compile(r"\{\{?[^{}]*\}\}?|\$\{[^}]*\}|\$[A-Za-z_]\w*|%[-\w]*?[sdv@]|<[^<>]*>")
_FILLINGS = ("examplebucket-1250000000", "ap-guangzhou", "cos", "1250000000")


class Place(NamedTuple):
    kind: Kind
    name: str
    path: str
    line: int


class Found(NamedTuple):
    """A name that the tables do not know."""

    kind: Kind
    name: str
    times: int
    first: str
    """The file and line where it stands first."""


def sources(tree: Path, *, everything: bool = False) -> Iterator[Path]:
    """The source files of a tree, in order; without tests, demos and copies of others' code
    unless ``everything``."""
    if tree.is_file():
        yield tree
        return
    for path in sorted(tree.rglob("*")):
        if path.suffix.lower() not in LANGUAGES or path.is_symlink() or not path.is_file():
            continue
        inside = path.relative_to(tree).parts
        if not everything and any(_NO_SOURCES.search(part) for part in inside):
            continue
        if path.stat().st_size <= _LARGEST:
            yield path


def names_in(text: str, path: str) -> Iterator[Place]:
    """Every name of the four kinds in a source file."""
    of_errors = bool(_OF_ERRORS.search(path.rpartition("/")[2]))
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > 20_000:
            continue
        for kind, name in _on_line(line, of_errors=of_errors):
            yield Place(kind, name, path, number)


def _on_line(line: str, *, of_errors: bool) -> Iterator[tuple[Kind, str]]:
    for found in _SET.finditer(line):
        yield "sub-resource" if found["empty"] else "parameter", found["name"]
    for found in _SUB_RESOURCE.finditer(line):
        yield "sub-resource", found["name"] or found["python"]
    for found in _GO_TAG.finditer(line):
        yield "parameter", found["name"]
    codes = _CODE_ON_LINE.findall(line)
    for _, literal in _LITERAL.findall(line):
        for name in _HEADER.findall(literal):
            if not literal.lower().endswith(f"{name.lower()}-"):
                yield "header", name.lower()
        for host in _HOST.findall(literal):
            yield "host", host.removeprefix(".")
        for found in _IN_QUERY.finditer(literal):
            yield "parameter" if found["value"] else "sub-resource", found["name"]
        if _CODE.fullmatch(literal) and (of_errors or literal in codes):
            yield "code", literal


def is_known(kind: Kind, name: str) -> bool:
    """Whether a table has a row for it."""
    match kind:
        case "header":
            known = describe(name, "request").name
            return (bool(known) and known != "x-ci-*") or name == "x-cos-meta"
        case "parameter" | "sub-resource":
            return name.lower() in _parameters() or _is_header(name)
        case "code":
            return bool(explanations_of(name))
        case "host":
            return _is_host(name)


def _is_header(name: str) -> bool:
    return describe(name.lower(), "request").name not in ("", "x-ci-*", "x-amz-*", "sec-*")


def _parameters() -> frozenset[str]:
    names = {row["name"].rstrip("*") for row in rows("parameters")}
    for row in rows("operations"):
        names |= {piece.partition("=")[0].rstrip("*/").lower() for piece in row["query"].split("&")}
    return frozenset(names)


def _is_host(name: str) -> bool:
    """With something put into its gaps it is a host of the tables, or a part of one."""
    gaps = len(_PLACE.findall(name))
    if gaps > 4:
        return False
    for filling in product(_FILLINGS, repeat=gaps):
        words = iter(filling)
        host = _PLACE.sub(lambda _: next(words), name).lower().strip(r".-*\]}")  # noqa: B023
        for front in (
            "",
            "examplebucket-1250000000.",
            "ap-guangzhou.",
            "cos.ap-guangzhou.",
            "cos.",
            "ci.ap-guangzhou.",
        ):
            for whole in (front + host, f"examplebucket-1250000000.{front}{host}"):
                found = read_endpoint(whole, "/")
                if found is not None and not found.is_misspelt:
                    return True
        if is_other_host(host):
            return True
    return False


def set_aside() -> frozenset[tuple[str, str]]:
    """Names that were looked at and are none of COS on the wire."""
    lines = SET_ASIDE.read_text("utf-8").splitlines()
    cells = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return frozenset((row[0], row[1]) for row in cells[1:])


def unknown(trees: Iterable[Path], *, everything: bool = False) -> list[Found]:
    """What the tables do not know, by kind and name."""
    aside = set_aside()
    known: dict[tuple[Kind, str], bool] = {}
    times: dict[tuple[Kind, str], list[str]] = {}
    for tree in trees:
        for path in sources(tree, everything=everything):
            shown = str(path.relative_to(tree)) if path != tree else path.name
            for place in names_in(path.read_text("utf-8", "replace"), shown):
                key = (place.kind, place.name)
                if key not in known:
                    known[key] = key in aside or is_known(*key)
                if not known[key]:
                    times.setdefault(key, []).append(f"{place.path}:{place.line}")
    return [
        Found(kind, name, len(places), places[0]) for (kind, name), places in sorted(times.items())
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trees", nargs="+", type=Path, metavar="TREE", help="an SDK's sources")
    parser.add_argument("--all", action="store_true", help="tests, demos and copies of others' too")
    parser.add_argument("--kind", choices=KINDS, action="append", help="these kinds of names alone")
    chosen = parser.parse_args(arguments)
    for tree in chosen.trees:
        if not tree.exists():
            parser.error(f"{tree} is not there")
        if not any(sources(tree, everything=chosen.all)):
            parser.error(f"{tree} holds no sources")
    found = unknown(chosen.trees, everything=chosen.all)
    for kind in chosen.kind or KINDS:
        mine = [each for each in found if each.kind == kind]
        print(f"{kind}: {len(mine)} unknown to {TABLES[kind]}")
        if kind == "parameter" and not chosen.kind:
            continue
        for each in mine:
            print(f"  {each.name}\t{each.times}\t{each.first}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
