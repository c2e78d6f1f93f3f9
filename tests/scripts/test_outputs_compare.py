"""Two runs differ where a byte does, and the time of a run is none of them."""

from pathlib import Path

from scripts.outputs_compare import differences, written


def test_a_byte_a_file_more_and_a_file_less() -> None:
    ours = {"a": b'{"x":1,"y":2}', "b": b"same", "c": b""}
    theirs = {"a": b'{"x":1,"y":3}', "b": b"same", "d": b""}
    found = list(differences(ours, theirs))
    assert "a: differs" in found
    assert '-"y":3}' in found
    assert '+"y":2}' in found
    assert {"c: only here", "d: only there"} <= set(found)
    assert not any(line.startswith("b") for line in found)


def test_times_of_the_run_are_no_difference(tmp_path: Path) -> None:
    for name, second in (("one", "01"), ("other", "02")):
        (tmp_path / name).mkdir()
        content = f'{{"run":{{"start":"2026-11-22T10:00:{second}.123Z"}}}}'
        (tmp_path / name / "summary.json").write_text(content)
    assert written("x", tmp_path / "one") == written("x", tmp_path / "other")
