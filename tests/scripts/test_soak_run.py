"""What the soak plans to do, and what it makes of its figures."""

import dataclasses
import itertools
from typing import Any

import pytest

from scripts.soak_compare import Outcome
from scripts.soak_faults import FAULTS
from scripts.soak_run import Result, once, without_end
from scripts.soak_scenarios import SCENARIOS
from scripts.soak_table import MEMORY_GROWTH_KIB, REPORT_FILES_OPEN, SETTLED_SECONDS, too_much
from scripts.soak_truth import Act, act_key, content

ALL = list(SCENARIOS)


def test_the_same_seed_makes_the_same_plan() -> None:
    first, second = (list(itertools.islice(without_end(5, ALL), 500)) for _ in range(2))
    assert first == second
    assert first != list(itertools.islice(without_end(6, ALL), 500))


def test_everything_is_done_once_before_chance_decides() -> None:
    wanted = {(name, None) for name in ALL} | {
        (name, fault.name) for name in ALL for fault in FAULTS.get(name, ())
    }
    done = [(name, fault and fault.name) for name, fault in once(1, ALL)]
    assert len(done) == len(wanted)
    assert set(done) == wanted
    begun = itertools.islice(without_end(1, ALL), len(wanted))
    assert {(name, fault and fault.name) for name, fault in begun} == wanted


def test_faults_belong_to_scenarios() -> None:
    assert FAULTS.keys() <= SCENARIOS.keys()


def test_a_key_below_an_act_belongs_to_it() -> None:
    act = Act(12, "burst", None, seed=1)
    assert act_key(act.key) == act_key(f"{act.key}/17") == act.key
    assert act_key(None) == ""


def test_content_follows_from_its_name() -> None:
    """As the Node script makes it too."""
    assert content("a", 3) == b"ca9"
    assert len(content("a", 1000)) == 1000
    assert content("a", 130)[64:128] == content("a", 64)


GOOD = Result(
    outcome=Outcome(),
    seconds=SETTLED_SECONDS,
    acts=1,
    memory_before=1000,
    memory_start=1000,
    memory_end=1000,
    memory_peak=1000,
    descriptors_start=8,
    descriptors_end=8,
    left_open={},
    exit_status=0,
    changes=1,
    reloads=1,
)


def test_a_flat_run_is_good() -> None:
    assert too_much(GOOD) == []


@pytest.mark.parametrize(
    "change",
    [
        {"memory_end": GOOD.memory_start + MEMORY_GROWTH_KIB + 1},
        {"descriptors_end": 12},
        {"left_open": {"report files": REPORT_FILES_OPEN + 1}},
        {"exit_status": -11},
        {"exit_status": 1},
    ],
    ids=str,
)
def test_what_grows_or_ends_badly_is_told(change: dict[str, Any]) -> None:
    assert len(too_much(dataclasses.replace(GOOD, **change))) == 1
