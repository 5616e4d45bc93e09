"""Loops that run on the sums of a product while these are in registers, block of units by block of units.

    product b2 = m0 h                                  product b2 = m0 h, then
    pointwise c' h' from b2.0 b2.1 b2.2 b2.3     →         c' h' from its sums

Takes a Plan; gives it with such loops moved into their products. Legal where the loop needs nothing but the sums at its
own elements, runs on vectors of reals, and writes nothing that the product reads when it goes on to the next block.
Sums that somebody else reads too are stored by the loop as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Operand
from seqc.plan.lanes import runs_on_vectors
from seqc.plan.place import flat, reads_and_writes
from seqc.plan.ragged import row_by_row
from seqc.plan.types import Kernel, Node, Plan, Pointwise, Product, Scan


def add_epilogues(plan: Plan) -> Plan:
    """The plan with every loop inside its product that may be there."""
    return replace(plan, nodes=tuple(fused_nodes(plan, plan.nodes)))


def fused_nodes(plan: Plan, nodes: Sequence[Node]) -> list[Node]:
    """Nodes outside of scans, with those inside the scans among them."""
    inner: list[Node] = []
    for node in nodes:
        if isinstance(node, Scan):
            kernels = fused(plan, node.kernels, True)
            node = replace(node, kernels=tuple(each for each in kernels if isinstance(each, Kernel)))
        inner.append(node)
    return fused(plan, inner, False)


def fused(plan: Plan, nodes: Sequence[Node], in_scan: bool) -> list[Node]:
    """One run of nodes. Where a loop reads several products it goes to the one with the most to multiply."""
    chosen: dict[int, int] = {}
    for place, node in enumerate(nodes):
        if isinstance(node, Product) and node.rows == 1 and node.epilogue is None:
            reader = first_reader(plan, nodes, place)
            if reader is not None and fits(plan, nodes, place, reader, in_scan):
                other = chosen.get(reader)
                if other is None or work(plan, nodes[other]) < work(plan, node):
                    chosen[reader] = place
    moved = set(chosen.values())
    result: list[Node] = []
    for place, node in enumerate(nodes):
        if place in chosen:
            product = nodes[chosen[place]]
            assert isinstance(product, Product) and isinstance(node, Pointwise)
            result.append(replace(product, epilogue=with_stores(plan, product, node), origin=node.origin))
        elif place not in moved:
            result.append(node)
    return result


def work(plan: Plan, node: Node) -> int:
    """Multiplications of a product."""
    assert isinstance(node, Product)
    return sum(plan.packs[each.pack].elements for each in node.segments)


def touched(plan: Plan, node: Node) -> tuple[list[Operand], list[Operand]]:
    """What a node reads and writes, the kernels of a scan included."""
    if not isinstance(node, Scan):
        return reads_and_writes(plan, node)
    read: list[Operand] = []
    written: list[Operand] = []
    for each in node.kernels:
        inner = touched(plan, each)
        read += inner[0]
        written += inner[1]
    return read, written


def first_reader(plan: Plan, nodes: Sequence[Node], place: int) -> int | None:
    """The first node behind a product that reads or writes its result."""
    product = nodes[place]
    assert isinstance(product, Product)
    for number in range(place + 1, len(nodes)):
        read, written = touched(plan, nodes[number])
        if any(each.buffer == product.out for each in (*read, *written)):
            return number
    return None


def fits(plan: Plan, nodes: Sequence[Node], place: int, reader: int, in_scan: bool) -> bool:
    """Whether the node at `reader` may run on the sums of the product at `place`, which moves down to it."""
    product, node = nodes[place], nodes[reader]
    assert isinstance(product, Product)
    if not isinstance(node, Pointwise) or node.axes != product.axes or row_by_row(plan, node):
        return False
    if node.size != plan.packs[product.segments[0].pack].units:
        return False
    if any(each.buffer == product.out for _, each in node.stores):
        return False
    if not all(is_sum(plan, product, each) for _, each, _ in node.loads if each.buffer == product.out):
        return False
    if not runs_on_vectors(plan, node, product.out):
        return False
    sources = list(segment_reads(plan, product))
    between = [each for other in nodes[place + 1 : reader] for each in touched(plan, other)[1]]
    if {each.buffer for each in between} & {each.buffer for each in sources}:
        return False
    if any(not apart(plan, source, store, in_scan) for source in sources for _, store in node.stores):
        return False
    return in_scan or Axis.TIME not in node.axes or in_one_call(plan, product, node)


def is_sum(plan: Plan, product: Product, load: Operand) -> bool:
    """Whether a load is one whole row of sums at the instant of the product."""
    buffer = plan.buffers[product.out]
    whole = load.size == plan.packs[product.segments[0].pack].units and load.offset == 0
    return (
        whole
        and load.shift == product.shift
        and not load.at
        and (load.gate is not None) == bool(buffer.gates)
    )


def segment_reads(plan: Plan, product: Product) -> Iterator[Operand]:
    """What the sums are made of."""
    for each in product.segments:
        yield each.operand
        buffer = plan.packs[each.pack].buffer
        if buffer >= 0:
            yield Operand(buffer, plan.buffers[buffer].size)


def apart(plan: Plan, source: Operand, store: Operand, in_scan: bool) -> bool:
    """Whether a store leaves alone what the product still reads: another buffer, or another instant of the same."""
    buffer = plan.buffers[source.buffer]
    if source.buffer != store.buffer:
        return True
    if not in_scan or Axis.TIME not in buffer.axes or source.at or store.at:
        return False
    distance = source.shift - store.shift
    return bool(distance % buffer.ring if buffer.ring else distance)


def in_one_call(plan: Plan, product: Product, node: Pointwise) -> bool:
    """Whether the loop lets a product over all steps stay one: it moves on with every row, or stays as it is."""
    counts = any(each.op == "instant" for each in node.statements)
    loads = [each for _, each, _ in node.loads if each.buffer != product.out]
    operands = [*loads, *(each for _, each in node.stores)]
    return not counts and not node.draws and all(moves_evenly(plan, each, node.axes) for each in operands)


def moves_evenly(plan: Plan, operand: Operand, axes: frozenset[Axis]) -> bool:
    """Whether an operand has all the axes of its kernel, or none of them."""
    buffer = plan.buffers[operand.buffer]
    found = buffer.axes - {Axis.TIME} if operand.at else buffer.axes
    return not buffer.ring and found & axes in (axes, frozenset())


def with_stores(plan: Plan, product: Product, node: Pointwise) -> Pointwise:
    """The loop, which stores the sums that others read as well."""
    buffer = plan.buffers[product.out]
    units = plan.packs[product.segments[0].pack].units
    gates: Sequence[int | None] = range(buffer.gates) if buffer.gates else (None,)
    wanted = [gate for gate in gates if is_wanted(plan, product, node, gate)]
    loads, stores = list(node.loads), list(node.stores)
    known = {each.gate: number for number, each, _ in loads if each.buffer == product.out}
    ids = [
        *(each[0] for each in loads),
        *(each[0] for each in node.draws),
        *(each.id for each in node.statements),
    ]
    free = max(ids) + 1
    for gate in wanted:
        operand = Operand(product.out, units, 0, product.shift, gate)
        if gate not in known:
            loads.append((free, operand, Kind.REAL))
            known[gate], free = free, free + 1
        stores.append((known[gate], operand))
    return replace(node, loads=tuple(loads), stores=tuple(stores))


def is_wanted(plan: Plan, product: Product, node: Pointwise, gate: int | None) -> bool:
    """Whether anybody but the loop reads a row of sums."""
    buffer = plan.buffers[product.out]
    if buffer.home.role != "workspace" or buffer.slots:
        return True
    return any(
        reads_gate(each, product.out, gate)
        for _, other in flat(plan.nodes)
        if other is not node
        for each in reads_and_writes(plan, other)[0]
    )


def reads_gate(operand: Operand, out: int, gate: int | None) -> bool:
    """Whether an operand holds elements of a row of sums."""
    return operand.buffer == out and (operand.gate is None or gate is None or operand.gate == gate)
