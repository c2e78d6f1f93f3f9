import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.request_id import RequestId, read_request_id, trace_id_well_formed


@pytest.mark.parametrize(
    ("value", "text", "time", "address", "form"),
    [
        (
            "NWE2MWQ5MjZfMTBhYzM1MGFfMTA5ODVfMTVjNDM=",
            "5a61d926_10ac350a_10985_15c43",
            1516362022,
            "10.53.172.16",
            "hex4",
        ),
        (
            "NTg3ZjI5MzlfOTgxZjRlXzZhYjNfMjBh",
            "587f2939_981f4e_6ab3_20a",
            1484728633,
            "78.31.152.0",
            "hex4",
        ),
        (
            " NTg3ZjI5MzlfOTgxZjRlXzZhYjNfMjBh ",
            "587f2939_981f4e_6ab3_20a",
            1484728633,
            "78.31.152.0",
            "hex4",
        ),
        (
            "NWYwNzA1MTJfNjRiODJhMDlfMWMyMzlfMWMyNzhl****",
            "5f070512_64b82a09_1c239_1c278e…",
            1594295570,
            "9.42.184.100",
            "masked",
        ),
        (
            "NTk0MjdmODlfMjQ4OGY3XzYzYzhf****",
            "59427f89_2488f7_63c8_…",
            1497530249,
            "247.136.36.0",
            "masked",
        ),
        ("NTk0MjdmODlfMjQ4****", "59427f89_248…", 1497530249, None, "masked"),
        (
            "NTlhMzg1ZWVfMjQ4OGY3MGFfMWE1NF84Y2M",
            "59a385ee_2488f70a_1a54_8cc",
            1503888878,
            "10.247.136.36",
            "bad-padding",
        ),
        ("xxxxxxxxxxxxxxxxxx", None, None, None, "masked"),
        ("****", None, None, None, "masked"),
        ("NTk0****", None, None, None, "masked"),
        ("", None, None, None, "unrecognised"),
        ("A", None, None, None, "unrecognised"),
        ("bm90IGFuIGlk", None, None, None, "unrecognised"),
        ("/////w==", None, None, None, "unrecognised"),
        ("tx00000000000000000000a-0065", None, None, None, "unrecognised"),
        ("A" * 10_000, None, None, None, "unrecognised"),
    ],
)
def test_forms(
    value: str, text: str | None, time: int | None, address: str | None, form: str
) -> None:
    found = read_request_id(value)
    assert (found.text, found.time, found.address, found.form) == (text, time, address, form)


hex_field = st.integers(0, 0xFFFFFFFF).map("{:x}".format)


@given(st.integers(0, 0xFFFFFFFF), hex_field, hex_field, hex_field)
def test_round_trip(time: int, address: str, process: str, counter: str) -> None:
    text = f"{time:08x}_{address}_{process}_{counter}"
    value = base64.b64encode(text.encode()).decode()
    found = read_request_id(value)
    assert (found.text, found.time, found.form) == (text, time, "hex4")
    assert found.address is not None
    octets = bytes(int(octet) for octet in found.address.split("."))
    assert int.from_bytes(octets, "little") == int(address, 16)


@given(st.text() | st.text("ABCabc019+/=*").map(lambda text: text[:40]))
def test_reads_anything(value: str) -> None:
    found = read_request_id(value)
    assert isinstance(found, RequestId)
    trace_id_well_formed(value)


TRACE = (
    "OGVmYzZiMmQzYjA2OWNhODk0NTRkMTBiOWVmMDAxODc0OWRkZjk0ZDM1NmI1M2E2MTRlY2MzZDhmNmI5MWI1OTQyYWVl"
    "Y2QwZTk2MDVmZDQ3MmI2Y2I4ZmI5ZmM4ODFjYjEzMGU3N2I0OTJjYTAwYWExNjJhODI1NTRkOGZlM2Y="
)


@pytest.mark.parametrize(
    ("value", "well_formed"),
    [
        (TRACE, True),
        (TRACE[:-1], False),
        (TRACE[:-4] + "====", False),
        ("", False),
        (base64.b64encode(b"G" * 128).decode(), False),
        (base64.b64encode(b"a" * 128).decode(), True),
        (base64.b64encode(b"A" * 128).decode(), False),
        ("*" * 171 + "=", False),
    ],
)
def test_trace_id(value: str, well_formed: bool) -> None:
    assert trace_id_well_formed(value) is well_formed
