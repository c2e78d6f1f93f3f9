"""mitmweb ends, or loads the script anew, while flows are under way: as with mitmdump, each has
one report, and nothing is said of it."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.end_to_end.harness import HOST
from tests.end_to_end.lab import in_group
from tests.end_to_end.test_reload import Reloading, copy
from tests.end_to_end.test_stopping import begin_flows, by_key, notes, nothing_is_said_of
from tests.end_to_end.web import Web
from tests.origin.effects import stall
from tests.origin.proxy import Proxy
from tests.origin.server import Origin

__all__ = ["copy", "notes"]
pytestmark = pytest.mark.end_to_end


class _PlainMitmWeb(Proxy):
    program = ("mitmweb",)


class Script(Web, Reloading):
    """mitmweb with the addon as a script, which may be touched."""

    def __init__(self, origin: Origin, folder: Path, script: Path, *arguments: str) -> None:
        super().__init__(origin, folder, f"--scripts={script}", *arguments)
        given = self._proxy._arguments
        self._proxy = _PlainMitmWeb(origin, *given)


def interrupt_group(pid: int) -> None:
    """As a terminal does it, for all that was started there."""
    os.killpg(pid, signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end(tmp_path: Path, notes: Path, origin: Origin, number: signal.Signals) -> None:
    with (
        contextlib.ExitStack() as connections,
        Web(origin, tmp_path, f"--scripts={notes}", "--set=cos_fail_on=notice") as web,
    ):
        under_way = begin_flows(web, connections)
        web.stop(lambda pid: os.kill(pid, number))
        reports = by_key(web.reports)
        summary = web.summary
        assert "Traceback" not in web.output
    assert reports.keys() == under_way
    for report in reports.values():
        nothing_is_said_of(report)
    assert summary["connections"] == []


def test_an_interrupt_of_the_terminal_ends_clients_as_well(
    tmp_path: Path, notes: Path, origin: Origin
) -> None:
    web = Web(origin, tmp_path, f"--scripts={notes}")
    web._proxy.own_group = True
    with web:
        web.damage("waiting", stall(300.0))
        commands = [
            ["curl", "-s", "-x", web.url, f"http://{HOST}/waiting?number={number}"]
            for number in (1, 2)
        ]
        commands.append(["curl", "-s", "-x", web.url, "-T", "-", f"http://{HOST}/upload"])
        clients = in_group(web.pid, commands)
        for name in (r"waiting\?number=1", r"waiting\?number=2", "upload"):
            web.wait_for_output(f"begun {name}")
        web.stop(interrupt_group)
        for client in clients:
            client.communicate(timeout=30)
        reports = web.reports
        assert web.summary["connections"] == []
    assert len(reports) == len(clients)
    for report in reports:
        nothing_is_said_of(report)
        assert report["broke_off"] is None


def test_a_reload(tmp_path: Path, notes: Path, copy: Path, origin: Origin) -> None:
    with (
        contextlib.ExitStack() as connections,
        Script(origin, tmp_path, copy, f"--scripts={notes}") as web,
    ):
        under_way = begin_flows(web, connections)
        web.reload(copy)
        for name in under_way:
            nothing_is_said_of(web.report_on(name))
        connections.close()
        assert web.send("PUT", "after", data=b"abc").status_code == 200
        assert web.report_on("after")["verdict"] == "ok"
        web.stop()
        reports = by_key(web.reports)
        assert "Traceback" not in web.output
    assert reports.keys() == under_way | {"after"}
