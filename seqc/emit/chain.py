"""Chains as kernels: row by row, one loop over units behind another, with sums and picked elements between them;
where rows have few numbers, a vector of rows at a time.

Takes a `Chain` of the plan; gives its `Kernel` and how it is called. Numbers of the row are local constants; rows that one
loop leaves for another are local arrays where the plan says so. Many short rows go through each loop together, as many as
a vector has lanes: then no row waits for its own sums, and numbers of the rows are computed side by side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from seqc.emit import cpp
from seqc.emit.expression import INSTANT, UNIFORM, Scope, Term, print_statements
from seqc.emit.kernel import Kernel, Parameter, Place, place
from seqc.emit.layout import mentions
from seqc.emit.memory import element_type
from seqc.emit.pointwise import (
    OVER_ROWS,
    Form,
    Group,
    collect,
    key_of,
    load_text,
    store_text,
    unrolled,
    where_text,
)
from seqc.flow.types import Kind
from seqc.plan.buffers import Operand
from seqc.plan.chain import LOCAL, Chain, Fold, Sweep
from seqc.plan.lanes import runs_in_blocks, runs_on_rows
from seqc.plan.types import Plan, Pointwise

HOW = {"sum": "Sum", "max": "Largest", "min": "Smallest"}

SIDE = re.compile(r"\b([xv]\d+)\[r\]")
SCALAR = re.compile(r"select|static_cast|number|opposite|either|both|[<>=]|\bline|\[row")
"""What is not written alike for a number and for a vector, and what lies elsewhere than side by side."""


def chain_kernel(plan: Plan, node: Chain, in_scan: bool, real: str, lanes: int) -> tuple[Kernel, Place]:
    """The kernel of a chain, and how it is called."""
    operands = [each for each in (*node.reads(), *node.writes()) if not is_local(plan, each)]
    where = place(plan, node.axes, operands, in_scan)
    everything = Group(plan, as_loop(plan, node, node.sweeps), where, real, lanes)
    parameters: list[Parameter] = []
    index: dict[object, int] = {}
    collect(everything, parameters, index)

    def body(names: Sequence[str]) -> list[str]:
        printer = BlockPrinter if runs_in_blocks(plan, node, in_scan, lanes) else ChainPrinter
        return printer(plan, node, where, real, lanes, names, index).run()

    written = [each for each in node.writes() if not is_local(plan, each)]
    return Kernel(plan.buffers[written[-1].buffer].name, node.origin, tuple(parameters), body), where


def is_local(plan: Plan, operand: Operand) -> bool:
    """Whether an operand lies in memory of the kernel."""
    return plan.buffers[operand.buffer].home.role == LOCAL


def as_loop(plan: Plan, node: Chain, sweeps: Sequence[Sweep]) -> Pointwise:
    """Sweeps as one loop, with what they read and write of memory that is handed in; picked rows are among the loads."""
    loads = [each for sweep in sweeps for each in sweep.loads]
    loads += [(-1, pick.table, Kind.REAL) for sweep in sweeps for pick in sweep.picks]
    stores = [each for sweep in sweeps for each in sweep.stores]
    return Pointwise(
        node.axes,
        sweeps[0].size,
        tuple(each for each in loads if not is_local(plan, each[1])),
        (),
        tuple(each for sweep in sweeps for each in sweep.statements),
        tuple(each for each in stores if not is_local(plan, each[1])),
        node.origin,
    )


@dataclass(slots=True)
class ChainPrinter:
    """The lines of one chain. `terms` are those of all ids so far; `head` are declarations, `lines` what each row does. With `side`
    numbers of a row lie in arrays, at that index."""

    plan: Plan
    node: Chain
    where: Place
    real: str
    lanes: int
    names: Sequence[str]
    index: dict[object, int]
    terms: dict[int, Term] = field(default_factory=dict)
    head: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    local: dict[int, str] = field(default_factory=dict)
    side: str = ""
    read: int = 0
    named: int = 0
    folds: int = 0

    def run(self) -> list[str]:
        """The body of the function."""
        self.declare_locals()
        self.know_uniforms()
        for number, sweep in enumerate(self.node.sweeps):
            self.sweep(number, sweep)
        row = [f"    {line}" for line in self.lines]
        head = [f"  {line}" for line in self.head]
        if self.form is Form.ROWS:
            return [*head, f"  {OVER_ROWS}", *row, "  });"]
        return [*head, "  for (int64_t row = 0; row < rows; ++row) {", *row, "  }"]

    @property
    def form(self) -> Form:
        """What lies in the lanes of vectors: rows of few numbers, or neighbouring elements of one."""
        return Form.ROWS if runs_on_rows(self.plan, self.node, self.lanes) else Form.VECTOR

    def declare_locals(self) -> None:
        """Memory for the row at hand."""
        for operand in self.node.writes():
            if is_local(self.plan, operand) and operand.buffer not in self.local:
                buffer, name = self.plan.buffers[operand.buffer], f"line{len(self.local) + 1}"
                self.local[operand.buffer] = name
                if self.form is Form.ROWS:
                    self.lines.append(f"Vec<real> {name}[{buffer.size}];")
                else:
                    self.head.append(f"alignas(64) {element_type(buffer)} {name}[{buffer.size}];")

    def know_uniforms(self) -> None:
        """Scalars of the call by name."""
        for statement in (each for sweep in self.node.sweeps for each in sweep.statements):
            if statement.op == "uniform":
                name = self.names[self.index["uniform", statement.value]]
                number = UNIFORM - int(statement.value or 0)
                self.terms[number] = Term(name, cpp.ATOM, statement.kind, Scope.KERNEL)
        assert INSTANT not in self.terms

    def name(self, operand: Operand) -> str:
        """The pointer to an operand."""
        return self.local.get(operand.buffer) or self.names[self.index[key_of(operand)]]

    def sweep(self, number: int, sweep: Sweep) -> None:
        """One sweep: what is known before its loop, the loop, the sums behind it."""
        loop = as_loop(self.plan, self.node, (sweep,))
        group = Group(self.plan, loop, self.where, self.real, self.lanes, block=bool(self.side))
        inner: dict[Scope, list[str]] = {scope: [] for scope in Scope}
        self.loads(group, sweep, inner)
        self.picks(group, sweep, inner)
        for spot in sweep.spots:
            index, value = self.terms[spot.index].text, self.terms[spot.value].text
            text = f"spot<real>(i, {index}, {value})"
            self.terms[spot.id] = self.constant(text, Kind.REAL, Scope.ELEMENT, inner)
        outside = [each for each, _ in sweep.stores] + [each.value for each in sweep.folds]
        outside += used_later(self.node.sweeps[number + 1 :])
        printed = print_statements(
            sweep.statements, self.terms, outside, self.real, count=self.named, side=self.side
        )
        self.terms = dict(printed.terms)
        for name, kind in printed.arrays:
            self.declare(name, kind)
        for scope in Scope:
            inner[scope] += printed.lines[scope]
            self.named += len(printed.lines[scope])
        results = self.fold(sweep, inner)
        for each, operand in sweep.stores:
            scope = Scope.ELEMENT if sweep.size > 1 else Scope.ROW
            text = store_text(group, self.form, scope, operand, self.terms[each], self.name(operand))
            inner[scope].append(text)
        self.put(sweep, inner, results)

    def declare(self, name: str, kind: Kind) -> None:
        """An array for a number of each row."""
        self.head.append(f"alignas(64) {cpp.TYPES[kind]} {name}[{self.lanes}];")

    def result(self, fold: str) -> str:
        """The line that has the answer of a fold, as `x` of the number at hand."""
        return f"const real x{self.read} = {fold}.result();"

    def constant(self, text: str, kind: Kind, scope: Scope, inner: dict[Scope, list[str]]) -> Term:
        """A value behind a name of its own."""
        self.read += 1
        name = f"x{self.read}"
        inner[scope].append(f"const auto {name} = {text};")
        return Term(name, cpp.ATOM, kind, scope)

    def loads(self, group: Group, sweep: Sweep, inner: dict[Scope, list[str]]) -> None:
        """What is read of memory. Nothing that the chain writes is read before its rows begin."""
        written = {operand.buffer for operand in self.node.writes()}
        for number, operand, kind in sweep.loads:
            scope = group.scope(operand)
            if scope is Scope.KERNEL and operand.buffer in written:
                scope = Scope.ROW
            text = load_text(group, self.form, scope, operand, kind, self.name(operand))
            self.terms[number] = self.constant(text, kind, scope, inner)

    def number(self, name: str) -> str:
        """How a number of the row is read."""
        return name

    def picks(self, group: Group, sweep: Sweep, inner: dict[Scope, list[str]]) -> None:
        """Elements by their numbers."""
        for pick in sweep.picks:
            terms = [self.name(pick.table), *where_text(group, Form.VECTOR, Scope.ROW, pick.table)]
            text = f"picked({' + '.join(terms)}, {pick.table.size}, {self.terms[pick.index].text})"
            self.terms[pick.id] = self.constant(text, Kind.REAL, Scope.ROW, inner)

    def fold(self, sweep: Sweep, inner: dict[Scope, list[str]]) -> list[str]:
        """Sums and extremes: declared before the loop, taken in within it; the lines behind it."""
        results: list[str] = []
        for fold in sweep.folds:
            self.folds += 1
            name, how = f"fold{self.folds}", HOW[fold.how]
            if self.form is Form.ROWS:
                results.append(self.fold_of_rows(name, how, fold, sweep, inner))
                continue
            inner[Scope.ROW].append(f"Folded<{how}, real> {name};")
            value = self.terms[fold.value]
            text = value.text if value.scope is Scope.ELEMENT else f"broadcast({value.text})"
            inner[Scope.ELEMENT].append(f"{name}.take({text}, which, slot);")
            self.read += 1
            results.append(self.result(name))
            self.terms[fold.id] = Term(self.number(f"x{self.read}"), cpp.ATOM, Kind.REAL, Scope.ROW)
        return results

    def fold_of_rows(
        self, name: str, how: str, fold: Fold, sweep: Sweep, inner: dict[Scope, list[str]]
    ) -> str:
        """The elements of rows in lanes, side by side; the line that folds them."""
        inner[Scope.ROW].append(f"Vec<real> {name}[{sweep.size}];")
        value = self.terms[fold.value]
        text = value.text if value.scope is not Scope.KERNEL else f"broadcast({value.text})"
        inner[Scope.ELEMENT].append(f"{name}[{'i' if sweep.size > 1 else '0'}] = {text};")
        self.read += 1
        self.terms[fold.id] = Term(f"x{self.read}", cpp.ATOM, Kind.REAL, Scope.ROW)
        return f"const auto x{self.read} = folded_across<{how}>({name});"

    def put(self, sweep: Sweep, inner: dict[Scope, list[str]], results: list[str]) -> None:
        """The lines of a sweep in their places."""
        self.head += inner[Scope.KERNEL]
        self.lines += inner[Scope.ROW]
        if not inner[Scope.ELEMENT]:
            return
        if self.form is Form.ROWS:
            self.lines += [*unrolled(sweep.size, inner[Scope.ELEMENT]), *results]
            return
        which = "auto which" if mentions(inner[Scope.ELEMENT], "which") else "auto"
        unit = "int64_t i" if mentions(inner[Scope.ELEMENT], "i") else "int64_t"
        if sweep.folds:
            head = f"sweep_in_turn<real>({sweep.size}, [&]({unit}, {which}, auto slot) SEQC_INLINED {{"
        else:
            head = f"sweep<real>(0, {sweep.size}, [&]({unit}, {which}) {{"
        self.lines += [head, *(f"  {line}" for line in inner[Scope.ELEMENT]), "});", *results]


class BlockPrinter(ChainPrinter):
    """The lines of a chain whose loops take a block of rows each; numbers of the rows lie in arrays, at `r`."""

    def run(self) -> list[str]:
        """The body of the function."""
        self.side = "r"
        self.declare_locals()
        self.know_uniforms()
        for number, sweep in enumerate(self.node.sweeps):
            self.sweep(number, sweep)
        return [
            *(f"  {line}" for line in self.head),
            f"  for (int64_t first = 0; first < rows; first += {self.lanes}) {{",
            f"    const int64_t many = min(rows - first, int64_t{{{self.lanes}}});",
            *(f"    {line}" for line in self.lines),
            "  }",
        ]

    def declare_locals(self) -> None:
        """Memory for the rows at hand."""
        for operand in self.node.writes():
            if is_local(self.plan, operand) and operand.buffer not in self.local:
                buffer, name = self.plan.buffers[operand.buffer], f"line{len(self.local) + 1}"
                self.local[operand.buffer] = name
                self.head.append(f"alignas(64) {element_type(buffer)} {name}[{self.lanes * buffer.size}];")

    def number(self, name: str) -> str:
        """How a number of the row is read."""
        return f"{name}[r]"

    def constant(self, text: str, kind: Kind, scope: Scope, inner: dict[Scope, list[str]]) -> Term:
        """A value behind a name of its own."""
        term = ChainPrinter.constant(self, text, kind, scope, inner)
        if scope is not Scope.ROW:
            return term
        self.declare(term.text, kind)
        inner[scope][-1] = f"{term.text}[r] = {text};"
        return replace(term, text=self.number(term.text))

    def result(self, fold: str) -> str:
        """The line that has the answer of a fold."""
        self.declare(f"x{self.read}", Kind.REAL)
        return f"x{self.read}[r] = {fold}.result();"

    def put(self, sweep: Sweep, inner: dict[Scope, list[str]], results: list[str]) -> None:
        """The lines of a sweep in loops over the rows: what is computed for each, then the loop over its elements."""
        self.head += inner[Scope.KERNEL]
        before = [line for line in inner[Scope.ROW] if not line.startswith("Folded<")]
        folds = [line for line in inner[Scope.ROW] if line.startswith("Folded<")]
        self.lines += self.side_by_side(before)
        lines, self.lines = self.lines, folds
        ChainPrinter.put(self, sweep, {**inner, Scope.KERNEL: [], Scope.ROW: []}, results)
        lines, self.lines = self.lines, lines
        self.lines += over_rows(lines)

    def side_by_side(self, lines: Sequence[str]) -> list[str]:
        """Numbers of the rows, by vectors where all of them are reals that are only computed with."""
        if not lines or any(not self.fits_vector(line) for line in lines):
            return over_rows(lines)
        return [
            "sweep<real>(0, many, [&](int64_t r, auto which) {",
            *(f"  {side(line)}" for line in lines),
            "});",
        ]

    def fits_vector(self, line: str) -> bool:
        """Whether a line that puts or stores a real can do so for neighbouring rows at once."""
        target, text = line.removesuffix(";").split(" = ", 1)
        reals = {
            name
            for name in SIDE.findall(line)
            if f"alignas(64) {cpp.TYPES[Kind.REAL]} {name}[{self.lanes}];" in self.head
        }
        own = SIDE.fullmatch(target) is not None or target.endswith("[row]")
        return own and set(SIDE.findall(line)) == reals and not SCALAR.search(text)


def over_rows(lines: Sequence[str]) -> list[str]:
    """A loop over the rows of a block; `row` and `r` are the row among all and in the block."""
    if not lines:
        return []
    head = ["for (int64_t r = 0; r < many; ++r) {"]
    if mentions(lines, "row"):
        head.append("  const int64_t row = first + r;")
    return [*head, *(f"  {line}" for line in lines), "}"]


def side(line: str) -> str:
    """A line of `side_by_side`, on vectors."""
    target, text = line.removesuffix(";").split(" = ", 1)
    place = f"{target[:-3]} + r" if target.endswith("[r]") else f"{target[: -len('[row]')]} + first + r"
    value = SIDE.sub(r"load(\1 + r, which)", text) if SIDE.search(text) else f"broadcast({text})"
    return f"store({place}, {value}, which);"


def used_later(sweeps: Sequence[Sweep]) -> list[int]:
    """Ids that later sweeps read by name."""
    found: list[int] = []
    for sweep in sweeps:
        found += [each for statement in sweep.statements for each in statement.args]
        found += [each.index for each in sweep.picks] + [each.value for each in sweep.folds]
        found += [each for spot in sweep.spots for each in (spot.index, spot.value)]
        found += [each for each, _ in sweep.stores]
    return found
