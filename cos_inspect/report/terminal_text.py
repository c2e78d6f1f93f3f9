"""Text for a terminal: cut, wrapped and aligned by its columns, and nothing in it but what can be
printed. A Chinese character takes two columns.
"""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size


def size_text(size: int | None) -> str:
    """Bytes in words: ``16 B``, ``3.0 MiB``; ``?`` where they are not known."""
    if size is None:
        return "?"
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as aligned columns; the last one is left as long as it is."""
    shown = [[one_line(cell) for cell in row] for row in rows]
    if not shown:
        return ""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*shown, strict=True)]
    return "\n".join(
        "  ".join(
            [set_cell_size(cell, width) for cell, width in zip(row[:-1], widths, strict=False)]
            + [row[-1]]
        ).rstrip()
        for row in shown
    )


def paint(colour: str, text: str) -> str:
    """Text in a colour, as terminals take it: ``31;1``."""
    return f"\x1b[{colour}m{text}\x1b[0m"


def within(text: str, room: int) -> str:
    """No more than ``room`` columns; what is too long loses its middle."""
    length = len(text) if text.isascii() else cell_len(text)
    if length <= room:
        return text
    left = (room - 1) // 2
    head = chop_cells(text, max(left, 1))[0]
    tail = chop_cells(text[::-1], max(room - 1 - left, 1))[0][::-1]
    return f"{head}…{tail}"


def wrapped(text: str, width: int | None, first: int, later: int) -> Iterator[str]:
    """Lines of at most ``width`` columns, indented by ``first`` and ``later`` blanks."""
    if width is None:
        yield " " * first + text
        return
    line, used, empty = " " * first, first, True
    for word in text.split(" "):
        # A word without a gap may be a whole URL, or Chinese text.
        pieces = [word] if cell_len(word) <= width - later else chop_cells(word, width - later)
        for number, piece in enumerate(pieces):
            gap = "" if empty or number else " "
            length = len(gap) + cell_len(piece)
            if not empty and used + length > width:
                yield line
                line, used, gap, length = " " * later, later, "", cell_len(piece)
            line, used, empty = line + gap + piece, used + length, False
    yield line


def one_line(text: str) -> str:
    """Control characters of keys and messages do not reach the terminal."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
