"""``cos-inspect mitmdump``, ``mitmweb`` and ``mitmproxy`` as processes, and their exit status."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from mitmproxy import exceptions, http, options
from mitmproxy.io import FlowWriter
from mitmproxy.tools import cmdline

from cos_inspect.cli.commands import main
from cos_inspect.proxy import run as running
from cos_inspect.proxy.run import _parts, _refuse_misspelt, _without_filters
from tests.proxy.inspected import cos_flow


def started(
    tool: str, *arguments: str, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("cos-inspect")), tool, *arguments],
        env={**os.environ, "NO_COLOR": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def capture(folder: Path, *flows: http.HTTPFlow) -> Path:
    path = folder / "capture.mitm"
    with path.open("wb") as file:
        writer = FlowWriter(file)
        for flow in flows:
            writer.add(flow)
    return path


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("cos_stream=abc", "cos_stream: 'abc' is not allowed"),
        ("cos_strem=1m", "cos_strem: there is no such option; did you mean cos_stream?"),
    ],
)
def test_a_wrong_option_is_always_told(setting: str, words: str, tmp_path: Path) -> None:
    done = started("mitmdump", "--no-server", f"--set={setting}", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"cos-inspect mitmdump: {words}")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cos_nothing", "cos_nothing: there is no such option; cos_annotate, "),
        ("coshosts", "coshosts: there is no such option; did you mean cos_hosts?"),
        ("cos_fail_onn", "did you mean cos_fail_on?"),
    ],
)
def test_names_that_nobody_has(name: str, words: str) -> None:
    with pytest.raises(exceptions.OptionsError) as raised:
        _refuse_misspelt(name)
    assert words in str(raised.value)


@pytest.mark.parametrize("name", ["mine", "cost", "hosts", "flow_detail"])
def test_names_that_a_script_may_have(name: str) -> None:
    _refuse_misspelt(name)


def test_an_option_of_somebody_elses_script_passes(tmp_path: Path) -> None:
    path = capture(tmp_path)
    done = started("mitmdump", "-nr", str(path), "--set=mine=1", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_in_a_capture_is_reported_and_summed_up(tmp_path: Path) -> None:
    path = capture(tmp_path, cos_flow(), cos_flow(content=b"[Object Content)"))
    done = started("mitmdump", "-nr", str(path), folder=tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("20:47:25Z COS ok      GetObject ")
    assert lines[1].startswith("20:47:25Z COS error   GetObject ")
    assert "COS summary: 2 COS flows among 2: 1 error, 1 ok" in done.stdout
    assert len(list((tmp_path / "cos-reports" / "flows").glob("*.json"))) == 2
    # mitmproxy's own line per flow is off, unless it is asked for.
    assert "<< 200" not in done.stdout
    assert (
        "<< 200" in started("mitmdump", "-nr", str(path), "--flow-detail=1", folder=tmp_path).stdout
    )


def test_a_filter_behind_the_options_is_mitmdumps(tmp_path: Path) -> None:
    path = capture(tmp_path, cos_flow(), cos_flow(status=404, content=b""))
    done = started("mitmdump", "-nr", str(path), "~c 404", folder=tmp_path)
    assert "COS summary: 1 COS flows among 1" in done.stdout


def test_fail_on_gives_the_status(tmp_path: Path) -> None:
    path = capture(tmp_path, cos_flow(content=b"x"))
    done = started("mitmdump", "-nr", str(path), "--set=cos_fail_on=error", folder=tmp_path)
    assert done.returncode == 1


def test_an_unreadable_input_weighs_more_than_a_finding(tmp_path: Path) -> None:
    path = capture(tmp_path, cos_flow(content=b"x"))
    with path.open("ab") as file:
        file.write(b"17:nonsense")
    done = started("mitmdump", "-nr", str(path), "--set=cos_fail_on=error", folder=tmp_path)
    assert "COS summary: 1 COS flows" in done.stdout
    assert done.returncode == 2


@pytest.mark.parametrize("arguments", [["--nonsense"], ["-nr", "missing.mitm"]])
def test_wrong_usage_is_status_2(arguments: Sequence[str], tmp_path: Path) -> None:
    assert started("mitmdump", *arguments, folder=tmp_path).returncode == 2


def test_help_is_the_tools_own() -> None:
    done = started("mitmdump", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: cos-inspect mitmdump")


def test_options_of_the_addon_are_listed() -> None:
    done = started("mitmdump", "--options")
    assert done.returncode == 0
    assert "\ncos_fail_on:" in done.stdout


def test_the_console_wants_a_terminal(tmp_path: Path) -> None:
    done = started("mitmproxy", "--no-server", folder=tmp_path)
    assert done.returncode == 2
    assert "tty" in done.stderr


def test_every_tool_has_the_parts_that_are_needed() -> None:
    opts = options.Options()
    for tool in ("mitmdump", "mitmweb", "mitmproxy"):
        kind, parser, _ = _parts(tool)
        assert kind.__name__.endswith("Master")
        assert parser(opts).format_usage()


def test_parsers_know_of_filters() -> None:
    parser = _without_filters(cmdline.mitmweb)(options.Options())
    assert parser.parse_args([]).filter_args == []
    parser = _without_filters(cmdline.mitmdump)(options.Options())
    assert parser.parse_args(["~q"]).filter_args == ["~q"]


def test_another_mitmproxy_is_told_of_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def parts(_tool: str) -> None:
        raise AttributeError("module 'mitmproxy.tools.cmdline' has no attribute 'mitmdump'")

    monkeypatch.setattr(running, "_parts", parts)
    done = CliRunner().invoke(main, ["mitmdump", "--no-server"])
    assert done.exit_code == 2
    assert "cannot be started from here" in done.output
    assert "addon-path" in done.output


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Whatever starts in this process leaves its log handlers behind."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.mark.usefixtures("logging_as_before")
def test_a_master_without_a_place_for_scripts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_BEHIND", "nothing")
    done = CliRunner().invoke(main, ["mitmdump", "--no-server"])
    assert done.exit_code == 2
    assert "no place for scripts" in done.output


_CHAIN = """
import asyncio
from mitmproxy import options
from cos_inspect.proxy import run
from cos_inspect.proxy.inspector import CosInspect

async def chain():
    kind, _, defaults = run._parts("mitmdump")
    return run._with_addon(kind, CosInspect(), defaults)(options.Options()).addons.chain

print(*(type(addon).__name__ for addon in asyncio.run(chain())))
"""


def test_the_addon_stands_before_those_that_save() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHAIN], capture_output=True, text=True, timeout=60, check=True
    )
    names = done.stdout.split()
    place = names.index("CosInspect")
    assert names[place - 1] == "ScriptLoader"
    assert place < names.index("Save")
