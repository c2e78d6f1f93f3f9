"""More transfers under way than memory holds: the same is found, at the same cost for each flow."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos_inspect.inspection.histories import Histories, TrackedHistory
from cos_inspect.inspection.session import Bounds, Session
from cos_inspect.model.exchange import Exchange
from cos_inspect.transfers.limits import JudgingBudget
from tests.inspection.test_session import Run
from tests.transfers.build import (
    append,
    complete,
    crc64,
    failure,
    get,
    initiate,
    md5,
    part,
    put,
    ranged,
)

KMS = {
    "x-cos-server-side-encryption": "cos/kms",
    "x-cos-server-side-encryption-cos-kms-key-id": "a-key",
}
DAMAGES = ("none", "complete", "part", "retry", "lost", "kms", "again")
OF_PARTS = ("multipart-crc64", "multipart-etags")
SMALL_PARTS = {"multipart-part-invalid"}
"""All of them are."""
TINY = Bounds(facts=12, small=1, put_off=2, reports=4)


def _upload(key: str, parts: int, damage: str, at: float) -> list[Exchange]:
    """One part a second, of which some things may be wrong."""
    flows = []
    if damage == "kms":
        flows.append(initiate(f"{key}-begin", at, key=key, answered=KMS, sent=KMS))
    chunks = [f"{key} {number}".encode() * 9 for number in range(1, parts + 1)]
    for number, data in enumerate(chunks, 1):
        name, moment = f"{key}-{number}", at + number
        more: dict[str, Any] = {}
        etag = md5(data)
        if damage == "kms":
            etag = md5(b"another" + data)
            more["answered"] = {"ETag": f'"{etag}"', "x-cos-hash-crc64ecma": str(crc64(data))}
        if damage == "part" and number == 2:
            told = {"ETag": f'"{md5(b"x")}"', "x-cos-hash-crc64ecma": str(crc64(b"x"))}
            more["answered"] = told
        if damage == "retry" and number == 2:
            refused = failure(503, "SlowDown") | {"answered": {}}
            flows.append(part(f"{name}-try", number, data, moment - 0.5, key=key, **refused))
        if damage == "again" and number == 2:
            other = b"another body of the part"
            flows.append(part(f"{name}-old", number, other, moment - 0.5, key=key))
        flows.append(part(name, number, data, moment, key=key, **more))
    listed = [
        (number, md5(b"another" + data) if damage == "kms" else md5(data))
        for number, data in enumerate(chunks, 1)
    ]
    if damage != "lost":
        whole = crc64(b"X" if damage == "complete" else b"".join(chunks))
        flows.append(complete(f"{key}-done", listed, whole, at + parts + 1, key=key))
    return flows


def _others(number: int, at: float, *, bad: bool) -> list[Exchange]:
    """A download by ranges, an object that is read back, and one that is tried again."""
    key, data = f"o{number}", f"of object {number} ".encode() * 20
    half = len(data) // 2
    wrong = b"X" + data[half + 1 :]
    return [
        ranged(f"{key}-a", data, 0, half, at, key=key),
        ranged(f"{key}-b", data, half, len(data), at + 5, key=key, got=wrong if bad else None),
        put(f"{key}-put", data, at + 7, key=key),
        get(f"{key}-get", b"other" if bad else data, at + 9, key=key),
        put(f"{key}-try", data, at + 11, key=key, **(failure(503, "SlowDown") | {"answered": {}})),
        put(f"{key}-again", data, at + 12, key=key),
    ]


def _log(*, bad: bool) -> list[Exchange]:
    flows, whole = [], b""
    for number in range(12):
        piece = f"line {number}\n".encode()
        told = whole + (b"X" if bad and number == 7 else b"") + piece
        flows.append(append(f"log-{number}", piece, len(whole), 3.0 * number, whole=told))
        whole += piece
    return flows


def _ended(flow: Exchange) -> float:
    return flow.timing.response_end or 0.0


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(DAMAGES), min_size=2, max_size=6),
    st.integers(2, 9),
    st.integers(0, 3),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_what_lies_in_a_file_is_judged_as_what_is_in_memory(
    damages: list[str], parts: int, others: int, bad: bool, rest: random.Random
) -> None:
    flows = _log(bad=bad)
    for number, damage in enumerate(damages):
        flows += _upload(f"u{number}", parts, damage, rest.random() * 3)
    for number in range(others):
        flows += _others(number, rest.random() * 9, bad=bad)
    flows.sort(key=_ended)
    expected, given_ = Run(flows), Run(flows, Session(bounds=TINY))
    summary = expected.close()
    assert given_.close() == summary
    assert given_.reports == expected.reports
    assert summary.forgotten == 0
    rules = expected.rules()
    for number, damage in enumerate(damages):
        found = {
            (name, rule)
            for name, told in rules.items()
            for rule in told
            if name.startswith(f"u{number}-") and rule not in SMALL_PARTS
        }
        assert found == _expected(f"u{number}", damage), damage


def _expected(key: str, damage: str) -> set[tuple[str, str]]:
    found = {
        "complete": {(f"{key}-done", "multipart-crc64-mismatch")},
        "part": {
            (f"{key}-2", "crc64-mismatch"),
            (f"{key}-2", "etag-mismatch"),
            (f"{key}-done", "multipart-etag-mismatch"),
        },
        "retry": {
            (f"{key}-2-try", "error-response"),
            (f"{key}-2-try", "trace-id-missing"),
            (f"{key}-2", "retried"),
        },
    }
    return found.get(damage, set())


class Reads:
    """How often a history is read from the file, and its facts."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = self.facts = 0
        returned = Histories._returned

        def counted(histories: Histories, name: str, tracked: TrackedHistory) -> None:
            self.count += 1
            self.facts += tracked.history.facts
            returned(histories, name, tracked)

        patch.setattr(Histories, "_returned", counted)


