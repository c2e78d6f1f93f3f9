"""The reference, made from the code: rules, checks, reasons, options, commands, headers, calls."""

import argparse
import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
import msgspec

from cos_inspect.cli.commands import main as cli
from cos_inspect.cos.headers import allowed_values
from cos_inspect.cos.tables import rows
from cos_inspect.dataset.columns import columns
from cos_inspect.dataset.marks import DatasetSummary
from cos_inspect.dataset.schemas import TABLES, VERSION
from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Summary
from cos_inspect.proxy.commands import Commands
from cos_inspect.rules.registry import RULES
from cos_inspect.settings.addon_options import OPTIONS
from cos_inspect.telemetry.signals import LOG_ATTRIBUTES, METRICS, SPAN_ATTRIBUTES
from scripts.reference_members import meanings, member_rows

PATH = Path(__file__).resolve().parents[1] / "cos_inspect" / "REFERENCE.md"

_HEAD = """\
# Reference

Made from the code by `scripts/reference`; a test compares the two. Do not edit by hand.
"""


_MEMBERS = (
    "`a[].b` is the member `b` of each entry of the list `a`, `a.*` each value of the object `a`;"
    " `cos-inspect schema` prints the same as JSON Schema. These are in"
)


def _members(root: type[msgspec.Struct]) -> Iterator[tuple[str, ...]]:
    for path, kind, meaning in member_rows(root):
        yield code(path), kind, meaning


def reference() -> str:
    """The whole file as Markdown."""
    parts = {
        "Rules": (
            '`cos-inspect explain ID` tells cause, fix and an example. "Joins by": what the'
            " exchanges have in common of which the rule speaks; empty: one exchange alone"
            " decides.",
            table(
                ("rule", "group", "severity", "when", "joins by"),
                (
                    (
                        code(rule.id),
                        rule.group,
                        rule.severity.value,
                        rule.when,
                        ", ".join(rule.joins),
                    )
                    for rule in RULES
                ),
            ),
        ),
        "Checks": (
            "Each check that the operation could have had stands in the report as `match`,"
            " `mismatch` or `skipped`.",
            table(
                ("check", "compares", "with", "a mismatch means"),
                (
                    (code(row["check"]), row["compares"], row["with"], row["mismatch"])
                    for row in rows("checks")
                ),
            ),
        ),
        "Reasons why a check was skipped": (
            "",
            table(
                ("reason", "meaning"),
                ((code(row["reason"]), row["meaning"]) for row in rows("skips")),
            ),
        ),
        "Mistakes in hosts and signatures": (
            "The values of `mistake` in the evidence of `endpoint-mistake`, and of"
            " `signature-mismatch` where the key is at hand.",
            table(
                ("mistake", "of", "meaning", "fix"),
                (
                    *(
                        (code(row["mistake"]), "host", row["meaning"], row["fix"])
                        for row in rows("host_mistakes")
                    ),
                    *(
                        (
                            code(row["name"]),
                            "signature",
                            f"The client signed {row['said']}.",
                            row["fix"],
                        )
                        for row in rows("signature_mistakes")
                    ),
                ),
            ),
        ),
        "Options": (
            "Given as `--set name=value`, or in mitmproxy's `config.yaml`.",
            table(("option", "default", "meaning"), option_rows()),
        ),
        "Metrics of `cos_otel`": (
            "Cumulative, unless `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` says"
            " otherwise.",
            table(
                ("metric", "kind", "unit", "meaning", "attributes"),
                (
                    (
                        code(metric.name),
                        metric.kind,
                        code(metric.unit),
                        metric.meaning,
                        ", ".join(map(code, metric.attributes)),
                    )
                    for metric in METRICS
                ),
            ),
        ),
        "Attributes of logs and spans of `cos_otel`": (
            "An attribute is left out where a flow has nothing to say in it.",
            table(("attribute", "in", "meaning"), attribute_rows()),
        ),
        "Commands inside mitmproxy and mitmweb": (
            "",
            table(("command", "does"), command_rows()),
        ),
        "Commands of `cos-inspect`": ("", table(("command", "does"), cli_rows())),
        "Switches of `cos-inspect analyze`": (
            "",
            table(("switch", "takes", "default", "meaning"), switch_rows()),
        ),
        "Members of a flow's report": (
            f"{_MEMBERS} `flows/*.json`, and each line of `flows.jsonl`.",
            table(("member", "is", "meaning"), _members(FlowReport)),
        ),
        "Members of `summary.json`": (
            f"{_MEMBERS} `summary.json`.",
            table(("member", "is", "meaning"), _members(Summary)),
        ),
        "Tables of a dataset": (
            f"What `analyze --dataset` writes, by version `{VERSION}`, to"
            " `TABLE/run=…/day=…/*.parquet`; `run` and `day` are columns by the names of the"
            " folders. A `?` behind a type: it may be null.",
            table(("table", "column", "type", "meaning"), column_rows()),
        ),
        "Members of a dataset's `summary.json`": (
            f"{_MEMBERS} `summary.json` of a dataset, and `runs/….json`.",
            table(("member", "is", "meaning"), _members(DatasetSummary)),
        ),
        "Operations": (
            "The first row of a family, level and method whose conditions all hold counts. Names"
            " that are not Tencent's are marked as ours. The last column says where the call"
            " was read.",
            table(
                ("operation", "family", "level", "method", "told by", "source"), operation_rows()
            ),
        ),
        "Headers": (
            'A name that ends in `*` is a prefix. "Masked" is what `cos_redact` hides.',
            table(
                ("header", "in", "category", "allowed", "masked", "meaning", "source"),
                header_rows(),
            ),
        ),
    }
    text = _HEAD + "\n" + "".join(f"- [{name}](#{anchor(name)})\n" for name in parts)
    for name, (words, lines) in parts.items():
        text += f"\n## {name}\n\n" + (f"{words}\n\n" if words else "") + lines
    return text


