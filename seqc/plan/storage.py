"""Memory for values: which ones need any, in which buffer they lie, and what has to be copied.

Takes a `Graph` with levels; gives for every stored value the operand at which it is read, further places to which its
kernel writes it (states, parts of joined vectors, the caller's arrays), and copies where a kernel cannot write there.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from seqc.flow.types import Axis, Kind, Type, Way
from seqc.lower.program import Program
from seqc.plan.buffers import Buffer, Home, Operand
from seqc.plan.fuse import Levels
from seqc.plan.graph import MEMORY, Graph, Use, live_states, way_shift
from seqc.plan.roots import IN_PLACE, leaf_home, root_home
from seqc.plan.stack import Stack

WHOLE_OUT = frozenset({"output", "grad", "grad.input", "grad.state"})
"""Roles whose elements look like those of the workspace, if they are reals: any kernel may write there."""

WORKSPACE = Home("workspace")


@dataclass(frozen=True, slots=True)
class Copy:
    """A value that has to be copied to an operand, by a loop of its own in `phase` on `level`."""

    phase: int
    level: int
    value: int
    target: Operand


@dataclass(slots=True)
class Storage:
    """`primary`: where a stored value is read. `extra`: where its loop writes it too."""

    graph: Graph
    levels: Levels
    program: Program
    entry: str
    block: int
    direct: set[int]
    buffers: list[Buffer] = field(default_factory=list)
    primary: dict[int, Operand] = field(default_factory=dict)
    extra: dict[int, list[Operand]] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    tail: list[tuple[int, Operand]] = field(default_factory=list)
    state_buffer: dict[int, int] = field(default_factory=dict)
    slices: dict[int, list[Operand | None]] = field(default_factory=dict)
    targets: dict[int, list[Operand]] = field(default_factory=dict)
    leaves: dict[Home, int] = field(default_factory=dict)

    def add(self, buffer: Buffer) -> int:
        """A new buffer."""
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def name(self, index: int) -> str:
        """What a reader would call the value."""
        value = self.graph.flow.values[index]
        return value.origin.name or value.op

    def scratch(self, name: str, type: Type, axes: frozenset[Axis], home: Home = WORKSPACE) -> Operand:
        """All of a new plain buffer."""
        number = self.add(Buffer(name, type.kind, type.size, axes, home))
        return Operand(number, type.size)

    def is_local(self, index: int) -> bool:
        """Whether only the step that makes the value reads it."""
        graph = self.graph
        phase = graph.phase[index]
        return graph.cyclic(phase) and all(use.user >= 0 and use.phase == phase for use in graph.uses[index])

    def is_stored(self, index: int) -> bool:
        """Whether somebody outside of the value's own loop reads it."""
        if index not in self.levels.level:
            return False
        return not self.graph.is_pointwise(index) or bool(self.readers(index))

    def readers(self, index: int) -> list[Use]:
        """The uses of a value outside of its own loop."""
        graph, levels = self.graph, self.levels
        if not graph.is_pointwise(index):
            return graph.uses[index]
        group = levels.group(index)

        def inside(use: Use) -> bool:
            near = use.user in levels.level and use.phase == graph.phase[index] and use.whole
            return near and levels.same_loop(index, use.user) and levels.group(use.user) == group

        return [use for use in graph.uses[index] if not inside(use)]

    def read(self, index: int) -> Operand:
        """The operand at which a value, or the part of one, is read."""
        base, offset = self.graph.ref[index]
        if base not in self.primary:
            self.primary[base] = self.leaf(base)
        operand = self.primary[base]
        if operand.gate is not None:
            return operand
        return replace(operand, offset=operand.offset + offset, size=self.graph.size(index))

    def leaf(self, index: int) -> Operand:
        """The operand of a value that lies in memory already."""
        graph, op = self.graph, self.graph.op[index]
        assert op in MEMORY, f"value {index} ({op}) was never stored"
        type = graph.type(index)
        if op in ("prev", "final"):
            number = graph.state(index)
            state = graph.flow.states[number]
            shift, following = way_shift(state.way)
            if op == "prev":
                return Operand(self.state_buffer[number], type.size, 0, shift)
            return Operand(self.state_buffer[number], type.size, at="last" if following else "first")
        attrs = graph.flow.values[index].attrs
        home = leaf_home(op, str(attrs[0][1]) if attrs else "", self.entry)
        return Operand(self.leaf_buffer(home, type), type.size)

    def leaf_buffer(self, home: Home, type: Type) -> int:
        """The one buffer of a caller's array."""
        if home not in self.leaves:
            self.leaves[home] = self.add(
                Buffer(home.name or home.role, type.kind, type.size, type.axes, home)
            )
        return self.leaves[home]


