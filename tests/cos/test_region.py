"""What stands in the place of a region."""

import pytest

from cos_inspect.cos.region import RegionKind, canonical_region, read_region


def test_canonical_region() -> None:
    assert canonical_region("ger") == "eu-frankfurt"
    assert canonical_region("ap-nanjing") == "ap-nanjing"
    assert canonical_region("xx-unheard-of") == "xx-unheard-of"


@pytest.mark.parametrize(
    ("text", "kind", "meant"),
    [
        ("ap-guangzhou", "known", "ap-guangzhou"),
        ("ap-beijing-1", "known", "ap-beijing-1"),
        ("gz", "old", "ap-guangzhou"),
        ("hk", "old", "ap-hongkong"),
        ("cn-south", "old", "ap-guangzhou"),
        ("", "missing", None),
        ("undefined", "missing", None),
        ("none", "missing", None),
        ("{region}", "missing", None),
        ("%7bregion%7d", "missing", None),
        ("guangzhou", "unknown", "ap-guangzhou"),
        ("frankfurt", "unknown", "eu-frankfurt"),
        ("ap_guangzhou", "unknown", "ap-guangzhou"),
        ("apguangzhou", "unknown", "ap-guangzhou"),
        ("ap-guangzou", "unknown", "ap-guangzhou"),
        ("ap-shanghai-4", "unknown", "ap-shanghai"),
        ("us-east-1", "unknown", None),
        ("x" * 60, "unknown", None),
    ],
)
def test_read_region(text: str, kind: RegionKind, meant: str | None) -> None:
    found = read_region(text)
    assert (found.kind, found.meant) == (kind, meant)
