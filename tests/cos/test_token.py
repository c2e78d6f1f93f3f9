import pytest

from cos_inspect.cos.token import (
    looks_permanent,
    looks_temporary,
    token_names,
    wanted_token_name,
)
from cos_inspect.model.headers import Headers

PERMANENT = "AKID" + "x" * 32
TEMPORARY = "AKID" + "x" * 64


@pytest.mark.parametrize(
    ("headers", "target", "form", "names"),
    [
        ([], "/key", None, ()),
        ([("X-Cos-Security-Token", "t")], "/key", None, ("x-cos-security-token",)),
        ([("x-cos-security-token", "")], "/key", None, ()),
        ([], "/key?x-cos-security-token=t", None, ("x-cos-security-token",)),
        ([], "/key?X-Amz-Security-Token=t", None, ("x-amz-security-token",)),
        ([], "/key?token=t", None, ("token",)),
        ([], "/key?token=", None, ()),
        ([("token", "t")], "/key", None, ()),
        ([], "/", [("x-cos-security-token", "t")], ("x-cos-security-token",)),
        ([("x-ci-security-token", "t")], "/?x-ci-security-token=u", None, ("x-ci-security-token",)),
    ],
)
def test_where_a_token_stands(
    headers: list[tuple[str, str]],
    target: str,
    form: list[tuple[str, str]] | None,
    names: tuple[str, ...],
) -> None:
    fields = None if form is None else Headers(form)
    assert token_names(Headers(headers), target, fields) == names


@pytest.mark.parametrize(
    ("scheme", "family", "name"),
    [
        ("cos", "xml", "x-cos-security-token"),
        ("cos", "ci", "x-ci-security-token"),
        ("cos", "pic", "x-ci-security-token"),
        ("aws4", "xml", "x-amz-security-token"),
        ("aws2", "ci", "x-amz-security-token"),
    ],
)
def test_where_it_should_stand(scheme: str, family: str, name: str) -> None:
    assert wanted_token_name(scheme, family) == name


@pytest.mark.parametrize(
    ("secret_id", "is_permanent", "is_temporary"),
    [
        (None, False, False),
        ("", False, False),
        (PERMANENT, True, False),
        (TEMPORARY, False, True),
        ("minioadmin", False, False),
    ],
)
def test_kinds_of_secret_ids(secret_id: str | None, is_permanent: bool, is_temporary: bool) -> None:
    assert looks_permanent(secret_id) is is_permanent
    assert looks_temporary(secret_id) is is_temporary
