"""Products as kernels: rows times packed matrices.

Each function takes a node of the plan and gives its `Kernel` and how it is called; equal shapes share one function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from seqc.emit.expression import Scope
from seqc.emit.kernel import Kernel, Parameter, Place, Pointer, Scalar, place
from seqc.emit.layout import call, mentions
from seqc.emit.memory import ELEMENTS, element_type
from seqc.emit.pointwise import FAR, Form, Group, collect, filled, index_of, key_of
from seqc.plan.buffers import Operand
from seqc.plan.strategies.product import FEW_ROWS, MANY_ROWS
from seqc.plan.types import Plan, Pointwise, Product

Made = tuple[Kernel, Place]
BACK = Scalar("bool", ("back", 0), "back")
"""Whether a product of a loop takes its weights from the last to the first."""
LOT = Scalar("const Lot &", ("lot", 0), "lot")
"""Which of its units a member multiplies, where all share one row."""


def pointer(plan: Plan, operand: Operand, written: bool = False) -> Pointer:
    """A parameter for an operand, without its gate."""
    buffer = plan.buffers[operand.buffer]
    bare = replace(operand, gate=None)
    return Pointer(element_type(buffer), bare, written, buffer.name)


def product_kernel(
    plan: Plan, node: Product, in_scan: bool, real: str, lanes: int, shared: bool = False
) -> Made:
    """All rows times packed matrices; with several gates the sums are stored side by side, block by block. `shared`: members
    share the units of a row."""
    if node.epilogue is not None:
        return fused_kernel(plan, node, node.epilogue, in_scan, Vectors(real, lanes), shared)
    out = Operand(node.out, plan.buffers[node.out].stride, 0, node.shift)
    operands = [segment.operand for segment in node.segments]
    where = replace(place(plan, node.axes, [*operands, out], in_scan), count=node.rows)
    parameters = segment_parameters(plan, node)
    parameters.append(pointer(plan, out, written=True))
    parameters += order_parameters(node, shared)
    pack = plan.packs[node.segments[0].pack]
    buffer = plan.buffers[node.out]

    def body(names: Sequence[str]) -> list[str]:
        lines = segment_lines(plan, node, where, names)
        count, result = len(node.segments), names[len(segment_parameters(plan, node))]
        stride = buffer.stride if where.varies(plan, out) else 0
        stride = pack.units if node.rows > 1 else stride
        if node.strategy == "plain":
            head = f"  plain_sums<real, {max(1, pack.gates)}, {pack.units}>"
            return [*lines, f"{head}(0, rows, segments, {count}, {result}, {stride});"]
        if node.strategy == "rows":
            sizes = [max(1, pack.gates), pack.units, *(segment.depth for segment in node.segments)]
            head = f"sums_rows<real, {', '.join(str(each) for each in sizes)}>"
            return [*lines, *call(2, head, ["0", "rows", "segments", result, str(stride)])]
        depth = depth_of(node)
        known = f", {depth}" if pack.kind == "real" else ""
        head = f"  product_gates<real, {pack.gates}, {pack.units}{known}>"
        if pack.gates <= 1:
            deep = ", true" if depth >= DEEP else ", false" if known else ""
            head = f"  product_segments<real, {pack.units}{deep}{known}>"
        order = order_arguments(node, names, shared)
        if shared and pack.gates <= 1:
            order = [*order[:1], "false", "nullptr", *order[1:]]
        return [
            *lines,
            *call(2, head.strip(), ["0", "rows", "segments", str(count), result, str(stride), *order]),
        ]

    return Kernel(buffer.name, node.origin, tuple(parameters), body), where


DEEP = 4096
"""Depth from which a product may be worth stretches of k, on whatever machine; the runtime decides (deep.hpp)."""


def depth_of(node: Product) -> int:
    """How many products each of its sums takes."""
    return sum(segment.depth for segment in node.segments)


@dataclass(frozen=True, slots=True)
class Vectors:
    """The C type behind `real`, and how many of it a vector holds."""

    real: str
    lanes: int


def order_parameters(node: Product, shared: bool) -> list[Parameter]:
    """Which panels a product takes, and in which order."""
    return [*([BACK] if node.turns else []), *([LOT] if shared else [])]


def order_arguments(node: Product, names: Sequence[str], shared: bool) -> list[str]:
    """The same as arguments of the runtime; `names` end with those parameters."""
    if shared:
        return [names[-2] if node.turns else "false", names[-1]]
    return [names[-1]] if node.turns else []


ON_TILES = {
    "pairs": "PairSegment",
    "exact": "ExactSegment",
    "split": "PairSegment",
    "either": "EitherSegment",
}
"""Kinds of weights that matrix tiles multiply, and the type of a term."""
OWN_HEADS = frozenset({"plain", "either_rows"})
"""Strategies with a function of the runtime of their own that multiplies and goes on with equations."""
MANY = {"exact": FEW_ROWS + 1, "either": MANY_ROWS}
"""Kinds of which a call with so many rows, or more, is multiplied in another way than one of a few."""
FEW = 3
"""Stores of equations up to which their pointers stay in registers; those of more are looked up, by value once instead of twice."""


def fused_kernel(
    plan: Plan, node: Product, epilogue: Pointwise, in_scan: bool, vectors: Vectors, shared: bool = False
) -> Made:
    """All rows times packed matrices; the equations that follow run on the sums while these are in registers."""
    operands = [segment.operand for segment in node.segments]
    operands += [operand for _, operand, _ in epilogue.loads if operand.buffer != node.out]
    operands += [at for at in map(index_of, operands) if at is not None]
    operands += [operand for _, operand in epilogue.stores]
    counts = any(statement.op == "instant" for statement in epilogue.statements)
    where = place(plan, node.axes, operands, in_scan, stepwise=bool(epilogue.draws) or counts)
    group = Group(plan, epilogue, where, vectors.real, vectors.lanes, node.out)
    parameters = segment_parameters(plan, node)
    written = {key_of(operand) for _, operand in epilogue.stores}
    index: dict[object, int] = {
        key_of(segment.operand): 2 * number
        for number, segment in enumerate(node.segments)
        if key_of(segment.operand) not in written
    }
    collect(group, parameters, index)
    if epilogue.late:
        index[FAR] = len(parameters)
        parameters.append(Scalar("bool", (FAR, epilogue.late_cells), FAR))
    parameters += order_parameters(node, shared)
    pack = plan.packs[node.segments[0].pack]
    alone = plan.entry in ("infer", "step", "generate")  # there a step may be as short as a call
    short = alone and (in_scan or plan.entry == "step")

    def body(names: Sequence[str]) -> list[str]:
        lines = filled(group, Form.VECTOR, names, index)
        inner = [*lines[Scope.ROW], *lines[Scope.ELEMENT]]
        row = "int64_t row" if mentions(inner, "row") else "int64_t"
        unit = "int64_t i" if mentions(inner, "i") else "int64_t"
        wanted = (rows or pack.kind in ON_TILES or short) and len(inner) > 1  # one line is inlined as it is
        inline = "SEQC_INLINED " if wanted else ""
        taken = "=" if pack.kind in ON_TILES or len(epilogue.stores) > FEW else "&"
        sizes = f"{max(1, pack.gates)}, {pack.units}"
        if rows or few:
            sizes = ", ".join([sizes, *(str(segment.depth) for segment in node.segments)])
        if rows:
            together = "each_row" if plan.entry == "step" else "rows"
            last = f"  product_{together}<real, {sizes}>(0, rows, segments, then);"
        else:
            head = f"product_{node.strategy if node.strategy in OWN_HEADS else 'with'}"
            order = "".join(f", {each}" for each in order_arguments(node, names, shared))
            if head == "product_with" and pack.kind == "real":
                sizes += f", {depth_of(node)}"
            last = f"  {head}<real, {sizes}>(0, rows, segments, {len(node.segments)}, then{order});"
        return [
            *(f"  {line}" for line in lines[Scope.KERNEL]),
            *segment_lines(plan, node, where, names),
            f"  const auto then = [{taken}]({row}, {unit}, auto which, const Vec<real> *sums) {inline}{{",
            *(f"    {line}" for line in inner),
            "  };",
            last,
        ]

    rows, few = node.strategy == "rows", node.strategy == "either_rows"
    first = plan.buffers[epilogue.stores[0][1].buffer].name
    return Kernel(first, node.origin, tuple(parameters), body, (rows or few) and in_scan and alone), where


def segment_parameters(plan: Plan, node: Product) -> list[Parameter]:
    """Two parameters for each segment: its rows and its packed matrix."""
    parameters: list[Parameter] = []
    for segment in node.segments:
        parameters.append(pointer(plan, segment.operand))
        element = ELEMENTS.get(plan.packs[segment.pack].kind, "void")
        packed = f"const {element} *"
        parameters.append(Scalar(packed, ("pack", segment.pack), f"packed {segment.pack + 1}"))
    kind = plan.packs[node.segments[0].pack].kind
    if kind in MANY:
        parameters.append(Scalar("bool", ("many", MANY[kind]), "many"))
    return parameters


def segment_lines(plan: Plan, node: Product, where: Place, names: Sequence[str]) -> list[str]:
    """The table of segments."""
    kind = plan.packs[node.segments[0].pack].kind
    lines = [f"  const {segment_type_of(plan, node)} segments[] = {{"]
    for number, segment in enumerate(node.segments):
        source = plan.buffers[segment.operand.buffer]
        stride = source.stride if where.varies(plan, segment.operand) else 0
        stride = segment.depth if node.rows > 1 else stride
        fields = f"{{{names[2 * number]}, {stride}, {names[2 * number + 1]}, {segment.depth}}}"
        many = f", {names[2 * len(node.segments)]}" if kind in MANY else ""
        lines.append(f"      {fields}," if kind in ELEMENTS else f"      {{{fields}{many}}},")
    return [*lines, "  };"]


def segment_type_of(plan: Plan, node: Product) -> str:
    """How the weights of a product lie: all its matrices are of one kind."""
    kind = plan.packs[node.segments[0].pack].kind
    if kind == "int8":
        return f"Int8Segment<{sum(-(-segment.depth // 4) * 4 for segment in node.segments)}>"
    depth = sum(-(-segment.depth // 32) * 32 for segment in node.segments)
    if kind in ("rounded", "dots", "twins"):
        return f"RoundedSegment<{ELEMENTS[kind]}, {depth}>"
    if kind in ON_TILES:
        blocks = f", {max(1, node.blocks)}" if node.blocks > 1 or kind == "split" else ""
        return f"{ON_TILES[kind]}<{depth}{blocks}{', 3' if kind == 'split' else ''}>"
    return {"real": "Segment<real>", "bf16": "Bf16Segment"}[kind]
