"""Captures as people have them: flow files and HARs of one session, some packed, with flows in
several of them, times that are equal, skewed or unknown, and ids that stand for several flows."""

import gzip
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy import http

from tests.analyze.soup import Soup
from tests.analyze.stories import STORIES
from tests.analyze.test_any_split import answer, dealt, entry_of, small_shards
from tests.saved.flow_files import saved_file
from tests.saved.hars import har
from tests.transfers.build import START

SMALL = [story for story in STORIES if story.__name__ not in ("multipart", "small_part", "slow")]
"""Without parts of a MiB."""


def _retimed(flow: http.HTTPFlow, style: str, rest: random.Random) -> None:
    request, response = flow.request, flow.response
    later = rest.choice([-3600.0, -0.5, 300.0, 3600.0])

    def moved(moment: float | None) -> float | None:
        if moment is None or style == "unknown":
            return moment
        return {"equal": START, "coarse": moment // 5 * 5, "skewed": moment + later}[style]

    request.timestamp_start = moved(request.timestamp_start) or 0.0
    request.timestamp_end = moved(request.timestamp_end)
    if response is not None:
        response.timestamp_start = moved(response.timestamp_start) or 0.0
        response.timestamp_end = None if style == "unknown" else moved(response.timestamp_end)
    if flow.error is not None:
        flow.error.timestamp = moved(flow.error.timestamp) or 0.0


def _again(flow: http.HTTPFlow, rest: random.Random) -> http.HTTPFlow:
    """Another flow with the same id."""
    made: http.HTTPFlow = flow.copy()
    made.id, made.server_conn.id = flow.id, flow.server_conn.id
    kind = rest.choice(["replayed", "under way", "edited", "other", "without body", "client"])
    if kind == "replayed":
        made.is_replay = "request"
        made.request.timestamp_start += rest.choice([1.0, 50.0])
    elif kind == "under way":
        made.response = made.error = None
    elif kind == "edited":
        made.request.headers["x-cos-meta-a"] = "1"
    elif kind == "other":
        made.request.path = "/other" + made.request.path
    elif kind == "without body" and made.response is not None:
        made.response.raw_content = None
    elif kind == "client":
        made.client_conn.peername, made.server_conn.id = ("10.0.0.9", 1), "another"
    return made


def _session(rest: random.Random) -> list[http.HTTPFlow]:
    flows = Soup(rest, rest.choice([5.0, 200.0]), overlaps=True).flows(rest.choice([6, 20]))
    for number in range(rest.randint(0, 3)):
        flows += rest.choice(SMALL)(number, bad=rest.random() < 0.5, at=rest.random() * 20).flows
    for flow in flows:
        if rest.random() < 0.4:
            flow.server_conn.id = f"shared-{rest.randrange(3)}"
        if flow.request.timestamp_start and rest.random() < 0.4:
            _retimed(flow, rest.choice(["equal", "coarse", "skewed", "unknown"]), rest)
    return flows + [_again(flow, rest) for flow in flows if rest.random() < 0.08]


def _packed(path: Path, rest: random.Random) -> Path:
    if rest.random() < 0.7:
        return path
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()
    return packed


def _hars(entries: list[dict[str, Any]], rest: random.Random) -> list[list[dict[str, Any]]]:
    """Equal entries stay in one file, and may stand in another one as well, but no more often."""
    equal: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        equal.setdefault(json.dumps(entry), []).append(entry)
    files: list[list[dict[str, Any]]] = [[] for _ in range(rest.randint(1, 3))]
    for group in equal.values():
        first, *others = rest.sample(files, len(files))
        first += group
        if others and rest.random() < 0.2:
            others[0] += group[: rest.randint(1, len(group))]
    for file in files:
        rest.shuffle(file)
    return [file for file in files if file]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 32))
def test_odd_splits(seed: int) -> None:
    rest = random.Random(seed)
    flows = _session(rest)
    of_hars = [flow for flow in flows if flow.request.timestamp_start > START / 2][::2]
    entries = [entry_of(flow) for flow in of_hars]
    entries += [entry for entry in entries if rest.random() < 0.1]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        whole = [saved_file(home / "all.mitm", *flows), home / "all.har"]
        whole[1].write_bytes(har(entries))
        expected = answer(whole)
        paths = [
            _packed(saved_file(home / f"{number}.mitm", *part), rest)
            for number, part in enumerate(dealt(flows, rest.randint(1, 5), rest, len(flows) // 4))
        ]
        for number, file in enumerate(_hars(entries, rest)):
            path = home / f"{number}.har"
            path.write_bytes(har(file))
            paths.append(_packed(path, rest))
        rest.shuffle(paths)
        with small_shards(rest.choice([2_000, 20_000]), rest.randint(1, 4)):
            assert answer(paths) == expected
