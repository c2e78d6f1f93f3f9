"""A saved flow is the flow that it was, of whatever version of mitmproxy."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.io import FlowReader
from mitmproxy.io import tnetstring as theirs

from cos_inspect.inspection.first_look import first_look
from cos_inspect.proxy import annotations
from tests.growth import at_most
from tests.saved.flow_files import HOST, Reading, cos_flow, expected, saved_file
from tests.saved.old_flows import VERSIONS, old_file


def test_saved_digests(tmp_path: Path) -> None:
    flow = cos_flow()
    flow.live = False
    inspection = first_look(expected(flow))
    assert inspection is not None
    exchange = expected(flow)
    assert exchange.response is not None
    annotations.write(
        flow,
        inspection.report,
        visibly=True,
        request_body=exchange.request.body,
        response_body=exchange.response.body,
    )
    assert flow.response is not None
    flow.response.raw_content = None
    reading = Reading(saved_file(tmp_path / "a", flow))
    later = first_look(reading.exchanges[0])
    assert later is not None
    assert later.report == inspection.report
    assert reading.saved[0].judged


def test_an_old_file(tmp_path: Path) -> None:
    flow = cos_flow()
    state = flow.get_state()
    state["version"] = 20
    path = tmp_path / "a"
    path.write_bytes(theirs.dumps(state))
    assert len(Reading(path).exchanges) == 1


def test_a_file_of_a_newer_mitmproxy(tmp_path: Path) -> None:
    state = cos_flow().get_state()
    state["version"] = 999
    path = tmp_path / "a"
    path.write_bytes(theirs.dumps(state))
    assert "999, please update mitmproxy, at byte 0" in str(Reading(path).error)


def test_types_are_looked_at(tmp_path: Path) -> None:
    state = cos_flow().get_state()
    state["response"]["status_code"] = b"200"
    path = tmp_path / "a"
    path.write_bytes(theirs.dumps(state))
    (fault,) = Reading(path).remarks.faults
    assert "a flow whose response has no status_code that can be read" in fault


@pytest.mark.parametrize("status", [0, -200, 1000, 10**400])
def test_a_number_that_is_no_status_is_told_as_it_was_live(tmp_path: Path, status: int) -> None:
    flow = cos_flow()
    assert flow.response is not None
    flow.response.status_code = status
    (exchange,) = Reading(saved_file(tmp_path / "a", flow)).exchanges
    assert exchange.response is not None
    assert exchange.response.status == 999


def test_flows_on_one_connection_are_told(tmp_path: Path) -> None:
    flow = cos_flow()
    flow.server_conn.timestamp_start = 1.0
    flow.server_conn.timestamp_tcp_setup = 1.25
    again = flow.copy()
    path = saved_file(tmp_path / "a", flow, again)
    reading = Reading(path)
    first, second = reading.exchanges
    assert first.timing.connect_ms == second.timing.connect_ms == 250
    assert msgspec.structs.replace(second, flow_id=first.flow_id, timing=first.timing) == first
    assert {saved.connection for saved in reading.saved} == {flow.server_conn.id}


@pytest.mark.parametrize("size", [20, 5_000_000], ids=["small", "large"])
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_every_version_is_read_as_mitmproxy_reads_it(
    version: Any, size: int, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(old_file(cos_flow(bytes(range(20)) * (size // 20)), version))
    reading = Reading(path)
    with path.open("rb") as file:
        (flow,) = FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert (reading.error, reading.remarks.faults) == (None, [])
    (exchange,) = reading.exchanges
    assert exchange == expected(flow)
    assert exchange.response is not None
    assert (exchange.request.host, exchange.response.body.size) == (HOST, size)


_ANY_VERSION = st.sampled_from(
    [
        *range(23),
        *[[0, minor] for minor in range(10, 21)],
        *([1, 0], [2, 0], [3, 0], [0], [], "7", b"7"),
    ]
)


@given(
    st.sampled_from(VERSIONS),
    st.dictionaries(st.sampled_from(["version", b"version"]), _ANY_VERSION, min_size=1),
)
def test_a_version_that_a_flow_cannot_have_is_no_endless_way_to_this_one(
    tmp_path_factory: pytest.TempPathFactory, made_by: Any, versions: dict[Any, Any]
) -> None:
    """mitmproxy's own reader does not come to an end with some of these."""
    path = tmp_path_factory.getbasetemp() / "versions.mitm"
    state = theirs.loads(old_file(cos_flow(), made_by))
    assert isinstance(state, dict)
    for name in ("version", b"version"):
        state.pop(name, None)
    path.write_bytes(theirs.dumps(state | versions))
    with at_most(5):
        found = Reading(path)
    assert "TookTooLong" not in "".join(found.remarks.faults)
    assert len(found.saved) + found.remarks.lost.total() + (found.error is not None) == 1
