from pathlib import Path

import pytest

from scripts.mutants_main import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_what_is_damaged_and_what_should_notice_it_are_there(mutant: Mutant) -> None:
    code = (ROOT / "cos_inspect" / mutant.file).read_text("utf-8")
    assert code.count(mutant.before) == 1
    for argument in mutant.tests.split():
        path, _, test = argument.partition("::")
        text = (ROOT / path).read_text("utf-8")
        assert f"def {test}(" in text if test else Path(path).name.startswith("test_")
