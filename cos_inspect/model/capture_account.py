"""What a capture gave, and what it had not: so that nobody takes what is missing for what did
not happen."""

import msgspec

STILL_OPEN = "still open when the capture ended"
ANSWER_LOST = "whose answer was not captured"
REQUEST_LOST = "whose request was not captured"
UPGRADED = "not HTTP after an upgrade or CONNECT"
NOT_HTTP = "not HTTP"
TOO_MANY_OPEN = "more than can be held before they were answered"
"""Reasons of ``left_out`` and ``unread``, as words behind a number; who reads another
protocol has more."""


class CaptureAccount(msgspec.Struct, kw_only=True):
    """Of one file. Filled in as it is read."""

    format: str
    """The name of its ``CaptureFormat``."""
    program: str | None = None
    """Who wrote it, in its own words."""
    exchanges: int = 0
    """That were read, of COS and of others."""
    packets: int = 0
    packets_cut: int = 0
    """By the snap length of whoever captured."""
    packets_lost: int | None = None
    """As whoever captured has counted them; None where it does not say."""
    bytes_lost: int = 0
    """Of TCP streams that were read: bytes that were sent, by their sequence numbers, and are
    not there."""
    left_out: dict[str, int] = {}
    """Exchanges that were met and have no report, by reason."""
    unread: dict[str, int] = {}
    """Connections of which nothing, or nothing more, could be read, by reason."""

    hides_exchanges: bool = False
    """Exchanges of COS may have happened on what could not be read."""

    def leave_out(self, reason: str, count: int = 1, *, hides: bool = True) -> None:
        """Exchanges have no report.

        :param hides: they were, or may have been, with COS.
        """
        if count > 0:
            self.left_out[reason] = self.left_out.get(reason, 0) + count
            self.hides_exchanges |= hides

    def give_up(self, reason: str, *, hides: bool = True) -> None:
        """The rest of a connection is not read; ``hides`` as above."""
        self.unread[reason] = self.unread.get(reason, 0) + 1
        self.hides_exchanges |= hides

    @property
    def has_holes(self) -> bool:
        """Whether something may have happened that the capture does not show: then nothing may
        be said of what it does not show."""
        return bool(self.bytes_lost or self.packets_lost or self.hides_exchanges)
