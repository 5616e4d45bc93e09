"""Which parameters a gradient reaches: those that a root depends on by real values and operations that have a slope."""

from __future__ import annotations

from seqc.flow.order import state_of
from seqc.flow.types import Flow
from seqc.ops.table import TABLE


def reached(flow: Flow, root: str) -> frozenset[str]:
    """The names of the parameters that have a gradient of `root`."""
    seen: set[int] = set()
    found: set[str] = set()
    pending = [flow.roots[root]]
    while pending:
        index = pending.pop()
        value = flow.values[index]
        if index in seen or not value.type.kind.is_real:
            continue
        seen.add(index)
        if value.op == "param":
            found.add(str(value.attr("name")))
        elif value.op in ("prev", "final"):
            state = flow.states[state_of(value)]
            pending += [state.init, state.next]
        elif TABLE[value.op].derivative is not None:
            pending += value.args
    return frozenset(found)
