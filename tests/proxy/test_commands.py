"""The commands, called with flow objects as mitmproxy does after looking them up."""

import json
import re

import jsonschema
import pytest
from mitmproxy import ctx, exceptions

from cos_inspect.model.schema import schema
from tests.proxy.inspected import cos_flow, inspected

NAMES = (
    "cos.summary",
    "cos.report",
    "cos.explain",
    "cos.ticket",
    "cos.recheck",
    "cos.compare",
    "cos.resign",
)


def test_their_names_fit_the_route_of_mitmweb_and_their_types_are_known() -> None:
    with inspected():
        commands = ctx.master.commands.commands
        for name in NAMES:
            assert re.fullmatch(r"[a-z.]+", name)
            assert commands[name].help
            assert commands[name].signature_help().startswith(name)


def test_summary_of_flows_and_of_the_run() -> None:
    good, bad, other = cos_flow(), cos_flow(content=b"x"), cos_flow(host=b"www.example.org")
    assert other.response is not None
    other.response.headers.clear()
    other.request.headers.pop("authorization")
    with inspected(good, bad, other):
        lines = ctx.master.commands.call("cos.summary", [good, bad, other])
        assert lines[0] == "2 COS flows among 3"
        assert [line.split()[0] for line in lines[1:]] == ["verdict", "ok", "error"]
        assert "crc64-mismatch" in lines[3]
        run = ctx.master.commands.call("cos.summary")
        assert run[0] == "COS summary: 2 COS flows among 3: 1 error, 1 ok"
        assert ctx.master.commands.call("cos.summary", [other]) == ["0 COS flows among 1"]


def test_report_is_one_of_the_schema() -> None:
    flow = cos_flow()
    with inspected(flow):
        report = json.loads(ctx.master.commands.call("cos.report", flow))
    jsonschema.validate(report, schema())
    assert report["flow_id"] == flow.id


def test_ticket_for_a_failure_only() -> None:
    flow, failed = cos_flow(), cos_flow(status=404, content=b"")
    with inspected(flow, failed):
        ticket = ctx.master.commands.call("cos.ticket", failed)
        assert ticket.startswith("request id: NmIw")
        assert "\n" not in ticket
        with pytest.raises(exceptions.CommandError, match="did not fail"):
            ctx.master.commands.call("cos.ticket", flow)


def test_explain_knows_words_and_suggests() -> None:
    with inspected():
        assert ctx.master.commands.call_strings("cos.explain", ["etag-mismatch"])
        with pytest.raises(exceptions.CommandError, match="did you mean etag-mismatch"):
            ctx.master.commands.call_strings("cos.explain", ["etag-mismatches"])
        assert ctx.master.commands.call_strings("cos.explain", ["cos.compare"])


def test_recheck_renews_what_was_set_and_leaves_a_persons() -> None:
    edited, marked = cos_flow(), cos_flow()
    with inspected(edited, marked):
        assert edited.marked == ":green_circle:"
        marked.marked, marked.comment = ":star:", "look here"
        for flow in (edited, marked):
            assert flow.response is not None
            flow.response.content = b"changed"
        lines = ctx.master.commands.call("cos.recheck", [edited, marked])
        assert lines[0] == "2 COS flows among 2 judged again"
        assert edited.marked == ":red_circle:"
        assert "(COS error: GetObject)" in edited.comment.splitlines()[0]
        assert edited.metadata["cos"]["verdict"] == "error"
        assert (marked.marked, marked.comment) == (":star:", "look here")
        assert json.loads(ctx.master.commands.call("cos.report", edited))["verdict"] == "error"


def test_recheck_writes_and_counts_nothing() -> None:
    flow = cos_flow()
    with inspected(flow):
        before = ctx.master.commands.call("cos.summary")
        ctx.master.commands.call("cos.recheck", [flow, flow])
        assert ctx.master.commands.call("cos.summary") == before


def test_a_flow_under_way_has_no_report() -> None:
    flow = cos_flow()
    flow.live = True
    with inspected(), pytest.raises(exceptions.CommandError, match="under way"):
        ctx.master.commands.call("cos.report", flow)


def test_compare_two_and_one_with_the_nearest_that_worked() -> None:
    failed, worked = cos_flow(status=404, content=b""), cos_flow()
    worked.request.path = "/another-name"
    with inspected(failed, worked):
        lines = ctx.master.commands.call("cos.compare", [failed, worked])
        assert "/another-name in the one that worked" in lines[0]
        assert ctx.master.commands.call("cos.compare", [failed]) == lines
        for wrong in ([], [failed] * 3):
            with pytest.raises(exceptions.CommandError, match="two flows are compared"):
                ctx.master.commands.call("cos.compare", wrong)


def test_compare_with_nothing_that_worked() -> None:
    failed = cos_flow(status=404, content=b"")
    with inspected(failed), pytest.raises(exceptions.CommandError, match="has worked"):
        ctx.master.commands.call("cos.compare", [failed])
