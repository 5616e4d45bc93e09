"""The record of a chain: loops over the units of one row, one behind another, with sums between them.

    max over z   →   e = exp(z - max), sum of e   →   d = e / sum

A `Chain` is one kernel: a row goes through all its sweeps before the next row begins, so that what one sweep leaves for
another lies in registers or in the first cache. Softmax, log-sum-exp and all kinds of normalisation are chains.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Operand, Statement

LOCAL = "row"
"""Role of a buffer that holds one row for the sweeps of one chain: memory of the kernel itself."""


@dataclass(frozen=True, slots=True)
class Pick:
    """`id` = element number `index` (an id) of `table`; NaN for a number outside. Known before the loop of its sweep."""

    id: int
    table: Operand
    index: int


@dataclass(frozen=True, slots=True)
class Spot:
    """`id` = `value` (an id) on element number `index` (an id), 0 on all others: one column of a table of zeros."""

    id: int
    index: int
    value: int


@dataclass(frozen=True, slots=True)
class Fold:
    """`id` = `how` ("sum", "max", "min") of `value` over all elements; known behind the loop of its sweep."""

    id: int
    how: str
    value: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """One loop over `size` elements of a row: loads, statements and stores as in `Pointwise`.

    Ids count through the whole chain. What has size 1 (in a sweep of size 1: everything), picks and folds are numbers of the
    row, which later sweeps read by their ids; other values live within their sweep and go on through memory.
    """

    size: int
    loads: tuple[tuple[int, Operand, Kind], ...] = ()
    picks: tuple[Pick, ...] = ()
    spots: tuple[Spot, ...] = ()
    statements: tuple[Statement, ...] = ()
    folds: tuple[Fold, ...] = ()
    stores: tuple[tuple[int, Operand], ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """Sweeps over each row (t, b) of `axes`, in order. A buffer of role `LOCAL` is memory for the row at hand.

    A sweep may store where an earlier or its own load lies: all loads of an element come before its stores.
    """

    axes: frozenset[Axis]
    sweeps: tuple[Sweep, ...]
    origin: str = ""

    def reads(self) -> list[Operand]:
        """What the sweeps load, in order."""
        found = []
        for sweep in self.sweeps:
            found += [operand for _, operand, _ in sweep.loads] + [pick.table for pick in sweep.picks]
        return found

    def writes(self) -> list[Operand]:
        """What the sweeps store, in order."""
        return [operand for sweep in self.sweeps for _, operand in sweep.stores]
