"""The token that belongs to a temporary key: where it stands, and where it should."""

from cos_inspect.cos.target import read_query
from cos_inspect.model.headers import Headers

TOKEN_NAMES = ("x-cos-security-token", "x-ci-security-token", "x-amz-security-token")
_URL_NAMES = (*TOKEN_NAMES, "token")
_PERMANENT_LENGTH = 36
"""Of a permanent SecretId; those of temporary keys are about twice as long."""


def token_names(headers: Headers, target: str, form: Headers | None = None) -> tuple[str, ...]:
    """Lower-case names under which a request carries a token that is not empty."""
    found = [name for name in TOKEN_NAMES if headers.tells(name)]
    if form is not None:
        found += [name for name in TOKEN_NAMES if form.get(name)]
    if "oken=" in target:
        query = {name.lower(): value for name, value in read_query(target).pairs}
        # Android's sign-in-URL mode calls it "token" (read in its source).
        found += [name for name in _URL_NAMES if query.get(name)]
    return tuple(dict.fromkeys(found))


def wanted_token_name(scheme: str, family: str) -> str:
    """The name that the host reads: S3 signatures and CI have their own."""
    if scheme in ("aws4", "aws2"):
        return "x-amz-security-token"
    return "x-ci-security-token" if family in ("ci", "pic") else "x-cos-security-token"


def looks_permanent(secret_id: str | None) -> bool:
    """Whether a SecretId has the form of a permanent one; a sign, not a proof."""
    return secret_id is not None and secret_id.startswith("AKID") and not looks_temporary(secret_id)


def looks_temporary(secret_id: str | None) -> bool:
    """Longer than any permanent SecretId; a sign, not a proof."""
    return secret_id is not None and len(secret_id) > _PERMANENT_LENGTH + 4
