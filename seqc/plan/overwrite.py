"""Where the rows lie that the sweeps of a chain leave for one another: nowhere, in memory of the kernel, or in place.

Takes a Plan with chains; gives it without stores that nobody reads, with short rows in memory of the kernel, and with
results in the place of what a chain is the last to read: logits become probabilities become gradients in one buffer.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from seqc.flow.types import Axis
from seqc.plan.buffers import Home, Operand
from seqc.plan.chain import LOCAL, Chain
from seqc.plan.place import element_bytes, flat, reads_and_writes
from seqc.plan.target import Target
from seqc.plan.types import Kernel, Node, Plan, Scan

SHORT = 8192
"""Bytes of a row that stays in memory of the kernel in any case: it is in the first cache all the time."""

LONGEST = 1 << 16
"""Bytes of a row that may lie there at all: stacks of threads are small."""


def settle(plan: Plan, target: Target) -> Plan:
    """All chains, one after another."""
    number = 0
    while (chain := nth_chain(plan, number)) is not None:
        plan = with_locals(in_place(without_idle(plan, chain), number, target), number, target)
        number += 1
    return plan


def nth_chain(plan: Plan, number: int) -> Chain | None:
    """A chain by its number in running order."""
    chains = [node for _, node in flat(plan.nodes) if isinstance(node, Chain)]
    return chains[number] if number < len(chains) else None


def substituted(plan: Plan, old: Node, new: Kernel) -> Plan:
    """The plan with one kernel for another."""
    nodes: list[Node] = []
    for node in plan.nodes:
        if isinstance(node, Scan):
            node = replace(node, kernels=tuple(new if each is old else each for each in node.kernels))
        nodes.append(new if node is old else node)
    return replace(plan, nodes=tuple(nodes))


def private(plan: Plan, chain: Chain) -> set[int]:
    """Buffers of the workspace that the chain writes and nobody else touches."""
    own = {each.buffer for each in chain.writes()}
    for _, node in flat(plan.nodes):
        if node is not chain:
            read, written = reads_and_writes(plan, node)
            own -= {each.buffer for each in (*read, *written)}
    plain = {number for number in own if is_plain(plan, number)}
    return {each for each in plain if not any(other.at for other in chain.reads() if other.buffer == each)}


def is_plain(plan: Plan, number: int) -> bool:
    """Whether a buffer is one dense row of the workspace at each instant, without more slots than there are steps."""
    buffer = plan.buffers[number]
    return buffer.home.role == "workspace" and not (buffer.slots or buffer.ring or buffer.gates)


def without_idle(plan: Plan, chain: Chain) -> Plan:
    """The plan without stores to what only the chain knows and never loads."""
    idle = private(plan, chain) - {each.buffer for each in chain.reads()}
    sweeps = tuple(
        replace(sweep, stores=tuple(each for each in sweep.stores if each[1].buffer not in idle))
        for sweep in chain.sweeps
    )
    return substituted(plan, chain, replace(chain, sweeps=tuple(each for each in sweeps if is_busy(each))))


def is_busy(sweep: Any) -> bool:
    """Whether a sweep still does anything."""
    return bool(sweep.stores or sweep.folds or sweep.picks or (sweep.size == 1 and sweep.statements))


def in_place(plan: Plan, number: int, target: Target) -> Plan:
    """The plan with results in the place of what is read for the last time; one pair of buffers after another."""
    while True:
        chain = nth_chain(plan, number)
        assert chain is not None
        pair = next_pair(plan, chain, target)
        if pair is None:
            return plan
        nodes = [renamed(node, *pair) if uses(plan, node, pair[0]) else node for node in plan.nodes]
        plan = replace(plan, nodes=tuple(nodes))


def next_pair(plan: Plan, chain: Chain, target: Target) -> tuple[int, int] | None:
    """(a buffer, the one that takes its place) of which the chain stores one where it loads the other."""
    own = private(plan, chain)
    for place, sweep in enumerate(chain.sweeps):
        for _, store in sweep.stores:
            for _, load, _ in sweep.loads:
                old, new = store.buffer, load.buffer
                if old == new or load.size == 1 or not alike(plan, store, load):
                    continue
                if old in own and row_bytes(plan, old, target) <= SHORT:
                    continue
                if read_later(plan, chain, place, new) or written_before(plan, chain, place, old):
                    continue
                return (new, old) if new in own and old not in own else (old, new)
    return None


def alike(plan: Plan, store: Operand, load: Operand) -> bool:
    """Whether two operands are whole rows of buffers that differ in their names only."""
    a, b = plan.buffers[store.buffer], plan.buffers[load.buffer]
    whole = replace(store, buffer=0) == replace(load, buffer=0) == Operand(0, a.size)
    same = (a.kind, a.size, a.axes) == (b.kind, b.size, b.axes)
    return whole and same and is_plain(plan, store.buffer) and is_plain(plan, load.buffer)


def read_later(plan: Plan, chain: Chain, place: int, number: int) -> bool:
    """Whether anybody reads a buffer behind one sweep of the chain, or the chain elsewhere than element by element."""
    later = [each for sweep in chain.sweeps[place + 1 :] for _, each, _ in sweep.loads]
    later += [pick.table for sweep in chain.sweeps[place + 1 :] for pick in sweep.picks]
    later += [each for sweep in chain.sweeps[place:] for _, each in sweep.stores]
    later += [
        each
        for _, each, _ in chain.sweeps[place].loads
        if each.spread or each.size != plan.buffers[number].size
    ]
    if any(each.buffer == number for each in later):
        return True
    behind, looped = False, False
    for node in plan.nodes:
        kernels = node.kernels if isinstance(node, Scan) else (node,)
        looped = isinstance(node, Scan) and chain in kernels
        if looped and held(plan, kernels[: kernels.index(chain)], number):
            return True
        for kernel in kernels:
            if kernel is chain:
                behind = True
            elif behind or looped:
                read, written = reads_and_writes(plan, kernel)
                touches = [*read, *written] if behind else read
                if any(each.buffer == number for each in touches):
                    return True
    return False


def held(plan: Plan, before: tuple[Node, ...], number: int) -> bool:
    """Whether a loop reads a buffer at every step that it does not fill at every step, before it is read."""
    filled = {each.buffer for kernel in before for each in reads_and_writes(plan, kernel)[1]}
    return Axis.TIME not in plan.buffers[number].axes and number not in filled


def written_before(plan: Plan, chain: Chain, place: int, number: int) -> bool:
    """Whether a buffer is stored or loaded anywhere before one sweep of the chain, or by another kernel before it."""
    for _, node in flat(plan.nodes):
        if node is chain:
            break
        read, written = reads_and_writes(plan, node)
        if any(each.buffer == number for each in (*read, *written)):
            return True
    earlier = [each for sweep in chain.sweeps[:place] for _, each in sweep.stores]
    earlier += [each for sweep in chain.sweeps[: place + 1] for _, each, _ in sweep.loads]
    earlier += [pick.table for sweep in chain.sweeps[: place + 1] for pick in sweep.picks]
    return any(each.buffer == number for each in earlier)


def row_bytes(plan: Plan, number: int, target: Target) -> int:
    """Bytes of one row."""
    buffer = plan.buffers[number]
    return buffer.size * element_bytes(buffer, target)


def uses(plan: Plan, node: Node, number: int) -> bool:
    """Whether a node reads or writes a buffer."""
    return any(
        each.buffer == number
        for _, kernel in flat((node,))
        for some in reads_and_writes(plan, kernel)
        for each in some
    )


def renamed(thing: Any, old: int, new: int) -> Any:
    """A record with all operands of one buffer on another."""
    if isinstance(thing, Operand):
        return replace(thing, buffer=new) if thing.buffer == old else thing
    if isinstance(thing, tuple):
        return tuple(renamed(each, old, new) for each in thing)
    if not is_dataclass(thing) or isinstance(thing, type):
        return thing
    found = {each.name: renamed(getattr(thing, each.name), old, new) for each in fields(thing)}
    return type(thing)(**found) if any(found[n] is not getattr(thing, n) for n in found) else thing


def with_locals(plan: Plan, number: int, target: Target) -> Plan:
    """The plan with rows that only the chain knows in memory of the kernel."""
    chain = nth_chain(plan, number)
    assert chain is not None
    buffers = list(plan.buffers)
    for each in sorted(private(plan, chain)):
        if row_bytes(plan, each, target) <= LONGEST:
            buffers[each] = replace(buffers[each], home=Home(LOCAL, buffers[each].home.name))
    return replace(plan, buffers=tuple(buffers))
