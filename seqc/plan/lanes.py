"""What lies in the lanes of vectors in a loop: neighbouring elements, rows of a batch, or one number at a time; and whether
rows go through the loops of a chain one by one or in blocks.

Takes a `Pointwise` or a `Chain` in its plan; gives a truth value. What differs from lane to lane must be a real or a truth
value made of reals, and reals in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Operand, Statement
from seqc.plan.chain import LOCAL, Chain
from seqc.plan.ragged import row_by_row
from seqc.plan.types import Plan, Pointwise

OF_TRUTH = frozenset({"select", "and", "or", "not", "cast"})
"""What takes truth values apart from comparisons."""

SHORT = 256
"""Elements of rows so many of which lie in the first cache side by side."""

NOT_REAL = frozenset({"score", "grad.hyper", "fresh", "started", "lengths", "stop", "active", "given"})
"""Roles whose elements are of a type of their own, whatever the kind of the buffer."""


def is_real(plan: Plan, operand: Operand) -> bool:
    """Whether an operand lies in memory as reals of the build."""
    buffer = plan.buffers[operand.buffer]
    return buffer.kind is Kind.REAL and buffer.home.role not in NOT_REAL


def runs_on_vectors(plan: Plan, node: Pointwise, sums: int = -1) -> bool:
    """Whether neighbouring elements fit lanes; loads of buffer `sums` count as vectors whatever their size."""
    long = {number: operand.size > 1 or operand.buffer == sums for number, operand, _ in node.loads}
    kinds = {number: kind for number, _, kind in node.loads}
    operands = [operand for number, operand, _ in node.loads if long[number] and operand.buffer != sums]
    if not all(is_real(plan, each) for each in (*operands, *(each for _, each in node.stores))):
        return False
    long |= {number: True for number, _ in node.draws}
    kinds |= {number: Kind.REAL for number, _ in node.draws}
    return all(kinds[number] is Kind.REAL for number in long if long[number]) and fit_vectors(
        node.statements, long, kinds
    )


def runs_on_rows(plan: Plan, node: Pointwise | Chain, lanes: int) -> bool:
    """Whether a row lies in each of the `lanes`: rows of so few numbers that they would fill no vector, as the equations of
    a system have them. A step alone has one row as a rule, and stays as it is."""
    if plan.entry == "step" or Axis.BATCH not in node.axes or row_by_row(plan, node):
        return False
    if isinstance(node, Chain):
        parts = node.sweeps
        if any(each.picks or each.spots for each in parts):
            return False
    elif node.draws or node.rows > 1 or any(each.op == "instant" for each in node.statements):
        return False
    loops = node.sweeps if isinstance(node, Chain) else (node,)
    if 2 * max(each.size for each in loops) > lanes:
        return False
    loads = [each for loop in loops for each in loop.loads]
    stores = [operand for loop in loops for _, operand in loop.stores]
    if not all(is_real(plan, each) for each in stores):
        return False
    if any(varies(plan, operand) and not is_real(plan, operand) for _, operand, _ in loads):
        return False
    long = {number: varies(plan, operand) for number, operand, _ in loads}
    kinds = {number: kind for number, _, kind in loads}
    if isinstance(node, Chain):
        folds = [each.id for sweep in node.sweeps for each in sweep.folds]
        long |= dict.fromkeys(folds, True)
        kinds |= dict.fromkeys(folds, Kind.REAL)
    return all(kinds[number] is Kind.REAL for number in long if long[number]) and fit_vectors(
        (each for loop in loops for each in loop.statements), long, kinds
    )


def runs_in_blocks(plan: Plan, node: Chain, in_scan: bool, lanes: int) -> bool:
    """Whether rows go through each loop together: there are many as a rule, they are short, and no vector holds several."""
    alone = plan.entry == "step" or (in_scan and plan.entry == "infer") or Axis.BATCH not in node.axes
    sizes = [each.size for each in node.sweeps]
    loops = sum(size > 1 for size in sizes)
    return not alone and loops > 1 and max(sizes) <= SHORT and not runs_on_rows(plan, node, lanes)


def varies(plan: Plan, operand: Operand) -> bool:
    """Whether an operand differs from row to row of a batch, or from element to element."""
    buffer = plan.buffers[operand.buffer]
    return Axis.BATCH in buffer.axes or buffer.home.role == LOCAL or operand.size > 1


def fit_vectors(statements: Iterable[Statement], long: Mapping[int, bool], kinds: Mapping[int, Kind]) -> bool:
    """Whether all that differs from lane to lane can be computed on vectors; `long` says of what is read whether it does."""
    differs, kind_of = dict(long), dict(kinds)
    for each in statements:
        differs[each.id] = any(differs[arg] for arg in each.args)
        kind_of[each.id] = each.kind
        if not differs[each.id]:
            continue
        of_truth = any(kind_of[arg] is Kind.BOOL for arg in each.args)
        if each.kind not in (Kind.REAL, Kind.BOOL) or (of_truth and each.op not in OF_TRUTH):
            return False
        if any(kind_of[arg] not in (Kind.REAL, Kind.BOOL) for arg in each.args):
            return False
    return True
