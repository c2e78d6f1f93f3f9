"""Everything that is written for a set of captures, by this checkout and by another commit:
equal byte for byte, but for the time of the run. See ``--help``."""

import argparse
import logging
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from itertools import islice
from pathlib import Path

from cos_inspect.report.formats import FORMATS
from scripts.outputs_captures import make_captures

ROOT = Path(__file__).resolve().parents[1]
_MOST_LINES = 12
_TIMES = re.compile(rb'("(?:start|end|began|ended|updated)(?:ed)?": ?)"[0-9TZ:.-]{20,30}"')
"""Of the run, and not of what was recorded."""

_CALL = "import sys; from cos_inspect.cli.commands import main; main(prog_name='cos-inspect')"
_EXPLAIN = """
import sys
from pathlib import Path
import cos_inspect.cos.tables as tables
from cos_inspect.inspection.explain import explain
from cos_inspect.rules.registry import RULES
names = {rule.id for rule in RULES}
for table in sorted(Path(tables.__file__).parent.glob("*.tsv")):
    for line in table.read_text("utf-8").splitlines():
        names.update(cell for cell in line.split("\\t")[:2] if cell)
for name in sorted(names):
    print("#", name, explain(name), sep="\\n")
"""

Outputs = dict[str, bytes]


class Checkout:
    """Code to run, and where it puts what it writes."""

    def __init__(self, code: Path, folder: Path) -> None:
        self._code = code
        self._folder = folder
        folder.mkdir()

    def outputs(self, captures: Sequence[Path], hosts: Sequence[str]) -> Outputs:
        """By a name that says what it is."""
        found: Outputs = {}
        for command in ("schema", "rules"):
            found[command] = self._run("-c", _CALL, command)
        found["explain"] = self._run("-c", _EXPLAIN)
        patterns = [f"--hosts={host}" for host in hosts]
        for redact in ("--redact", "--no-redact"):
            for jobs in (1, 2):
                name = f"analyze {redact} --jobs={jobs}"
                formats = [f"--format={name}" for name in FORMATS]
                switches = [redact, f"--jobs={jobs}", *formats, *patterns]
                found |= self._analyzed(name, switches, captures)
        for capture in captures:
            name = f"analyze {capture.name}"
            found |= self._analyzed(name, ["--format=json", *patterns], [capture])
        sets = [f"--set=cos_hosts={host}" for host in hosts]
        # What others append to depends on when it was appended.
        sets += [f"--set=cos_report_format={name}" for name in ("json", "markdown", "junit")]
        for capture in captures:
            if capture.name in _READ_BY_MITMDUMP:
                found |= self._read_by_mitmdump(capture, sets)
        return found

    def _analyzed(self, name: str, switches: list[str], captures: Sequence[Path]) -> Outputs:
        reports = self._folder / name.replace(" ", "_")
        done = self._run("-c", _CALL, "analyze", f"--report-dir={reports}", *switches, *captures)
        return {f"{name}: terminal": done} | written(name, reports)

    def _read_by_mitmdump(self, capture: Path, sets: list[str]) -> Outputs:
        name = f"mitmdump -nr {capture.name}"
        reports = self._folder / name.replace(" ", "_")
        addon = self._code / "cos_inspect" / "addon.py"
        call = "from mitmproxy.tools.main import mitmdump; mitmdump()"
        self._run(
            *("-c", call, "-q", "-nr", capture, f"--scripts={addon}"),
            f"--set=cos_report_dir={reports}",
            *sets,
        )
        return written(name, reports)

    def _run(self, *arguments: str | Path) -> bytes:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=600,
            cwd=self._folder,
            env=os.environ
            | {"PYTHONPATH": str(self._code), "PYTHONUTF8": "1", "PYTHONHASHSEED": "0"},
        )
        output = done.stdout.replace(os.fsencode(self._folder), b"FOLDER")
        return output + b"exit status %d\n" % done.returncode


_READ_BY_MITMDUMP = frozenset({"corpus.mitm", "recorded.mitm"})


def written(name: str, reports: Path) -> Outputs:
    """The files of a report directory, the time of the run left out."""
    return {
        f"{name}: {path.relative_to(reports)}": _TIMES.sub(rb'\1"TIME"', path.read_bytes())
        for path in sorted(reports.rglob("*"))
        if path.is_file()
    }


def differences(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> Iterator[str]:
    """Lines that tell where two runs differ."""
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            yield f"{name}: only {'there' if name in theirs else 'here'}"
        elif ours[name] != theirs[name]:
            yield f"{name}: differs"
            one, other = (_lines(each[name]) for each in (theirs, ours))
            yield from islice(
                unified_diff(one, other, "there", "here", n=0, lineterm=""), _MOST_LINES
            )


def _lines(content: bytes) -> list[str]:
    """Long lines of JSON are parted, so that a difference is shown where it is."""
    text = content.decode("utf-8", "replace")
    return [part[:300] for line in text.splitlines() for part in re.split(r"(?<=[,}>])", line)]


def _unpack(commit: str, folder: Path) -> None:
    packed = folder / "code.tar"
    subprocess.run(
        ["git", "archive", f"--output={packed}", commit, "cos_inspect"], cwd=ROOT, check=True
    )
    with tarfile.open(packed) as archive:
        archive.extractall(folder / "code", filter="data")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/outputs",
        description="Writes every format of report for a set of captures, with one process and"
        " with two, with and without masks, by analyze and by mitmdump -nr, besides schema, rules"
        " and explanations, with the code of this checkout and with that of another commit. Exit"
        " status 1 where they differ.",
    )
    parser.add_argument("--against", default="HEAD", help="the other commit (HEAD)")
    parser.add_argument("--no-recording", action="store_true", help="without a proxy and clients")
    parser.add_argument("captures", nargs="*", type=Path, help="further captures")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="cos-outputs-") as made:
        folder = Path(made)
        captures = folder / "captures"
        captures.mkdir()
        hosts = make_captures(captures, record=not given.no_recording)
        paths = [*sorted(captures.iterdir()), *(path.resolve() for path in given.captures)]
        _unpack(given.against, folder)
        ours = Checkout(ROOT, folder / "here").outputs(paths, hosts)
        theirs = Checkout(folder / "code", folder / "there").outputs(paths, hosts)
        found = list(differences(ours, theirs))
    for line in found:
        print(line)
    differ = sum(line.endswith((": differs", ": only here", ": only there")) for line in found)
    print(f"{len(ours)} outputs here, {len(theirs)} in {given.against}: {differ} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
