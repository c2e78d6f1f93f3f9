"""Feeds every parser of what others wrote with odd inputs; see ``--help``."""

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.fuzz_guided import guided, has_atheris
from scripts.fuzz_mutation import Result, mutated
from scripts.fuzz_targets import SEEDS, TARGETS, seeds_of

_README = Path(__file__).resolve().parent / "README.md"
_BEGIN, _END = "<!-- fuzz: begin -->\n", "<!-- fuzz: end -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Feeds every parser of what others wrote with odd inputs. None may raise what"
        " it does not document, take longer than in proportion to its input, or want memory"
        " without bound; and what it reads must be what a second reading gives. Exit status 1 at"
        " a fault, whose input is kept.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of parsers; without: all")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each parser (60)")
    parser.add_argument(
        "--short", action="store_true", help="some thousand inputs for each, always the same ones"
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything that chance decides (1)")
    parser.add_argument(
        "--without-atheris", action="store_true", help="mutate, also where atheris is there"
    )
    parser.add_argument("--keep", type=Path, help="directory for inputs that show a fault")
    parser.add_argument("--list", action="store_true", help="the parsers' names, and no more")
    parser.add_argument(
        "--readme", action="store_true", help="renew the rows of the table in README.md"
    )
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in TARGETS]:
        parser.error(f"no such parser: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    console = Console(width=None if sys.stdout.isatty() else 120)
    names = given.names or list(TARGETS)
    if given.list:
        for name in names:
            console.print(f"{name:16}{TARGETS[name].parses}", markup=False, highlight=False)
        return 0
    with_atheris = has_atheris() and not given.without_atheris and not given.short
    results = []
    for name in names:
        result = run(name, given, with_atheris=with_atheris)
        results.append(result)
        state = result.wrong or f"{result.inputs} inputs in {result.seconds:.0f} s"
        console.print(f"{name}: {state}", markup=False, highlight=False)
        if result.wrong is not None:
            path = _kept(result, given.keep)
            console.print(f"    with the input {path}", markup=False, highlight=False)
    if len(results) > 1:
        show(results, console)
    if given.readme:
        write(results, with_atheris=with_atheris)
    return 1 if any(result.wrong is not None for result in results) else 0


def run(name: str, given: argparse.Namespace, *, with_atheris: bool) -> Result:
    target = TARGETS[name]
    if with_atheris:
        return guided(name, SEEDS / name, seed=given.seed, seconds=given.seconds)
    most, seconds = (target.short, None) if given.short else (None, given.seconds)
    return mutated(target, seeds_of(name), seed=given.seed, most=most, seconds=seconds)


def _kept(result: Result, folder: Path | None) -> Path:
    place = folder or Path(tempfile.mkdtemp(prefix="cos-fuzz-"))
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{result.name}.input"
    path.write_bytes(result.input)
    return path


def show(results: list[Result], console: Console) -> None:
    table = Table(title="Inputs tried", title_justify="left")
    for column in ("parser", "inputs", "kept", "seconds", "faults"):
        table.add_column(column, justify="left" if column == "parser" else "right")
    for result in results:
        faults = "0" if result.wrong is None else "1"
        seconds = f"{result.seconds:.0f}"
        table.add_row(result.name, str(result.inputs), str(result.kept), seconds, faults)
    console.print(table)


def write(results: list[Result], *, with_atheris: bool, readme: Path = _README) -> None:
    """Renews the table in scripts/README.md between its marks. Rows of parsers that were not
    tried this time stay."""
    before, begin, rest = readme.read_text("utf-8").partition(_BEGIN)
    table, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the table")
    by = "atheris" if with_atheris else "mutation"
    counts = _counts_in(table)
    for result in results:
        counts[result.name] = (result.inputs, result.kept, int(result.wrong is not None))
    rows = [(name, *counts[name]) for name in TARGETS if name in counts]
    lines = [
        f"| parser | what it reads | inputs tried (by {by}) | reached something new | faults |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {TARGETS[name].parses} | {inputs} | {kept} | {faults} |"
            for name, inputs, kept, faults in rows
        ),
        f"| all | | {sum(row[1] for row in rows)} | {sum(row[2] for row in rows)} |"
        f" {sum(row[3] for row in rows)} |",
    ]
    readme.write_text(before + begin + "\n".join(lines) + "\n" + end + after, "utf-8")


def _counts_in(table: str) -> dict[str, tuple[int, int, int]]:
    """By parser: inputs, those that reached something new, and faults."""
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[0] in TARGETS:
            found[cells[0]] = (int(cells[2]), int(cells[3]), int(cells[4]))
    return found


if __name__ == "__main__":
    sys.exit(main())
