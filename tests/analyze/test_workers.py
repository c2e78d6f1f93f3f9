"""Work that several processes do, and that one of them does not end."""

import os
from pathlib import Path
from typing import Any

import pytest

from cos_inspect.analyze import shards, workers
from cos_inspect.analyze.reading import ShardReader
from cos_inspect.settings.analysis_settings import AnalysisSettings
from tests.analyze.runs import Run, good
from tests.saved.hars import har


def ended(shard: shards.Shard, settings: AnalysisSettings, folder: str, partitions: int) -> Any:
    """Stands for a process that the system ends."""
    if any(piece.path.endswith("deadly.har") for piece in shard.parts):
        os._exit(1)
    return ShardReader(shard, settings, folder, partitions).read()


@pytest.mark.parametrize("step", [1, 3000])
def test_a_process_that_is_ended_costs_its_input_alone(
    step: int, two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = tmp_path / "deadly.har"
    deadly.write_bytes(har([good()]))
    monkeypatch.setattr(workers, "_read", ended)
    # Whether it is read alone or with others.
    monkeypatch.setattr(shards, "_SMALLEST", step)
    run = Run(tmp_path, deadly, *two, "--jobs=2", status=2)
    assert [report["verdict"] for report in run.reports] == ["ok", "error", "ok", "ok"]
    assert run.summary["lost"] == {"count": 1, "reasons": {"cannot be read": 1}}
    (line,) = run.result.stderr.splitlines()
    assert line.startswith(f"cos-inspect: {deadly}: the process that read it was ended")
