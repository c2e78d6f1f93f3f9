"""One parser under atheris (libFuzzer), in a process of its own: what is found ends that.

``python -m scripts.fuzz_guided NAME …`` is the child; see :func:`guided` for who starts it.
"""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from scripts.fuzz_judge import LONGEST, Target, what_grows_too_fast, what_is_wrong
from scripts.fuzz_mutation import Result

_ROOT = Path(__file__).resolve().parent.parent
_RARER = 3
"""Of the many inputs of a guided run fewer are pumped."""
_FOUND = 77
"""Exit status of a child that found something."""
_GRACE = 900
"""Seconds that a child may take to start and to end, on a busy machine."""
_EXECUTED = re.compile(r"stat::number_of_executed_units: ([0-9]+)")
_CORPUS = re.compile(r"corp: ([0-9]+)/")


def has_atheris() -> bool:
    return importlib.util.find_spec("atheris") is not None


def guided(
    name: str,
    seeds: Path,
    *,
    seed: int,
    most: int | None = None,
    seconds: float | None = None,
    module: str = "scripts.fuzz_guided",
) -> Result:
    """Ends at the first fault, after ``most`` inputs, or when the ``seconds`` are over.

    ``module`` is what the child runs.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cos-fuzz-") as made:
        folder = Path(made)
        (folder / "corpus").mkdir()
        limit = f"-runs={most}" if most is not None else f"-max_total_time={seconds or 1:.0f}"
        child = subprocess.run(
            [
                sys.executable, "-m", module, name, made, limit, f"-seed={seed}",
                str(folder / "corpus"), str(seeds),
            ],
            cwd=_ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=None if seconds is None else seconds + _GRACE,
            check=False,
        )  # fmt: skip
        result = Result(name=name, seconds=time.monotonic() - begin)
        executed = _EXECUTED.search(child.stderr)
        result.inputs = int(executed[1]) if executed else _number_in(folder / "inputs")
        result.kept = max(map(int, _CORPUS.findall(child.stderr)), default=0)
        wrong = folder / "wrong"
        if wrong.exists():
            result.wrong = wrong.read_text("utf-8")
            result.input = (folder / "input").read_bytes()
        elif child.returncode:
            result.wrong = f"the fuzzer ended with {child.returncode}: {child.stderr[-600:]}"
            found = sorted(folder.glob("artifact-*"))
            result.input = found[0].read_bytes() if found else b""
    return result


def _number_in(path: Path) -> int:
    return int(path.read_text("ascii")) if path.exists() else 0


def child(arguments: Sequence[str], prepare: Callable[[], None] = lambda: None) -> None:
    """Never returns. ``prepare`` is called when the package is loaded."""
    atheris = importlib.import_module("atheris")
    name, made, *given = arguments
    folder = Path(made)
    with atheris.instrument_imports(include=["cos_inspect", "python_multipart"]):
        targets = importlib.import_module("scripts.fuzz_targets")
    prepare()
    target: Target = targets.TARGETS[name]
    chance = Random(name)
    count = 0

    def one_input(data: bytes) -> None:
        nonlocal count
        count += 1
        wrong, shown = what_is_wrong(target, data), data
        pumps = bool(target.pump_every) and count % (_RARER * target.pump_every) == 0
        if wrong is None and pumps:
            found = what_grows_too_fast(target, data, chance)
            if found is not None:
                wrong, shown = found
        if wrong is not None:
            (folder / "input").write_bytes(shown)
            (folder / "inputs").write_text(str(count), "ascii")
            (folder / "wrong").write_text(wrong, "utf-8", "backslashreplace")
            os._exit(_FOUND)

    words = folder / "words"
    words.write_text(
        "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words),
        "ascii",
    )
    atheris.Setup(
        [
            "fuzz", *given, f"-dict={words}", f"-max_len={LONGEST}", "-timeout=60",
            "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={folder}/artifact-",
        ],
        one_input,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    child(sys.argv[1:])
