"""What is wrong with an input, and where."""


class CaptureError(Exception):
    """A file that cannot be read, or not to its end; what came before counts."""

    def __init__(self, file: str, what: str, offset: int | None = None) -> None:
        super().__init__(file, what, offset)
        self.file = file
        self.what = what
        self.offset = offset
        """Bytes from the beginning of the (unpacked) file."""

    def __str__(self) -> str:
        where = "" if self.offset is None else f", at byte {self.offset}"
        return f"{self.file}: {self.what}{where}"
