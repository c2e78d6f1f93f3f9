"""What is left on a flow that was signed anew on command, in metadata of its own: a replay
keeps it, and it counts as long as the request has that signature."""

from collections.abc import Mapping
from typing import Any

from cos_inspect.cos.signature import is_signature
from cos_inspect.model.exchange import Request, Resigned

RESIGNED_KEY = "cos_resigned"


def resigned_of(metadata: Mapping[Any, Any], request: Request) -> Resigned | None:
    """None where the request was not signed anew, or was signed by somebody else since."""
    data = metadata.get(RESIGNED_KEY)
    if not isinstance(data, Mapping):
        return None
    value, secret_id, at = data.get("signature"), data.get("secret_id"), data.get("at")
    if not isinstance(value, str) or not is_signature(value):
        return None
    if not isinstance(secret_id, str) or not isinstance(at, int) or not 0 <= at < 1 << 40:
        return None
    payload = request.body.payload
    places = [request.target, *request.headers.all("authorization")]
    places += [field.value for field in (payload.fields if payload else ())]
    if not any(value in place for place in places):
        return None
    return Resigned(secret_id=secret_id, token_removed=data.get("token_removed") is True, at=at)


def resigned_data(value: str, resigned: Resigned) -> dict[str, Any]:
    """Plain data for a flow's metadata."""
    return {
        "signature": value,
        "secret_id": resigned.secret_id,
        "token_removed": resigned.token_removed,
        "at": resigned.at,
    }