def find_storage(levels: Levels, program: Program, entry: str, block: int, direct: set[int]) -> Storage:
    """Place every stored value in a buffer. The loops of `direct` values write the caller's memory in place."""
    graph = levels.graph
    storage = Storage(graph, levels, program, entry, block, direct)
    make_states(storage)
    make_roots(storage)
    for index in graph.computed():
        if index in graph.segments and index in levels.level:
            make_neighbours(storage, index)
    for index in reversed(graph.computed()):
        if index in levels.level and storage.is_stored(index) and index not in storage.primary:
            make_home(storage, index)
    return storage


def make_states(storage: Storage) -> None:
    """A buffer for each state, and the places where its first and its following values have to go."""
    graph = storage.graph
    followed: dict[tuple[int, Way], int] = {}
    for number in live_states(graph):
        state = graph.flow.states[number]
        if graph.live[state.init]:
            followed.setdefault((state.next, state.way), number)
    for number in live_states(graph):
        state = graph.flow.states[number]
        known = followed.setdefault((state.next, state.way), number)
        if known < number and not graph.live[state.init]:
            storage.state_buffer[number] = storage.state_buffer[known]
            continue
        type = state.type
        slots = 1
        buffer = Buffer(state.name, type.kind, type.size, type.axes, WORKSPACE, slots)
        storage.state_buffer[number] = storage.add(buffer)
        _, shift = way_shift(state.way)
        whole = Operand(storage.state_buffer[number], type.size)
        target(storage, state.next, replace(whole, shift=shift))
        if graph.live[state.init]:
            target(storage, state.init, replace(whole, at="first" if shift else "last"))


def target(storage: Storage, index: int, operand: Operand) -> None:
    """Have a value written to an operand: by its own kernel if it can, else by a copy."""
    graph = storage.graph
    base, offset = graph.ref[index]
    whole = offset == 0 and graph.size(base) == graph.size(index)
    same_phase = graph.phase[base] == graph.phase[index]
    if whole and same_phase and base in storage.levels.level:
        storage.targets.setdefault(base, []).append(operand)
        return
    level = storage.levels.ready.get(base, 0) if same_phase else 0
    storage.copies.append(Copy(graph.phase[index], level, index, operand))


def make_roots(storage: Storage) -> None:
    """The caller's arrays that have to be filled; what changes the caller's memory is copied at the very end."""
    graph = storage.graph
    for name, index in graph.flow.roots.items():
        home = root_home(name, storage.program)
        if home is None:
            continue
        type = graph.type(index)
        operand = Operand(storage.leaf_buffer(home, type), type.size)
        base, offset = graph.ref[index]
        if storage.primary.get(base) == operand or is_itself(storage, base, offset, home):
            continue
        whole = offset == 0 and graph.size(base) == graph.size(index)
        direct = (
            whole and base in storage.levels.level and (home.role not in IN_PLACE or base in storage.direct)
        )
        if direct and graph.type(base).axes == type.axes:
            storage.targets.setdefault(base, []).append(operand)
        else:
            storage.tail.append((index, operand))


def is_itself(storage: Storage, base: int, offset: int, home: Home) -> bool:
    """Whether a root only hands back what the caller's memory holds already."""
    if offset or storage.graph.op[base] not in MEMORY or storage.graph.op[base] in ("prev", "final"):
        return False
    return storage.buffers[storage.leaf(base).buffer].home == home


def make_neighbours(storage: Storage, product: int) -> None:
    """Let the operands of one product that loops compute lie side by side, so that it has one segment for them."""
    graph = storage.graph
    groups: dict[object, list[int]] = {}
    for term in graph.segments[product]:
        index, offset = graph.ref[term.vector]
        free = index in storage.levels.level and index not in storage.primary and index not in storage.targets
        if free and not offset and term.form == "columns" and term.rows == 1 and storage.is_stored(index):
            whole = graph.is_pointwise(index) and graph.size(index) == term.depth
            local = storage.is_local(index)
            key = graph.phase[index], graph.type(index).axes, graph.type(index).kind, term.depth, local
            if whole and index not in groups.setdefault(key, []):
                groups[key].append(index)
    for members in groups.values():
        type, count = graph.type(members[0]), len(members)
        if count < 2 or type.kind is not Kind.REAL or any(joined(graph, each) for each in members):
            continue
        axes = type.axes - {Axis.TIME} if storage.is_local(members[0]) else type.axes
        wide = Type(type.kind, (count * type.size,), axes)
        whole_of_all = storage.scratch(storage.name(members[-1]), wide, axes)
        for place, member in enumerate(members):
            storage.primary[member] = replace(whole_of_all, offset=place * type.size, size=type.size)


