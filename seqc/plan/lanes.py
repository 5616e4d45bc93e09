"""Whether a loop over elements can run on vectors of reals.

Takes a `Pointwise` in its plan; gives a truth value. Every long operand must be an array of reals, and whatever differs
from element to element a real or a truth value made of reals.
"""

from __future__ import annotations

from seqc.flow.types import Kind
from seqc.plan.buffers import Operand
from seqc.plan.types import Plan, Pointwise

OF_TRUTH = frozenset({"select", "and", "or", "not", "cast"})
"""What takes truth values apart from comparisons."""

NOT_REAL = frozenset({"score", "grad.hyper", "fresh", "started", "lengths", "stop", "active", "given"})
"""Roles whose elements are of a type of their own, whatever the kind of the buffer."""


def is_real(plan: Plan, operand: Operand) -> bool:
    """Whether an operand lies in memory as reals of the build."""
    buffer = plan.buffers[operand.buffer]
    return buffer.kind is Kind.REAL and buffer.home.role not in NOT_REAL


def runs_on_vectors(plan: Plan, node: Pointwise, sums: int = -1) -> bool:
    """Whether the loop fits vectors; loads of buffer `sums` count as vectors whatever their size."""
    long = {number: operand.size > 1 or operand.buffer == sums for number, operand, _ in node.loads}
    kinds = {number: kind for number, _, kind in node.loads}
    operands = [operand for number, operand, _ in node.loads if long[number] and operand.buffer != sums]
    if not all(is_real(plan, each) for each in (*operands, *(each for _, each in node.stores))):
        return False
    if any(kinds[number] is not Kind.REAL for number in kinds if long[number]):
        return False
    long |= {number: True for number, _ in node.draws}
    kinds |= {number: Kind.REAL for number, _ in node.draws}
    for each in node.statements:
        long[each.id] = any(long[arg] for arg in each.args)
        kinds[each.id] = each.kind
        if not long[each.id]:
            continue
        of_truth = any(kinds[arg] is Kind.BOOL for arg in each.args)
        if each.kind not in (Kind.REAL, Kind.BOOL) or (of_truth and each.op not in OF_TRUTH):
            return False
        if any(kinds[arg] not in (Kind.REAL, Kind.BOOL) for arg in each.args):
            return False
    return True
