"""One entry point as text: its memory, its uniforms, and its kernels in running order.

Takes a Plan; gives the lines of `int <entry>_nodes(const Frame &frame, const Share &share)`. Kernels that other entry points print
already are only called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from seqc.emit import calls, cpp
from seqc.emit.alive import SORTED_LOCALS, cleared, each_row, named_in_loop, named_ranges, sorted_pointer
from seqc.emit.calls import RuntimeCall
from seqc.emit.chain import chain_kernel
from seqc.emit.expression import Scope, Term, print_statements
from seqc.emit.kernel import ROWS, Kernel, Place, Pointer, Scalar, Shelf, axes_of, pointer_text, short
from seqc.emit.layout import call, mentions
from seqc.emit.memory import ELEMENTS, Numbers, address, written_buffers
from seqc.emit.model import Model, only_sizes, pack_key
from seqc.emit.names import TEXT, Namer
from seqc.emit.outers import gradient_kernel
from seqc.emit.packing import print_rule
from seqc.emit.pointwise import pointwise_kernel
from seqc.emit.products import product_kernel
from seqc.emit.scan import print_scan
from seqc.emit.team import Team
from seqc.flow.types import Axis, Kind
from seqc.plan import types as plan_types
from seqc.plan.buffers import Operand, Statement
from seqc.plan.chain import Chain
from seqc.plan.share import Split, by_units, shares
from seqc.plan.types import Plan

LOCALS = frozenset(
    {"frame", "t", "steps", "batch", "key", "runs", "outer", "inner", "turns", "sources", "gates", "kernels"}
    | {"share", "rows", "cells", "lot", "part", "alone", "stretch", "from", "to", "run", "count", "later"}
    | {"first", *ROWS.values(), *(f"u{n}" for n in range(1, 100))}
    | SORTED_LOCALS
    | TEXT
)
SHORT = 64
"""Elements that a kernel works on sooner than it is called."""
SHARED = ("infer", "evaluate", "gradients", "apply", "update")


@dataclass(slots=True)
class EntryPrinter:
    """Walks the nodes of one plan. `shelf` holds the kernels of the whole file."""

    model: Model
    plan: Plan
    shelf: Shelf
    numbers: Numbers
    lines: list[str] = field(default_factory=list)
    _pointers: dict[tuple[int, bool], str] = field(default_factory=dict)
    _declarations: list[str] = field(default_factory=list)
    _packs: dict[int, str] = field(default_factory=dict)
    _namer: Namer = field(default_factory=lambda: Namer(LOCALS))
    _uniforms: dict[int, Term] = field(default_factory=dict)
    team: Team = field(default_factory=lambda: Team(None))
    _written: frozenset[int] = frozenset()

    def run(self) -> list[str]:
        """The whole function."""
        self._written = frozenset(written_buffers(self.plan))
        self.team = self._make_team()
        uniform_lines = self._print_uniforms()
        for node in self.plan.nodes:
            self.lines += self.team.turn(2)
            self._node(node, self.team.inside(2))
        if self.team.open is not None:
            self.lines += self.team.close(2)
        ranges = named_ranges(self.plan, self.lines)
        read = [*ranges, *uniform_lines, *self.lines]
        kept = [each for each in uniform_lines if "const " not in each or mentions(read, each.split()[2])]
        body = [*ranges, *self._declarations, *kept, *self.lines]
        only = dict(zip(("steps", "batch"), only_sizes(self.model, self.plan.entry), strict=True))
        sizes = [
            f"  const int64_t {name} = {only[name] or f'frame.{name}'};"
            for name in ("steps", "batch")
            if mentions(body, name)
        ]
        inside = [*sizes, *body]
        known = [
            f"const {kind} &{name if mentions(inside, name) else ''}"
            for kind, name in (("Frame", "frame"), ("Share", "share"))
        ]
        head = f"int {self.plan.entry}_nodes({', '.join(known)}) {{"
        if mentions([*ranges, *self.lines], "alive"):
            sizes.append("  const Alive &alive = frame.alive;")
        return [head, *sizes, *body, "  return SEQC_OK;", "}"]

    def _make_team(self) -> Team:
        """Whole sequences are shared among a team, and so are the rules of an update."""
        if self.plan.entry not in SHARED or only_sizes(self.model, self.plan.entry)[1] == 1:
            return Team(None)
        return Team(iter(shares(self.plan, self.model.real_bytes, self.model.target.lanes)))

    # ---- operands -------------------------------------------------------------------------------------------------

    def base(self, operand: Operand, written: bool) -> str:
        """The local variable that points to a buffer."""
        buffer = self.plan.buffers[operand.buffer]
        changing = written or (operand.buffer in self._written and buffer.home.role != "carried")
        key = (operand.buffer, changing)
        if key not in self._pointers:
            wanted = short(buffer.name)
            name = self._namer.name(f"next.{wanted}" if written and buffer.home.role == "carried" else wanted)
            self._pointers[key] = name
            self._declarations.append(
                f"  auto *{name} = {address(self.plan, operand.buffer, changing, self.numbers)};"
            )
        return self._pointers[key]

    def _pointer(self, operand: Operand, written: bool, where: Place) -> str:
        base, first = self.base(operand, written), self.team.first(where)
        if where.sorted:
            return sorted_pointer(self.plan, operand, where, base, first)
        return pointer_text(self.plan, operand, where.by_step or bool(where.run), base, first)

    def _pack(self, number: int) -> str:
        """The local variable that points to a packed matrix."""
        if number in self._packs:
            return self._packs[number]
        pack = self.plan.packs[number]
        if pack.sources is None:
            name = self.base(Operand(pack.buffer, 1), True)
        else:
            offset = next(p.offset for p in self.model.packs if pack_key(p.pack) == pack_key(pack))
            name = self._namer.name(
                "packed." + short(pack.sources[0][0]) + (".t" if pack.form == "columns" else "")
            )
            element = ELEMENTS.get(pack.kind, "char")
            self._declarations.append(f"  auto *{name} = frame.packed<{element}>({offset});")
        self._packs[number] = name
        return name

    # ---- uniforms -------------------------------------------------------------------------------------------------

    def _print_uniforms(self) -> list[str]:
        statements, known = [], {}
        for number, uniform in enumerate(self.plan.uniforms):
            kind = Kind.F64 if uniform.kind is Kind.REAL else uniform.kind
            text = self._leaf(uniform, kind)
            if text is not None:
                known[number] = Term(text, cpp.ATOM, kind, Scope.KERNEL)
            else:
                value = uniform.value if not isinstance(uniform.value, str) else None
                statements.append(Statement(number, uniform.op, uniform.args, kind, value))
        outside = [s.id for s in statements if s.op != "const"]
        printed = print_statements(statements, known, outside, "double", "u")
        self._uniforms = dict(printed.terms)
        return [f"  {line}" for line in printed.lines[Scope.KERNEL]]

    def _leaf(self, uniform: plan_types.Uniform, kind: Kind) -> str | None:
        if uniform.op == "hyper":
            text = f"frame.hyper[{self.numbers.hypers[str(uniform.value)]}]"
            if kind is Kind.F64:
                return text
            return f"{text} != 0.0" if kind is Kind.BOOL else f"static_cast<int64_t>({text})"
        if uniform.op == "given":
            return f"(frame.given[{self.numbers.inputs[str(uniform.value)]}] != 0)"
        names = {"steps": "steps", "rows": "batch", "step": "frame.updates"}
        return names.get(uniform.op)

    def _uniform(self, number: int, kind: str) -> str:
        term = self._uniforms[number]
        return term.text if cpp.TYPES[term.kind] == kind else f"static_cast<{kind}>({term.text})"

    # ---- nodes ----------------------------------------------------------------------------------------------------

    def _node(self, node: plan_types.Node, indent: int) -> None:
        if isinstance(node, plan_types.Scan):
            print_scan(self, node, indent)
        elif isinstance(node, plan_types.Guard):
            base = self._pointer(node.condition, False, Place(frozenset(), False))
            self.lines += [
                f"{' ' * indent}if (*({base}) == 0)" if "+" in base else f"{' ' * indent}if (*{base} == 0)"
            ]
            self.lines.append(f"{' ' * indent}  return SEQC_NOT_FINITE;")
        else:
            self.kernel(node, indent, False)

    def kernel(self, node: plan_types.Kernel, indent: int, in_scan: bool, run: str = "") -> None:
        """A call of one kernel. In a stretch of time it is for `run` steps from t on; "count" stands for all steps of it, and
        what is summed then goes on where earlier stretches were `later`."""
        start = len(self.lines)
        maker = PRINTED.get(type(node))
        if isinstance(node, plan_types.Outer | plan_types.Outers):
            kernel, where = gradient_kernel(self.plan, node, in_scan, adds=run == "count")
            self._call_kernel(kernel, replace(where, run=run), indent, in_scan)
            return
        if maker is not None:
            kernel, where = maker(self, node, in_scan)
            if isinstance(node, plan_types.Pointwise) and node.rows > 1:
                print_rule(self, node, kernel, indent)
                return
            if isinstance(node, plan_types.Product) and self.team.share.split is Split.PART:
                self._call_for_part(kernel, where, indent)
                return
            where = replace(where, run=run)
            passing = in_scan and isinstance(node, plan_types.Product)
            if (self.plan.entry == "step" or passing) and is_short(self.plan, node):
                kernel = replace(kernel, inline=True)
            self._call_kernel(kernel, where, indent, in_scan)
        else:
            made = self._runtime_call(node, in_scan)
            if run == "count":
                arguments = [each.replace("steps * batch", "count * batch") for each in made.arguments]
                arguments = [each.replace("alive.total()", "living") for each in arguments]
                made = replace(made, arguments=(*arguments, "later"))
            made = replace(made, place=replace(made.place, run=run))
            self._call_runtime(made, indent, in_scan)
        whole = not by_units(self.plan, node)
        self.lines[start:] = self.team.divided(self.lines[start:], indent, whole)

    def _call_kernel(self, kernel: Kernel, where: Place, indent: int, in_scan: bool) -> None:
        assert self.team.fits(where)
        name = self.shelf.take(kernel)
        loop = where.by_step and not in_scan and not where.run and Axis.TIME in where.axes
        deeper = indent + 2 * (loop + bool(where.single))
        arguments = [self.team.rows(where)]
        for parameter in kernel.parameters:
            if isinstance(parameter, Pointer):
                arguments.append(self._pointer(parameter.operand, parameter.written, where))
            else:
                arguments.append(self.scalar(parameter, where, in_scan))
        lines = call(deeper, f"kernels::{name}", arguments)
        self._emit(lines, indent, loop, where)
        for parameter in kernel.parameters:
            if isinstance(parameter, Pointer) and parameter.written and where.single:
                base = self.base(parameter.operand, True)
                self.lines += cleared(self.plan, self.team, parameter.operand, base, indent)

    def _call_for_part(self, kernel: Kernel, where: Place, indent: int) -> None:
        """A call of a product of a table for the member's rows of it."""
        arguments = ["part.count"]
        for parameter in kernel.parameters:
            if isinstance(parameter, Pointer):
                base = self._pointer(parameter.operand, parameter.written, where)
                arguments.append(f"{base} + part.first * {parameter.operand.size // where.count}")
            else:
                arguments.append(self.scalar(parameter, where, False))
        margin = " " * indent
        self.lines += [f"{margin}{{", f"{margin}  const Range part = {self.team.part(where.count)};"]
        self.lines += [*call(indent + 2, f"kernels::{self.shelf.take(kernel)}", arguments), f"{margin}}}"]

    def scalar(self, parameter: Scalar, where: Place, in_scan: bool) -> str:
        """The text of an argument that is no pointer."""
        what, number = parameter.source
        if what == "uniform":
            return self._uniform(number, parameter.kind)
        if what == "pack":
            return self._pack(number)
        if what == "later":
            return "later" if where.run else "t > 0"
        if what == "lot":
            return "lot"
        if what == "far":
            return f"steps * batch > {number}"
        if what == "many":
            alone = in_scan or self.plan.entry in ("step", "generate")
            return f"batch >= {number}" if alone else "true"
        if what == "back":
            return "t % 2 != 0" if in_scan else "frame.started[0] % 2 != 0"
        if what == "site":
            return str(number)
        if what == "part":
            return self.team.part(number)
        stepping = in_scan or (where.by_step and Axis.TIME in where.axes)
        if what == "instant":
            return "t" if stepping else "0"
        started = "frame.started" if Axis.BATCH in where.axes else "nullptr"
        first = "frame.first_row" if Axis.BATCH in where.axes else "0"
        if where.single and Axis.BATCH in where.axes:
            return f"frame.key({'t' if stepping else '0'}, alive.order[row])"
        if self.team.first(where):
            return f"frame.key({'t' if stepping else '0'}, {self.team.first(where)})"
        return f"DrawKey{{frame.seed, frame.call, {started}, {'t' if stepping else '0'}, {first}}}"

    def _emit(self, lines: Sequence[str], indent: int, loop: bool, where: Place) -> None:
        if where.single:
            lines = each_row(self.team, lines, indent + 2 * loop, where)
        if loop:
            self.lines.append(f"{' ' * indent}for (int64_t t = 0; t < steps; ++t) {{")
            self.lines += named_in_loop(self.plan, self.team, lines, indent + 2)
        self.lines += lines
        if loop:
            self.lines.append(f"{' ' * indent}}}")

    def _runtime_call(self, node: plan_types.Kernel, in_scan: bool) -> RuntimeCall:
        if isinstance(node, plan_types.Reverse):
            return calls.reverse_call(self.plan, node)
        if isinstance(node, plan_types.Pack):
            return calls.pack_call(self.plan, node, self._pack(node.pack))
        return RUNTIME[type(node)](self.plan, node, in_scan)

    def _call_runtime(self, made: RuntimeCall, indent: int, in_scan: bool) -> None:
        where = made.place
        assert made.name == "contract" or self.team.fits(where)
        loop = where.by_step and not in_scan and not where.run and Axis.TIME in where.axes
        written = len(made.operands) - 1 if not made.name.startswith("turn") else 1
        reading_only = made.name.startswith("pack_")
        texts = [
            self._pointer(operand, number == written and not reading_only, where)
            for number, operand in enumerate(made.operands)
        ]
        deeper = indent + 2 * (loop + bool(where.single))
        columns = self.team.share.split is Split.PART and made.name == "sum_rows"
        block = (bool(made.tables) or columns) and not loop and not where.single
        lines: list[str] = []
        if block:
            lines.append(" " * deeper + "{")
        inside = deeper + 2 if block else deeper
        fill = partial(_fill, texts=texts, team=self.team, where=where)
        arguments = [fill(argument) for argument in made.arguments]
        if columns:
            lines.append(f"{' ' * inside}const Range part = {self.team.part(int(arguments[5]))};")
            arguments[2], arguments[6] = f"{arguments[2]} + part.first", f"{arguments[6]} + part.first"
            arguments[5] = "part.count"
        for name, kind, rows in made.tables:
            lines += table(inside, name, kind, [fill(row) for row in rows])
        lines += call(inside, f"seqc::{made.name}", arguments)
        if block:
            lines.append(" " * deeper + "}")
        self._emit(lines, indent, loop, where)


