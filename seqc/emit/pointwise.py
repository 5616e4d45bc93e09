"""Pointwise groups as kernels: one loop over elements, on vectors of reals where all long operands are reals.

Four forms: all rows as one long array (every long operand is dense), a row of few numbers in each lane, row by row with
a vector loop inside, or row by row with a scalar loop (integers, booleans, other precisions). The lines of the vector
loop serve a product, too, that runs them on its sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from seqc.emit import cpp
from seqc.emit.expression import INSTANT, UNIFORM, Scope, Term, element, print_statements
from seqc.emit.kernel import Kernel, Parameter, Place, Pointer, Scalar, gate_of, place
from seqc.emit.layout import COLUMNS
from seqc.emit.memory import HALF, element_type
from seqc.flow.types import Axis, Kind
from seqc.plan.buffers import Operand
from seqc.plan.chain import LOCAL
from seqc.plan.lanes import runs_on_rows
from seqc.plan.ragged import row_by_row
from seqc.plan.types import Plan, Pointwise


class Form(Enum):
    """How the loop runs."""

    FLAT = "flat"
    ROWS = "rows"
    VECTOR = "vector"
    SCALAR = "scalar"


@dataclass(frozen=True, slots=True)
class Group:
    """A pointwise node in its plan, and where it runs. Loads of buffer `sums` are the sums of a product at hand. With
    `block`, memory of the kernel holds as many rows as a block; the one at hand is `r`."""

    plan: Plan
    node: Pointwise
    place: Place
    real: str
    lanes: int
    sums: int = -1
    block: bool = False

    def operands(self) -> list[Operand]:
        return [operand for _, operand, _ in self.node.loads] + [operand for _, operand in self.node.stores]

    def scope(self, operand: Operand) -> Scope:
        """How often the operand is read in the forms that go row by row."""
        if operand.buffer == self.sums:
            return Scope.ELEMENT
        if self.node.rows > 1:
            return Scope.ELEMENT if operand.size > 1 else Scope.KERNEL
        if self.plan.buffers[operand.buffer].home.role == LOCAL:
            return Scope.ELEMENT if operand.size > 1 and self.node.size > 1 else Scope.ROW
        if operand.size > 1 or (self.node.size == 1 and gate_of(self.plan, operand) is not None):
            return Scope.ELEMENT if self.node.size > 1 else Scope.ROW
        return Scope.ROW if self.place.varies(self.plan, operand) else Scope.KERNEL


def pointwise_kernel(
    plan: Plan, node: Pointwise, in_scan: bool, real: str, lanes: int
) -> tuple[Kernel, Place]:
    """The kernel of a group, and how it is called."""
    operands = [operand for _, operand, _ in node.loads] + [operand for _, operand in node.stores]
    counts = any(statement.op == "instant" for statement in node.statements)
    where = place(plan, node.axes, operands, in_scan, stepwise=bool(node.draws) or counts)
    if row_by_row(plan, node):
        ends = any(each.at == "last" for each in operands)
        where = replace(
            where, by_step=where.by_step or Axis.TIME in where.axes, single="1" if ends else "many"
        )
    group = Group(plan, node, where, real, lanes)
    form = _form(group)
    parameters: list[Parameter] = []
    index: dict[object, int] = {}
    collect(group, parameters, index)

    def body(names: Sequence[str]) -> list[str]:
        return _loops(group, form, filled(group, form, names, index))

    first = plan.buffers[node.stores[0][1].buffer].name
    return Kernel(first, node.origin, tuple(parameters), body), where


def _form(group: Group) -> Form:
    """The widest loop that the operands allow."""
    node, plan = group.node, group.plan
    if node.rows > 1:
        return Form.FLAT
    long = [o for o in group.operands() if group.scope(o) is Scope.ELEMENT]
    moving = [o for o in group.operands() if group.place.varies(plan, o)]
    kinds_fit = _statements_fit(group, lambda operand: Scope.ELEMENT if operand in moving else Scope.KERNEL)
    dense = all(_dense(group, operand) for operand in moving)
    still = [o for o in group.operands() if o not in moving]
    real_typed = all(_is_real(group, operand) for operand in moving)
    if moving and dense and kinds_fit and real_typed and not node.draws and all(o.size == 1 for o in still):
        return Form.FLAT
    if runs_on_rows(plan, node, group.lanes):
        return Form.ROWS
    elements = _statements_fit(group, group.scope)
    if node.size > 1 and elements and all(_is_real(group, operand) for operand in long):
        return Form.VECTOR
    return Form.SCALAR


def _dense(group: Group, operand: Operand) -> bool:
    buffer = group.plan.buffers[operand.buffer]
    size = group.node.size
    return (
        gate_of(group.plan, operand) is None
        and operand.size == size
        and buffer.stride == size
        and operand.offset == 0
    )


def _is_real(group: Group, operand: Operand) -> bool:
    kind = element_type(group.plan.buffers[operand.buffer])
    return kind in ("real", group.real, HALF)


def _vector_kind(kind: Kind, real: str) -> bool:
    return kind is Kind.BOOL or element(kind, real) == real


def _statements_fit(group: Group, scope_of: Callable[[Operand], Scope]) -> bool:
    """Whether everything computed per element is a real of the build, or a truth value made of such."""
    scopes = {number: scope_of(operand) for number, operand, _ in group.node.loads}
    kinds = {number: kind for number, _, kind in group.node.loads}
    scopes |= {number: Scope.ELEMENT for number, _ in group.node.draws}
    for statement in group.node.statements:
        reached = max((scopes[a] for a in statement.args), default=Scope.KERNEL)
        scopes[statement.id], kinds[statement.id] = reached, statement.kind
        if reached is not Scope.ELEMENT:
            continue
        if not _vector_kind(statement.kind, group.real):
            return False
        operands = {kinds.get(a, Kind.REAL) for a in statement.args}
        if statement.op in ("eq", "ne") and Kind.BOOL in operands:
            return False
        if statement.op not in ("select", "and", "or", "not", "cast") and Kind.BOOL in operands:
            return False
        if any(not _vector_kind(kind, group.real) for kind in operands):
            return False
    return True


def collect(group: Group, parameters: list[Parameter], index: dict[object, int]) -> None:
    """Add parameters in order of first use; `index` leads from what is read to its number."""
    plan, node = group.plan, group.node
    written = {_stored(group, operand) for _, operand in node.stores}
    if node.draws:
        index["key"] = len(parameters)
        parameters.append(Scalar("const DrawKey &", ("key", 0), "key"))
    loads = [operand for _, operand, _ in node.loads if operand.buffer != group.sums]
    reads = [(key_of(each), each) for each in (*(i for i in map(index_of, loads) if i is not None), *loads)]
    for key, operand in [*reads, *((_stored(group, operand), operand) for _, operand in node.stores)]:
        if key not in index:
            buffer = plan.buffers[operand.buffer]
            bare = replace(operand, gate=None, lookup=None, spread=None)
            index[key] = len(parameters)
            parameters.append(Pointer(element_type(buffer), bare, key in written, buffer.name))
    if any(statement.op == "instant" for statement in node.statements):
        index["instant"] = len(parameters)
        parameters.append(Scalar("int64_t", ("instant", 0), "t"))
    for statement in node.statements:
        if statement.op == "uniform" and ("uniform", statement.value) not in index:
            index["uniform", statement.value] = len(parameters)
            number = int(statement.value or 0)
            parameters.append(Scalar(cpp.TYPES[statement.kind], ("uniform", number), f"u{number}"))
    for _, site in node.draws:
        if ("site", site) not in index:
            index["site", site] = len(parameters)
            parameters.append(Scalar("uint32_t", ("site", site), "site"))


def index_of(operand: Operand) -> Operand | None:
    """What says which row of its table an operand lies in."""
    return None if operand.lookup is None else Operand(operand.lookup.index, 1)


def key_of(operand: Operand) -> tuple[object, ...]:
    """What operands of one pointer have in common."""
    return operand.buffer, operand.shift, operand.offset, operand.at


FAR = "far"
"""Whether what is stored late goes past the caches: the parameter, and where its value comes from."""


def _stored(group: Group, operand: Operand) -> tuple[object, ...]:
    """The key of what is written. A carried state is written beside what is read of it, until the call has succeeded."""
    carried = group.plan.buffers[operand.buffer].home.role == "carried"
    return (*key_of(operand), "next") if carried else key_of(operand)


def filled(
    group: Group, form: Form, names: Sequence[str], index: Mapping[object, int]
) -> dict[Scope, list[str]]:
    """The lines of each scope: loads, statements, stores."""
    known: dict[int, Term] = {}
    reading: dict[Scope, list[str]] = {scope: [] for scope in Scope}
    rows: dict[Operand, str] = {}
    for operand in [each for _, each, _ in group.node.loads if each.lookup is not None]:
        at = index_of(operand)
        assert at is not None and operand.lookup is not None
        if at not in rows:
            rows[at] = f"r{len(rows) + 1}"
            found = f"row_of({names[index[key_of(at)]]}[row], {operand.lookup.count})"
            reading[Scope.ELEMENT].append(f"const auto {rows[at]} = {found} * {operand.lookup.width};")
    for count, (number, operand, kind) in enumerate(group.node.loads, start=1):
        scope = _loop_scope(group, form, operand)
        if operand.buffer == group.sums:
            known[number] = Term(f"sums[{operand.gate or 0}]", cpp.ATOM, kind, scope)
            continue
        pointer, at = names[index[key_of(operand)]], index_of(operand)
        base = pointer if at is None else f"{pointer} + {rows[at]}"
        text = load_text(group, form, scope, operand, kind, base)
        name = f"x{count}"
        reading[scope].append(f"const auto {name} = {text};")
        known[number] = Term(name, cpp.ATOM, kind, scope)
    for count, (number, site) in enumerate(group.node.draws, start=1):
        scope = _store_scope(group, form)
        name = f"d{count}"
        reading[scope].append(
            f"const auto {name} = {_draw(form, scope, names[index['key']], names[index['site', site]])};"
        )
        known[number] = Term(name, cpp.ATOM, Kind.REAL, scope)
    for statement in group.node.statements:
        if statement.op == "uniform":
            number = int(statement.value or 0)
            known[UNIFORM - number] = Term(
                names[index["uniform", statement.value]], cpp.ATOM, statement.kind, Scope.KERNEL
            )
        elif statement.op == "instant":
            known[INSTANT] = Term(names[index["instant"]], cpp.ATOM, Kind.INT, Scope.KERNEL)
    outside = [number for number, _ in group.node.stores]
    printed = print_statements(group.node.statements, known, outside, group.real)
    lines = {scope: [*reading[scope], *printed.lines[scope]] for scope in Scope}
    for number, operand in group.node.stores:
        scope = _store_scope(group, form)
        name = names[index[_stored(group, operand)]]
        late = f"store_late({names[index[FAR]]}, " if operand.buffer in group.node.late else "store("
        lines[scope].append(store_text(group, form, scope, operand, printed.terms[number], name, late))
    return lines


def _loops(group: Group, form: Form, lines: dict[Scope, list[str]]) -> list[str]:
    """The lines of each scope inside their loops."""
    size = group.node.size // group.node.rows
    out = [f"  {line}" for line in lines[Scope.KERNEL]]
    if form is Form.FLAT:
        count = "rows" if size == 1 else f"rows * {size}"
        return [*out, *_swept(count, lines[Scope.ELEMENT], 2)]
    inner: list[str] = [f"    {line}" for line in lines[Scope.ROW]]
    if form is Form.ROWS:
        if lines[Scope.ELEMENT]:
            inner += [f"    {line}" for line in unrolled(size, lines[Scope.ELEMENT])]
        return [*out, f"  {OVER_ROWS}", *inner, "  });"]
    if lines[Scope.ELEMENT]:
        if form is Form.VECTOR:
            inner += _swept(str(size), lines[Scope.ELEMENT], 4)
        else:
            inner.append(f"    for (int64_t i = 0; i < {size}; ++i) {{")
            inner += [*(f"      {line}" for line in lines[Scope.ELEMENT]), "    }"]
    return [*out, "  for (int64_t row = 0; row < rows; ++row) {", *inner, "  }"]


OVER_ROWS = "sweep<real>(0, rows, [&](int64_t row, auto which) {"
"""The head of a loop with a row in each lane."""


def unrolled(size: int, lines: Sequence[str]) -> list[str]:
    """A loop over the few elements of rows that lie in lanes."""
    head = f"for (int64_t i = 0; i < {size}; ++i) {{"
    return ["SEQC_UNROLL", head, *(f"  {line}" for line in lines), "}"]


def _swept(count: str, lines: Sequence[str], indent: int) -> list[str]:
    """A loop over vectors; a single statement that fits stands on the line of the loop."""
    margin = " " * indent
    head = f"{margin}sweep<real>(0, {count}, [&](int64_t i, auto which) {{"
    if len(lines) == 1 and len(head) + len(lines[0]) + 5 <= COLUMNS:
        return [f"{head} {lines[0]} }});"]
    return [head, *(f"{margin}  {line}" for line in lines), f"{margin}}});"]


def _loop_scope(group: Group, form: Form, operand: Operand) -> Scope:
    if form is Form.FLAT and group.node.rows == 1:
        return Scope.ELEMENT if group.place.varies(group.plan, operand) else Scope.KERNEL
    return group.scope(operand)


def _store_scope(group: Group, form: Form) -> Scope:
    alone = form is not Form.FLAT and group.node.size == 1 and group.sums < 0
    return Scope.ROW if alone else Scope.ELEMENT


def where_text(group: Group, form: Form, scope: Scope, operand: Operand) -> list[str]:
    """Terms of the distance from the pointer to the element."""
    buffer = group.plan.buffers[operand.buffer]
    if form is Form.FLAT:
        return ["i"] if scope is Scope.ELEMENT else []
    terms = []
    if group.place.varies(group.plan, operand):
        terms.append("row" if buffer.stride == 1 else f"row * {buffer.stride}")
    if buffer.home.role == LOCAL:
        terms += [f"r * {buffer.size}" if buffer.size > 1 else "r"] if group.block else []
        terms += [str(operand.offset)] if operand.offset else []
    gate = gate_of(group.plan, operand)
    if gate is not None:
        start = gate * buffer.block
        if scope is not Scope.ELEMENT:
            return [*terms, *([str(start)] if start else [])]
        if form is Form.VECTOR and buffer.block == group.lanes:
            terms.append(f"i * {buffer.gates}")
        else:
            terms += [f"i / {buffer.block} * {buffer.gates * buffer.block}", f"i % {buffer.block}"]
        return [*terms, *([str(start)] if start else [])]
    return [*terms, *([element_of(operand, group.node.size)] if scope is Scope.ELEMENT else [])]


def element_of(operand: Operand, size: int) -> str:
    """The number of the element that element `i` of a loop over `size` of them reads."""
    spread = operand.spread
    if spread is None:
        return "i"
    within = spread.block or size
    text = f"i / {spread.each}" if spread.each > 1 else "i"
    if spread.each * spread.round < within or spread.block:
        text += f" % {spread.round}"
    return f"i / {spread.block} * {spread.round} + {text}" if spread.block else text


def load_text(group: Group, form: Form, scope: Scope, operand: Operand, kind: Kind, name: str) -> str:
    terms = where_text(group, form, scope, operand)
    if form is Form.ROWS and scope is not Scope.KERNEL:
        return _lanes_text(group, "load", operand, [name, *terms])
    if scope is Scope.ELEMENT and form is not Form.SCALAR:
        if operand.spread is not None and operand.spread.each > 1:
            return f"broadcast({name}[{' + '.join(terms)}])"
        return f"load({' + '.join([name, *terms])}, which)"
    read = f"{name}[{' + '.join(terms) or '0'}]"
    stored, wanted = element_type(group.plan.buffers[operand.buffer]), cpp.TYPES[kind]
    if wanted == "bool":
        return f"{read} != 0"
    return read if stored == wanted else f"static_cast<{wanted}>({read})"


def store_text(
    group: Group, form: Form, scope: Scope, operand: Operand, term: Term, name: str, way: str = "store("
) -> str:
    """The statement that stores a value; `way` begins the call for whole vectors."""
    terms = where_text(group, form, scope, operand)
    if form is Form.ROWS:
        value = term.text if term.scope is not Scope.KERNEL else f"broadcast({term.text})"
        return _lanes_text(group, "store", operand, [name, *terms], value)
    if scope is Scope.ELEMENT and form is not Form.SCALAR:
        value = term.text if term.scope is Scope.ELEMENT else f"broadcast({term.text})"
        return f"{way}{' + '.join([name, *terms])}, {value}, which);"
    stored, found = element_type(group.plan.buffers[operand.buffer]), cpp.TYPES[term.kind]
    value = term.text if stored == found else f"static_cast<{stored}>({term.text})"
    return f"{name}[{' + '.join(terms) or '0'}] = {value};"


def _lanes_text(group: Group, verb: str, operand: Operand, terms: Sequence[str], value: str = "") -> str:
    """A load or a store of one element of each of the rows in the lanes."""
    buffer, end = group.plan.buffers[operand.buffer], ";" if value else ""
    if buffer.home.role == LOCAL:
        place = f"{terms[0]}[{' + '.join(terms[1:]) or '0'}]"
        return f"{place} = {value};" if value else place
    if not group.place.varies(group.plan, operand):
        return f"broadcast({terms[0]}[{' + '.join(terms[1:]) or '0'}])"
    step = "" if buffer.stride == 1 else str(buffer.stride)
    arguments = [" + ".join(terms), *([step] if step else []), *([value] if value else []), "which"]
    return f"{verb}{'_lanes' if step else ''}({', '.join(arguments)}){end}"


def _draw(form: Form, scope: Scope, key: str, site: str) -> str:
    element_number = "i" if scope is Scope.ELEMENT else "0"
    if scope is Scope.ELEMENT and form is Form.VECTOR:
        return f"draw<real>({key}, {site}, row, {element_number}, which)"
    return f"draw<real>({key}, {site}, row, {element_number})"
