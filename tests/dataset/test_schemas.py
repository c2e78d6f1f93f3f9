"""What others read must stay as it is: a change to a column asks for another version."""

from pathlib import Path

from cos_inspect.dataset.columns import columns
from cos_inspect.dataset.schemas import NAMES, TABLES, VERSION
from scripts.reference_members import meanings

FROZEN = Path(__file__).with_name("columns.txt")


def told() -> list[str]:
    return [
        f"{VERSION} {name}.{column.name} {column.type}{'?' if column.nullable else ''}"
        for name, row in TABLES.items()
        for column in columns(row)
    ]


def test_the_columns_of_this_version_are_frozen() -> None:
    """New ones may be added, at the end of a table; then the list is written anew."""
    assert "\n".join(told()) == FROZEN.read_text().rstrip("\n")


def test_every_column_has_a_meaning() -> None:
    for row in TABLES.values():
        assert set(meanings(row)) == {column.name for column in columns(row)}


def test_every_table_has_the_name_of_its_folder() -> None:
    assert {NAMES[row]: row for row in NAMES} == TABLES
