"""What is said of the captures of a fleet is what was damaged in them."""

from pathlib import Path

from cos_inspect.analyze.run import analyze
from cos_inspect.settings.analysis_settings import AnalysisSettings
from cos_inspect.settings.execution import label_of
from scripts.fleet_captures import cut, make_fleet
from scripts.fleet_compare import reports_in


def test_the_truth_about_a_fleet(tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path / "captures", 10)
    cut(fleet.captures[3])
    settings = AnalysisSettings(
        report_dir=tmp_path / "reports",
        formats=("jsonl",),
        labels=(label_of(fleet.label),),
        quiet=True,
    )
    paths = [str(path) for path in fleet.captures]
    outcome = analyze(paths, settings, lambda _: None, lambda _: None)
    (error,) = outcome.errors
    assert error.startswith(f"{fleet.captures[3]}: ")
    found = reports_in(tmp_path / "reports")
    assert len(found.by_flow) == fleet.flows
    assert found.answer.found == fleet.found
    assert found.answer.of_transfers == fleet.of_transfers
    devices = {report["labels"]["device"] for report in found.by_flow.values()}
    assert devices == {"device-00", "device-01"}
