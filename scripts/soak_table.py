"""What the soak prints, and its limits."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.soak_run import Result
from scripts.soak_watch import REPORT_FILES

MIB = 1024
"""KiB in a MiB."""
MEMORY_GROWTH = 0.15
MEMORY_GROWTH_KIB = 24 * MIB
"""Between a third of the run and its end memory may grow by the larger of the two: what the
addon remembers is bounded, and in five minutes not all of it is full."""
SETTLED_SECONDS = 120
"""A run that is shorter tells nothing of growth."""
REPORT_FILES_OPEN = 32
"""More than the writer keeps open at any time."""
SHOWN = 40
_README = Path(__file__).resolve().parent / "README.md"
_BEGIN, _END = "<!-- soak: begin -->\n", "<!-- soak: end -->\n"


def too_much(result: Result) -> list[str]:
    """What grew that should not, and an exit that is none."""
    wrong = []
    grown = result.memory_end - result.memory_start
    settled = result.seconds >= SETTLED_SECONDS
    if settled and grown > max(MEMORY_GROWTH_KIB, MEMORY_GROWTH * result.memory_start):
        wrong.append(f"memory grew by {grown / MIB:.1f} MiB")
    if (
        result.descriptors_end > result.descriptors_start
        or result.left_open.get(REPORT_FILES, 0) > REPORT_FILES_OPEN
    ):
        wrong.append(
            f"{result.descriptors_end} descriptors are open when all clients are gone,"
            f" there were {result.descriptors_start}; new are {result.left_open}"
        )
    if result.exit_status:
        wrong.append(f"mitmdump ended with exit status {result.exit_status}")
    return wrong


def rows(result: Result) -> Iterator[tuple[str, str]]:
    outcome = result.outcome
    yield "seconds of traffic", f"{result.seconds:.0f}"
    yield "flows", str(outcome.flows)
    yield "kinds of fault", str(len(outcome.kinds))
    yield "faults injected", str(outcome.faults)
    yield "faults found", str(outcome.found)
    if outcome.cut_by_reload:
        yield "faults on flows that a reload cut", str(outcome.cut_by_reload)
    if outcome.streamed_midway:
        yield "faults on bodies that mitmproxy streamed midway", str(outcome.streamed_midway)
    yield "false alarms", str(outcome.false_alarms)
    yield "reloads of the addon", str(result.reloads)
    yield "changes of options", str(result.changes)
    for name, kib in (
        ("before traffic", result.memory_before),
        ("at rest after a third", result.memory_start),
        ("at rest at the end", result.memory_end),
        ("at most", result.memory_peak),
    ):
        yield f"memory, MiB, {name}", f"{kib / MIB:.1f}"
    yield "descriptors, before and after", f"{result.descriptors_start}, {result.descriptors_end}"
    yield "exit status of mitmdump", str(result.exit_status)


def show(result: Result, console: Console) -> None:
    kinds = Table(title="Kinds of fault", title_justify="left")
    for column in ("kind", "injected", "found"):
        kinds.add_column(column, justify="left" if column == "kind" else "right")
    for name, counts in sorted(result.outcome.kinds.items()):
        kinds.add_row(name, str(counts["injected"]), str(counts["found"]))
    console.print(kinds)
    table = Table(title="Soak", title_justify="left", show_header=False)
    for name, value in rows(result):
        table.add_row(name, value)
    console.print(table)
    for line in result.wrong[:SHOWN]:
        console.print(f"wrong: {line}", style="bold red", markup=False, highlight=False)
    if len(result.wrong) > SHOWN:
        console.print(f"and {len(result.wrong) - SHOWN} more", style="bold red")
    if not result.wrong:
        console.print("Every fault was found, and nothing else was accused.")


def write(result: Result, readme: Path = _README) -> None:
    """Replaces the table in scripts/README.md between its marks."""
    before, begin, rest = readme.read_text("utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the table")
    lines = [
        "| measured | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in rows(result)),
    ]
    readme.write_text(before + begin + "\n".join(lines) + "\n" + end + after, "utf-8")
