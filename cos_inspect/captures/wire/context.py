"""What the readers of one capture share."""

from collections.abc import Callable, Sequence

from cos_inspect.captures.captured_flow import CapturedFlow
from cos_inspect.captures.wire.tls_key_log import KeyLog
from cos_inspect.model.capture_account import CaptureAccount

_MOST_OPEN = 50_000
"""Exchanges at once, each of some kilobytes: requests are much smaller."""


class WireContext:
    """Of one file, while it is read."""

    def __init__(
        self,
        hosts: Sequence[str],
        account: CaptureAccount,
        emit: Callable[[CapturedFlow], object],
        *,
        keeps_answers: bool = False,
        keys: KeyLog | None = None,
    ) -> None:
        self.hosts = hosts
        """Patterns of further hosts of COS."""
        self.account = account
        self.emit = emit
        """Takes each flow when it is over."""
        self.keeps_answers = keeps_answers
        """Copies are made of partial answers, as somebody will ask for their CRC-64 up to some
        offsets."""
        self.keys = KeyLog() if keys is None else keys
        """Secrets of TLS; those that the capture itself holds are added as they come."""
        self.open = 0
        """Exchanges that have begun and are not over."""
        self.offset = 0
        """Where in the file that stands which is read just now."""

    @property
    def is_full(self) -> bool:
        """Whether no more exchanges can be held that are not over."""
        return self.open >= _MOST_OPEN
