"""Which lines of an analysis are printed."""

import pytest

from cos_inspect.analyze.lines import Lines
from cos_inspect.model.flow_report import Verdict
from cos_inspect.settings.analysis_settings import Shown

FLOWS: list[tuple[Verdict, str]] = [
    ("ok", "a"),
    ("error", "b"),
    ("notice", "c"),
    ("warning", "d"),
    ("error", "e"),
]


@pytest.mark.parametrize(
    ("shown", "told"), [("all", "abcde"), ("problems", "bcde"), ("errors", "be")]
)
def test_what_is_told(shown: Shown, told: str) -> None:
    said: list[str] = []
    lines = Lines(shown, said.append)
    lines.add(FLOWS)
    lines.close("index.html")
    assert said == list(told)


def test_the_worst_have_room_whatever_comes_first() -> None:
    said: list[str] = []
    lines = Lines("problems", said.append)
    lines.add([("notice", "n")] * 500)
    lines.add([("error", "e")] * 41)
    lines.close(None)
    assert said.count("n") == 10
    assert said.count("e") == 40
    assert said[-1] == "… and 1 error, 490 notices more: --all prints every flow"
