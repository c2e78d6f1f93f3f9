"""The JSON Schema of everything that is written, made from the structs themselves."""

from typing import Any

import msgspec

from cos_inspect.model.flow_report import FlowReport
from cos_inspect.model.summary import Summary


def schema() -> dict[str, Any]:
    """A schema (2020-12) that holds for a flow report and for ``summary.json``."""
    references, components = msgspec.json.schema_components(
        (FlowReport, Summary), ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cos-inspect reports",
        "oneOf": list(references),
        "$defs": components,
    }