def joined(graph: Graph, index: int) -> bool:
    """Whether a value is part of a longer vector, which has a place of its own for it."""
    return any(use.user >= 0 and graph.op[use.user] in ("concat", "stack") for use in graph.uses[index])


def make_home(storage: Storage, index: int) -> None:
    """Choose where a value is read; the other places get stores of its loop, or copies."""
    graph = storage.graph
    stack = storage.levels.stacks.get(index)
    if stack is not None and len(stack.members) > 1:
        make_stack(storage, stack)
        return
    wanted = storage.targets.get(index, [])
    others = [
        use for use in storage.readers(index) if use.user >= 0 and not is_part(storage, index, use.user)
    ]
    chosen = next((each for each in wanted if may_be_home(storage, index, each, bool(others))), None)
    if chosen is None:
        type = graph.type(index)
        axes = type.axes - {Axis.TIME} if storage.is_local(index) else type.axes
        chosen = storage.scratch(storage.name(index), type, axes)
    storage.primary[index] = chosen
    rest = [each for each in wanted if each is not chosen]
    if graph.is_pointwise(index):
        storage.extra[index] = rest
    else:
        for each in rest:
            copy_later(storage, index, each)
    if graph.op[index] in ("concat", "stack") and index not in graph.segments:
        make_slices(storage, index)


def is_part(storage: Storage, index: int, user: int) -> bool:
    """Whether the user is a joined vector that has nothing left to move from the value."""
    parts = storage.slices.get(user, ())
    args = storage.graph.args[user]
    found = [part for arg, part in zip(args, parts, strict=False) if storage.graph.ref[arg][0] == index]
    return bool(found) and all(part is None for part in found)


def make_stack(storage: Storage, stack: Stack) -> None:
    """One interleaved buffer for all gates of a product."""
    graph, first = storage.graph, stack.members[0]
    type = graph.type(first)
    local = all(storage.is_local(member) for member in stack.members)
    axes = type.axes - {Axis.TIME} if local else type.axes
    count, name = len(stack.members), storage.name(first)
    buffer = Buffer(name, type.kind, type.size * count, axes, WORKSPACE, 0, count, type.size, storage.block)
    number = storage.add(buffer)
    for gate, member in enumerate(stack.members):
        storage.primary[member] = Operand(number, type.size, gate=gate)


def copy_later(storage: Storage, index: int, operand: Operand) -> None:
    """A copy of what a kernel wrote."""
    home = storage.buffers[operand.buffer].home
    if home.role == "workspace":
        phase = storage.graph.phase[index]
        storage.copies.append(Copy(phase, storage.levels.ready[index], index, operand))
    else:
        storage.tail.append((index, operand))


def may_be_home(storage: Storage, index: int, operand: Operand, others: bool) -> bool:
    """Whether a value may lie at an operand alone: readable if others read it, writable by its kernel."""
    graph, buffer = storage.graph, storage.buffers[operand.buffer]
    workspace = buffer.home.role == "workspace"
    if others and (not workspace or operand.at):
        return False
    if Axis.TIME in graph.type(index).axes - buffer.axes and not operand.at and not storage.is_local(index):
        return False  # the joined vector holds one step, and others want them all
    if graph.is_pointwise(index):
        return True
    partial = operand.offset > 0 or buffer.size != operand.size
    if index in graph.segments and (operand.at or partial):
        return False
    return workspace or (
        buffer.home.role in WHOLE_OUT and buffer.kind is graph.type(index).kind and buffer.kind.is_real
    )


def make_slices(storage: Storage, index: int) -> None:
    """The parts of a joined vector: where a loop writes its value there itself, nothing is left to move."""
    graph = storage.graph
    whole = storage.primary[index]
    parts: list[Operand | None] = []
    offset = whole.offset
    in_pieces = graph.op[index] == "stack" or joins_in_pieces(graph, index)
    local = Axis.TIME not in storage.buffers[whole.buffer].axes
    for arg in graph.args[index]:
        size = graph.size(arg)
        part = replace(whole, offset=offset, size=size)
        offset += size
        base, start = graph.ref[arg]
        fits = start == 0 and graph.size(base) == size and base in storage.levels.level
        fits = (
            fits
            and graph.type(base).axes == graph.type(index).axes
            and graph.type(base).kind is graph.type(index).kind
        )
        together = graph.phase[base] == graph.phase[index]
        fits = fits and (not local or together) and graph.is_pointwise(base)
        if in_pieces and fits:
            storage.targets.setdefault(base, []).append(part)
            parts.append(None)
        else:
            parts.append(part)
    storage.slices[index] = parts


def joins_in_pieces(graph: Graph, index: int) -> bool:
    """Whether each part of a joined array lies in one piece."""
    dims, dim = graph.type(index).dims, graph.whole(index, "dim")
    return all(each == 1 for each in dims[:dim])
