"""The laws of a Plan, checked: operands inside their buffers, nothing read before it is written, no two live buffers in one place.

Takes a Plan; raises `PlanError`, a fault of the compiler, with the kernel that breaks a law.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from seqc.flow.types import Axis
from seqc.plan.buffers import Operand
from seqc.plan.chain import Chain
from seqc.plan.epilogue import apart, segment_reads
from seqc.plan.place import Access, Box, accesses, boxes, flat, reads_and_writes
from seqc.plan.roots import IN_PLACE
from seqc.plan.target import Target
from seqc.plan.types import Guard, Plan, Pointwise, Product, Scan


class PlanError(Exception):
    """A Plan that breaks its own laws: a fault of the compiler, never of the user."""


def verify(plan: Plan) -> None:
    """Raise unless operands fit, reads follow writes, and what changes the caller's memory comes last."""
    for position, (scan, node) in enumerate(flat(plan.nodes)):
        read, written = reads_and_writes(plan, node)
        for operand in (*read, *written):
            check_operand(plan, operand, f"kernel {position}")
        if scan >= 0 and Axis.TIME in getattr(node, "axes", frozenset()):
            raise PlanError(f"kernel {position} runs over time inside a scan")
        if isinstance(node, Pointwise):
            check_ids(node, position)
            check_rows(plan, node, position)
        if isinstance(node, Chain):
            check_chain(plan, node, position)
        if isinstance(node, Product) and node.epilogue is not None:
            check_ids(node.epilogue, position)
            check_epilogue(plan, node, scan >= 0, position)
    check_writes(plan)
    check_last(plan)


def check_operand(plan: Plan, operand: Operand, where: str) -> None:
    """Raise unless the operand lies in its buffer."""
    buffer = plan.buffers[operand.buffer]
    if operand.gate is not None:
        fits = operand.gate < buffer.gates and operand.size == buffer.units and operand.offset == 0
    else:
        fits = operand.offset >= 0 and operand.offset + operand.size <= buffer.size
    slots = 0 <= operand.shift <= buffer.slots
    timed = Axis.TIME in buffer.axes
    if not fits or not slots or (operand.at and (operand.shift or not timed)):
        raise PlanError(f"{where}: {operand} is not in {buffer}")


def check_ids(node: Pointwise, position: int) -> None:
    """Raise unless every id is given once, before it is used."""
    for _, operand, _ in node.loads:
        if not may_load(operand, node.size):
            raise PlanError(f"kernel {position} loads {operand} in a loop over {node.size}")
    known = {number for number, _, _ in node.loads} | {number for number, _ in node.draws}
    for statement in node.statements:
        if statement.id in known or not set(statement.args) <= known:
            raise PlanError(f"kernel {position}: statement {statement} is out of order")
        known.add(statement.id)
    if any(number not in known for number, _ in node.stores):
        raise PlanError(f"kernel {position} stores what it does not compute")


def check_rows(plan: Plan, node: Pointwise, position: int) -> None:
    """Raise if a loop by rows has axes, draws, or long operands that are not whole matrices."""
    operands = [each for _, each, _ in node.loads] + [each for _, each in node.stores]
    whole = all(
        each.size == 1 or each.size == node.size == plan.buffers[each.buffer].size for each in operands
    )
    if node.rows > 1 and (node.axes or node.draws or node.size % node.rows or not whole):
        raise PlanError(f"kernel {position} cannot run by {node.rows} rows")


def check_chain(plan: Plan, node: Chain, position: int) -> None:
    """Raise unless ids are given once, before they are used, and elements stay within their sweep."""
    numbers: set[int] = set()
    for sweep in node.sweeps:
        known = set(numbers)
        single = {number for number, operand, _ in sweep.loads if operand.size == 1}
        for number, operand, _ in sweep.loads:
            if not may_load(operand, sweep.size):
                raise PlanError(f"kernel {position} loads {operand} in a sweep over {sweep.size}")
            known.add(number)
        for pick in sweep.picks:
            check_known(known, (pick.index,), position)
            known.add(pick.id)
        for spot in sweep.spots:
            check_known(known, (spot.index, spot.value), position)
            known.add(spot.id)
        for each in sweep.statements:
            check_known(known, each.args, position)
            known.add(each.id)
        check_known(
            known, [*(each.value for each in sweep.folds), *(each for each, _ in sweep.stores)], position
        )
        single |= {pick.id for pick in sweep.picks} | {fold.id for fold in sweep.folds}
        numbers |= single | (known if sweep.size == 1 else set())
    for operand in (*node.reads(), *node.writes()):
        check_operand(plan, operand, f"kernel {position}")


def may_load(operand: Operand, size: int) -> bool:
    """Whether a loop over so many elements can read an operand."""
    spread = operand.spread
    if spread is None:
        return operand.size in (1, size)
    if spread.block:
        return (
            size * spread.round == operand.size * spread.block
            and spread.block % (spread.each * spread.round) == 0
        )
    return operand.size == spread.round and size % (operand.size * spread.each) == 0


