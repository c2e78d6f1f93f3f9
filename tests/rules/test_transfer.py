"""The words of the rules about transfers; where they stand is tested with the session."""

import re

import pytest

from cos_inspect.model.flow_report import Severity
from cos_inspect.rules.registry import RULE_IDS, RULES, TRANSFER_RULES
from cos_inspect.rules.rule import Rule
from cos_inspect.rules.transfer import check_of
from cos_inspect.transfers.account import DigestComparison, compared, skipped

SEVERITIES = {
    "multipart-crc64-mismatch": Severity.ERROR,
    "multipart-etag-mismatch": Severity.ERROR,
    "multipart-part-invalid": Severity.ERROR,
    "multipart-abandoned": Severity.NOTICE,
    "range-crc64-mismatch": Severity.ERROR,
    "object-changed": Severity.WARNING,
    "upload-probably-completed": Severity.WARNING,
    "retried": Severity.NOTICE,
    "retry-body-differs": Severity.WARNING,
    "slow-transfer": Severity.NOTICE,
}


def test_ids_and_severities() -> None:
    assert {rule.id: rule.severity for rule in TRANSFER_RULES} == SEVERITIES
    assert SEVERITIES.keys() <= RULE_IDS
    assert len(RULES) == len(RULE_IDS)


@pytest.mark.parametrize("rule", TRANSFER_RULES, ids=lambda rule: rule.id)
def test_texts_are_whole(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", rule.id)
    assert rule.title[0].isupper()
    assert not rule.title.endswith(".")
    assert rule.cause.endswith(".")
    assert rule.fix.endswith(".")
    assert rule.when
    assert rule.example


def test_check_of() -> None:
    match = check_of("multipart-crc64", "request", compared(5, 5))
    assert (match.status, match.expected, match.actual) == ("match", "5", "5")
    assert check_of("multipart-crc64", "request", compared(5, 6)).status == "mismatch"
    none = check_of("range-crc64", "response", skipped("unseen-parts", 5))
    assert (none.status, none.expected, none.reason) == ("skipped", "5", "unseen-parts")
    assert check_of("etag", "request", DigestComparison("a", "b")).reason is None
