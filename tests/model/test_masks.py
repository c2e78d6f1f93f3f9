"""What was masked is known by its mask."""

import pytest

from cos_inspect.inspection.redaction import mask
from cos_inspect.model.masks import is_masked


@pytest.mark.parametrize("secret", ["x", "a secret key of forty hex digits", "汉字" * 9])
def test_every_mask_is_known(secret: str) -> None:
    assert is_masked(mask(secret))
    assert is_masked(f"q-signature={mask(secret)}&q-ak=a")


@pytest.mark.parametrize("text", ["", "masked", "[masked:]", "[masked:0]", "[masked:XYZ12345]"])
def test_other_text_is_none(text: str) -> None:
    assert not is_masked(text)
