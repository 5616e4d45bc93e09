"""The text form of a Plan, for `seqc show plan` and golden files, and its counts.

Takes a Plan; gives one line for each kernel, as

    scan forward  lstm.h, lstm.c
      product  lstm.f[4]{batch} = W f, W i, W g, W o · prev lstm.h            # charlm.seq:15
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seqc.flow.types import Axis, Way
from seqc.plan.buffers import Operand, Statement
from seqc.plan.chain import Chain, Sweep
from seqc.plan.place import accesses, flat
from seqc.plan.target import Arena
from seqc.plan.types import (
    Categorical,
    Einsum,
    Gather,
    Guard,
    Move,
    Node,
    Outer,
    Outers,
    Pack,
    Plan,
    Pointwise,
    Product,
    Reduce,
    Reverse,
    Scan,
    Scatter,
    Transpose,
)


def counts(plan: Plan) -> Mapping[str, int]:
    """How many nodes of each kind a plan has; `kept`: buffers that a forward scan leaves for a backward one."""
    found: dict[str, int] = {}
    for _, node in flat(plan.nodes):
        name = type(node).__name__.lower()
        found[name] = found.get(name, 0) + 1
    found["scan"] = sum(isinstance(node, Scan) for node in plan.nodes)
    found["kept"] = kept(plan)
    return dict(sorted(found.items()))


def kept(plan: Plan) -> int:
    """Buffers written in a forward scan or before it that a backward scan reads."""
    ways = [node.way for node in plan.nodes if isinstance(node, Scan)]
    written, read = set(), set()
    for access in accesses(plan):
        if access.scan < 0:
            continue
        if access.written and ways[access.scan] is Way.FORWARD:
            written.add(access.operand.buffer)
        elif not access.written and ways[access.scan] is Way.BACKWARD:
            read.add(access.operand.buffer)
    return len(written & read)


def print_plan(plan: Plan) -> str:
    """The whole plan."""
    sorted_by = f", rows sorted by {plan.length}" if plan.length else ""
    lines = [f"plan {plan.entry}{sorted_by}"]
    for node in plan.nodes:
        if isinstance(node, Scan):
            if node.stretch:
                lines.append(f"stretches of {node.stretch} cells")
                lines += [f"  {line(plan, kernel)}" for kernel in node.before]
            lines.append(f"scan {node.way.value} {node.strategy}".rstrip() + comment(node.origin))
            lines += [f"  {line(plan, kernel)}" for kernel in node.kernels]
            if node.after:
                lines.append("after each stretch")
                lines += [f"  {line(plan, kernel)}" for kernel in node.after]
        else:
            lines.append(line(plan, node))
    lines.append("buffers")
    lines += [f"  {buffer_line(plan, number)}" for number in range(len(plan.buffers))]
    lines.append("packed")
    for number, pack in enumerate(plan.packs):
        names = ", ".join(f"{name}+{at}" if at else name for name, at in pack.sources or ())
        kind = "" if pack.kind == "real" else f" {pack.kind}"
        lines.append(
            f"  m{number} = {pack.form} [{pack.gates} x {pack.units}, {pack.depth}]{kind} {names or 'computed'}"
        )
    if plan.uniforms:
        lines.append("scalars")
    for number, uniform in enumerate(plan.uniforms):
        args = " ".join(f"u{arg}" for arg in uniform.args)
        value = "" if uniform.value is None else f" {uniform.value}"
        lines.append(f"  u{number} = {uniform.op}{value} {args}".rstrip() + f" : {uniform.kind.value}")
    lines.append(f"workspace {polynomial(plan.arena)}")
    return "\n".join(lines) + "\n"


def comment(text: str) -> str:
    """The origin behind a line."""
    return f"    # {text}" if text else ""


def polynomial(arena: Arena) -> str:
    """`128 + 64 B + 256 T B`."""
    terms = ((arena.fixed, ""), (arena.per_row, " B"), (arena.per_step, " T"), (arena.per_cell, " T B"))
    return " + ".join(f"{number}{name}" for number, name in terms if number) or "0"


def axes_text(axes: frozenset[Axis]) -> str:
    """`{time,batch}`."""
    return "{" + ",".join(axis.value for axis in Axis if axis in axes) + "}"


def buffer_line(plan: Plan, number: int) -> str:
    """One buffer and its place."""
    buffer = plan.buffers[number]
    shape = f"[{buffer.gates} x {buffer.units} by {buffer.block}]" if buffer.gates else f"[{buffer.size}]"
    role = "" if buffer.home.role == "workspace" else f" {buffer.home.role} {buffer.home.name}".rstrip()
    slots = f" +{buffer.slots}" if buffer.slots else ""
    ring = f" ring {buffer.ring}" if buffer.ring else " local" if buffer.local else ""
    at = f" at {polynomial(plan.offsets[number])}" if number in plan.offsets else ""
    kind, apart = "half" if buffer.half else buffer.kind.value, f" {buffer.pad} apart" if buffer.pad else ""
    text = f"b{number} : {kind}{shape} {axes_text(buffer.axes)}{slots}{ring}{role}{apart}{at}"
    return f"{text}    # {buffer.name}"


def operand_text(plan: Plan, operand: Operand) -> str:
    """`b3[4:8]@t+1`."""
    buffer = plan.buffers[operand.buffer]
    text = f"b{operand.buffer}"
    if operand.gate is not None:
        text += f".{operand.gate}"
    elif operand.size != buffer.size:
        text += f"[{operand.offset}:{operand.offset + operand.size}]"
    if operand.lookup:
        text += f"(b{operand.lookup.index})"
    if operand.spread:
        each, block = operand.spread.each, operand.spread.block
        text += (f" each {each}" if each > 1 else " round") + (f" in {block}" if block else "")
    if operand.at:
        return f"{text}@{operand.at}"
    return f"{text}@t+{operand.shift}" if operand.shift else text


def line(plan: Plan, node: Node) -> str:
    """One kernel."""
    return body(plan, node) + comment(getattr(node, "origin", ""))


def body(plan: Plan, node: Node) -> str:
    """What a kernel does."""

    def show(*operands: Operand) -> str:
        return " ".join(operand_text(plan, operand) for operand in operands)

    match node:
        case Pointwise():
            rows = f" by {node.rows} rows" if node.rows > 1 else ""
            return f"pointwise[{node.size}]{rows} {axes_text(node.axes)} {pointwise_text(plan, node)}"
        case Chain():
            return f"chain {axes_text(node.axes)} {chain_text(plan, node)}"
        case Product():
            out = f"b{node.out}" + (f"@t+{node.shift}" if node.shift else "")
            terms = " + ".join(f"m{each.pack} {show(each.operand)}" for each in node.segments)
            rows = f" {node.rows} rows" if node.rows > 1 else ""
            text = f"product {node.strategy}{rows} {axes_text(node.axes)} {out} = {terms}"
            return text if node.epilogue is None else f"{text}, then {body(plan, node.epilogue)}"
        case Outer():
            rows = f" {node.rows} rows" if node.rows > 1 else ""
            math = "" if node.math == "real" else f" {node.math}"
            return (
                f"outer{math}{rows} {axes_text(node.axes)} {show(node.out)} = {show(node.left, node.right)}"
            )
        case Outers():
            rights = ", ".join(f"{show(*each.outs)} by {show(each.operand)}" for each in node.rights)
            sums = f", {show(*node.sums)} by 1" if node.sums else ""
            return f"outers[{node.slices}] {axes_text(node.axes)} of {show(node.left)}: {rights}{sums}"
        case Einsum():
            spec = f"{node.spec} {axes_text(node.axes)} sum {axes_text(node.summed)}"
            return f"einsum {spec} {show(node.out)} = {show(node.left, node.right)}"
        case Reduce():
            shape = f"[{node.outer}, {node.middle}, {node.inner}]"
            axes = f"{axes_text(node.axes)} sum {axes_text(node.summed)}"
            return f"reduce {node.how} {shape} {axes} {show(node.out)} = {show(node.operand)}"
        case Gather():
            shape = f"[{node.count}, {node.width}] {axes_text(node.axes)}"
            return f"gather {shape} {show(node.out)} = {show(node.table, node.index)}"
        case Scatter():
            shape = f"[{node.count}, {node.width}] {axes_text(node.axes)} sum {axes_text(node.summed)}"
            return f"scatter {shape} {show(node.out)} = {show(node.index, node.operand)}"
        case Move():
            runs = " ".join(f"{a}>{b}:{n}" for a, b, n in node.runs[:8])
            more = f" … {len(node.runs)}" if len(node.runs) > 8 else ""
            zero = " zero" if node.zero else ""
            head = f"move {axes_text(node.axes)}{zero} {show(node.out)} = {show(node.operand)}"
            return f"{head} {runs}{more} x {node.count}"
        case Transpose():
            return (
                f"transpose {list(node.extents)} {list(node.strides)} {show(node.out)} = {show(node.operand)}"
            )
        case Reverse():
            length = f" length {show(node.length)}" if node.length else ""
            return f"reverse {show(node.out)} = {show(node.operand)}{length}"
        case Categorical():
            operands = show(node.logits, node.temperature, node.draw)
            return f"categorical {axes_text(node.axes)} {show(node.out)} = {operands}"
        case Pack():
            return f"pack m{node.pack} = {show(*node.operands)}"
        case Guard():
            return f"guard {show(node.condition)}"
        case Scan():
            return "scan"


def pointwise_text(plan: Plan, node: Pointwise) -> str:
    """Stores, then how their values come about."""
    names = {number: operand_text(plan, operand) for number, operand, _ in node.loads}
    names |= {number: f"draw({site})" for number, site in node.draws}
    parts = statement_texts(node.statements, names)
    stores = ", ".join(f"{operand_text(plan, operand)} = {names[number]}" for number, operand in node.stores)
    late = f"{' '.join(f'b{each}' for each in node.late)} late from {node.late_cells} cells"
    return "; ".join([*parts, stores, *([late] if node.late else [])])


def chain_text(plan: Plan, node: Chain) -> str:
    """The sweeps, one behind another."""
    names: dict[int, str] = {}
    return " | ".join(sweep_text(plan, each, names) for each in node.sweeps)


def sweep_text(plan: Plan, sweep: Sweep, names: dict[int, str]) -> str:
    """Size, statements, folds and stores of a sweep; `names` of ids go on from sweep to sweep."""
    names |= {number: operand_text(plan, operand) for number, operand, _ in sweep.loads}
    parts = []
    for pick in sweep.picks:
        names[pick.id] = f"v{pick.id}"
        parts.append(f"v{pick.id}=pick {operand_text(plan, pick.table)} {names[pick.index]}")
    for spot in sweep.spots:
        names[spot.id] = f"spot({names[spot.index]}, {names[spot.value]})"
    parts += statement_texts(sweep.statements, names)
    for fold in sweep.folds:
        names[fold.id] = f"v{fold.id}"
        parts.append(f"v{fold.id}={fold.how} {names[fold.value]}")
    parts += [f"{operand_text(plan, operand)} = {names[number]}" for number, operand in sweep.stores]
    return f"[{sweep.size}] " + "; ".join(parts)


def statement_texts(statements: Sequence[Statement], names: dict[int, str]) -> list[str]:
    """How values come about; their names are added to `names`."""
    parts = []
    for statement in statements:
        if statement.op == "const":
            names[statement.id] = str(statement.value)
        elif statement.op == "uniform":
            names[statement.id] = f"u{statement.value}"
        else:
            args = " ".join(names[arg] for arg in statement.args)
            names[statement.id] = f"v{statement.id}"
            parts.append(f"v{statement.id}={statement.op} {args}".rstrip())
    return parts
