from cos_inspect.report.compare import compare
from cos_inspect.report.comparison_text import comparison_text
from tests.report.compared import LATER, PAIRS, sent


def test_the_headline_stands_first_and_both_flows_below() -> None:
    for pair in PAIRS:
        found = compare(pair.failed, pair.worked)
        lines = comparison_text(pair.failed, pair.worked, found)
        assert lines[0] == found.headline
        assert lines[2].lstrip().startswith(f"#{pair.failed.sequence}")
        assert lines[3].lstrip().startswith(f"#{pair.worked.sequence}")
        for each in found.differences:
            assert any(each.name in line for line in lines[4:])


def test_no_control_character_reaches_the_terminal() -> None:
    one = sent(headers={"x-cos-meta-a": "\x1b[31m\n"}, url="https://h/\x1b]0;x\x07?a=\x9b")
    lines = comparison_text(one, sent(**LATER), compare(one, sent(**LATER)))
    assert all(line.isprintable() for line in lines)
