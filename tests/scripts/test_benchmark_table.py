"""The table of measurements, renewed in part."""

from pathlib import Path

import pytest

from scripts.benchmark_table import write


def test_only_rows_of_measured_cases_are_renewed(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    head, mark, tail = "text\n\n", "<!-- benchmark: begin -->\n", "<!-- benchmark: end -->\nmore\n"
    readme.write_text(f"{head}{mark}{tail}")
    write([{"case": "a GET", "rate": 1}, {"case": "a PUT", "rate": "2 (1 to 3)"}], readme)
    write([{"case": "a GET", "rate": 5, "more": 6}, {"case": "new", "x": 7}], readme)
    rows = "| a GET | rate 5; more 6 |\n| a PUT | rate 2 (1 to 3) |\n| new | x 7 |\n"
    table = f"| case | measured |\n| --- | --- |\n{rows}"
    assert readme.read_text() == f"{head}{mark}{table}{tail}"


def test_a_file_without_a_place_for_it_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    with pytest.raises(ValueError, match="no place"):
        write([{"case": "a GET", "rate": 1}], readme)
    assert readme.read_text() == "nothing here"
