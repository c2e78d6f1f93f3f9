"""The addon and its options, driven without a network."""

from pathlib import Path

import pytest
from mitmproxy import exceptions
from mitmproxy.test import taddons

from cos_inspect.proxy.inspector import CosInspect
from tests.proxy.inspected import cos_flow, reports_in


def test_options_may_change_while_it_runs(tmp_path: Path) -> None:
    addon = CosInspect()
    with taddons.context(addon) as context:
        for name in ("one", "two"):
            context.configure(addon, cos_report_dir=str(tmp_path / name))
            flow = cos_flow()
            addon.requestheaders(flow)
            addon.responseheaders(flow)
            addon.response(flow)
        with pytest.raises(exceptions.OptionsError):
            context.configure(addon, cos_report_dir=str(tmp_path), cos_stream="x")
        addon.done()
    assert len(reports_in(tmp_path / "one")) == len(reports_in(tmp_path / "two")) == 1


def test_no_directory_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir="")
        flow = cos_flow()
        addon.requestheaders(flow)
        addon.responseheaders(flow)
        addon.response(flow)
        addon.done()
    assert list(tmp_path.iterdir()) == []
    assert f"{flow.metadata['cos']['verdict']}: " in flow.comment
