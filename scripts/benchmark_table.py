"""The benchmark's results as the table in scripts/README.md."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_README = Path(__file__).resolve().parent / "README.md"
_BEGIN, _END = "<!-- benchmark: begin -->\n", "<!-- benchmark: end -->\n"


def table(results: Sequence[dict[str, Any]], before: str = "") -> str:
    """A row for each case; the first figure is its ratio to plain mitmdump. Rows of ``before``,
    an earlier table, stay where their cases were not measured anew."""
    rows = {line.split(" | ")[0]: line for line in before.splitlines()[2:]}
    for result in results:
        said = "; ".join(f"{name} {value}" for name, value in result.items() if name != "case")
        rows[f"| {result['case']}"] = f"| {result['case']} | {said} |"
    return "\n".join(["| case | measured |", "| --- | --- |", *rows.values()]) + "\n"


def write(results: Sequence[dict[str, Any]], readme: Path = _README) -> None:
    """Renews the table between its marks."""
    text = readme.read_text("utf-8")
    before, begin, rest = text.partition(_BEGIN)
    old, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the table")
    readme.write_text(f"{before}{_BEGIN}{table(results, old)}{_END}{after}", "utf-8")
