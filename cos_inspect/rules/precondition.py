"""When a rule can have anything to say, so that clean traffic is spared most of them."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from cos_inspect.cos.cos_exchange import CosExchange
from cos_inspect.cos.encryption import NONE
from cos_inspect.model.exchange import BodyEnd
from cos_inspect.model.flow_report import Check


class Precondition(Enum):
    """What must be so for a rule to find something."""

    ANY = "any"
    TROUBLE = "trouble"
    """No plain success of COS, a check that fails, or a body that broke off."""
    ENCRYPTION = "encryption"
    """Headers of server-side encryption, on either side."""
    SIGNATURE = "signature"
    CHANGE = "change"
    """The proxy took away or rewrote headers."""


class Preconditions(NamedTuple):
    """Those that one exchange gives."""

    trouble: bool
    encryption: bool
    signature: bool
    change: bool

    def include(self, precondition: Precondition) -> bool:
        """Whether a rule with this precondition can find something."""
        return precondition is Precondition.ANY or bool(getattr(self, precondition.value))


def preconditions_of(cos: CosExchange, checks: Sequence[Check]) -> Preconditions:
    """What one exchange and its checks give."""
    response = cos.response
    return Preconditions(
        response is None
        or not 200 <= response.status < 300
        or cos.error is not None
        or not cos.from_cos
        or response.body.end is BodyEnd.CUT
        or cos.request.body.end is BodyEnd.CUT
        or any(check.status == "mismatch" for check in checks),
        cos.asked is not NONE
        or cos.confirmed is not NONE
        or cos.customer_key is not None
        or cos.copy_source_key is not None,
        cos.signed.scheme != "none",
        bool(cos.request.dropped_headers or cos.request.changes),
    )
