"""Products as kernels: rows times packed matrices, and the outer products of weight gradients.

Each function takes a node of the plan and gives its `Kernel` and how it is called; equal shapes share one function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqc.emit.kernel import Kernel, Parameter, Place, Pointer, Scalar, gate_of, place
from seqc.emit.layout import call
from seqc.emit.memory import element_type
from seqc.plan.types import Operand, Outer, Plan, Product

Made = tuple[Kernel, Place]


def pointer(plan: Plan, operand: Operand, written: bool = False) -> Pointer:
    """A parameter for an operand, without its gate."""
    buffer = plan.buffers[operand.buffer]
    bare = replace(operand, gate=None)
    return Pointer(element_type(buffer), bare, written, buffer.name)


def product_kernel(plan: Plan, node: Product, in_scan: bool) -> Made:
    """All rows times packed matrices; with several gates the sums are stored side by side, block by block."""
    out = Operand(node.out, plan.buffers[node.out].stride, 0, node.shift)
    operands = [segment.operand for segment in node.segments]
    where = place(plan, node.axes, [*operands, out], in_scan)
    parameters: list[Parameter] = []
    for segment in node.segments:
        parameters.append(pointer(plan, segment.operand))
        packed = "const real *" if plan.packs[segment.pack].kind == "real" else "const void *"
        parameters.append(Scalar(packed, ("pack", segment.pack), f"packed {segment.pack + 1}"))
    parameters.append(pointer(plan, out, written=True))
    pack = plan.packs[node.segments[0].pack]
    segment_type = segment_type_of(plan, node)
    buffer = plan.buffers[node.out]

    def body(names: Sequence[str]) -> list[str]:
        lines = [f"  const {segment_type} segments[] = {{"]
        for number, segment in enumerate(node.segments):
            source = plan.buffers[segment.operand.buffer]
            stride = source.stride if where.varies(plan, segment.operand) else 0
            fields = f"{{{names[2 * number]}, {stride}, {names[2 * number + 1]}, {segment.depth}}}"
            lines.append(f"      {fields}," if pack.kind == "real" else f"      {{{fields}}},")
        lines.append("  };")
        count, result = len(node.segments), names[-1]
        stride = buffer.stride if where.varies(plan, out) else 0
        if pack.gates <= 1:
            return [
                *lines,
                f"  product_segments<real, {pack.units}>(0, rows, segments, {count}, {result}, {stride});",
            ]
        head = f"  product_gates<real, {pack.gates}, {pack.units}>"
        return [*lines, f"{head}(0, rows, segments, {count}, {result}, {stride});"]

    return Kernel(buffer.name, node.origin, tuple(parameters), body), where


def segment_type_of(plan: Plan, node: Product) -> str:
    """How the weights of a product lie: all its matrices are of one kind."""
    kind = plan.packs[node.segments[0].pack].kind
    if kind == "int8":
        return f"Int8Segment<{sum(-(-segment.depth // 4) * 4 for segment in node.segments)}>"
    return {"real": "Segment<real>", "bf16": "Bf16Segment"}[kind]


def outer_kernel(plan: Plan, node: Outer, in_scan: bool) -> Made:
    """The gradient of a matrix: out[M, N] = sum over rows of left times right."""
    left, right = plan.buffers[node.left.buffer], plan.buffers[node.right.buffer]
    where = place(plan, node.axes, [node.left, node.right], in_scan)
    parameters = [pointer(plan, node.left), pointer(plan, node.right), pointer(plan, node.out, written=True)]
    steps = where.by_step and not in_scan
    if steps:
        parameters_with_step: list[Parameter] = [*parameters, Scalar("bool", ("later", 0), "later")]
    else:
        parameters_with_step = [*parameters]

    def body(names: Sequence[str]) -> list[str]:
        m, n = node.left.size, node.right.size
        lda = left.stride if where.varies(plan, node.left) else 0
        ldb = right.stride if where.varies(plan, node.right) else 0
        more = names[3] if steps else "false"
        if gate_of(plan, node.left) is None and gate_of(plan, node.right) is None:
            arguments = ["0", str(m), "rows", names[0], str(lda), names[1], str(ldb), names[2], str(n), more]
            return call(2, f"outer<real, {n}>", arguments)
        return _interleaved_outer(plan, node, names, lda, ldb, more)

    return Kernel(plan.buffers[node.out.buffer].name, node.origin, tuple(parameters_with_step), body), where


def _interleaved_outer(
    plan: Plan, node: Outer, names: Sequence[str], lda: int, ldb: int, more: str
) -> list[str]:
    """Block by block of the interleaved side; the other side must be dense."""
    m, n = node.left.size, node.right.size
    on_left = gate_of(plan, node.left) is not None
    side = node.left if on_left else node.right
    buffer = plan.buffers[side.buffer]
    block, gate = buffer.block, side.gate or 0
    size = m if on_left else n
    first = f"(block * {buffer.gates} + {gate}) * {block}"
    lines = [f"  for (int64_t block = 0; block < {-(-size // block)}; ++block) {{"]
    if on_left:
        lines.append(f"    const int64_t width = min(int64_t{{{block}}}, {size} - block * {block});")
        arguments = ["0", "width", "rows", f"{names[0]} + {first}", str(lda), names[1], str(ldb)]
        arguments += [f"{names[2]} + block * {block * n}", str(n), more]
        lines += call(4, f"outer<real, {n}>", arguments)
        return [*lines, "  }"]
    whole, rest = size // block, size % block
    if whole:
        lines = [f"  for (int64_t block = 0; block < {whole}; ++block) {{"]
        arguments = ["0", str(m), "rows", names[0], str(lda), f"{names[1]} + {first}", str(ldb)]
        arguments += [f"{names[2]} + block * {block}", str(n), more]
        lines += [*call(4, f"outer<real, {block}>", arguments), "  }"]
    else:
        lines = []
    if rest:
        start = (whole * buffer.gates + gate) * block
        arguments = ["0", str(m), "rows", names[0], str(lda), f"{names[1]} + {start}", str(ldb)]
        arguments += [f"{names[2]} + {whole * block}", str(n), more]
        lines += call(2, f"outer<real, {rest}>", arguments)
    return lines
