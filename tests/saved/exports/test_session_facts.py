"""What is noted of sessions: numbers of every locale, times of every zone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.captures.exports.session_facts import moment_of, number_of, read_facts
from tests.saved.exports.archives import DATE, TIMERS, meta

SEPARATORS = [",", ".", " ", "\u00a0", "\u202f", "'", "\u2019", "\u066c", "_", ""]


@given(st.integers(0, 10**12), st.sampled_from(SEPARATORS))
def test_numbers_of_every_locale(number: int, separator: str) -> None:
    assert number_of(f"{number:,}".replace(",", separator)) == number


def test_other_numbers() -> None:
    assert number_of("1,23,45,678") == 12345678
    assert number_of("\u0663\u066c\u0666\u0664\u0663") == 3643
    for text in (None, "", "-1", "\u22121", "a", "1a", "0x10", "1" * 31, "²", ",", "1,"):
        assert number_of(text) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-11-13T10:00:00.0256586+08:00", 1605232800.025658),
        ("2020-11-12T18:00:00.5-08:00", 1605232800.5),
        ("2020-11-13T02:00:00Z", 1605232800.0),
        ("2020-11-13T07:30:00.1230000+5.5:00", 1605232800.123),
        ("2020-11-13T07:45:00.1230000+5.75:00", 1605232800.123),
        ("2020-11-12T22:30:00.1230000-3.5:00", 1605232800.123),
        ("2020-11-13T02:00:00", 1605232800.0),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00.0000000+08:00", None),
        ("1601-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-23:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        ("2020-11-13T10:00:00+99:99", None),
    ],
)
def test_times(text: str | None, moment: float | None) -> None:
    assert moment_of(text) == pytest.approx(moment, abs=1e-5)


@pytest.mark.parametrize("hours", [-8.0, -3.5, 0.0, 5.75, 8.0])
def test_the_answers_date_tells_the_zone(hours: float) -> None:
    clock = {-8.0: "12T18:00", -3.5: "12T22:30", 0.0: "13T02:00", 5.75: "13T07:45", 8.0: "13T10:00"}
    assert moment_of(f"2020-11-{clock[hours]}:00.5", DATE) == 1605232800.5


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_none(text: str) -> None:
    for each in (text, f"2020-11-13T10:00:00{text}"):
        found = moment_of(each, text)
        assert found is None or found > 0


def test_fiddlers_facts() -> None:
    facts = read_facts(meta(3643), None)
    assert facts.transferred == 3643
    assert facts.is_over
    assert not facts.is_whistle
    timing = facts.timing(None)
    assert timing.request_start == pytest.approx(1605232800.025658, abs=1e-6)
    assert timing.response_start == pytest.approx(1605232801.0274, abs=1e-6)
    assert timing.response_end == pytest.approx(1605232801.0364, abs=1e-6)
    assert (timing.connect_ms, timing.tls_ms) == (12, 34)
    peers = facts.peers(443)
    assert (peers.client, peers.server, peers.tls) == (
        "10.0.0.5:41234",
        "203.0.113.9:443",
        "TLSv1.2",
    )
    reused = read_facts(meta(reused=True), None).timing(None)
    assert (reused.connect_ms, reused.tls_ms) == (None, None)


def test_a_session_that_was_not_over() -> None:
    facts = read_facts(meta(timers=TIMERS | {"ServerDoneResponse": "0001-01-01T00:00:00"}), None)
    assert not facts.is_over
    assert facts.timing(None).response_end is None


def test_whistles_times_are_those_of_its_json() -> None:
    times = {"startTime": 1605232800267, "requestTime": 1605232800400, "endTime": 1605232800500}
    given_times = {"version": "2", "times": times | {"responseTime": 1605232800300}}
    facts = read_facts(meta(x_processinfo="whistle"), json.dumps(given_times).encode())
    timing = facts.timing(DATE)
    assert (timing.request_start, timing.response_end) == (1605232800.267, 1605232800.5)
    # A request ends before its answer begins, whatever Whistle says.
    assert timing.request_end == timing.response_start == 1605232800.3
    without = read_facts(meta(x_processinfo="whistle"), None).timing(DATE)
    assert (without.request_end, without.response_start) == (None, None)
    assert without.response_end is not None


def test_nothing_at_all_is_dated_by_the_answer() -> None:
    assert read_facts(None, None).timing(DATE).request_start == 1605232801
    assert read_facts(None, None).timing(None).request_start is None


def test_utf_16_and_entities() -> None:
    text = meta(ui_comments="a &lt; b &#x41;").decode("utf-8-sig")
    assert read_facts(text.encode("utf-16"), None).flags["ui-comments"] == "a < b A"


BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc">]>'
    b'<SessionFlag N="x" V="&b;&c;" />'
)


def test_entities_of_their_own_are_never_followed() -> None:
    assert read_facts(BOMB, None).flags == {"x": "&b;&c;"}


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_anything_may_stand_there(xml: bytes, whistle: bytes) -> None:
    facts = read_facts(xml, whistle)
    facts.timing(None)
    facts.peers(443)
    assert facts.is_whistle
