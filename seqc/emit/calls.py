"""Nodes that the runtime runs by itself: gathers, sums, moves, contractions. Here stand only their sizes.

Each function gives a `RuntimeCall`: a name and arguments in which `<0>`, `<1>` stand for the operands at the first row,
`<rows>` for how many rows the call has, `<batch>` for the rows of the batch among them, `<part n>` for a stretch of n
columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqc.emit.kernel import Place, axes_of, place
from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Operand
from seqc.plan.ragged import sums_rows
from seqc.plan.tiled import tile_of
from seqc.plan.types import Categorical, Einsum, Gather, Move, Pack, Plan, Reduce, Reverse, Scatter, Transpose


@dataclass(frozen=True, slots=True)
class RuntimeCall:
    """`tables` are local constants (name, C type, rows) that the call reads; `written` counts operands from the end."""

    name: str
    arguments: tuple[str, ...]
    operands: tuple[Operand, ...]
    place: Place
    tables: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


def stride(plan: Plan, where: Place, operand: Operand) -> str:
    """How far apart the rows of an operand lie."""
    return str(plan.buffers[operand.buffer].stride) if where.varies(plan, operand) else "0"


def gather_call(plan: Plan, node: Gather, in_scan: bool) -> RuntimeCall:
    operands = (node.table, node.index, node.out)
    where = place(plan, node.axes, operands, in_scan)
    table, index, out = (stride(plan, where, operand) for operand in operands)
    sizes = ("<0>", table, str(node.count), str(node.width), "<1>", index, "<2>", out)
    return RuntimeCall("gather", ("<rows>", *sizes), operands, where)


@dataclass(frozen=True, slots=True)
class Summing:
    """Rows that stay and instants that are summed for each: how many of these, and how far apart in a buffer."""

    sums: str
    place: Place
    summed: frozenset[Axis]

    def row(self, plan: Plan, operand: Operand) -> str:
        return self._step(plan, operand, self.place.axes - ({Axis.TIME} if self.place.by_step else set()))

    def sum(self, plan: Plan, operand: Operand) -> str:
        return self._step(plan, operand, self.summed)

    def _step(self, plan: Plan, operand: Operand, axes: frozenset[Axis]) -> str:
        """The distance of two neighbours along the last of `axes` that the operand has."""
        buffer = plan.buffers[operand.buffer]
        have = axes & axes_of(plan, operand)
        if not have:
            return "0"
        if self.place.single and Axis.TIME in axes:
            return f"Steps{{alive.start, {buffer.stride}}}"
        over_batch = Axis.BATCH not in have and Axis.BATCH in buffer.axes
        return f"batch * {buffer.stride}" if over_batch else str(buffer.stride)


def summing(
    plan: Plan, axes: frozenset[Axis], summed: frozenset[Axis], operands: Sequence[Operand], in_scan: bool
) -> Summing:
    """In a scan the time axis of `axes` is the step at hand."""
    mixed = any(
        Axis.TIME in axes and Axis.BATCH in axes and axes_of(plan, o) & axes not in (axes, frozenset())
        for o in operands
    )
    if plan.length:
        return sorted_summing(plan, axes, summed, in_scan or mixed)
    where = Place(axes, in_scan or mixed)
    sums = [name for axis, name in ((Axis.TIME, "steps"), (Axis.BATCH, "batch")) if axis in summed]
    return Summing(" * ".join(sums) or "1", where, summed)


def sorted_summing(plan: Plan, axes: frozenset[Axis], summed: frozenset[Axis], by_step: bool) -> Summing:
    """On sorted rows: over all cells that exist, over the rows of each step, or over the steps of each row."""
    single = "1" if sums_rows(plan, axes, summed) else ""
    by_step = by_step or (Axis.TIME in axes and Axis.BATCH in summed)
    where = Place(axes, by_step, sorted=True, single=single)
    names = {
        frozenset({Axis.TIME, Axis.BATCH}): "alive.total()",
        frozenset({Axis.BATCH}): "living" if by_step else "batch",
        frozenset({Axis.TIME}): "alive.lengths[row]" if single else "steps",
    }
    return Summing(names.get(summed, "1"), where, summed)


def reduce_call(plan: Plan, node: Reduce, in_scan: bool) -> RuntimeCall:
    operands = (node.operand, node.out)
    span = summing(plan, node.axes - node.summed, node.summed, operands, in_scan)
    row, each, out = span.row(plan, node.operand), span.sum(plan, node.operand), span.row(plan, node.out)
    real = plan.buffers[node.operand.buffer].kind is Kind.REAL
    if node.how == "squares":
        return RuntimeCall("sum_squares", (str(node.middle), "<0>", "<1>"), operands, span.place)
    if node.how == "argmax":
        sizes = (str(node.outer), str(node.middle), str(node.inner))
        return RuntimeCall("find_largest", ("<rows>", "<0>", row, *sizes, "<1>", out), operands, span.place)
    if node.how == "sum" and real and node.middle == 1 and node.summed:
        width = str(node.outer * node.inner)
        return RuntimeCall(
            "sum_rows", ("<rows>", span.sums, "<0>", row, each, width, "<1>", out), operands, span.place
        )
    if node.how == "sum" and real and node.outer * node.inner == 1:
        width = str(node.middle)
        return RuntimeCall(
            "sum_all", ("<rows>", span.sums, "<0>", row, each, width, "<1>", out), operands, span.place
        )
    how = {"sum": "Sum", "max": "Largest", "min": "Smallest"}[node.how]
    sizes = (str(node.outer), str(node.middle), str(node.inner))
    arguments = ("<rows>", span.sums, "<0>", row, each, *sizes, "<1>", out)
    return RuntimeCall(f"reduce<{how}>", arguments, operands, span.place)


def scatter_call(plan: Plan, node: Scatter, in_scan: bool) -> RuntimeCall:
    operands = (node.index, node.operand, node.out)
    span = summing(plan, node.axes - node.summed, node.summed, operands, in_scan)
    index = (span.row(plan, node.index), span.sum(plan, node.index))
    value = (span.row(plan, node.operand), span.sum(plan, node.operand))
    sizes = (str(node.count), str(node.width))
    parts = ("<0>", *index, "<1>", *value, *sizes, f"<part {node.width}>", "<2>", span.row(plan, node.out))
    arguments = ("<rows>", span.sums, *parts)
    return RuntimeCall("scatter", arguments, operands, span.place)


def move_call(plan: Plan, node: Move, in_scan: bool) -> RuntimeCall:
    operands = (node.operand, node.out)
    where = place(plan, node.axes, operands, in_scan)
    every = range(node.count)
    steps = [
        (source + k * node.source_step, target + k * node.target_step, width)
        for source, target, width in node.runs
        for k in every
    ]
    runs = compressed(steps)
    rows = tuple("{" + ", ".join(map(str, run)) + "}" for run in runs)
    clear = node.out.size if node.zero else 0
    sizes = ("<0>", stride(plan, where, node.operand), "<1>", stride(plan, where, node.out), str(clear))
    table = ("runs", "Run", rows)
    return RuntimeCall("move", ("<rows>", *sizes, "runs", str(len(runs))), operands, where, (table,))


def compressed(runs: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int, int, int, int]]:
    """Runs of equal width at equal distances become one (source, target, width, count, source step, target step)."""
    out: list[tuple[int, int, int, int, int, int]] = []
    for source, target, width in runs:
        if out:
            first, begin, wide, count, step, jump = out[-1]
            if wide == width and (
                count == 1 or (source, target) == (first + count * step, begin + count * jump)
            ):
                if count == 1:
                    step, jump = source - first, target - begin
                out[-1] = (first, begin, wide, count + 1, step, jump)
                continue
        out.append((source, target, width, 1, 0, 0))
    return out


def transpose_call(plan: Plan, node: Transpose, in_scan: bool) -> RuntimeCall:
    operands = (node.operand, node.out)
    where = place(plan, node.axes, operands, in_scan)
    source, target = stride(plan, where, node.operand), stride(plan, where, node.out)
    distance = 1
    inner: list[str] = []
    for extent, step in zip(reversed(node.extents), reversed(node.strides), strict=True):
        inner.insert(0, f"{{{extent}, {step}, {distance}}}")
        distance *= extent
    table = ("turns", "Turn", (f"{{<rows>, {source}, {target}}}", *inner))
    return RuntimeCall("permute", ("turns", str(1 + len(inner)), "<0>", "<1>"), operands, where, (table,))


def reverse_call(plan: Plan, node: Reverse) -> RuntimeCall:
    lengths = () if node.length is None else (node.length,)
    operands = (node.operand, node.out, *lengths)
    length = "<2>" if lengths else "static_cast<const int32_t *>(nullptr)"
    width = str(node.operand.size)
    source, target = (str(plan.buffers[operand.buffer].stride) for operand in (node.operand, node.out))
    whole = Place(frozenset({Axis.TIME, Axis.BATCH}), False)
    if plan.length:
        return RuntimeCall("turn_alive", ("alive", width, "<0>", source, "<1>", target), operands[:2], whole)
    batch = "batch" if Axis.BATCH in plan.buffers[node.operand.buffer].axes else "1"
    return RuntimeCall("turn", ("steps", batch, width, "<0>", source, "<1>", target, length), operands, whole)


def categorical_call(plan: Plan, node: Categorical, in_scan: bool) -> RuntimeCall:
    operands = (node.logits, node.temperature, node.draw, node.out)
    where = place(plan, node.axes, operands, in_scan)
    logits, temperature, draw, out = (stride(plan, where, operand) for operand in operands)
    count = str(node.logits.size)
    arguments = ("<rows>", "<0>", logits, count, "<1>", temperature, "<2>", draw, "<3>", out)
    return RuntimeCall("pick_index", arguments, operands, where)


def einsum_call(plan: Plan, node: Einsum, in_scan: bool) -> RuntimeCall:
    """Loops over the letters of the result and the axes that stay, inside them those that are summed. Where the innermost may be
    tiles in registers, `left` is the operand that its neighbours in the result share."""
    operands = (node.left, node.right, node.out)
    sources, result = node.spec.split("->")
    left, right = sources.split(",")
    tiled = tile_of(plan, node)
    if tiled is not None and tiled.swapped:
        operands, left, right = (node.right, node.left, node.out), right, left
    kept = set(tiled.letters) if tiled is not None else set()
    extents = dict(node.extents)
    steps = [_letter_steps(letters, extents) for letters in (left, right, result)]
    where, outer = _row_loops(plan, node, operands, in_scan)
    outer += [_letter_loop(letter, extents, steps) for letter in result if letter not in kept]
    inner = _axis_loops(plan, node.summed, operands, False)
    inner += [
        _letter_loop(letter, extents, steps)
        for letter in dict.fromkeys(left + right)
        if letter not in result and letter not in kept
    ]
    tables = [("outer", "Loop", tuple(outer)), ("inner", "Loop", tuple(inner))]
    if tiled is None:
        tables = [(name, kind, rows or ("{1, 0, 0, 0}",)) for name, kind, rows in tables]
    loops = [each for name, _, rows in tables for each in (name if rows else "nullptr", str(len(rows)))]
    arguments = [*loops, "<0>", "<1>", "<2>"]
    if tiled is not None:
        arguments.append(f"Innermost<{', '.join(map(str, tiled.sizes(extents, *steps)))}>{{}}")
    used = tuple(each for each in tables if each[2])
    return RuntimeCall("contract", tuple(arguments), operands, where, used)


def _row_loops(
    plan: Plan, node: Einsum, operands: Sequence[Operand], in_scan: bool
) -> tuple[Place, list[str]]:
    """Where a contraction runs, and its loops over the instants of its result: one, where they are rows side by side in all operands."""
    where = place(plan, node.axes, operands, in_scan)
    if node.axes and not node.summed and (in_scan or not where.by_step):
        return where, [f"{{<rows>, {', '.join(stride(plan, where, each) for each in operands)}}}"]
    in_scan = in_scan or (bool(plan.length) and Axis.TIME in node.axes)
    loops = _axis_loops(plan, node.axes, operands, in_scan)
    by_axes = Place(node.axes, in_scan, sorted=bool(plan.length))
    return by_axes, [each.replace("{batch,", "{<batch>,") for each in loops]


def _letter_steps(letters: str, extents: dict[str, int]) -> dict[str, int]:
    steps: dict[str, int] = {}
    distance = 1
    for letter in reversed(letters):
        steps[letter] = steps.get(letter, 0) + distance
        distance *= extents[letter]
    return steps


def _letter_loop(letter: str, extents: dict[str, int], steps: Sequence[dict[str, int]]) -> str:
    distances = ", ".join(str(each.get(letter, 0)) for each in steps)
    return f"{{{extents[letter]}, {distances}}}"


def _axis_loops(plan: Plan, axes: frozenset[Axis], operands: Sequence[Operand], in_scan: bool) -> list[str]:
    loops = []
    if plan.length and axes == {Axis.TIME, Axis.BATCH} and not in_scan:
        strides = [str(plan.buffers[operand.buffer].stride) for operand in operands[:2]]
        return [f"{{alive.total(), {', '.join(strides)}, 0}}"]
    for axis, count in ((Axis.TIME, "steps"), (Axis.BATCH, "batch")):
        if axis not in axes or (in_scan and axis is Axis.TIME):
            continue
        distances = []
        for operand in operands:
            buffer = plan.buffers[operand.buffer]
            if axis not in axes_of(plan, operand):
                distances.append("0")
            elif axis is Axis.TIME and Axis.BATCH in buffer.axes:
                distances.append(f"batch * {buffer.stride}")
            else:
                distances.append(str(buffer.stride))
        loops.append(f"{{{count}, {', '.join(distances)}}}")
    return loops


def pack_call(plan: Plan, node: Pack, packed: str) -> RuntimeCall:
    """Computed weights into panels, before the products that read them."""
    pack = plan.packs[node.pack]
    where = Place(frozenset(), False)
    if pack.form == "columns":
        table = (
            "sources",
            "Rows<real>",
            tuple(f"{{<{k}>, {pack.units}, {pack.depth}}}" for k in range(len(node.operands))),
        )
        return RuntimeCall(
            "pack_columns<real>",
            (packed, str(pack.units), "sources", str(len(node.operands))),
            node.operands,
            where,
            (table,),
        )
    gates = ("gates", "real *const", tuple(f"<{k}>" for k in range(len(node.operands))))
    sizes = (packed, str(pack.depth), str(pack.units), "gates", str(len(node.operands)), str(pack.depth))
    return RuntimeCall("pack_gates<real>", sizes, node.operands, where, (gates,))
