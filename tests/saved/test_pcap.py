"""Captures of packets as ``analyze`` reads them."""

import gzip
import json
from pathlib import Path

from click.testing import CliRunner, Result

from cos_inspect.captures.formats import find_format
from cos_inspect.captures.pcap import PCAP
from cos_inspect.cli.commands import main
from tests.saved.wire.exchanges_made import converse, get, put
from tests.saved.wire.packets_made import Conversation, frames, pcap, pcapng


def _file(*, ng: bool = False) -> bytes:
    made = Conversation()
    converse(made, [put("a", b"a" * 4000, wrong=True), get("b", b"b" * 4000)])
    made.close()
    return pcapng(frames(made.packets)) if ng else pcap(frames(made.packets))


def _analyze(folder: Path, *names: Path) -> Result:
    reports = str(folder / "reports")
    arguments = ["analyze", *map(str, names), "--report-dir", reports, "--format", "json"]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_it_is_known_by_its_first_bytes() -> None:
    for data in (_file(), _file(ng=True)):
        assert find_format(data[:64]) is PCAP


def test_packed_or_not(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.mkdir()
    (path / "a.pcap").write_bytes(_file())
    (path / "b.pcapng.gz").write_bytes(gzip.compress(_file(ng=True)))
    result = _analyze(tmp_path, path)
    assert result.exit_code == 0, result.output
    # Both hold the same exchanges: each counts once.
    flows = sorted((tmp_path / "reports" / "flows").iterdir())
    reports = [json.loads(flow.read_bytes()) for flow in flows]
    assert [(each["cos"]["operation"], each["verdict"]) for each in reports] == [
        ("PutObject", "error"),
        ("GetObject", "ok"),
    ]
    assert reports[0]["connection"]["client"] == "10.0.0.5:41234"


def test_a_file_that_is_cut_is_named_and_its_flows_count(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(_file()[:-30])
    result = _analyze(tmp_path, path)
    assert result.exit_code == 2
    assert "the file ends inside the packet" in result.output
    assert len(list((tmp_path / "reports" / "flows").iterdir())) == 2


def test_a_snap_length_is_named(tmp_path: Path) -> None:
    made = Conversation()
    converse(made, [put("a", b"a" * 4000)])
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap(frames(made.packets), snap=96))
    result = _analyze(tmp_path, path)
    assert f"of its {len(made.packets)} packets are cut" in result.output
    assert not (tmp_path / "reports" / "flows").exists() or not list(
        (tmp_path / "reports" / "flows").iterdir()
    )


def test_what_a_capture_has_not_stands_in_the_summary(tmp_path: Path) -> None:
    made = Conversation()
    converse(made, [put("a", b"a" * 4000), get("b", b"b" * 4000), get("c", b"c" * 400)])
    made.close()
    lost = next(n for n, each in enumerate(made.packets) if each.data[:4] == b"aaaa")
    answer = next(n for n, each in enumerate(made.packets) if each.data[-4:] == b"cccc")
    packets = [each for n, each in enumerate(made.packets) if n not in (lost, answer)]
    path = tmp_path / "a.pcapng"
    path.write_bytes(pcapng(frames(packets)))
    result = _analyze(tmp_path, path)
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "reports" / "summary.json").read_bytes())
    (about,) = summary["captures"]
    missing = len(made.packets[lost].data) + len(made.packets[answer].data)
    assert (about["bytes_lost"], about["packets_lost"]) == (missing, None)
    assert (about["program"], about["exchanges"]) == ("made by hand", 2)
    assert about["left_out"] == {"whose answer was not captured": 1}
    assert "left out 1 whose answer was not captured" in result.output
