"""The facts of the protocol, as tab-separated tables beside this file.

The first line that does not start with ``#`` names the columns.
"""

from functools import cache
from importlib import resources


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of ``name.tsv``, in order; every column is present in every row."""
    text = (resources.files(__name__) / f"{name}.tsv").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    columns = lines[0].split("\t")
    table = []
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(columns):
            raise ValueError(f"{name}.tsv: {len(cells)} cells, not {len(columns)}, in: {line}")
        table.append(dict(zip(columns, cells, strict=True)))
    return tuple(table)
