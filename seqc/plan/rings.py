"""States of which nobody needs more than two instants: their buffers become rings.

Takes a Plan; gives it with `ring` set on the buffers of states that only their own scan reads, apart from the value before
the first and after the last step. In inference that is nearly every state, and memory no longer grows with T.
"""

from __future__ import annotations

from dataclasses import replace

from seqc.plan.place import accesses
from seqc.plan.types import Plan


def make_rings(plan: Plan) -> Plan:
    """The plan with rings of two instants."""
    scans: dict[int, set[int]] = {}
    for access in accesses(plan):
        buffer = plan.buffers[access.operand.buffer]
        if buffer.slots and not access.operand.at:
            scans.setdefault(access.operand.buffer, set()).add(access.scan)
    rings = {number for number, found in scans.items() if len(found) == 1 and -1 not in found}
    buffers = [
        replace(buffer, ring=2) if number in rings else buffer for number, buffer in enumerate(plan.buffers)
    ]
    return replace(plan, buffers=tuple(buffers))
