"""A source: the name and the text of one `.seq` file, and the way from offsets to lines and columns.

The way from bytes is `decode.from_bytes`, which refuses what is not plain readable text.
Offsets count characters, lines and columns count from 1.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name as the author knows it (never an absolute path) and its text."""

    name: str
    text: str = field(repr=False)
    starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        position = self.text.find("\n")
        while position >= 0:
            starts.append(position + 1)
            position = self.text.find("\n", position + 1)
        object.__setattr__(self, "starts", tuple(starts))

    @property
    def line_count(self) -> int:
        return len(self.starts)

    def line_of(self, offset: int) -> int:
        """The number of the line that holds `offset`; an offset at or past the end is on the last line."""
        return bisect_right(self.starts, max(0, min(offset, len(self.text))))

    def column_of(self, offset: int) -> int:
        """The column of `offset` in its line, in characters."""
        inside = max(0, min(offset, len(self.text)))
        return inside - self.starts[self.line_of(inside) - 1] + 1

    def line_start(self, number: int) -> int:
        """The offset at which line `number` begins."""
        return self.starts[number - 1]

    def line_text(self, number: int) -> str:
        """Line `number` without its line end."""
        start = self.starts[number - 1]
        end = self.starts[number] - 1 if number < len(self.starts) else len(self.text)
        return self.text[start:end].removesuffix("\r")
