from cos_inspect.inspection.explain_block import block


def test_lines_stand_below_each_other_and_empty_ones_are_left_out() -> None:
    assert block("t", ("a", "1"), ("long", "2"), ("none", "")) == "t\n  a     1\n  long  2"


def test_a_label_that_comes_again_is_shown_once() -> None:
    assert block("t", ("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")).splitlines() == [
        "t",
        "  a  1",
        "     2",
        "  b  3",
        "  a  4",
    ]


def test_a_title_alone_is_a_line() -> None:
    assert block("t") == "t"
