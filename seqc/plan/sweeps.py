"""A chain out of the kernels that it replaces: which of them share a sweep, and what goes from one to another by name.

Takes loops, sums over units, picks and one-hot rows in running order; gives a `Chain`. A kernel joins the first sweep of
its size behind everything that it waits for. What is summed is summed in the sweep that makes it; a one-hot row is never
made, but asked for its elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from seqc.flow.types import Kind
from seqc.plan.buffers import Operand, Statement
from seqc.plan.chain import Chain, Fold, Pick, Spot, Sweep
from seqc.plan.place import flat, reads_and_writes
from seqc.plan.types import Gather, Kernel, Plan, Pointwise, Reduce, Scatter

Read = tuple[Operand, Kind]


@dataclass(slots=True)
class Draft:
    """A sweep while it is put together; `known` leads from what is read or stored of elements to ids."""

    size: int
    loads: list[tuple[int, Operand, Kind]] = field(default_factory=list)
    picks: list[Pick] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    stores: list[tuple[int, Operand]] = field(default_factory=list)
    known: dict[Read, int] = field(default_factory=dict)

    def finished(self) -> Sweep:
        """The record."""
        loads, picks, spots = tuple(self.loads), tuple(self.picks), tuple(self.spots)
        statements, folds, stores = tuple(self.statements), tuple(self.folds), tuple(self.stores)
        return Sweep(self.size, loads, picks, spots, statements, folds, stores)


@dataclass(slots=True)
class Builder:
    """`numbers`: single numbers of the row, with the first sweep that may read them by name;
    `made`: sums and picks among them. `lines`: one-hot rows."""

    plan: Plan
    drafts: list[Draft] = field(default_factory=list)
    numbers: dict[Read, tuple[int, int]] = field(default_factory=dict)
    lines: dict[Operand, Scatter] = field(default_factory=dict)
    stored: dict[int, list[tuple[Operand, int]]] = field(default_factory=dict)
    loaded: dict[int, list[tuple[Operand, int]]] = field(default_factory=dict)
    made: set[Operand] = field(default_factory=set)
    free: int = 0

    def id(self) -> int:
        """The next id."""
        self.free += 1
        return self.free - 1

    # ---- where a kernel may stand -------------------------------------------------------------------------------------

    def ready(self, operand: Operand, kind: Kind, size: int) -> int:
        """The first sweep in which a loop over `size` elements may read an operand."""
        if (operand, kind) in self.numbers:
            return self.numbers[operand, kind][1]
        if operand in self.lines:
            line = self.lines[operand]
            parts = ((each, self.kind(each)) for each in (line.index, line.operand))
            return max(self.ready(each, kind, 0) for each, kind in parts)
        first = 0
        for store, sweep in self.stored.get(operand.buffer, ()):
            same = store == operand and self.drafts[sweep].size == size and size > 0
            first = max(first, sweep if same else sweep + 1)
        return first

    def after_reads(self, operand: Operand, size: int) -> int:
        """The first sweep that may store an operand: behind what reads or writes the same memory."""
        first = 0
        for load, sweep in self.loaded.get(operand.buffer, ()):
            same = load == operand and self.drafts[sweep].size == size
            first = max(first, sweep if same else sweep + 1)
        return max([first, *(sweep + 1 for _, sweep in self.stored.get(operand.buffer, ()))])

    def kind(self, operand: Operand) -> Kind:
        """The kind of a buffer."""
        return self.plan.buffers[operand.buffer].kind

    def draft(self, size: int, first: int) -> int:
        """The first sweep of that size from `first` on; a new one if there is none."""
        for number in range(first, len(self.drafts)):
            if self.drafts[number].size == size:
                return number
        self.drafts.append(Draft(size))
        return len(self.drafts) - 1

    # ---- operands -------------------------------------------------------------------------------------------------------

    def argument(self, number: int, operand: Operand, kind: Kind) -> int:
        """The id of what sweep `number` reads: known by name, an element of a one-hot row, or loaded."""
        draft, key = self.drafts[number], (operand, kind)
        if key in self.numbers and self.numbers[key][1] <= number:
            return self.numbers[key][0]
        if key not in draft.known:
            if operand in self.lines:
                draft.known[key] = self.spot(number, self.lines[operand])
                return draft.known[key]
            draft.known[key] = self.id()
            draft.loads.append((draft.known[key], operand, kind))
            self.loaded.setdefault(operand.buffer, []).append((operand, number))
            if operand.size == 1 and operand.buffer not in self.stored:
                self.numbers[key] = draft.known[key], number
        return draft.known[key]

    def spot(self, number: int, line: Scatter) -> int:
        """An element of a one-hot row in a sweep."""
        index = self.argument(number, line.index, self.kind(line.index))
        value = self.argument(number, line.operand, self.kind(line.operand))
        self.drafts[number].spots.append(Spot(self.id(), index, value))
        return self.free - 1

    def store(self, number: int, value: int, operand: Operand) -> None:
        """Have a sweep store a value."""
        self.drafts[number].stores.append((value, operand))
        self.stored.setdefault(operand.buffer, []).append((operand, number))

    # ---- kernels --------------------------------------------------------------------------------------------------------

    def add(self, node: Kernel) -> None:
        """One kernel more."""
        match node:
            case Pointwise():
                self.pointwise(node)
            case Reduce():
                self.reduce(node)
            case Gather():
                self.pick(node)
            case Scatter():
                self.lines[node.out] = node

    def pointwise(self, node: Pointwise) -> None:
        first = [self.ready(operand, kind, node.size) for _, operand, kind in node.loads]
        first += [self.after_reads(operand, node.size) for _, operand in node.stores]
        number = self.draft(node.size, max(first, default=0))
        draft = self.drafts[number]
        ids = {each: self.argument(number, operand, kind) for each, operand, kind in node.loads}
        kinds = {ids[each]: kind for each, _, kind in node.loads}
        for each in node.statements:
            ids[each.id] = self.id()
            kinds[ids[each.id]] = each.kind
            args = tuple(ids[arg] for arg in each.args)
            draft.statements.append(Statement(ids[each.id], each.op, args, each.kind, each.value))
        for each_id, operand in node.stores:
            value = ids[each_id]
            self.store(number, value, operand)
            if kinds[value] is self.kind(operand):
                draft.known[operand, kinds[value]] = value
                if node.size == 1:
                    self.numbers[operand, kinds[value]] = value, number

    def reduce(self, node: Reduce) -> None:
        number = self.draft(node.middle, self.ready(node.operand, Kind.REAL, node.middle))
        value = self.argument(number, node.operand, Kind.REAL)
        fold = Fold(self.id(), node.how, value)
        self.drafts[number].folds.append(fold)
        self.number(node.out, fold.id, number + 1)

    def pick(self, node: Gather) -> None:
        kind = self.kind(node.index)
        first = max(self.behind(node.index, kind), self.ready(node.table, Kind.REAL, 0))
        if first >= len(self.drafts):
            first = self.draft(1, first)
        index = self.argument(first, node.index, kind)
        self.loaded.setdefault(node.table.buffer, []).append((node.table, first))
        pick = Pick(self.id(), node.table, index)
        self.drafts[first].picks.append(pick)
        self.number(node.out, pick.id, first)

    def behind(self, operand: Operand, kind: Kind) -> int:
        """The first sweep before whose loop a number is known."""
        first = self.ready(operand, kind, 0)
        computed = any(store == operand for store, _ in self.stored.get(operand.buffer, ()))
        return first + 1 if computed and (operand, kind) in self.numbers else first

    def number(self, operand: Operand, value: int, first: int) -> None:
        """A number of the row that is known by name from sweep `first` on."""
        self.numbers[operand, Kind.REAL] = value, first
        self.made.add(operand)

    def finish(self, outside: frozenset[int]) -> None:
        """Store what others read of sums, picks and one-hot rows."""
        for (operand, _), (value, first) in list(self.numbers.items()):
            if operand in self.made and operand.buffer in outside:
                self.store(self.draft(1, first), value, operand)
        for operand, line in self.lines.items():
            if operand.buffer in outside:
                number = self.draft(line.count, self.ready(operand, Kind.REAL, line.count))
                self.store(number, self.argument(number, operand, Kind.REAL), operand)


def build_chain(plan: Plan, members: Sequence[Pointwise | Reduce | Gather | Scatter]) -> Chain:
    """The chain that does what the members do, one behind another."""
    builder = Builder(plan)
    for node in members:
        builder.add(node)
    builder.finish(read_outside(plan, members))
    long = [each for each in members if isinstance(each, Pointwise) and each.size > 1]
    origin = (long[-1] if long else members[-1]).origin
    return Chain(members[0].axes, tuple(draft.finished() for draft in builder.drafts), origin)


def read_outside(plan: Plan, members: Sequence[Kernel]) -> frozenset[int]:
    """Buffers that others than the members read, or that the caller sees."""
    inside = {id(each) for each in members}
    found = {
        number
        for number, buffer in enumerate(plan.buffers)
        if buffer.home.role != "workspace" or buffer.slots
    }
    for _, node in flat(plan.nodes):
        if id(node) not in inside:
            found |= {operand.buffer for operand in reads_and_writes(plan, node)[0]}
    return frozenset(found)
