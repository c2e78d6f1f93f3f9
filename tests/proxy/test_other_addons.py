"""Who else is there, in a few words."""

from types import ModuleType

from mitmproxy.test import taddons

from cos_inspect.proxy.other_addons import named, replacements, scripts_with
from cos_inspect.recording.actors import UNKNOWN


class Mover:
    def request(self, flow: object) -> None:
        """Moves it."""


def test_scripts_are_named_by_their_file() -> None:
    script = ModuleType("__mitmproxy_script__.rewrite")
    script.__file__ = "/somewhere/rewrite.py"
    script.request = print  # type: ignore[attr-defined]
    with taddons.context(script, Mover()) as context:
        assert scripts_with("request") == "the script rewrite.py or the addon Mover"
        assert scripts_with("responseheaders") is None
        context.master._legacy_log_events.uninstall()


def test_an_addon_that_is_not_there() -> None:
    with taddons.context() as context:
        assert replacements("mapremote") == []
        context.master._legacy_log_events.uninstall()


def test_a_fault_costs_the_name_alone() -> None:
    @named
    def find() -> str:
        raise AttributeError("built otherwise")

    assert find() == UNKNOWN
