"""All other kernels: products, outer products, sums, gathers, moves and the like, one for each value of Flow.

Takes a `Graph` with storage; gives the records that compute a value. Products take the packed forms of their weights
from `Packs`, which holds each one once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from seqc.flow.types import Axis, Kind, Type
from seqc.plan.buffers import Buffer, Home
from seqc.plan.graph import Segment as Term
from seqc.plan.stack import Stack, is_parameter, letters
from seqc.plan.storage import Storage
from seqc.plan.types import (
    Categorical,
    Einsum,
    Gather,
    Kernel,
    Move,
    Outer,
    Pack,
    PackedMatrix,
    Product,
    Reduce,
    Reverse,
    Scatter,
    Segment,
    Transpose,
)

WORKSPACE = Home("workspace")


@dataclass(slots=True)
class Packs:
    """The packed matrices of an entry point; `nodes` are the kernels that fill those of computed weights."""

    storage: Storage
    table: list[PackedMatrix] = field(default_factory=list)
    number: dict[object, int] = field(default_factory=dict)
    nodes: list[tuple[int, Pack]] = field(default_factory=list)

    def of(self, terms: tuple[Term, ...]) -> int:
        """The packed form of the matrices of one segment, stacked."""
        storage, graph, first = self.storage, self.storage.graph, terms[0]
        shape = first.form, first.units, first.depth, len(terms)
        refs = tuple(graph.ref[each.matrix] for each in terms)
        key = shape, refs
        if key not in self.number:
            self.number[key] = len(self.table)
            if is_parameter(graph, first.matrix):
                sources = tuple((str(graph.attr(base, "name")), offset) for base, offset in refs)
                self.table.append(PackedMatrix(first.form, sources, *shape[1:], storage.block))
            else:
                self.add_computed(first)
        return self.number[key]

    def below(self, terms: tuple[Term, ...]) -> int:
        """The packed form of matrices in columns form, one below the other: for operands that lie side by side."""
        graph, first = self.storage.graph, terms[0]
        refs = tuple(graph.ref[each.matrix] for each in terms)
        key = "below", first.units, first.depth, refs
        if key not in self.number:
            self.number[key] = len(self.table)
            sources = tuple((str(graph.attr(base, "name")), offset) for base, offset in refs)
            depth = first.depth * len(terms)
            self.table.append(PackedMatrix("columns", sources, first.units, depth, 1, self.storage.block))
        return self.number[key]

    def add_computed(self, term: Term) -> None:
        """A matrix that is packed at run time."""
        storage, number = self.storage, len(self.table)
        pack = PackedMatrix(term.form, None, term.units, term.depth, 1, storage.block)
        name = f"packed {storage.name(term.matrix)}"
        kind = storage.graph.type(term.matrix).kind
        buffer = storage.add(Buffer(name, kind, pack.elements, frozenset(), WORKSPACE))
        self.table.append(replace(pack, buffer=buffer))
        node = Pack(number, (storage.read(term.matrix),), storage.graph.origin(term.matrix))
        self.nodes.append((term.matrix, node))


def build_product(storage: Storage, packs: Packs, stack: Stack) -> Product:
    """One product for all members of a stack."""
    graph, first = storage.graph, stack.members[0]
    rows = [graph.segments[member] for member in stack.members]
    segments = []
    for terms in zip(*rows, strict=True) if len(rows) > 1 else ():
        segments.append(Segment(packs.of(terms), storage.read(terms[0].vector), terms[0].depth))
    for run in runs_of_terms(storage, rows[0]) if len(rows) == 1 else ():
        pack = packs.below(run) if len(run) > 1 else packs.of(run)
        operand, depth = storage.read(run[0].vector), sum(each.depth for each in run)
        segments.append(Segment(pack, replace(operand, size=operand.size * len(run)), depth))
    out = storage.read(first)
    axes, origin = graph.local_axes(first), graph.origin(first)
    return Product(axes, out.buffer, out.shift, tuple(segments), origin, rows=rows[0][0].rows)


def runs_of_terms(storage: Storage, terms: tuple[Term, ...]) -> list[tuple[Term, ...]]:
    """The terms of a product, those together whose operands lie side by side in memory, in order of memory."""
    places: dict[object, list[tuple[int, Term]]] = {}
    for number, term in enumerate(terms):
        operand = storage.read(term.vector)
        alone = term.form != "columns" or term.rows > 1 or not is_parameter(storage.graph, term.matrix)
        key = (operand.buffer, operand.shift, operand.at, operand.size, operand.gate)
        places.setdefault(number if alone or operand.gate is not None else key, []).append(
            (operand.offset, term)
        )
    runs: list[tuple[Term, ...]] = []
    for found in places.values():
        end = -1
        for offset, term in sorted(found, key=lambda each: each[0]):
            if offset == end:
                runs[-1] = (*runs[-1], term)
            else:
                runs.append((term,))
            end = offset + term.depth
    return runs


def build_kernels(storage: Storage, index: int) -> list[Kernel]:
    """The kernels that compute one value; moves whose work the writers do themselves are left out."""
    return BUILDERS[storage.graph.op[index]](storage, index)


def step_axes(storage: Storage, index: int, axes: frozenset[Axis]) -> frozenset[Axis]:
    """Axes for a kernel of the value: without time inside a scan."""
    graph = storage.graph
    return axes - {Axis.TIME} if graph.cyclic(graph.phase[index]) else axes


def operand_axes(storage: Storage, index: int) -> frozenset[Axis]:
    """All axes of the arguments."""
    graph = storage.graph
    union: frozenset[Axis] = frozenset().union(*(graph.type(arg).axes for arg in graph.args[index]))
    return step_axes(storage, index, union)


def build_contract(storage: Storage, index: int) -> list[Kernel]:
    """An outer product summed over all its axes, or plain loops."""
    graph = storage.graph
    first, second, result = letters(graph, index)
    a, b = graph.args[index]
    types = graph.type(a), graph.type(b)
    left, right, out = storage.read(a), storage.read(b), storage.read(index)
    axes, union = graph.local_axes(index), operand_axes(storage, index)
    origin = graph.origin(index)
    vectors = len(first) == len(second) == 1 and len(result) == 2 and set(result) == {first, second}
    real = all(each.kind is Kind.REAL for each in (*types, graph.type(index)))
    if vectors and real and not axes and union and types[0].axes == types[1].axes:
        pair = (left, right) if result == first + second else (right, left)
        return [Outer(union, *pair, out, origin)]
    if real and not union and len(first) == len(second) == len(result) == 2 and first[0] == second[0]:
        turned = result == second[1] + first[1]
        if turned or result == first[1] + second[1]:
            pair = (right, left) if turned else (left, right)
            return [Outer(union, *pair, out, origin, rows=types[0].dims[0])]
    extents = dict(zip(first + second, types[0].dims + types[1].dims, strict=True))
    spec = f"{first},{second}->{result}"
    return [Einsum(spec, tuple(extents.items()), axes, union - axes, left, right, out, origin)]


def build_reduce(storage: Storage, index: int) -> list[Kernel]:
    """A reduction, dimension by dimension where those removed do not lie together; the axes go with the last."""
    graph = storage.graph
    how, (source,) = str(graph.attr(index, "how")), graph.args[index]
    removed = tuple(sorted(graph.wholes(index, "dims")))
    runs: list[list[int]] = []
    for dim in removed:
        if runs and runs[-1][-1] == dim - 1:
            runs[-1].append(dim)
        else:
            runs.append([dim])
    dims = list(graph.type(source).dims)
    axes = operand_axes(storage, index)
    summed = axes - graph.local_axes(index)
    operand, kernels = storage.read(source), []
    for run in reversed(runs[1:]):
        shape = extent(dims, run)
        del dims[run[0] : run[-1] + 1]
        type = Type(graph.type(index).kind, tuple(dims))
        out = storage.scratch(storage.name(index), type, storage.buffers[operand.buffer].axes)
        kernels.append(Reduce(how, *shape, axes, frozenset(), operand, out, graph.origin(index)))
        operand = out
    shape = extent(dims, runs[0]) if runs else (1, 1, graph.size(source))
    last = Reduce(how, *shape, axes, summed, operand, storage.read(index), graph.origin(index))
    return [*kernels, last]


def build_squares(storage: Storage, index: int) -> list[Kernel]:
    """A sum of squares in double precision."""
    graph = storage.graph
    source = graph.args[index][0]
    axes, operands = graph.local_axes(index), (storage.read(source), storage.read(index))
    return [Reduce("squares", 1, graph.size(source), 1, axes, frozenset(), *operands, graph.origin(index))]


def extent(dims: list[int], run: list[int]) -> tuple[int, int, int]:
    """Elements before, within and behind a run of dimensions."""
    return product(dims[: run[0]]), product(dims[run[0] : run[-1] + 1]), product(dims[run[-1] + 1 :])


def product(dims: list[int] | tuple[int, ...]) -> int:
    """The number of elements."""
    total = 1
    for dim in dims:
        total *= dim
    return total


def build_argmax(storage: Storage, index: int) -> list[Kernel]:
    """The position of the largest element of a vector."""
    graph = storage.graph
    source = graph.args[index][0]
    axes = graph.local_axes(index)
    operand, out = storage.read(source), storage.read(index)
    return [Reduce("argmax", 1, graph.size(source), 1, axes, frozenset(), operand, out, graph.origin(index))]


def build_gather(storage: Storage, index: int) -> list[Kernel]:
    """Rows of a table."""
    graph = storage.graph
    table, place = graph.args[index]
    count, width = graph.type(table).dims[0], graph.size(index)
    axes, out = graph.local_axes(index), storage.read(index)
    return [Gather(axes, count, width, storage.read(table), storage.read(place), out, graph.origin(index))]


def build_scatter(storage: Storage, index: int) -> list[Kernel]:
    """Rows added into a table."""
    graph = storage.graph
    place, source = graph.args[index]
    axes = operand_axes(storage, index)
    summed = axes - graph.local_axes(index)
    count, width = graph.whole(index, "size"), graph.size(source)
    operands = storage.read(place), storage.read(source), storage.read(index)
    return [Scatter(axes, summed, count, width, *operands, graph.origin(index))]


def build_pick(storage: Storage, index: int) -> list[Kernel]:
    """A selection that does not lie in one piece."""
    graph = storage.graph
    source = graph.args[index][0]
    indices, dim = graph.wholes(index, "indices"), graph.whole(index, "dim")
    dims = graph.type(source).dims
    inner, outer = product(dims[dim + 1 :]), product(dims[:dim])
    runs = merged((each * inner, place * inner, inner) for place, each in enumerate(indices))
    steps = dims[dim] * inner, len(indices) * inner
    return [move(storage, index, source, runs, outer, steps, False)]


def build_place(storage: Storage, index: int) -> list[Kernel]:
    """The transpose of `pick`: elements at their places, zero elsewhere."""
    graph = storage.graph
    source = graph.args[index][0]
    indices, dim, size = graph.wholes(index, "indices"), graph.whole(index, "dim"), graph.whole(index, "size")
    dims = graph.type(index).dims
    inner, outer = product(dims[dim + 1 :]), product(dims[:dim])
    runs = merged((place * inner, each * inner, inner) for place, each in enumerate(indices))
    steps = len(indices) * inner, size * inner
    return [move(storage, index, source, runs, outer, steps, True)]


Run = tuple[int, int, int]


def merged(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Runs with neighbours joined."""
    found: list[Run] = []
    for start, to, width in runs:
        if found and found[-1][0] + found[-1][2] == start and found[-1][1] + found[-1][2] == to:
            found[-1] = (found[-1][0], found[-1][1], found[-1][2] + width)
        else:
            found.append((start, to, width))
    return tuple(found)


