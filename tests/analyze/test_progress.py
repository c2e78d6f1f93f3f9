"""How far the reading has come is shown on a terminal alone."""

import sys

import pytest

from cos_inspect.analyze.progress import ReadingProgress, on_terminal


def test_it_is_silent_unless_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with ReadingProgress(100, shown=False) as progress:
        progress.at(50)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("total", "at"), [(100, 250), (0, 250)])
def test_it_never_shows_more_than_there_is(
    total: int, at: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with ReadingProgress(total, shown=True) as progress:
        progress.at(at)
    out, told = capsys.readouterr()
    assert out == ""
    assert "reading" in told
    assert ("100/100" in told) == (total == 100)


def test_a_file_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not on_terminal()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert on_terminal()
