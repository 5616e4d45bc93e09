"""Gradients of weight matrices as kernels: sums over rows of outer products, one matrix at a time or many that share a side.

Takes nodes of a Plan; gives kernels and where they run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seqc.emit.kernel import Kernel, Parameter, Scalar, gate_of, place
from seqc.emit.layout import call
from seqc.emit.products import Made, pointer
from seqc.plan.types import Outer, Outers, Plan


def gradient_kernel(plan: Plan, node: Outer | Outers, in_scan: bool, adds: bool = False) -> Made:
    """What sums outer products; with `adds` there are calls that go on with what earlier ones left."""
    if isinstance(node, Outers):
        return outers_kernel(plan, node, in_scan, adds)
    return outer_kernel(plan, node, in_scan, adds)


def outers_kernel(plan: Plan, node: Outers, in_scan: bool, adds: bool) -> Made:
    """The gradients of all that one left side was multiplied by, slice by slice of it, and its own sums."""
    operands = [node.left, *(right.operand for right in node.rights)]
    where = place(plan, node.axes, operands, in_scan)
    outs = [*(out for right in node.rights for out in right.outs), *node.sums]
    parameters: list[Parameter] = [pointer(plan, each) for each in operands]
    parameters += [pointer(plan, each, written=True) for each in outs]
    parameters.append(Scalar("Range", ("part", node.left.size), "part"))
    steps = adds or (where.by_step and not in_scan)
    if steps:
        parameters.append(Scalar("bool", ("later", 0), "later"))

    def body(names: Sequence[str]) -> list[str]:
        units, first = node.left.size // node.slices, len(operands)
        lines = [f"  const Beside<real, {node.slices}> rights[] = {{"]
        for number, operand in enumerate(operands[1:], 1):
            head = [names[number], str(plan.buffers[operand.buffer].stride)]
            lines += call(6, "beside", [*head, *names[first : first + node.slices]], "),")
            first += node.slices
        if node.sums:
            lines += call(6, "ones", names[first : first + node.slices], "),")
            first += node.slices
        lines.append("  };")
        sizes = [node.slices, units, *(each.size for each in operands[1:]), *([0] if node.sums else [])]
        arguments = [names[first], "rows", names[0], str(plan.buffers[node.left.buffer].stride), "rights"]
        arguments.append(names[first + 1] if steps else "false")
        function = "outers<real, " if node.math == "real" else f"outers_tiles<{PARTS[node.math]}, "
        return [*lines, *call(2, f"{function}{', '.join(str(each) for each in sizes)}>", arguments)]

    return Kernel(plan.buffers[outs[0].buffer].name, node.origin, tuple(parameters), body), where


def outer_kernel(plan: Plan, node: Outer, in_scan: bool, adds: bool = False) -> Made:
    """The gradient of a matrix: out[M, N] = sum over rows of left times right; with `adds` there are calls that go on."""
    left, right = plan.buffers[node.left.buffer], plan.buffers[node.right.buffer]
    where = replace(place(plan, node.axes, [node.left, node.right], in_scan), count=node.rows)
    parameters = [pointer(plan, node.left), pointer(plan, node.right), pointer(plan, node.out, written=True)]
    steps = adds or (where.by_step and not in_scan)
    m, n = node.left.size // node.rows, node.right.size // node.rows
    more_parameters: list[Parameter] = [*parameters, Scalar("Range", ("part", m), "part")]
    if steps:
        more_parameters.append(Scalar("bool", ("later", 0), "later"))

    def body(names: Sequence[str]) -> list[str]:
        lda = left.stride if where.varies(plan, node.left) else 0
        ldb = right.stride if where.varies(plan, node.right) else 0
        if node.rows > 1:
            lda, ldb = m, n
        part, more = names[3], names[4] if steps else "false"
        function = function_of(node, n)
        if gate_of(plan, node.left) is None and gate_of(plan, node.right) is None:
            arguments = [f"{part}.first", f"{part}.end()", "rows", names[0], str(lda)]
            arguments += [names[1], str(ldb), names[2], str(n), more]
            return call(2, function, arguments)
        return _interleaved_outer(plan, node, names, lda, ldb, more)

    return Kernel(plan.buffers[node.out.buffer].name, node.origin, tuple(more_parameters), body), where


PARTS = {"tiles": 1, "split": 3}
"""Numbers of bfloat16 for each one that matrix tiles multiply."""


TAKEN = {"real": "", "bf16": ", Rounded", "dots": ", Paired"}
"""What enters sums on vectors."""


def function_of(node: Outer, columns: int) -> str:
    """What sums the outer products, for so many columns."""
    if node.math in PARTS:
        return f"outer_tiles<{PARTS[node.math]}, {columns}>"
    return f"outer<real, {columns}{TAKEN[node.math]}>"


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
    part = names[3]
    own = [f"{part}.first", f"{part}.end()", "rows"]
    if on_left:
        head = f"int64_t block = {part}.first / {block}; block * {block} < {part}.end(); ++block"
        lines = [f"  for ({head}) {{"]
        lines.append(f"    const int64_t width = min(int64_t{{{block}}}, {part}.end() - block * {block});")
        arguments = ["0", "width", "rows", f"{names[0]} + {first}", str(lda), names[1], str(ldb)]
        arguments += [f"{names[2]} + block * {block * n}", str(n), more]
        lines += call(4, function_of(node, n), arguments)
        return [*lines, "  }"]
    whole, rest = size // block, size % block
    if whole:
        lines = [f"  for (int64_t block = 0; block < {whole}; ++block) {{"]
        arguments = [*own, names[0], str(lda), f"{names[1]} + {first}", str(ldb)]
        arguments += [f"{names[2]} + block * {block}", str(n), more]
        lines += [*call(4, function_of(node, block), arguments), "  }"]
    else:
        lines = []
    if rest:
        start = (whole * buffer.gates + gate) * block
        arguments = [*own, names[0], str(lda), f"{names[1]} + {start}", str(ldb)]
        arguments += [f"{names[2]} + {whole * block}", str(n), more]
        lines += call(2, function_of(node, rest), arguments)
    return lines
