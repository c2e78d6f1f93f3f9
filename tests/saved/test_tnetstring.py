"""The format of flow files: read as mitmproxy reads it, and nothing more is taken for it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.io import tnetstring as theirs

from cos_inspect.captures.source import Stream
from cos_inspect.captures.tnetstring import BadFlowError, boundaries, read_state
from tests.saved.flow_files import WHOLE, Reading

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.binary()
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES))
def test_values_are_read_as_mitmproxy_reads_them(state: dict[str, Any]) -> None:
    data = theirs.dumps(state)
    content = data[data.index(b":") + 1 : -1]
    assert read_state(content, whole=True) == theirs.loads(data)


def test_deep_nesting_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100):
        value = [value]
    data = theirs.dumps({"a": value})
    with pytest.raises(BadFlowError, match="nested too deeply"):
        read_state(data[data.index(b":") + 1 : -1], whole=True)


def test_boundaries_lie_between_flows(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(WHOLE * 5)
    stream = Stream(str(path))
    cuts = list(boundaries(stream, len(WHOLE)))
    stream.close()
    assert cuts == [len(WHOLE) * number for number in range(1, 5)]
    spans = zip([0, *cuts], [*cuts, None], strict=True)
    assert [len(Reading(path, begin, end).exchanges) for begin, end in spans] == [2] * 5


@pytest.mark.parametrize("sign", [b"-1", b"+1", b" 1", b"1 ", b"1_0", b"\xd9\xa1", b"", b"0x1"])
def test_lengths_are_digits_alone(sign: bytes, tmp_path: Path) -> None:
    for content in (
        sign + b":a}",
        theirs.dumps({"a": b"b"}).replace(b"1:b", sign + b":b"),
        theirs.dumps({"a": [b"b"]}).replace(b"1:b", sign + b":b"),
        theirs.dumps({"a": b"b"}).replace(b"1:a", sign + b":a"),
    ):
        path = tmp_path / "a"
        inner = content[content.index(b":") + 1 : -1]
        path.write_bytes(f"{len(inner)}:".encode() + inner + b"}" if inner != b"a" else content)
        reading = Reading(path)
        assert not reading.saved
        assert reading.error is not None or reading.remarks.faults


@pytest.mark.parametrize(
    "value", [b"+1", b" 1", b"1_0", b"1.0", b"\xd9\xa1", b"", b"--1", b"1e5", b"nan"]
)
def test_numbers_are_those_that_mitmproxy_writes(value: bytes) -> None:
    with pytest.raises(BadFlowError):
        read_state(b"1:a;%d:%b#" % (len(value), value), whole=True)


def test_a_number_longer_than_any_is_unknown() -> None:
    assert read_state(b"1:a;5000:" + b"9" * 5000 + b"#", whole=True) == {"a": None}


@given(st.binary(max_size=60) | st.text("0123456789:,;#^!~]}ab", max_size=60).map(str.encode))
def test_what_is_read_is_read_so_by_mitmproxy_too(content: bytes) -> None:
    try:
        ours = read_state(content, whole=True)
    except BadFlowError:
        return
    assert repr(ours) == repr(theirs.loads(b"%d:%b}" % (len(content), content)))