def _fill(argument: str, texts: Sequence[str], team: Team, where: Place) -> str:
    argument = argument.replace("<rows>", team.rows(where)).replace("<batch>", team.batch(where))
    if argument.startswith("<part "):
        return team.part(int(argument[6:-1]))
    for number, text in enumerate(texts):
        argument = argument.replace(f"<{number}>", text)
    return argument


def table(indent: int, name: str, kind: str, rows: Sequence[str]) -> list[str]:
    """`const Run runs[] = {` and one row on each line; the comma at the end keeps formatters from joining them."""
    margin = " " * indent
    return [f"{margin}const {kind} {name}[] = {{", *(f"{margin}    {row}," for row in rows), f"{margin}}};"]


def is_short(plan: Plan, node: plan_types.Kernel) -> bool:
    """Whether a kernel of a single step takes so little time that calling it counts."""
    if isinstance(node, plan_types.Product):
        narrow = plan.packs[node.segments[0].pack].units <= 4
        depth = sum(segment.depth for segment in node.segments)
        return node.strategy == "rows" or (node.strategy == "gemm" and narrow and depth <= SHORT)
    return isinstance(node, plan_types.Pointwise) and node.size <= SHORT


def real_of(model: Model) -> str:
    """The C type behind `real`."""
    return "double" if model.options.real == "f64" else "float"


