"""Secrets that their exchanges repeat: what several say together may hold them as well."""

from collections import OrderedDict

from cos_inspect.inspection.known_secrets import Echo, KnownSecrets


class RepeatedSecrets:
    """``most``: how many are known, those that were repeated last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._masks: OrderedDict[bytes, str] = OrderedDict()
        """The secrets, and what is shown in their place."""
        self.known: KnownSecrets | None = None
        """None as long as there are none."""

    def add(self, echoes: tuple[Echo, ...]) -> None:
        """Takes in what one exchange repeats of its secrets."""
        are_new = False
        for value, shown in echoes:
            are_new = are_new or value not in self._masks
            self._masks[value] = shown
            self._masks.move_to_end(value)
        if not are_new:
            return
        while len(self._masks) > self._most:
            self._masks.popitem(last=False)
        self.known = KnownSecrets(most=self._most)
        for value, shown in self._masks.items():
            self.known.learn(value, shown)
