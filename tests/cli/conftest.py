from pathlib import Path

import pytest

from tests.analyze.runs import two_captures


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    return two_captures(tmp_path)