def move(
    storage: Storage,
    index: int,
    source: int,
    runs: tuple[Run, ...],
    count: int,
    steps: tuple[int, int],
    zero: bool,
) -> Move:
    """A move from one value to another."""
    axes, origin = storage.graph.local_axes(index), storage.graph.origin(index)
    operand, out = storage.read(source), storage.read(index)
    return Move(axes, runs, operand, out, count, *steps, zero, origin)


def build_join(storage: Storage, index: int) -> list[Kernel]:
    """`concat` and `stack`: a move for each part that its own loop did not put there."""
    graph = storage.graph
    if graph.op[index] == "stack":
        dims, dim = graph.type(index).dims, 0
        lengths = [1] * len(graph.args[index])
    else:
        dims, dim = graph.type(index).dims, graph.whole(index, "dim")
        lengths = [graph.type(arg).dims[dim] for arg in graph.args[index]]
    inner, outer = product(dims[dim + 1 :]), product(dims[:dim])
    kernels: list[Kernel] = []
    start = 0
    for arg, length, part in zip(graph.args[index], lengths, storage.slices[index], strict=True):
        width = length * inner
        if part is not None:
            steps = width, dims[dim] * inner
            kernels.append(move(storage, index, arg, ((0, start, width),), outer, steps, False))
        start += width
    return kernels


