"""Network namespaces of this process's own: a network in which a test may redirect."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

ELSEWHERE = "203.0.113.9"
"""An address of documentation (RFC 5737), which exists in the namespace alone."""


def need_tools(*names: str) -> None:
    """Skips where a program is missing; in CI nothing may be missing."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"not installed: {', '.join(missing)}")


@contextmanager
def network_namespace() -> Iterator[None]:
    """This thread, and whatever threads and processes it starts, live in a new network that
    has nothing but loopback. Skips the test where none can be made."""
    if not hasattr(os, "unshare"):
        pytest.skip("there are no network namespaces here")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        try:
            os.unshare(os.CLONE_NEWNET)
        except OSError as refusal:
            pytest.skip(f"no network namespace can be made: {refusal}")
        try:
            run("ip link set lo up")
            yield
        finally:
            os.setns(before, os.CLONE_NEWNET)
    finally:
        os.close(before)


def run(command: str, given: str = "") -> str:
    """Runs one of the system's tools. Raises ``RuntimeError`` with what it said."""
    done = subprocess.run(
        command.split(), input=given, capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return done.stdout


def run_or_skip(command: str) -> None:
    """For what a kernel may not allow, although the tool is there."""
    try:
        run(command)
    except RuntimeError as refusal:
        pytest.skip(f"not possible here: {refusal}")
