"""What was looked at before and names no secret: most texts of an exchange stand in the next
one as well, so that only what is new has to be looked at."""

import msgspec

from cos_inspect.inspection import texts
from cos_inspect.inspection.escapes import encoded, plain
from cos_inspect.inspection.secret_hints import SecretHint, secret_hint

SECRET_FREE: set[str] = set()
"""Texts that name no secret."""
PLAIN_NAMES: set[str] = set()
"""Names of headers that are not secret."""
MOST = 4096
_LONGEST = 2048
"""Characters of the new texts of one exchange."""


def secret_hint_of(unknown: set[str]) -> SecretHint:
    """Of texts that may not have been seen before."""
    seen = "\n".join(unknown)
    hint = secret_hint(plain(encoded(seen), ascii_only=True))
    if not hint and len(seen) <= _LONGEST:
        if len(SECRET_FREE) >= MOST:
            SECRET_FREE.clear()
        SECRET_FREE.update(unknown)
    return hint


def names_secrets(struct: msgspec.Struct) -> bool:
    """Whether a text of a struct may name a secret; quicker than to mask it."""
    unknown = set(filter(None, texts.collect(struct))) - SECRET_FREE
    return bool(unknown and secret_hint_of(unknown)) or bool(texts.collect_named(struct))
