"""HTTP/2 on both sides."""

import contextlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.end_to_end.harness import BUCKET
from tests.end_to_end.lab import Lab
from tests.end_to_end.modes import LARGE, MIB, Http2, accusations, exercise, judge
from tests.origin.gateway import Gateway
from tests.origin.server import Origin

pytestmark = pytest.mark.end_to_end


def judge_output(output: str) -> None:
    """Nothing raised. Python 3.12.1 cannot tell: where mitmproxy, ending, cancels the task of a
    connection, a callback of its ``asyncio.streams`` raises (CPython issue 113538, mended in
    3.12.2)."""
    raised = output.partition("Traceback")[2]
    is_faulty = sys.version_info[:3] == (3, 12, 1) and "/asyncio/streams.py" in raised
    if is_faulty and "/cos_inspect/" not in raised and os.environ.get("CI") != "true":
        pytest.skip("asyncio of Python 3.12.1 raises when a connection is cancelled")
    assert "Traceback" not in output


@pytest.fixture
def gateway(origin: Origin) -> Iterator[Gateway]:
    with Gateway(origin) as made:
        yield made
    assert not made.streams.faults
    assert set(made.streams.protocols) == {"HTTP/2"}


def test_http2(origin: Origin, gateway: Gateway, tmp_path: Path) -> None:
    with (
        Lab(origin, tmp_path, server=gateway) as lab,
        contextlib.closing(Http2(lab.ca_pem, lab.url)) as store,
    ):
        exercise(origin, store)
        lab.stop()
    judge(origin, lab.reports)
    for report in lab.reports:
        assert report["request"]["http_version"] == "HTTP/2.0"
        assert report["response"]["http_version"] == "HTTP/2.0"
    judge_output(lab.output)


def test_many_streams_of_one_connection(origin: Origin, gateway: Gateway, tmp_path: Path) -> None:
    """Their pieces come mixed; each body is judged by its own."""
    bodies = {f"streams/{number}": LARGE[number : number + MIB + 1] for number in range(16)}
    with (
        Lab(origin, tmp_path, server=gateway) as lab,
        contextlib.closing(Http2(lab.ca_pem, lab.url)) as store,
        ThreadPoolExecutor(16) as pool,
    ):
        list(pool.map(store.put, bodies, bodies.values()))
        assert list(pool.map(store.get, bodies)) == list(bodies.values())
        lab.stop()
    assert {name: origin.get_object(BUCKET, name) for name in bodies} == bodies
    assert len(lab.reports) == 32
    assert {accusations(report) for report in lab.reports} == {frozenset()}
