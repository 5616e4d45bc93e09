"""A place in a source: a half-open range of characters, with its line and column.

It holds the source itself (one reference), so that a message can be drawn wherever the span is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.source.text import Source


@dataclass(frozen=True, slots=True)
class Span:
    """The characters `start` up to `end` (exclusive) of `source`."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_of(self.start)

    @property
    def column(self) -> int:
        return self.source.column_of(self.start)

    @property
    def end_line(self) -> int:
        return self.source.line_of(max(self.start, self.end - 1))

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def place(self) -> str:
        """`file:line`, as messages and generated code print it."""
        return f"{self.source.name}:{self.line}"

    def to(self, other: Span) -> Span:
        """From the beginning of this span to the end of `other`, both in one source."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def __str__(self) -> str:
        return f"{self.place}:{self.column}"

    def __repr__(self) -> str:
        return f"Span({self.source.name!r}, {self.start}, {self.end})"
