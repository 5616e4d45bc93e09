"""One entry point out of a whole model: its roots, what `training` and `step` mean there, and the states carried in.

Takes a Program and the name of an entry; gives a Flow that holds nothing but what this entry wants.

    before
        %0 : real {time,batch} = prev h                      # state 0
        %1 : real {time,batch} = input x
        %2 : real {time,batch} = add %0, x
        %4 : real {batch}      = broadcast 0.0
        %5 : real              = reduce how=sum dims=()  %2
        state 0 h : real {time,batch}, forward = init %4, next %2
        root output.y = %2
        root loss = %5
    after
        %0 : real {time,batch} = prev h             # state 0
        %1 : real {time,batch} = input x
        %2 : real {time,batch} = add %0, x
        %4 : real {batch}      = broadcast 0.0
        %5 : bool {batch}      = fresh h
        %6 : real {batch}      = carried h
        %7 : real {batch}      = select %5, %4, %6
        %8 : real {batch}      = final h            # state 0
        state 0 h : real {time,batch}, forward = init %7, next %2
        root output.y = %2
        root state.h = %8
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seqc.flow.carried import SCORING, group_roots, is_carried
from seqc.flow.order import state_of
from seqc.flow.types import ONCE, Axis, Flow, Kind, State, Type, Value
from seqc.ops.op import FlowError
from seqc.ops.rewrite import Rebuilder
from seqc.passes.prune import prune
from seqc.passes.sequence import running_order

if TYPE_CHECKING:
    from seqc.lower.program import Program

ENTRIES = ("infer", "evaluate", "gradients", "update", "step", "generate")
"""The entry points that come from the graph of the model; `apply` comes from its update rules."""

ONE_STEP = ("step", "generate")
"""Entries that run one step at a time: the time axis goes, and an input may be left out."""

COUNT = Type(Kind.INT)


def specialise(program: Program, entry: str) -> Flow:
    """The part of the model that an entry point runs."""
    if entry not in ENTRIES:
        raise FlowError(f"there is no entry {entry}")
    return Specialiser(program, entry).run()


def wanted_roots(flow: Flow, entry: str) -> dict[str, int]:
    """The roots of the model that an entry gives, in the order of the Program."""
    prefixes: tuple[str, ...] = ("loss", "metric.") if entry in SCORING else ("output.",)
    if entry == "generate":
        prefixes = ("output.", "until")
    return {name: root for name, root in flow.roots.items() if name.startswith(prefixes)}


def is_held(flow: Flow, state: State) -> bool:
    """Whether a state keeps its first value: its `next` is its own `prev`."""
    value = flow.values[state.next]
    return value.op == "prev" and flow.states[state_of(value)] is state


class Specialiser:
    """The walk, in an order in which defaults and first values of held states stand before those who read them."""

    def __init__(self, program: Program, entry: str) -> None:
        self.program = program
        self.flow = program.flow
        self.entry = entry
        self.carried = is_carried(self.flow, entry)
        self.held = [is_held(self.flow, state) for state in self.flow.states]
        self.with_default = {each.name for each in program.inputs if each.default} & self._defaults()
        self.firsts: dict[int, int] = {}
        self.lengths = {each.name for each in program.inputs if each.length}

    def _defaults(self) -> set[str]:
        """The inputs that have a value of their own in this entry."""
        if self.entry not in ONE_STEP:
            return set()
        return {name.removeprefix("default.") for name in self.flow.roots if name.startswith("default.")}

    def run(self) -> Flow:
        """Copy what is wanted, define the states, add the roots of the states."""
        wanted = wanted_roots(self.flow, self.entry)
        group = group_roots(self.flow, self.entry)
        indices = running_order(len(self.flow.values), group, self.needs, self.behind)
        states = self.states_read(indices)
        walk = Rebuilder(self.flow, states=[number for number in states if not self.held[number]])
        self.walk = walk
        if not self.carried:
            walk.builder.states = [replace(state, carried=False) for state in walk.builder.states]
        for index in indices:
            with walk.builder.at(self.flow.values[index].origin):
                self.rebuild(index)
        roots = {name: walk.new(root) for name, root in wanted.items()}
        for number in states:
            self.close(number, roots)
        return prune(walk.finish(roots))

    def needs(self, index: int) -> tuple[int, ...]:
        """What must stand before a value in the new graph."""
        value = self.flow.values[index]
        if value.op in ("prev", "final") and self.held[state_of(value)]:
            return (self.flow.states[state_of(value)].init,)
        if value.op == "input" and value.attr("name") in self.with_default:
            return (self.flow.roots[f"default.{value.attr('name')}"],)
        return value.args

    def behind(self, index: int) -> tuple[int, ...]:
        """What a value needs too, but not before it: what makes the state that it reads."""
        value = self.flow.values[index]
        if value.op in ("prev", "final") and not self.held[state_of(value)]:
            state = self.flow.states[state_of(value)]
            return (state.init, state.next)
        return ()

    def states_read(self, indices: Sequence[int]) -> list[int]:
        """The states that the values read, in order."""
        readers = (self.flow.values[index] for index in indices)
        return sorted({state_of(value) for value in readers if value.op in ("prev", "final")})

    def rebuild(self, index: int) -> None:
        """Put one value into the new graph."""
        value, walk, builder = self.flow.values[index], self.walk, self.walk.builder
        if value.op == "training":
            walk.put(index, builder.const(self.entry in ("gradients", "update"), Kind.BOOL))
        elif value.op == "step":
            walk.put(index, self.own_step(value))
        elif value.op == "input":
            walk.put(index, self.input(index, value))
        elif value.op == "given" and self.entry not in ONE_STEP:
            walk.put(index, builder.const(True, Kind.BOOL))
        elif value.op in ("prev", "final") and self.held[state_of(value)]:
            walk.put(index, builder.broadcast(self.first_value(state_of(value)), value.type))
        else:
            walk.copy(index)

    def own_step(self, value: Value) -> int:
        """`step`: the steps that the row saw before, and those of this call."""
        builder = self.walk.builder
        instant = builder.add("instant", type=COUNT.with_axes(value.type.axes & {Axis.TIME}))
        if not self.carried:
            return builder.broadcast(instant, value.type)
        started = builder.add("started", type=COUNT.with_axes(ONCE))
        return builder.plus(started, instant)

    def input(self, index: int, value: Value) -> int:
        """An input; where the caller may leave it out, or its default. One step of a sequence has length one."""
        walk, builder, name = self.walk, self.walk.builder, str(value.attr("name"))
        if self.entry in ONE_STEP and name in self.lengths:
            return builder.broadcast(builder.const(1, Kind.INT), value.type)
        own = walk.copy(index)
        if name not in self.with_default:
            return own
        default = walk.new(self.flow.roots[f"default.{name}"])
        given = builder.add("given", type=Type(Kind.BOOL), name=name)
        return builder.select(given, own, builder.cast(default, value.type.kind, value.type.bound))

    def first_value(self, number: int) -> int:
        """What a state starts from in this call: its `=` value where the row is fresh, else what the caller hands in."""
        if number not in self.firsts:
            self.firsts[number] = self.made_first(number)
        return self.firsts[number]

    def made_first(self, number: int) -> int:
        """Add `first_value` to the graph."""
        state, builder = self.flow.states[number], self.walk.builder
        once = state.type.with_axes(state.type.axes - {Axis.TIME})
        init = builder.broadcast(self.walk.new(state.init), once)
        if not self.carried or not state.carried:
            return init
        fresh = builder.add("fresh", type=Type(Kind.BOOL, (), ONCE), state_name=state.name)
        carried = builder.add("carried", type=once, state_name=state.name)
        chosen = builder.select(fresh, init, carried)
        return builder.cast(chosen, once.kind, once.bound)

    def close(self, number: int, roots: dict[str, int]) -> None:
        """Define a state that is not held, and add its root if it lives on."""
        state, walk, builder = self.flow.states[number], self.walk, self.walk.builder
        lives = self.carried and state.carried
        with builder.at(self.flow.values[state.next].origin):
            first = self.first_value(number)
            if self.held[number]:
                if lives:
                    roots[f"state.{state.name}"] = first
                return
            next = walk.new(state.next)
            if self.entry == "generate":
                active = builder.add("active", type=Type(Kind.BOOL, (), ONCE))
                next = builder.select(active, next, builder.prev(walk.states[number]))
            walk.define(number, first, next)
            if lives:
                roots[f"state.{state.name}"] = builder.final(walk.states[number])
