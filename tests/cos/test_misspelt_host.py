"""How hosts that are meant for COS are misspelt, and which are meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos_inspect.cos.endpoint import read_endpoint
from cos_inspect.cos.misspelt_host import HostMistake, read_misspelt

B = "examplebucket-1250000000"
RIGHT = f"{B}.cos.ap-guangzhou.myqcloud.com"
UNKNOWN = f"{B}.cos.<region>.myqcloud.com"


@pytest.mark.parametrize(
    ("host", "mistake", "right"),
    [
        (f"{B}.cos.undefined.myqcloud.com", "region-missing", UNKNOWN),
        (f"{B}.cos..myqcloud.com", "region-missing", UNKNOWN),
        (f"{B}.cos.myqcloud.com", "region-missing", UNKNOWN),
        (f"{B}.myqcloud.com", "region-missing", UNKNOWN),
        (f"{B}.cos.gz.myqcloud.com", "region-old", RIGHT),
        (f"{B}.cos.hk.tencentcos.cn", "region-old", f"{B}.cos.ap-hongkong.tencentcos.cn"),
        (f"{B}.cos.guangzhou.myqcloud.com", "region-unknown", RIGHT),
        (f"{B}.cos.ap_guangzhou.myqcloud.com", "region-unknown", RIGHT),
        (f"{B}.cos.moon.myqcloud.com", "region-unknown", UNKNOWN),
        (f"{B}.cos.cos.ap-guangzhou.myqcloud.com", "cos-twice", RIGHT),
        (f"{B}.cos.cos.gz.myqcloud.com", "cos-twice", RIGHT),
        (f"{B}.ap-guangzhou.myqcloud.com", "cos-missing", RIGHT),
        (f"{B}.accelerate.myqcloud.com", "cos-missing", f"{B}.cos.accelerate.myqcloud.com"),
        (f"{RIGHT}.myqcloud.com", "suffix-twice", RIGHT),
        (f"{B}.cos.{RIGHT}.myqcloud.com", "suffix-twice", RIGHT),
        (f"{B}.{RIGHT}", "bucket-twice", RIGHT),
        (f"{B}.cos.{RIGHT}", "bucket-twice", RIGHT),
        (f"examplebucket.{RIGHT}", "bucket-twice", RIGHT),
        (f"{B}.cos.ap-guangzhou.ap-guangzhou.myqcloud.com", "region-twice", RIGHT),
        (f"{B}.cos.ap-guangzhou.tencentcos.com", "suffix", RIGHT),
        (f"{B}.moon.myqcloud.com", "host", UNKNOWN),
        (
            f"{B}.cos-website.null.myqcloud.com",
            "region-missing",
            f"{B}.cos-website.<region>.myqcloud.com",
        ),
        (f"{B}.ci.gz.myqcloud.com", "region-old", f"{B}.ci.ap-guangzhou.myqcloud.com"),
        ("cos.undefined.myqcloud.com", "region-missing", "cos.<region>.myqcloud.com"),
        ("cos..myqcloud.com", "region-missing", "cos.<region>.myqcloud.com"),
        ("cos.gz.myqcloud.com", "region-old", "cos.ap-guangzhou.myqcloud.com"),
        ("service.cos.undefined.myqcloud.com", "region-missing", "service.cos.myqcloud.com"),
        ("mybucket.cos.gz.myqcloud.com", "region-old", "mybucket.cos.ap-guangzhou.myqcloud.com"),
    ],
)
def test_misspelt(host: str, mistake: HostMistake, right: str) -> None:
    found = read_misspelt(host)
    assert found is not None
    assert (found.mistake, found.right) == (mistake, right)
    endpoint = read_endpoint(host, "/folder/a.txt")
    assert endpoint is not None
    assert endpoint.is_misspelt
    assert endpoint.bucket == found.bucket or endpoint.path_style
    assert endpoint.region == found.region


@pytest.mark.parametrize(
    "host",
    [
        RIGHT,
        f"{B}.cos.accelerate.myqcloud.com",
        f"{B}.cos-internal.ap-guangzhou.tencentcos.cn",
        f"{B}.ci.ap-guangzhou.tencentci.cn",
        "cos.ap-guangzhou.myqcloud.com",
        "foo.myqcloud.com",
        "foo.sg.myqcloud.com",
        "1250000000.vod2.myqcloud.com",
        "a.b.cos.ap-guangzhou.myqcloud.com",
        f"{RIGHT}.evil.com",
        f"{B}.cos.ap-guangzhou.evilmyqcloud.com",
        f"{B}.cos.undefined.example.com",
        "myqcloud.com",
        "",
        f"{'a' * 300}-1250000000.cos.undefined.myqcloud.com",
    ],
)
def test_others_are_not_misspelt(host: str) -> None:
    assert read_misspelt(host) is None


def test_another_product_is_not_misspelt() -> None:
    assert read_endpoint(f"{B}.cas.ap-guangzhou.myqcloud.com", "/") is None


@pytest.mark.parametrize(
    "host",
    [
        f"{B}.costj.myqcloud.com",
        f"{B}.cn-south.myqcloud.com",
        f"{B}.cos.cn-south.myqcloud.com",
        f"{B}.cos.xx-newplace.myqcloud.com",
        f"{B}.file.myqcloud.com",
    ],
)
def test_what_the_table_knows_comes_first(host: str) -> None:
    endpoint = read_endpoint(host, "/")
    assert endpoint is not None
    assert not endpoint.is_misspelt


_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,10}-125[0-9]{7}", fullmatch=True)
_REGIONS = st.sampled_from(("ap-guangzhou", "eu-frankfurt", "ap-beijing-1", "na-siliconvalley"))
_ZONES = st.sampled_from(("myqcloud.com", "tencentcos.cn"))
_SLIPS = st.sampled_from(
    (
        "{b}.cos.cos.{r}.{z}",
        "{b}.cos.{r}.{z}.{z}",
        "{b}.cos.{r}.{r}.{z}",
        "{b}.{b}.cos.{r}.{z}",
        "{b}.cos.{b}.cos.{r}.{z}",
        "{b}.cos.{b}.cos.{r}.{z}.{z}",
        "{b}.{r}.{z}",
    )
)


@given(bucket=_NAMES, region=_REGIONS, zone=_ZONES, slip=_SLIPS)
def test_a_slip_is_seen_and_the_right_host_named(
    bucket: str, region: str, zone: str, slip: str
) -> None:
    right = f"{bucket}.cos.{region}.{zone}"
    assert read_misspelt(right) is None
    found = read_misspelt(slip.format(b=bucket, r=region, z=zone))
    assert found is not None
    assert (found.bucket, found.region, found.right) == (bucket, region, right)


@given(st.text(st.sampled_from("abc-.0125"), max_size=40), _ZONES)
def test_no_host_makes_it_fail(text: str, zone: str) -> None:
    found = read_misspelt(f"{text}.{zone}")
    assert found is None or found.right