def check_known(known: set[int], ids: Iterable[int], position: int) -> None:
    """Raise unless a chain knows all ids."""
    if not set(ids) <= known:
        raise PlanError(f"kernel {position}: {set(ids) - known} are read before they are known")


def check_epilogue(plan: Plan, node: Product, in_scan: bool, position: int) -> None:
    """Raise if a loop on the sums of a product writes what the product reads for its next block."""
    assert node.epilogue is not None
    for _, store in node.epilogue.stores:
        if any(not apart(plan, source, store, in_scan) for source in segment_reads(plan, node)):
            raise PlanError(f"kernel {position} writes {store}, which its product still reads")


def check_writes(plan: Plan) -> None:
    """Raise unless every element of the workspace that a kernel reads was written by an earlier one."""
    written: dict[int, list[Access]] = {}
    for access in accesses(plan):
        if access.written:
            written.setdefault(access.operand.buffer, []).append(access)
    for access in accesses(plan):
        buffer = plan.buffers[access.operand.buffer]
        if access.written or buffer.home.role != "workspace":
            continue
        before = [each for each in written.get(access.operand.buffer, ()) if precedes(each, access)]
        if not covers(before, access.operand):
            raise PlanError(
                f"kernel {access.position} reads {access.operand} of {buffer.name} before it is written"
            )


def precedes(write: Access, read: Access) -> bool:
    """Whether a write comes before a read: earlier, or in a step before within the same scan."""
    if write.operand.at and not read.operand.at:
        return False
    if write.position < read.position:
        return True
    same_scan = write.scan >= 0 and write.scan == read.scan
    return same_scan and write.operand.shift != read.operand.shift


def covers(writes: list[Access], operand: Operand) -> bool:
    """Whether the writes together fill all elements of an operand."""
    if operand.gate is not None:
        return any(each.operand.gate in (None, operand.gate) for each in writes)
    spans = sorted((each.operand.offset, each.operand.offset + each.operand.size) for each in writes)
    reached = operand.offset
    for start, end in spans:
        if start > reached:
            break
        reached = max(reached, end)
    return reached >= operand.offset + operand.size


def check_last(plan: Plan) -> None:
    """Raise if the caller's memory is changed before the guard, or read after it was changed."""
    changed: dict[int, int] = {}
    guard = max((p for p, (_, node) in enumerate(flat(plan.nodes)) if isinstance(node, Guard)), default=-1)
    for access in accesses(plan):
        if plan.buffers[access.operand.buffer].home.role not in IN_PLACE:
            continue
        if access.written:
            if access.position < guard or access.scan >= 0:
                raise PlanError(f"kernel {access.position} changes the caller's memory too early")
            changed[access.operand.buffer] = access.position
        elif access.operand.buffer in changed and changed[access.operand.buffer] < access.position:
            raise PlanError(f"kernel {access.position} reads what was changed before")


def verify_places(plan: Plan, target: Target) -> None:
    """Raise unless buffers that live at one time lie apart, for any T and B, inside the arena."""
    for found in boxes(plan, target).values():
        for box in found:
            check_inside(plan, box)
        spots = sorted(found, key=lambda box: coordinates(plan, box))
        for first, second in pairwise(spots):
            check_apart(plan, first, second)
        for place, box in enumerate(spots):
            for other in spots[place + 1 : place + 8]:
                check_apart(plan, box, other)


def coordinates(plan: Plan, box: Box) -> tuple[int, int, int, int]:
    """The address of a buffer as numbers to compare."""
    at = plan.offsets[box.number]
    return at.per_cell, at.per_step, at.per_row, at.fixed


def check_inside(plan: Plan, box: Box) -> None:
    """Raise unless a buffer ends within the workspace."""
    for steps, batch in ((1, 1), (3, 5), (7, 1)):
        at = plan.offsets[box.number]
        unit = box_bytes(plan, box, steps, batch)
        if at.bytes(steps, batch) + unit > plan.arena.bytes(steps, batch):
            raise PlanError(f"buffer {box.number} ends outside of the workspace")


def box_bytes(plan: Plan, box: Box, steps: int, batch: int) -> int:
    """Bytes of a buffer."""
    axes, ring = plan.buffers[box.number].axes, plan.buffers[box.number].ring
    rows = batch if Axis.BATCH in axes else 1
    times = steps if Axis.TIME in axes and not ring else 1
    return box.size * times * rows + box.extra * rows


def check_apart(plan: Plan, first: Box, second: Box) -> None:
    """Raise if two buffers overlap while both are alive."""
    if not first.meets(second):
        return
    for steps, batch in ((1, 1), (3, 5), (7, 1)):
        a = plan.offsets[first.number].bytes(steps, batch)
        b = plan.offsets[second.number].bytes(steps, batch)
        if a + box_bytes(plan, first, steps, batch) > b and b + box_bytes(plan, second, steps, batch) > a:
            raise PlanError(f"buffers {first.number} and {second.number} overlap")


def scans(plan: Plan) -> list[Scan]:
    """The scans of a plan."""
    return [node for node in plan.nodes if isinstance(node, Scan)]
