"""Passes copy a Flow value by value into a builder and replace what they want; here is the walk that does it.

Takes a Flow; keeps where each old value and state went; gives the new Flow. The simplest pass is `rewrite` with a
function; one that needs more holds a `Rebuilder` and calls `copy`, `put`, `define` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from seqc.flow.types import Flow, Type, Value
from seqc.ops.build import UNDEFINED, Builder
from seqc.ops.op import FlowError, join_axes
from seqc.ops.table import TABLE

SUMMING = frozenset({"contract", "reduce", "scatter"})
"""Operations whose result may lack axes that their arguments have."""


class Rebuilder:
    """The walk. `builder` collects the new graph; `states` leads from kept old states to new ones.

    All states are kept unless `states` names those to keep. With a `builder` given, the flow is copied into it
    behind what it holds already.
    """

    def __init__(
        self, flow: Flow, builder: Builder | None = None, states: Iterable[int] | None = None
    ) -> None:
        self.flow = flow
        self.builder = Builder() if builder is None else builder
        self.places = [UNDEFINED] * len(flow.values)
        self.states: dict[int, int] = {}
        self._defined: set[int] = set()
        for old in range(len(flow.states)) if states is None else states:
            state = flow.states[old]
            self.states[old] = self.builder.state(state.name, state.type, state.way, state.carried)

    def new(self, old: int) -> int:
        """Where an old value went."""
        place = self.places[old]
        if place == UNDEFINED:
            raise FlowError(f"value {old} ({self.flow.values[old].op}) is used but was not rebuilt")
        return place

    def args(self, old: int) -> tuple[int, ...]:
        """Where the arguments of an old value went."""
        return tuple(self.new(arg) for arg in self.flow.values[old].args)

    def put(self, old: int, new: int) -> int:
        """State that an old value went to `new`."""
        self.places[old] = new
        return new

    def copy(self, old: int, type: Type | None = None) -> int:
        """Add the same operation on the new arguments. Its type follows from them, unless `type` is given.

        Axes that the old value summed away are summed away again.
        """
        value = self.flow.values[old]
        if value.op in ("prev", "final"):
            return self.put(old, self._state_leaf(value))
        args = self.args(old)
        if type is None and TABLE[value.op].typed:
            type = self._asked(value, args)
        attrs = dict(value.attrs)
        return self.put(old, self.builder.put(value.op, args, attrs, type, value.origin))

    def _state_leaf(self, value: Value) -> int:
        state = value.attr("state")
        if not isinstance(state, int) or state not in self.states:
            raise FlowError(f"{value.op} reads state {state}, which is not kept")
        attrs = {"state": self.states[state]}
        type = self.builder.states[self.states[state]].type
        if value.op == "final":
            type = type.with_axes(value.type.axes & type.axes)
        return self.builder.put(value.op, (), attrs, type, value.origin)

    def _asked(self, value: Value, args: tuple[int, ...]) -> Type:
        """The type to ask for when a value whose author gave its type is rebuilt on other arguments."""
        old, types = value.type, [self.builder.type(arg) for arg in args]
        if value.op in SUMMING:
            before = join_axes([self.flow.values[arg].type for arg in value.args])
            kind = types[-1].kind
            return Type(kind, old.dims, join_axes(types) - (before - old.axes), old.bound)
        if value.op == "cast":
            return Type(old.kind, types[0].dims, types[0].axes, old.bound)
        if value.op == "reshape":
            return Type(types[0].kind, old.dims, types[0].axes, types[0].bound)
        if value.op == "broadcast":
            return Type(types[0].kind, old.dims, old.axes, types[0].bound)
        return old

    def define(self, state: int, init: int, next: int) -> None:
        """Define a kept state (old number) by new values; states left alone are copied by `close`."""
        self._defined.add(state)
        self.builder.define(self.states[state], init, next)

    def close(self) -> None:
        """Define all kept states that the pass has not defined itself."""
        for old in self.states:
            if old not in self._defined:
                state = self.flow.states[old]
                self.define(old, self.new(state.init), self.new(state.next))

    def finish(self, roots: Mapping[str, int] | None = None) -> Flow:
        """Close and give the new Flow. `roots` are new values; without them the old roots are kept."""
        self.close()
        if roots is None:
            roots = {name: self.new(root) for name, root in self.flow.roots.items()}
        return self.builder.finish(roots)


Change = Callable[[Rebuilder, int, Value], int | None]


def rewrite(flow: Flow, change: Change) -> Flow:
    """Walk a Flow in order; `change(walk, index, value)` gives the replacement of a value, or None to copy it."""
    walk = Rebuilder(flow)
    for index, value in enumerate(flow.values):
        new = change(walk, index, value)
        if new is None:
            walk.copy(index)
        else:
            walk.put(index, new)
    return walk.finish()
