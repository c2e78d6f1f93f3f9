"""Flow files: the same exchanges as mitmproxy's own reader gives, and a clear end."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.flow import Error
from mitmproxy.io import FlowReader
from mitmproxy.io import tnetstring as theirs
from mitmproxy.test import tflow

from cos_inspect.captures.captured_flow import InputRemarks
from cos_inspect.captures.errors import CaptureError
from cos_inspect.captures.mitm import FlowFile
from cos_inspect.captures.source import Stream
from cos_inspect.digests import crc64
from cos_inspect.inspection.first_look import first_look
from cos_inspect.model.exchange import BodyEnd
from tests.saved.flow_files import BODY, WHOLE, Reading, cos_flow, expected, saved_file


def broken_off() -> http.HTTPFlow:
    flow = cos_flow()
    flow.response = None
    flow.error = Error("connection lost")
    return flow


@pytest.mark.parametrize("make", [cos_flow, lambda: cos_flow(method="PUT"), broken_off])
def test_exchanges_are_those_of_the_hooks(make: Callable[[], Any], tmp_path: Path) -> None:
    path = saved_file(tmp_path / "a.mitm", make())
    reading = Reading(path)
    with path.open("rb") as file:
        (flow,) = FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert reading.exchanges == [expected(flow)]


def test_only_http_flows_count(tmp_path: Path) -> None:
    path = saved_file(
        tmp_path / "a", tflow.ttcpflow(), tflow.tdnsflow(), tflow.tflow(resp=True), cos_flow()
    )
    reading = Reading(path)
    assert [saved.exchange is None for saved in reading.saved] == [True, False]
    assert reading.error is None


def test_a_large_body_is_judged_and_not_kept(tmp_path: Path) -> None:
    body = bytes(range(256)) * 4096 * 5
    flows = [cos_flow(body), cos_flow(body, method="PUT"), cos_flow(BODY)]
    path = saved_file(tmp_path / "a", *flows)
    packed = tmp_path / "b"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    for file in (path, packed):
        reading = Reading(file)
        assert reading.error is None
        down, up, small = reading.exchanges
        assert down.response is not None
        assert (down.response.body.end, down.response.body.size) == (BodyEnd.COMPLETE, len(body))
        assert down.response.body.crc64 == crc64(body)
        assert (up.request.body.size, up.request.body.crc64) == (len(body), crc64(body))
        assert small.response is not None
        assert small.response.body.size == len(BODY)
        assert all(first_look(each) for each in reading.exchanges)


def test_marks_are_running_checksums(tmp_path: Path) -> None:
    flow = cos_flow(BODY, **{"Content-Range": f"bytes 0-{len(BODY) - 1}/99"})
    assert flow.response is not None
    flow.response.status_code = 206
    (saved,) = Reading(saved_file(tmp_path / "a", flow)).saved
    assert saved.marks is not None
    assert saved.marks([4, 9, 4, len(BODY)]) == [
        (4, crc64(BODY[:4])),
        (9, crc64(BODY[:9])),
        (len(BODY), crc64(BODY)),
    ]


@given(st.integers(1, len(WHOLE) - 1))
def test_a_cut_file_gives_what_it_holds(tmp_path_factory: pytest.TempPathFactory, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.mitm"
    path.write_bytes(WHOLE[:at])
    reading = Reading(path)
    half = len(WHOLE) // 2
    assert len(reading.exchanges) == (1 if at >= half else 0)
    if at == half:
        assert reading.error is None
    else:
        assert reading.error is not None
        assert reading.error.offset == (half if at > half else 0)
        assert str(reading.error).startswith(f"{path}: the file ends inside the flow")


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_a_broken_file_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.mitm"
    path.write_bytes(WHOLE[:at] + noise + WHOLE[at + len(noise) :])
    for exchange in Reading(path).exchanges:
        first_look(exchange)


def test_a_broken_flow_costs_itself_alone(tmp_path: Path) -> None:
    half = len(WHOLE) // 2
    at = WHOLE.index(b"11:status_code;3:200#") + len(b"11:status_code;3:")
    path = tmp_path / "a"
    path.write_bytes(WHOLE[:at] + b"2x0" + WHOLE[at + 3 :])
    assert at < half
    reading = Reading(path)
    assert len(reading.exchanges) == 1
    assert reading.error is None
    (fault,) = reading.remarks.faults
    assert fault == f"{path}: a flow that cannot be read (a number is none), at byte 0"


NESTED = b"9" * 5_000_000
ODD_LARGE = {
    "garbage": b"%d:%b}" % (len(NESTED), NESTED),
    "no object": b"%d:%b," % (len(NESTED), NESTED),
    "a name without end": b"%d:%b}" % (len(NESTED) + 8, b"5000000:" + NESTED),
    "headers without end": theirs.dumps(
        cos_flow(bytes(5_000_000)).get_state()
        | {"request": {"headers": [[b"a", b"b" * 900_000]] * 10, "content": bytes(2_000_000)}}
    ),
}


@pytest.mark.parametrize("odd", ODD_LARGE.values(), ids=ODD_LARGE)
def test_a_large_flow_that_is_odd_costs_itself_alone(odd: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    whole = theirs.dumps(cos_flow().get_state())
    path.write_bytes(whole + odd + whole)
    packed = tmp_path / "b"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    for file in (path, packed):
        reading = Reading(file)
        assert len(reading.exchanges) == 2
        assert reading.error is None
        (fault,) = reading.remarks.faults
        assert fault.endswith(f"at byte {len(whole)}")


def test_what_a_report_does_not_need_may_be_as_long_as_it_likes(tmp_path: Path) -> None:
    flow = cos_flow(bytes(range(256)) * 4096 * 5)
    state = flow.get_state() | {"metadata": {"a": b"b" * 3_000_000}, "unknown": b"c" * 9_000_000}
    path = tmp_path / "a"
    tcp = tflow.ttcpflow().get_state() | {"messages": [[True, b"d" * 9_000_000, 1.0]]}
    path.write_bytes(theirs.dumps(state) + theirs.dumps(tcp))
    reading = Reading(path)
    assert (reading.error, reading.remarks.faults) == (None, [])
    (exchange,) = reading.exchanges
    assert exchange.response is not None
    assert exchange.response.body.size == 5 * 1024 * 1024


def test_a_file_that_grows_is_read_as_long_as_it_was(tmp_path: Path) -> None:
    whole = theirs.dumps(cos_flow().get_state())
    path = tmp_path / "a"
    path.write_bytes(whole + whole[:-10])
    stream = Stream(str(path))
    with path.open("ab") as file:
        file.write(whole[-10:] + whole)
    remarks = InputRemarks(str(path))
    assert len(list(FlowFile(stream, ()).saved(remarks))) == 2, "what had begun is read whole"
    stream.close()


def test_a_file_that_becomes_shorter_is_said(tmp_path: Path) -> None:
    whole = theirs.dumps(cos_flow(bytes(200_000)).get_state())
    path = tmp_path / "a"
    path.write_bytes(whole * 2)
    stream = Stream(str(path))
    os.truncate(path, len(whole))
    with pytest.raises(CaptureError, match="became shorter"):
        list(FlowFile(stream, ()).saved(InputRemarks(str(path))))
    stream.close()