def build_transpose(storage: Storage, index: int) -> list[Kernel]:
    """Dimensions in another order."""
    graph = storage.graph
    source, order = graph.args[index][0], graph.wholes(index, "order")
    dims = graph.type(source).dims
    strides = [product(dims[place + 1 :]) for place in range(len(dims))]
    turned = tuple(strides[place] for place in order)
    operand, out = storage.read(source), storage.read(index)
    axes, origin = graph.local_axes(index), graph.origin(index)
    return [Transpose(axes, graph.type(index).dims, turned, operand, out, origin)]


def build_reverse(storage: Storage, index: int) -> list[Kernel]:
    """Time turned round."""
    graph = storage.graph
    source, *length = graph.args[index]
    operands = storage.read(source), storage.read(index)
    return [Reverse(*operands, storage.read(length[0]) if length else None, graph.origin(index))]


def build_categorical(storage: Storage, index: int) -> list[Kernel]:
    """A draw from a distribution."""
    graph = storage.graph
    z, temperature, draw = (storage.read(arg) for arg in graph.args[index])
    axes, origin = graph.local_axes(index), graph.origin(index)
    return [Categorical(axes, z, temperature, draw, storage.read(index), origin)]


BUILDERS: dict[str, Callable[[Storage, int], list[Kernel]]] = {
    "contract": build_contract,
    "reduce": build_reduce,
    "squares": build_squares,
    "argmax": build_argmax,
    "gather": build_gather,
    "scatter": build_scatter,
    "pick": build_pick,
    "place": build_place,
    "concat": build_join,
    "stack": build_join,
    "transpose": build_transpose,
    "reverse": build_reverse,
    "categorical": build_categorical,
}
