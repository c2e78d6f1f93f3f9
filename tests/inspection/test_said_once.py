"""Findings that stand on one flow for all of a client and key."""

import itertools

import msgspec
import pytest

from cos_inspect.inspection.said_once import SaidOnce, said_once_names, say_once
from cos_inspect.inspection.second_look import Revision
from cos_inspect.model.flow_report import Severity
from cos_inspect.rules.registry import SAID_ONCE
from cos_inspect.transfers.observation import Observation
from tests.report.build import finding
from tests.transfers.build import put, seen

RULE = min(SAID_ONCE)
FLOWS = [seen(put(name, b"x", at)) for name, at in (("b", 1.0), ("a", 2.0), ("c", 0.5))]


def _counted(flows: tuple[Observation, ...]) -> SaidOnce:
    first, *others = flows
    known = SaidOnce.of(first)
    for other in others:
        known.add(other)
    return known


@pytest.mark.parametrize("order", itertools.permutations(FLOWS))
def test_the_earliest_counts_in_whatever_order_they_come(order: tuple[Observation, ...]) -> None:
    assert _counted(order) == SaidOnce((FLOWS[2].started, "c"), 3)


def test_it_stands_on_the_earliest_with_the_number_of_all() -> None:
    known = _counted(tuple(FLOWS))
    said = {}
    for flow in FLOWS:
        revision = Revision()
        say_once(revision, [finding(RULE), finding()], flow, lambda _name: known)
        said[flow.flow_id] = (revision.mutes, revision.counts)
    assert said == {"a": ([RULE], {}), "b": ([RULE], {}), "c": ([], {RULE: 3})}


def test_one_flow_stands_for_itself_alone() -> None:
    revision = Revision()
    say_once(revision, [finding(RULE)], FLOWS[0], {"other": SaidOnce.of(FLOWS[0])}.get)
    say_once(revision, [finding(RULE)], FLOWS[0], lambda _name: SaidOnce.of(FLOWS[0]))
    assert revision == Revision()


def test_rule_severity_client_and_key_are_told_apart() -> None:
    one = FLOWS[0]
    others = [
        (finding(RULE, Severity.NOTICE), one),
        (finding(RULE, Severity.WARNING), one),
        (finding(RULE), msgspec.structs.replace(one, client="10.0.0.8")),
        (finding(RULE), msgspec.structs.replace(one, secret_id="AKIDEXAMPLE")),
    ]
    names = [name for found, flow in others for _, name in said_once_names([found], flow)]
    assert len(set(names)) == 4


def test_other_rules_and_flows_without_a_time_are_left_out() -> None:
    assert not list(said_once_names([finding("etag-mismatch")], FLOWS[0]))
    undated = msgspec.structs.replace(FLOWS[0], started=0.0)
    assert not list(said_once_names([finding(RULE)], undated))
