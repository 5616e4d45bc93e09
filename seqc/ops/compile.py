"""Turns the blocks of a Flow into lists of numpy calls, for one T, B, precision and choice of roots.

Takes blocks in running order; gives a `Program`: actions on a memory with one place for each value, and after each
action the values that nobody reads any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqc.flow.order import Block, reachable, sources, state_of
from seqc.flow.types import Axis, Flow, Kind, Type, Value, Way
from seqc.ops.environment import UNIFORM, Environment, fetcher
from seqc.ops.op import Array, Call, FlowError, Run
from seqc.ops.scan import Scan, SlotCode
from seqc.ops.table import ELEMENTWISE_NAMES, TABLE

Memory = list[Array]
Action = Callable[[Memory, Environment], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A Flow made ready for one T, B, precision and choice of roots; after each action what it frees."""

    actions: tuple[tuple[Action, tuple[int, ...]], ...]
    roots: tuple[tuple[str, int], ...]


class Compiler:
    """Turns blocks into actions for one T, B and precision."""

    def __init__(
        self, flow: Flow, blocks: Sequence[Block], steps: int, batch: int, real: np.dtype[Any]
    ) -> None:
        self.flow, self.blocks = flow, blocks
        self.steps, self.batch, self.real = steps, batch, real
        self.uniform = uniform_values(flow)
        self.users: list[list[int]] = [[] for _ in flow.values]
        for index in range(len(flow.values)):
            for source in sources(flow, index):
                self.users[source].append(index)

    def program(self, names: tuple[str, ...]) -> Program:
        """All actions that the named roots need, in order."""
        roots = tuple((name, self.flow.roots[name]) for name in names)
        needed = reachable(self.flow, (index for _, index in roots))
        actions: list[tuple[Action, tuple[int, ...], tuple[int, ...]]] = []
        kept = {index for _, index in roots}
        for block in self.blocks:
            members = [index for index in block.values if needed[index]]
            if not members:
                continue
            if block.cyclic:
                actions.append(self.scan(block, needed, kept))
            else:
                for index in members:
                    actions.append((self.across(index), sources(self.flow, index), (index,)))
        return Program(released(actions, kept), roots)

    def call(self, value: Value, real: np.dtype[Any], inside: bool) -> Call:
        """The value as its numpy meaning sees it; inside a loop there is no time."""
        gone = frozenset({Axis.TIME}) if inside else frozenset()
        types = [each.with_axes(each.axes - gone) for each in self.types(value)]
        own = value.type.with_axes(value.type.axes - gone)
        return Call(own, tuple(types), dict(value.attrs), self.steps, self.batch, real)

    def types(self, value: Value) -> list[Type]:
        """The types of the arguments."""
        return [self.flow.values[arg].type for arg in value.args]

    def function(self, index: int, inside: bool) -> Run:
        """The numpy function of a value; numbers of the call are brought to the precision of the build."""
        value = self.flow.values[index]
        double = self.uniform[index]
        meaning = TABLE[value.op].meaning
        if meaning is None:
            raise FlowError(f"{value.op} has no numpy meaning")
        function = meaning(self.call(value, np.dtype(np.float64) if double else self.real, inside))
        if double or self.real == np.float64 or inside:
            return function
        narrow = [self.narrows(arg) for arg in value.args]
        if not any(narrow):
            return function
        single = self.real.type

        def narrowed(*arrays: Array) -> Array:
            return function(
                *(single(array) if cut else array for array, cut in zip(arrays, narrow, strict=True))
            )

        return narrowed

    def narrows(self, index: int) -> bool:
        """Whether a value is a real number of the call, held in double precision."""
        return self.uniform[index] and self.flow.values[index].type.kind is Kind.REAL

    def across(self, index: int) -> Action:
        """The action of a value outside all loops."""
        value = self.flow.values[index]
        if value.op == "prev":
            return self.shift(index)
        if value.op == "final":
            state = self.flow.states[state_of(value)]
            last = self.steps - 1 if state.way is Way.FORWARD else 0
            source = state.next

            def take(memory: Memory, env: Environment) -> None:
                memory[index] = memory[source][last]

            return take
        if not value.args:
            real = np.dtype(np.float64) if self.uniform[index] else self.real
            fetch = fetcher(value, self.call(value, real, False))

            def load(memory: Memory, env: Environment) -> None:
                memory[index] = fetch(env)

            return load
        function, args = self.function(index, False), value.args

        def compute(memory: Memory, env: Environment) -> None:
            memory[index] = function(*[memory[arg] for arg in args])

        return compute

    def shift(self, index: int) -> Action:
        """`prev` of a state that no loop makes: its array moved by one step."""
        state = self.flow.states[state_of(self.flow.values[index])]
        init, following, forward = state.init, state.next, state.way is Way.FORWARD

        def move(memory: Memory, env: Environment) -> None:
            first, rest = memory[init][None], memory[following]
            parts = (first, rest[:-1]) if forward else (rest[1:], first)
            memory[index] = np.concatenate(parts)

        return move

    def scan(
        self, block: Block, needed: list[bool], kept: set[int]
    ) -> tuple[Action, tuple[int, ...], tuple[int, ...]]:
        """The action of a loop, what it reads and what it leaves behind."""
        inside = set(block.values)
        read: dict[int, None] = {}
        for index in block.values:
            value = self.flow.values[index]
            for source in value.args if value.op != "prev" else sources(self.flow, index):
                if source not in inside:
                    read[source] = None
        stored = self.stored(block, inside, needed, kept)
        slots = {index: slot for slot, index in enumerate((*block.values, *read))}
        code = []
        for index in block.values:
            value = self.flow.values[index]
            if value.op != "prev":
                code.append(
                    SlotCode(
                        slots[index], self.function(index, True), tuple(slots[arg] for arg in value.args)
                    )
                )
        loop = Scan(
            steps=self.steps,
            forward=block.way is Way.FORWARD,
            slots=len(slots),
            once=tuple((slots[i], i, self.narrowing(i)) for i in read if not self.streams(i)),
            streams=tuple((slots[i], i) for i in read if self.streams(i)),
            states=self.state_slots(block, slots),
            code=tuple(code),
            stored=tuple((slots[i], i, *self.array_of(i)) for i in stored),
        )
        return loop.run, tuple(read), stored

    def streams(self, index: int) -> bool:
        """Whether a value has a time axis."""
        return Axis.TIME in self.flow.values[index].type.axes

    def narrowing(self, index: int) -> Any:
        """The scalar type that a number of the call is brought to before a loop, or None."""
        return self.real.type if self.narrows(index) and self.real != np.float64 else None

    def array_of(self, index: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and element type of the whole array of a value."""
        call = self.call(self.flow.values[index], self.real, False)
        return call.extents(call.type.axes) + call.type.dims, call.dtype(call.type.kind)

    def state_slots(self, block: Block, slots: dict[int, int]) -> tuple[tuple[int, int, int], ...]:
        """For each `prev` of a loop: its slot, the value that it starts with, the slot that follows."""
        found = []
        for index in block.values:
            value = self.flow.values[index]
            if value.op == "prev":
                state = self.flow.states[state_of(value)]
                found.append((slots[index], state.init, slots[state.next]))
        return tuple(found)

    def stored(self, block: Block, inside: set[int], needed: list[bool], kept: set[int]) -> tuple[int, ...]:
        """The values of a loop that someone outside reads."""
        return tuple(
            index
            for index in block.values
            if index in kept or any(needed[user] and user not in inside for user in self.users[index])
        )


def uniform_values(flow: Flow) -> list[bool]:
    """For each value whether it is one number for a whole call, following from hypers, counters and constants."""
    uniform: list[bool] = []
    for value in flow.values:
        scalar = not value.type.axes and not value.type.dims
        if value.args:
            follows = value.op in ELEMENTWISE_NAMES and all(uniform[arg] for arg in value.args)
        else:
            follows = value.op in UNIFORM
        uniform.append(scalar and follows)
    return uniform


def released(
    actions: Sequence[tuple[Action, tuple[int, ...], tuple[int, ...]]], kept: set[int]
) -> tuple[tuple[Action, tuple[int, ...]], ...]:
    """Each action with the values that no later action reads."""
    seen = set(kept)
    result = []
    for action, reads, writes in reversed(actions):
        freed = tuple(dict.fromkeys(index for index in (*reads, *writes) if index not in seen))
        seen.update(freed)
        result.append((action, freed))
    return tuple(reversed(result))
