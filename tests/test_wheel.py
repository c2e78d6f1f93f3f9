"""What is installed from a wheel works without the checkout: addon, tables and pages inside."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.proxy.inspected import cos_flow
from tests.proxy.test_run import capture

ROOT = Path(__file__).resolve().parents[1]


def _run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of a fresh environment that holds the wheel. It borrows the
    dependencies of this one, so that nothing has to be fetched."""
    if importlib.util.find_spec("hatchling") is None and os.environ.get("CI") != "true":
        pytest.skip("hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    _run(*pip, *build, ROOT, cwd=folder)
    (wheel,) = folder.glob("cos_inspect-*.whl")
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    _run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python.parent


def test_the_package_is_that_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    said = _run(installed / "cos-inspect", "addon-path", cwd=tmp_path)
    assert Path(said.strip()).is_relative_to(installed.parent)


def test_mitmdump_runs_the_script(installed: Path, tmp_path: Path) -> None:
    script = _run(installed / "cos-inspect", "addon-path", cwd=tmp_path).strip()
    path = capture(tmp_path, cos_flow())
    mitmdump = "from mitmproxy.tools.main import mitmdump; mitmdump()"
    formats = ("--set", "cos_report_format=json", "--set", "cos_report_format=html")
    arguments = ("-nr", path, "-s", script, *formats)
    said = _run(installed / "python", "-c", mitmdump, *arguments, cwd=tmp_path)
    assert "COS summary: 1 COS flows among 1: 1 ok" in said
    reports = tmp_path / "cos-reports"
    assert (reports / "index.html").is_file()
    assert (reports / "assets" / "app.js").is_file()
    assert len(list(reports.glob("flows/*.json"))) == 1


def test_the_commands_have_their_tables(installed: Path, tmp_path: Path) -> None:
    said = _run(installed / "cos-inspect", "explain", "NoSuchKey", cwd=tmp_path)
    assert said.startswith("NoSuchKey: an error code of COS")
    said = _run(installed / "cos-inspect", "mitmdump", "--options", cwd=tmp_path)
    assert "\ncos_fail_on:" in said
