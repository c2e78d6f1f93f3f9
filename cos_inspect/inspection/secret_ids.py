"""What flows have shown of each SecretId, and the flows that wait for it."""

import msgspec

from cos_inspect.model.spill_map import SpillMap
from cos_inspect.rules.rule import PendingFinding
from cos_inspect.transfers.observation import Observation


class _SecretId(msgspec.Struct):
    with_token: bool = False
    accepted: bool = False
    waiting: list[str] = []
    """Flows of which something else is said once one of these is seen."""


class SecretIds:
    """``most``: how many are held in memory; ``most_waiting``: flows that wait for one of them.
    What is beyond is counted as ``forgotten``."""

    def __init__(self, *, most: int, most_waiting: int) -> None:
        self._known: SpillMap[_SecretId] = SpillMap(_SecretId, most_weight=most)
        self._most_waiting = most_waiting
        self._not_waiting = 0

    def add(self, seen: Observation, *, waits: bool) -> set[str]:
        """Takes in what a flow shows; the flows of which something else is to be said now."""
        secret_id = seen.secret_id
        if secret_id is None or not (seen.with_token or seen.accepted or waits):
            return set()
        known = self._known.get(secret_id) or _SecretId()
        is_new = (seen.with_token and not known.with_token) or (
            seen.accepted and not known.accepted
        )
        if not is_new and not waits:
            return set()
        touched = set(known.waiting) if is_new else set()
        known.with_token |= seen.with_token
        known.accepted |= seen.accepted
        if waits:
            if len(known.waiting) < self._most_waiting:
                known.waiting.append(seen.flow_id)
            else:
                self._not_waiting += 1
        self._known.put(secret_id, known)
        return touched

    def holds(self, pending: PendingFinding, secret_id: str | None) -> bool:
        """Whether that was seen without which a finding is not made."""
        known = self._known.get(secret_id or "")
        if known is None:
            return False
        return known.with_token if pending.shown == "with-token" else known.accepted

    @property
    def forgotten(self) -> int:
        """What is not known any more, or was not noted."""
        return self._known.forgotten + self._not_waiting

    def close(self) -> None:
        """Gives the temporary file back."""
        self._known.close()
