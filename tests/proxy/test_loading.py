"""How the addon gets into mitmproxy: from which copy and how often, and what it does when the
start does not go well. Real mitmdumps, which read a capture."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cos_inspect
from tests.proxy.inspected import cos_flow
from tests.proxy.test_run import capture

PACKAGE = Path(cos_inspect.__file__).parent
ADDON = PACKAGE / "addon.py"
OWN = "from cos_inspect.proxy.inspector import CosInspect\n\naddons = [CosInspect()]\n"
FAULTY = """
from cos_inspect.inspection import session


def failing(*_, **__):
    raise RuntimeError("a fault of ours")


session.first_look = failing
"""


def started(
    folder: Path, *arguments: str, program: tuple[str, ...] = ("mitmdump",)
) -> subprocess.CompletedProcess[str]:
    """Reads a capture of one clean flow."""
    command = [
        str(Path(sys.executable).with_name(program[0])),
        *program[1:],
        "--no-server",
        f"--set=confdir={folder / 'confdir'}",
        "--set=flow_detail=0",
        f"--rfile={capture(folder, cos_flow())}",
        f"--set=cos_report_dir={folder / 'reports'}",
        *arguments,
    ]
    return subprocess.run(
        command,
        env={**os.environ, "NO_COLOR": "1"},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def script(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    return f"--scripts={path}"


def reports(folder: Path) -> int:
    return len(list((folder / "reports" / "flows").glob("*.json")))


def copied(folder: Path) -> Path:
    """A copy of the package that says who it is."""
    copy = folder / "copy" / "cos_inspect"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    lines = copy / "report" / "closing_lines.py"
    text = lines.read_text("utf-8")
    assert "COS summary:" in text
    lines.write_text(text.replace("COS summary:", "COS summary of the copy:"), "utf-8")
    return copy / "addon.py"


def test_a_checkout_runs_itself_and_no_installed_copy(tmp_path: Path) -> None:
    done = started(tmp_path, f"--scripts={copied(tmp_path)}")
    assert "COS summary of the copy: 1 COS flows" in done.stdout
    assert (done.returncode, reports(tmp_path)) == (0, 1)


def test_the_package_that_is_there_runs(tmp_path: Path) -> None:
    done = started(tmp_path, f"--scripts={ADDON}")
    assert "COS summary: 1 COS flows" in done.stdout
    assert (done.returncode, reports(tmp_path)) == (0, 1)


@pytest.mark.parametrize("program", [("mitmdump",), ("cos-inspect", "mitmdump")])
def test_two_copies_at_once_are_refused(tmp_path: Path, program: tuple[str, ...]) -> None:
    first = (f"--scripts={ADDON}",) if program == ("mitmdump",) else ()
    other = copied(tmp_path)
    done = started(tmp_path, *first, f"--scripts={other}", program=program)
    said = f"{other} cannot be used: cos_inspect is loaded from {PACKAGE} already"
    assert [line for line in done.stdout.splitlines() if said in line]
    assert "Traceback" not in done.stdout
    assert done.returncode != 0
    assert done.stdout.count("cos_inspect is loaded") == 1


@pytest.mark.parametrize("way", ["a script of one's own", "by cos-inspect", "its sibling"])
def test_an_addon_that_is_loaded_twice_works_once(tmp_path: Path, way: str) -> None:
    own = script(tmp_path, "own.py", OWN)
    if way == "by cos-inspect":
        done = started(tmp_path, f"--scripts={ADDON}", program=("cos-inspect", "mitmdump"))
    elif way == "its sibling":
        done = started(tmp_path, own, script(tmp_path, "other.py", OWN), f"--scripts={ADDON}")
    else:
        done = started(tmp_path, f"--scripts={ADDON}", own)
    times = 2 if way == "its sibling" else 1
    assert done.stdout.count("cos_inspect was loaded twice") == times
    assert "Traceback" not in done.stdout
    assert "already exists" not in done.stdout
    assert done.stdout.count("COS summary: 1 COS flows") == 1
    assert (done.returncode, reports(tmp_path)) == (0, 1)


@pytest.mark.parametrize("fail_on", ["never", "error"])
def test_a_fault_of_ours_in_the_first_moments_ends_no_proxy(tmp_path: Path, fail_on: str) -> None:
    """Until mitmproxy runs, it takes an error in the log for a start that failed."""
    faulty = script(tmp_path, "faulty.py", FAULTY)
    done = started(tmp_path, f"--scripts={ADDON}", faulty, f"--set=cos_fail_on={fail_on}")
    assert done.stdout.count("not inspected, the inspection failed") == 1
    assert "RuntimeError: a fault of ours" in done.stdout
    assert "logged during startup" not in done.stdout
    summary = json.loads((tmp_path / "reports" / "summary.json").read_text())
    assert summary["lost"] == {"count": 1, "reasons": {"the inspection failed": 1}}
    assert done.returncode == (1 if fail_on == "error" else 0)


def test_a_directory_that_cannot_be_written_at_once_ends_no_proxy(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "flows").write_text("in the way")
    done = started(tmp_path, f"--scripts={ADDON}")
    assert "COS reports cannot be written" in done.stdout
    assert "logged during startup" not in done.stdout
    assert done.returncode == 0


def test_a_wrong_option_still_ends_the_start(tmp_path: Path) -> None:
    done = started(tmp_path, f"--scripts={ADDON}", "--set=cos_stream=many")
    assert "cos_stream: 'many' is not allowed" in done.stdout
    assert "Traceback" not in done.stdout
    assert done.returncode == 1


def test_errors_of_others_still_end_the_start(tmp_path: Path) -> None:
    text = "import logging\nlogging.getLogger('other').error('cannot be')\n"
    done = started(tmp_path, f"--scripts={ADDON}", script(tmp_path, "other.py", text))
    assert "logged during startup" in done.stdout
    assert done.returncode == 1
