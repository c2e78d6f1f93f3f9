"""Text as a terminal shows it: in its columns, and nothing that steers it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cos_inspect.report.terminal_text import one_line, size_text, table, within, wrapped


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 40, "3.0 TiB"),
        (None, "?"),
    ],
)
def test_sizes(size: int | None, text: str) -> None:
    assert size_text(size) == text


def test_a_table_is_aligned_by_columns_of_the_terminal() -> None:
    lines = table([("报告", "x"), ("report", "y")]).splitlines()
    assert lines == ["报告    x", "report  y"]


CHINESE = "年度报告/二〇二六年/腾讯云对象存储的使用情况总结与展望（最终版）.pdf"


@given(st.text(st.characters() | st.sampled_from(CHINESE + " ")), st.integers(8, 60))
def test_what_is_cut_or_wrapped_fits(drawn: str, width: int) -> None:
    text = one_line(drawn)
    assert text.isprintable()
    assert cell_len(within(text, width)) <= width
    lines = list(wrapped(text, width, 4, 6))
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_of_what_is_too_long_both_ends_are_kept() -> None:
    assert within(CHINESE, 20) == "年度报告/…终版）.pdf"
    assert within(CHINESE, 200) == CHINESE
    assert list(wrapped("a b", None, 4, 6)) == ["    a b"]
