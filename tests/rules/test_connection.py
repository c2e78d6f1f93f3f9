"""Rules about connections, and the words for what failed on them."""

from typing import get_args

import pytest

from cos_inspect.cos.tables import rows
from cos_inspect.model.flow_report import Severity
from cos_inspect.rules.connection import (
    TLS_UNTRUSTED,
    connection_failed,
    platform_advice,
    sentence_of,
    tls_untrusted,
)
from cos_inspect.rules.connection_cause import Failure, advice_for
from cos_inspect.rules.registry import CONNECTION_RULES, FLOW_RULES, RULE_IDS

HOST = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com"


def test_the_rule_is_registered_and_is_none_for_flows() -> None:
    assert CONNECTION_RULES == (TLS_UNTRUSTED,)
    assert TLS_UNTRUSTED.id in RULE_IDS
    assert TLS_UNTRUSTED not in [rule for rule, *_ in FLOW_RULES]


def test_a_refusal_is_an_error_with_advice_for_each_platform() -> None:
    found = tls_untrusted(
        "client-refused-certificate", HOST, "10.0.0.7", said="unknown ca", user_agent="okhttp/4"
    )
    assert (found.rule, found.severity) == ("tls-untrusted", Severity.ERROR)
    assert found.detail == f"10.0.0.7 refused the proxy's certificate for {HOST}."
    assert found.evidence["said"] == "unknown ca"
    assert found.evidence["user_agent"] == "okhttp/4"
    assert {"Android", "iOS", "Windows", "Java", "Node.js", "Python"} <= set(
        found.evidence["platforms"]
    )


def test_the_advice_for_android_says_that_apps_do_not_trust_user_cas() -> None:
    advice = platform_advice()["Android"]
    assert "Android 7" in advice
    assert "network security config" in advice


def test_a_tunnel_that_could_not_be_opened_is_a_failed_connection() -> None:
    found = connection_failed("upstream-refused", HOST, None, said="[Errno 111]")
    assert found.rule == "connection-failed"
    assert found.fix == advice_for("upstream-refused")
    assert found.detail == f"{HOST} refused the proxy's connection for a client."


@pytest.mark.parametrize("failed", get_args(Failure))
def test_every_failure_has_a_sentence_and_advice(failed: str) -> None:
    sentence = sentence_of(failed, "{host}", None)
    # What stands in a name is not read as a place for another.
    assert "{host}" in sentence
    assert sentence.endswith(".")
    assert advice_for(failed)


def test_the_table_of_failures_has_nothing_else() -> None:
    assert {row["failed"] for row in rows("connections")} == set(get_args(Failure))


def test_a_failure_without_a_row_is_told_all_the_same() -> None:
    assert sentence_of("something-new", HOST, None) == f"something-new: {HOST}."
    assert advice_for("something-new") is None
