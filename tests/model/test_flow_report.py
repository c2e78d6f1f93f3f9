"""What a report is asked beside its members."""

import msgspec
import pytest

from cos_inspect.model.flow_report import VERDICT_RANKS, ClientReport, Severity
from tests.report.build import flow_report, healed_try


def test_a_finding_makes_a_verdict_as_bad_as_it_is() -> None:
    assert {each.value: each.rank for each in Severity} == {
        name: rank for name, rank in VERDICT_RANKS.items() if rank
    }
    assert sorted(VERDICT_RANKS.values()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("version", "wrapper", "title"),
    [
        ("5.6", None, "cos-android-sdk 5.6"),
        ("5.6", "flutter", "cos-android-sdk 5.6 (flutter)"),
        (None, "flutter", "cos-android-sdk (flutter)"),
        (None, None, "cos-android-sdk"),
    ],
)
def test_a_client_in_one_line(version: str | None, wrapper: str | None, title: str) -> None:
    client = ClientReport(name="cos-android-sdk", version=version, platform=None, wrapper=wrapper)
    assert client.title == title


def test_a_device_is_a_label() -> None:
    report = flow_report()
    assert report.device is None
    labels = {"device": "pixel-7", "build": "12"}
    assert msgspec.structs.replace(report, labels=labels).device == "pixel-7"


def test_a_try_is_healed_where_the_transfer_says_so() -> None:
    assert healed_try().is_healed
    assert not flow_report().is_healed
