"""Each module has tests in the same place; what has none is listed, and may only shrink."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cos_inspect"
TESTS = ROOT / "tests"
FOLDERS = {
    "captures": "saved",
    "captures/exports": "saved/exports",
    "captures/wire": "saved/wire",
}
"""Where a room's tests stand under another name: ``tests/captures`` holds captures."""
UNMIRRORED = frozenset(
    {
        "addon.py",
        "analyze/joining_all.py",
        "cos/header_syntax.py",
        "proxy/connection_failures.py",
        "proxy/connection_hooks.py",
        "proxy/live_session.py",
        "proxy/exit_status.py",
        "proxy/flow_recorder.py",
        "proxy/recheck.py",
        "proxy/startup.py",
        "rules/addressing.py",
        "rules/append_checks.py",
        "rules/precondition.py",
        "rules/refusal.py",
        "rules/rule.py",
        "rules/signature_content.py",
        "transfers/multipart_verdict.py",
    }
)
"""Tested through the modules that use them."""


def without_tests() -> set[str]:
    modules = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return {
        module.as_posix()
        for module in modules
        if module.name != "__init__.py"
        and not (TESTS / _folder(module) / f"test_{module.name}").exists()
    }


def _folder(module: Path) -> Path:
    room = module.parent.as_posix()
    return Path(FOLDERS.get(room, room))


def test_a_module_has_tests_or_is_listed() -> None:
    assert without_tests() <= UNMIRRORED


def test_the_list_has_no_entry_that_is_not_needed() -> None:
    assert without_tests() >= UNMIRRORED
