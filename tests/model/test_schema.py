"""The schema holds for what is written and refuses what is not a report."""

import json

import jsonschema
import msgspec
import pytest

from cos_inspect.model.schema import schema
from cos_inspect.model.summary_delta import SummaryDelta
from cos_inspect.model.summary_merging import merged
from tests.report.build import finding, flow_report


def test_reports_and_summaries_are_valid() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    jsonschema.Draft202012Validator.check_schema(schema())
    tally = SummaryDelta()
    tally.add(flow_report(findings=[finding()]))
    for written in (
        flow_report(findings=[finding()]),
        flow_report(status=None),
        merged(None, tally),
    ):
        validator.validate(json.loads(msgspec.json.encode(written)))


@pytest.mark.parametrize(
    "change", [{"verdict": "fine"}, {"schema": "cos-inspect/flow/2"}, {"sequence": "1"}]
)
def test_a_report_with_a_wrong_value_is_refused(change: dict[str, str]) -> None:
    written = json.loads(msgspec.json.encode(flow_report())) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(written)
