"""The order of kernels within a phase that runs across: what a kernel makes is used soon, so that memory is free again soon.

Takes kernels in any legal order; gives them in the order of a walk from the last users back to what they need.
"""

from __future__ import annotations

from collections.abc import Sequence

from seqc.plan.buffers import Buffer
from seqc.plan.place import reads_and_writes
from seqc.plan.types import Kernel, PackedMatrix, Plan


def needs(
    buffers: Sequence[Buffer], packs: Sequence[PackedMatrix], kernels: Sequence[Kernel]
) -> list[list[int]]:
    """For each kernel the earlier ones that write what it reads or writes, or read what it writes."""
    plan = Plan("", tuple(buffers), tuple(packs), (), ())
    writers: dict[int, list[int]] = {}
    readers: dict[int, list[int]] = {}
    found: list[list[int]] = []
    for place, kernel in enumerate(kernels):
        read, written = reads_and_writes(plan, kernel)
        before: dict[int, None] = {}
        for operand in read:
            before.update(dict.fromkeys(writers.get(operand.buffer, ())))
        for operand in written:
            before.update(dict.fromkeys(readers.get(operand.buffer, ())))
        found.append([each for each in before if each != place])
        for operand in read:
            readers.setdefault(operand.buffer, []).append(place)
        for operand in written:
            writers.setdefault(operand.buffer, []).append(place)
    return found


def soon_used(
    buffers: Sequence[Buffer], packs: Sequence[PackedMatrix], kernels: Sequence[Kernel]
) -> list[Kernel]:
    """The kernels in walking order."""
    before = needs(buffers, packs, kernels)
    needed = {each for some in before for each in some}
    done: set[int] = set()
    result: list[Kernel] = []
    for last in (place for place in range(len(kernels)) if place not in needed):
        todo = [last]
        while todo:
            place = todo[-1]
            missing = [each for each in before[place] if each not in done]
            if missing:
                todo += reversed(missing)
                continue
            todo.pop()
            if place not in done:
                done.add(place)
                result.append(kernels[place])
    return result