Maker = Callable[[EntryPrinter, object, bool], tuple[Kernel, Place]]


def _pointwise(printer: EntryPrinter, node: object, in_scan: bool) -> tuple[Kernel, Place]:
    assert isinstance(node, plan_types.Pointwise)
    return pointwise_kernel(printer.plan, node, in_scan, real_of(printer.model), printer.model.target.lanes)


def _chain(printer: EntryPrinter, node: object, in_scan: bool) -> tuple[Kernel, Place]:
    assert isinstance(node, Chain)
    return chain_kernel(printer.plan, node, in_scan, real_of(printer.model), printer.model.target.lanes)


def _product(printer: EntryPrinter, node: object, in_scan: bool) -> tuple[Kernel, Place]:
    assert isinstance(node, plan_types.Product)
    shared = printer.team.share.units and by_units(printer.plan, node)
    lanes = printer.model.target.lanes
    return product_kernel(printer.plan, node, in_scan, real_of(printer.model), lanes, shared)


PRINTED: dict[type, Maker] = {
    plan_types.Pointwise: _pointwise,
    Chain: _chain,
    plan_types.Product: _product,
}

RUNTIME: dict[type, Callable[..., RuntimeCall]] = {
    plan_types.Gather: calls.gather_call,
    plan_types.Scatter: calls.scatter_call,
    plan_types.Reduce: calls.reduce_call,
    plan_types.Move: calls.move_call,
    plan_types.Transpose: calls.transpose_call,
    plan_types.Categorical: calls.categorical_call,
    plan_types.Einsum: calls.einsum_call,
}

__all__ = ["EntryPrinter", "axes_of"]
