"""What the package logs holds no secret, neither in its lines nor in tracebacks."""

import ast
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.test import taddons

import cos_inspect
from cos_inspect.inspection.redaction import Redactor, mask
from cos_inspect.proxy import log_guard
from cos_inspect.proxy.inspector import CosInspect
from cos_inspect.proxy.log_guard import AS_IS, LogGuard, about_secrets
from tests.proxy.inspected import AUTHORIZATION, SIGNATURE, cos_flow

TOKEN = "Kx4PLTbOuYhLfPpbQZhFs/a+b=0zQ9"
PACKAGE = Path(cos_inspect.__file__).parent


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"


def _take_off(guard: LogGuard) -> None:
    for name in list(logging.root.manager.loggerDict):
        logging.getLogger(name).removeFilter(guard)


@pytest.fixture
def guard() -> Iterator[LogGuard]:
    made = LogGuard()
    logging.getLogger("cos_inspect.of_a_test")
    made.install()
    yield made
    _take_off(made)


def logged(*arguments: Any, **more: Any) -> str:
    logger, lines = logging.getLogger("cos_inspect.of_a_test"), Lines()
    logger.addHandler(lines)
    try:
        logger.warning(*arguments, **more)
    finally:
        logger.removeHandler(lines)
    return lines.text


def raised(text: str, cause: str | None = None) -> Exception:
    try:
        try:
            raise KeyError(cause)
        except KeyError as error:
            if cause is None:
                raise ValueError(text) from None
            raise ValueError(text) from error
    except ValueError as error:
        return error


def knowing(*secrets: str) -> dict[str, Any]:
    return about_secrets(Redactor(secrets))


def test_lines_are_masked(guard: LogGuard) -> None:
    assert logged("it is %s", f"token={TOKEN}") == f"it is token={mask(TOKEN)}\n"
    assert logged("it is %s", TOKEN, extra=knowing(TOKEN)) == f"it is {mask(TOKEN)}\n"
    assert logged("nothing: %d %s", 1, "a") == "nothing: 1 a\n"


def test_what_is_to_be_copied_whole_is_left(guard: LogGuard) -> None:
    assert TOKEN in logged("open http://h/?token=%s", TOKEN, extra=AS_IS)


def test_without_redaction_all_is_logged(guard: LogGuard) -> None:
    guard.is_on = False
    text = logged("token=%s", TOKEN, exc_info=raised(TOKEN))
    assert text.count(TOKEN) == 2


def test_an_exception_says_nothing_of_which_nobody_knows_what_it_holds(guard: LogGuard) -> None:
    text = logged("failed", exc_info=raised(TOKEN, cause=f"because {TOKEN}"))
    assert TOKEN not in text
    assert "Traceback (most recent call last):" in text
    assert "ValueError: (its text is left out" in text
    assert "KeyError: (its text is left out" in text
    assert "direct cause" in text
    assert f'File "{__file__}"' in text


def test_an_exception_about_a_flow_is_masked(guard: LogGuard) -> None:
    error = raised(f"of {TOKEN}", cause=f"because {TOKEN}, secret_key={SIGNATURE}")
    text = logged("failed", exc_info=error, extra=knowing(TOKEN))
    assert TOKEN not in text
    assert SIGNATURE not in text
    assert f"ValueError: of {mask(TOKEN)}" in text
    assert f"because {mask(TOKEN)}, secret_key=[masked:" in text


def test_a_circle_of_exceptions_has_an_end(guard: LogGuard) -> None:
    one, other = ValueError(TOKEN), KeyError(TOKEN)
    one.__cause__, other.__cause__ = other, one
    assert TOKEN not in logged("failed", exc_info=one)


def test_a_fault_of_the_guard_shows_nothing(
    guard: LogGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> str:
        raise RuntimeError(TOKEN)

    monkeypatch.setattr(Redactor, "text", failing)
    text = logged("it is %s", TOKEN, exc_info=raised(TOKEN), extra=knowing(TOKEN))
    assert TOKEN not in text
    assert "RuntimeError" in text
    monkeypatch.setattr(log_guard, "_masked", failing)
    assert TOKEN not in logged("failed", exc_info=raised(TOKEN))


def test_a_second_guard_takes_the_place_of_the_first(guard: LogGuard) -> None:
    second = LogGuard()
    second.install()
    second.is_on = False
    assert TOKEN in logged("token=%s", TOKEN)
    _take_off(second)
    assert TOKEN in logged("token=%s", TOKEN)


def _loggers_of_the_package() -> set[str]:
    """Modules that have a logger, by their source."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger":
                name = node.args[0]
                if isinstance(name, ast.Constant) and not str(name.value).startswith("cos_inspect"):
                    continue  # another package's
                assert ast.unparse(name) == "__name__", path
                found.add(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    return found


def test_the_addon_guards_every_logger_of_the_package() -> None:
    names = _loggers_of_the_package() - {"cos_inspect.addon"}
    assert len(names) >= 8
    addon = CosInspect()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir="")
        for name in names:
            filters = logging.getLogger(name).filters
            assert [one for one in filters if isinstance(one, LogGuard)], name
        context.configure(addon, cos_redact="false")
        assert not addon._log_guard.is_on
        context.master._legacy_log_events.uninstall()


@pytest.mark.parametrize("redact", ["true", "false"])
def test_a_flow_that_cannot_be_inspected_gives_no_secret_away(
    redact: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ValueError(f"what is {SIGNATURE}, of {AUTHORIZATION}?")

    monkeypatch.setattr("cos_inspect.inspection.session.first_look", failing)
    addon, flow = CosInspect(), cos_flow()
    with taddons.context(addon) as context:
        context.configure(addon, cos_report_dir="", cos_redact=redact)
        for hook in (addon.requestheaders, addon.request, addon.responseheaders, addon.response):
            hook(flow)
        context.master._legacy_log_events.uninstall()
    assert f"flow {flow.id}: not inspected" in caplog.text
    assert (SIGNATURE in caplog.text) == (redact == "false")
    assert ("ValueError: what is [masked:" in caplog.text) == (redact == "true")
