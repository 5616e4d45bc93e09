"""The team's side of an entry point as text: which rows a call takes, and what stands around it.

Takes the shares of a plan (see `plan.share`), node by node; gives the pieces of text that differ from one member to
another. Without shares (entry points of one step) all of them are what one thread alone needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seqc.emit.kernel import ROWS, Place
from seqc.emit.layout import mentions
from seqc.flow.types import Axis
from seqc.plan.share import WHOLE, Share, Split

RANGES = (
    ("rows", "share.of(batch)"),
    ("cells", "share.of(steps * batch, 16)"),
)
"""Stretches of the batch, and of all steps of all rows; whole cache lines where that costs no balance."""

LONE = Share(Split.ALL)


def stretches(lines: Sequence[str]) -> list[str]:
    """Declarations of what `lines` call by name of the member's part."""
    lot = ["  const Lot lot = share.lot(rows, batch);"] if mentions(lines, "lot") else []
    named = [f"  const Range {name} = {text};" for name, text in RANGES if mentions([*lines, *lot], name)]
    return [*named, *lot]


def named_rows(lines: Sequence[str], indent: int, in_loop: bool) -> list[str]:
    """Declarations of the rows that `lines` call by name, those of a loop over time or the others."""
    return [
        f"{' ' * indent}const int64_t {name} = {text};"
        for text, name in ROWS.items()
        if ("(t " in text or text.startswith("t ")) == in_loop and mentions(lines, name)
    ]


@dataclass(slots=True)
class Team:
    """`share` belongs to the node at hand; `open` is the task whose block the last lines stand in. `together`: all members
    are in the same stretch of the loop at hand."""

    shares: Iterator[Share] | None
    share: Share = LONE
    open: int | None = None
    together: bool = False

    def turn(self, indent: int) -> list[str]:
        """Goes on to the next node; gives what has to stand before it."""
        before = self.open
        self.share = LONE if self.shares is None else next(self.shares)
        self.open = self.share.task if self.share.split is Split.TASK else None
        lines: list[str] = []
        if before is not None and (self.share.meet or before != self.open):
            lines += self.close(indent)
            before = None
        if self.share.meet:
            lines.append(f"{' ' * indent}share.meet();")
        if self.open is not None and before is None:
            lines.append(f"{' ' * indent}if (share.takes({self.open})) {{")
        return lines

    def close(self, indent: int) -> list[str]:
        """The end of a block."""
        return [f"{' ' * indent}}}"]

    def inside(self, indent: int) -> int:
        """Where the lines of the node begin."""
        return indent + 2 if self.open is not None else indent

    def first(self, where: Place) -> str:
        """The member's first row, as a number of rows behind that of the call; empty for 0."""
        if self.share.split is Split.CELLS:
            assert where.axes == WHOLE and not where.by_step
            return "cells.first"
        if self.share.split is Split.ROWS:
            assert Axis.BATCH in where.axes
            return "rows.first"
        return ""

    def fits(self, where: Place) -> bool:
        """Whether a call with one stretch of rows sees what the share says: steps one by one, or all of them."""
        stepwise = where.by_step or bool(where.run)
        return self.share.split is not Split.ROWS or stepwise or Axis.TIME not in where.axes

    def rows(self, where: Place) -> str:
        """How many rows the member has."""
        first = self.first(where)
        if not first or where.single or where.rows() == "living":
            return where.rows()
        count = "lot.rows" if self.share.units else first.replace("first", "count")
        return f"{where.run} * {count}" if where.run else count

    def batch(self, where: Place | None = None) -> str:
        """How many rows of the batch it has; those of the step at hand where rows are sorted."""
        if where is not None and where.sorted and where.by_step:
            return "living"
        if self.share.units:
            return "lot.rows"
        return "rows.count" if self.share.split is Split.ROWS else "batch"

    def opens(self, indent: int) -> list[str]:
        """What stands before a loop over time."""
        return [f"{' ' * indent}share.meet(lot);"] if self.share.units else []

    def divided(self, lines: list[str], indent: int, whole: bool) -> list[str]:
        """The call of a kernel in a loop over time; `whole`: it takes no lot, so one member makes it where all share a row."""
        if not self.share.units:
            return lines
        margin = " " * indent
        if whole:
            lines = [f"{margin}if (lot.leads()) {{", *(f"  {line}" for line in lines), f"{margin}}}"]
        return [*lines, f"{margin}share.meet(lot);"]

    def part(self, count: int) -> str:
        """Its stretch of `count` rows or columns of a result."""
        if self.share.split is not Split.PART:
            return f"Range{{0, {count}}}"
        grain = f", {self.share.grain}" if self.share.grain > 1 else ""
        return f"share.of({count}{grain})"
