"""What is wrong with an input, and where."""


class CaptureError(Exception):
    """A file that cannot be read, or not to its end; what came before counts."""

    def __init__(
        self, file: str, what: str, offset: int | None = None, *, loses: bool = False
    ) -> None:
        super().__init__(file, what, offset, loses)
        self.file = file
        self.what = what
        self.offset = offset
        """Bytes from the beginning of the (unpacked) file."""
        self.loses = loses
        """Something that had begun there is lost by it."""

    def __str__(self) -> str:
        where = "" if self.offset is None else f", at byte {self.offset}"
        return f"{self.file}: {self.what}{where}"

    def __reduce__(self) -> tuple[type["CaptureError"], tuple[object, ...], dict[str, object]]:
        return type(self), (self.file, self.what, self.offset), {"loses": self.loses}
