"""Rows sorted by their lengths, as text: where their cells lie, how many there are, and loops over single rows.

Takes operands and lines of a plan with `length`; gives pointers, names and loops in terms of `Alive` (runtime/alive.hpp).
"""

from __future__ import annotations

from collections.abc import Sequence

from seqc.emit.kernel import ROWS, Place, pointer_text
from seqc.emit.layout import call, mentions
from seqc.emit.team import Team, named_rows, stretches
from seqc.flow.types import Axis
from seqc.plan.buffers import Operand
from seqc.plan.share import WHOLE, Split
from seqc.plan.types import Plan

SORTED_LOCALS = frozenset({"alive", "living", "row", "many", "cell", "theirs"})
"""Names in the text of an entry point on sorted rows, beside those of every other."""

CELLS = {
    "alive.start[t] + rows.first": "now",
    "alive.start[t] - alive.start[from] + rows.first": "inside",
}
"""Where the first row of a member lies among the cells that exist."""

SORTED_RANGES = {"rows": "alive.share(share)", "cells": "share.of(alive.total(), 16)"}
"""Stretches of the batch with as many cells for each member, and of all cells."""


def named_ranges(plan: Plan, lines: Sequence[str]) -> list[str]:
    """Declarations of the stretches, and of the places outside of loops over time, that `lines` call by name."""
    if not plan.length:
        return [*stretches(lines), *named_rows(lines, 2, False)]
    bare = [line.replace("alive.rows(", "(").replace("alive.cells(", "(") for line in lines]
    known = SORTED_RANGES.items()
    return [f"  const Range {name} = {text};" for name, text in known if mentions(bare, name)]


def sorted_pointer(plan: Plan, operand: Operand, where: Place, base: str, first: str) -> str:
    """`h + (alive.start[t] + rows.first) * 512 + 128`: the operand at the first row of a call."""
    buffer = plan.buffers[operand.buffer]
    if Axis.BATCH not in buffer.axes:
        return pointer_text(plan, operand, where.by_step or bool(where.run), base, first)
    if where.single:
        row = _row(plan, operand, where, first)
    elif Axis.TIME not in buffer.axes or operand.at == "first":
        row = first
    elif buffer.ring:
        return pointer_text(plan, operand, True, base, first)
    else:
        assert not operand.at and not operand.shift and buffer.home.role == "workspace"
        start = "alive.start[t]" if where.by_step or where.run else ""
        if buffer.local:
            start = "" if where.run == "count" else f"{start} - alive.start[from]"
        row = " + ".join(each for each in (start, first) if each)
        row = CELLS.get(row, f"({row})" if " " in row and buffer.stride != 1 else row)
    terms = [base, *([_times(row, buffer.stride)] if row else [])]
    return " + ".join([*terms, *([str(operand.offset)] if operand.offset else [])])


def _times(row: str, stride: int) -> str:
    return row if stride == 1 else f"{row} * {stride}"


def _row(plan: Plan, operand: Operand, where: Place, first: str) -> str:
    """The place of one row, or of its cell at step t: ours, or the caller's."""
    buffer = plan.buffers[operand.buffer]
    timed = Axis.TIME in buffer.axes and not operand.at and where.by_step
    if buffer.home.role != "workspace":
        return "theirs" if timed else "alive.order[row]"
    if operand.at == "last":
        assert buffer.ring
        return f"(alive.lengths[row] % {buffer.ring} * batch + row)"
    if not timed:
        return "row"
    if buffer.ring:
        step = f"(t + {operand.shift})" if operand.shift else "t"
        return f"({step} % {buffer.ring} * batch + row)"
    if not buffer.local:
        return "cell"
    return f"(inside + row - {first})" if first else "(cell - alive.start[from])"


def named_in_loop(plan: Plan, team: Team, lines: Sequence[str], indent: int, run: str = "") -> list[str]:
    """Declarations of what the lines of a loop over time call by name: places, and with lengths how many rows have the
    step at hand, or how many cells the next `run` steps have."""
    if not plan.length:
        return named_rows(lines, indent, True)
    texts = [(name, text) for text, name in CELLS.items() if name != "inside" or team.together]
    texts += [] if team.together else [("inside", "alive.inside(from, t, rows)")]
    texts += [(name, text) for text, name in ROWS.items() if text.startswith(("(t %", "((t"))]
    part = ", rows" if team.share.split is Split.ROWS and run != "count" else ""
    count = (
        f"alive.cells({'from' if run == 'count' else 't'}, {run}{part})" if run else f"alive.rows(t{part})"
    )
    texts.append(("living", count))
    return [f"{' ' * indent}const int64_t {name} = {text};" for name, text in texts if mentions(lines, name)]


def span(team: Team, count: str) -> tuple[str, str]:
    """First row and end of what a member has of `count` rows."""
    if team.share.split is not Split.ROWS:
        return "0", count
    return "rows.first", "rows.end()" if count == "batch" else f"rows.first + {count}"


def each_row(team: Team, lines: Sequence[str], indent: int, where: Place) -> list[str]:
    """A loop over the rows of a member, those that have the step at hand or all: one by one, or as many as lie side by side
    in the caller's order as well."""
    margin = " " * indent
    first, end = span(team, "living" if where.by_step else "batch")
    head = f"{margin}for (int64_t row = {first}; row < {end}; ++row) {{"
    names = {"cell": "alive.start[t] + row", "theirs": "t * batch + alive.order[row]"}
    if where.single == "many":
        head = f"{margin}for (int64_t row = {first}, many; row < {end}; row += many) {{"
        names = {"many": "", **names}
    used = [
        f"{margin}  const int64_t {name} = {text};"
        if text
        else f"{margin}  many = alive.neighbours(row, {end});"
        for name, text in names.items()
        if mentions(lines, name)
    ]
    return [head, *used, *lines, f"{margin}}}"]


def cleared(plan: Plan, team: Team, operand: Operand, base: str, indent: int) -> list[str]:
    """Zeros in the caller's outputs behind the ends of rows; nothing for what is no output of every step."""
    buffer = plan.buffers[operand.buffer]
    if buffer.home.role != "output" or buffer.axes != WHOLE:
        return []
    return call(indent, "seqc::clear_ended", ["alive", *span(team, "batch"), base, str(buffer.size)])