def anchor(heading: str) -> str:
    """The address that GitHub gives a heading."""
    kept = "".join(sign for sign in heading.lower() if sign.isalnum() or sign in " -_")
    return kept.replace(" ", "-")


def table(titles: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    shown = [titles, ["---"] * len(titles), *([cell(part) for part in line] for line in lines)]
    return "".join(f"| {' | '.join(line)} |\n" for line in shown)


def cell(text: str) -> str:
    """Text that ends no cell and begins no tag."""
    parts = " ".join(text.split()).split("`")
    # Between backquotes a tag is none.
    parts[::2] = [part.replace("<", "&lt;").replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts).replace("|", "\\|")


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def option_rows() -> Iterator[tuple[str, str, str]]:
    for name, _, default, text in OPTIONS:
        values = [default] if isinstance(default, str) else default
        yield code(name), ", ".join(code(value) for value in values if value) or "none", text


def attribute_rows() -> Iterator[tuple[str, str, str]]:
    logs, spans = dict(LOG_ATTRIBUTES), dict(SPAN_ATTRIBUTES)
    for name, meaning in (logs | spans).items():
        where = [word for word, found in (("logs", logs), ("spans", spans)) if name in found]
        yield code(name), ", ".join(where), meaning


def command_rows() -> Iterator[tuple[str, str]]:
    for member in vars(Commands).values():
        if name := getattr(member, "command_name", None):
            taken = list(inspect.signature(member).parameters.values())[1:]
            yield (
                code(" ".join([name, *(item.name for item in taken)])),
                inspect.getdoc(member) or "",
            )


def cli_rows() -> Iterator[tuple[str, str]]:
    for name, entry in sorted(cli.commands.items()):
        arguments = [
            item.make_metavar(click.Context(entry))
            for item in entry.params
            if isinstance(item, click.Argument)
        ]
        if not entry.params:
            arguments = ["…"] if name.startswith("mitm") else []
        yield code(" ".join([name, *arguments])), (entry.help or "").split("\n\n")[0]


def switches() -> Iterator[click.Option]:
    for item in cli.commands["analyze"].params:
        if isinstance(item, click.Option):
            yield item


def switch_rows() -> Iterator[tuple[str, str, str, str]]:
    context = click.Context(cli.commands["analyze"])
    for item in switches():
        names = " / ".join(map(code, [*item.opts, *item.secondary_opts]))
        takes = "" if item.is_flag else code(item.make_metavar(context))
        default = item.default if isinstance(item.default, str) else ""
        yield names, takes, code(default), item.help or ""


def column_rows() -> Iterator[tuple[str, ...]]:
    for name, row in TABLES.items():
        yield code(name), "", "", (row.__doc__ or "").replace("``", "`")
        for column in columns(row):
            kind = code(f"{column.type}{'?' if column.nullable else ''}")
            meaning = meanings(row)[column.name].replace("``", "`")
            yield code(name), code(column.name), kind, meaning


def operation_rows() -> Iterator[tuple[str, ...]]:
    for row in rows("operations"):
        name = code(row["name"]) if row["official"] == "yes" else f"{code(row['name'])} (ours)"
        told = "; ".join(
            f"{label} {code(row[column])}"
            for column, label in (
                ("path", "path"),
                ("query", "query"),
                ("header", "header"),
                ("content_type", "Content-Type"),
            )
            if row[column]
        )
        family = row["family"].replace(",", ", ")
        yield name, family, row["level"].replace(",", ", "), row["method"], told, row["source"]


def header_rows() -> Iterator[tuple[str, ...]]:
    masked = {"1": "all", "part": "in part"}
    for row in rows("headers"):
        yield (
            code(row["name"]),
            row["direction"],
            row["category"],
            allowed_values(row, "request"),
            masked.get(row["secret"], ""),
            row["meaning"],
            row["source"],
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; status 1: they differ")
    chosen = parser.parse_args()
    text = reference()
    if not chosen.check:
        PATH.write_text(text, "utf-8")
        return 0
    if text == PATH.read_text("utf-8"):
        return 0
    print(f"{PATH.name} is not what the code says; run scripts/reference", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