def test_each_part_costs_the_same_however_many_uploads_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts of many uploads in turn: none of them is read from the file for a part."""
    uploads, read = 20, []
    for parts in (30, 60):
        reads = Reads(monkeypatch)
        made = [_upload(f"u{number}", parts, "none", 0.0) for number in range(uploads)]
        flows = sorted((flow for each in made for flow in each), key=_ended)
        run = Run(flows[:-uploads], Session(bounds=Bounds(facts=200, put_off=50)))
        read.append(reads.count)
        for flow in flows[-uploads:]:
            inspected = run.session.inspect(flow)
            assert inspected is not None
            made_of = [each for each in inspected.report.checks if each.check in OF_PARTS]
            assert [check.status for check in made_of] == ["match", "match"]
        assert {transfer.parts for transfer in run.close().transfers} == {parts}
    assert read[0] == read[1]


def test_appends_to_many_objects_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """They need all that came before: it is read now and then, and each is judged at last."""
    reads = Reads(monkeypatch)
    monkeypatch.setattr(JudgingBudget, "FREE", 0)
    logs, lines = 10, 120
    flows, told = [], [b""] * logs
    for line in range(lines):
        for number in range(logs):
            piece = f"line {line} of {number}\n".encode()
            bad = (number, line) == (3, 77)
            whole = told[number] + (b"X" if bad else b"") + piece
            made = append(
                f"{number}-{line}", piece, len(told[number]), line + number / 99, whole=whole
            )
            target = made.request.target.replace("/log", f"/log{number}")
            request = msgspec.structs.replace(made.request, target=target)
            flows.append(msgspec.structs.replace(made, request=request))
            told[number] += piece
    run = Run(flows, Session(bounds=Bounds(facts=logs * lines // 4)))
    assert reads.facts <= 5 * len(flows) * JudgingBudget.RATE
    run.close()
    assert {flow: rules for flow, rules in run.rules().items() if rules != ["retried"]} == {
        "3-77": ["crc64-mismatch"],
    }
