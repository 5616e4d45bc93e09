"""The gradient of the loss, as more values of the same graph.

Takes a Flow with the root `loss` and the names and types of what is wanted; gives the Flow with roots `grad.…` added.
The gradient of a state is a state that runs the other way, so that backpropagation through time needs nothing else.

    before
        %0 : real {time,batch} = prev h                      # state 0
        %1 : real              = param w
        %2 : real {time,batch} = mul %0, w
        %4 : real {batch}      = broadcast 1.0
        %5 : real              = reduce how=sum dims=()  %2
        state 0 h : real {time,batch}, forward = init %4, next %2
        root loss = %5
    after
        %0  : real {time,batch} = prev h                       # state 0
        %1  : real              = param w
        %2  : real {time,batch} = mul %0, w
        %4  : real {batch}      = broadcast 1.0
        %5  : real              = reduce how=sum dims=()  %2
        %6  : real {time,batch} = prev d.h                     # state 1
        %8  : real {time,batch} = broadcast 1.0
        %9  : real {time,batch} = add %6, %8
        %10 : real {time,batch} = mul %9, w
        %11 : real {time,batch} = mul %9, %0
        %12 : real              = reduce how=sum dims=()  %11
        %14 : real {batch}      = broadcast 0.0
        state 0 h : real {time,batch}, forward = init %4, next %2
        state 1 d.h : real {time,batch}, backward, not carried = init %14, next %10
        root loss = %5
        root grad.w = %12
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from seqc.flow.order import sources, state_of
from seqc.flow.types import Flow, State, Type, Value, Way
from seqc.ops.build import Builder, sum_to
from seqc.ops.table import TABLE

OPPOSITE = {Way.FORWARD: Way.BACKWARD, Way.BACKWARD: Way.FORWARD}

Wanted = Mapping[tuple[str, str], tuple[str, Type]]
"""A leaf, as operation and name, to the root that its gradient gets and to its type."""


def differentiate(
    flow: Flow,
    parameters: Mapping[str, Type],
    inputs: Mapping[str, Type],
    states: Mapping[str, Type],
    hypers: Mapping[str, Type],
) -> Flow:
    """Add `grad.<parameter>`, `grad.input.<name>`, `grad.state.<name>` and `grad.hyper.<name>`, in this order.

    The gradient of a state is that with respect to the value handed in by the caller. What the loss does not
    depend on gets zeros.
    """
    wanted: dict[tuple[str, str], tuple[str, Type]] = {}
    for op, prefix, names in (
        ("param", "grad.", parameters),
        ("input", "grad.input.", inputs),
        ("carried", "grad.state.", states),
        ("hyper", "grad.hyper.", hypers),
    ):
        for name, type in names.items():
            wanted[op, name] = (prefix + name, type)
    return Adjoint(flow, wanted).run() if wanted else flow


def reached(flow: Flow, op: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the named leaves that a gradient of the loss reaches, in the order given."""
    active = active_values(flow, lambda value: leaf_key(value) is not None and value.op == op)
    found = {leaf_key(value) for value, alive in zip(flow.values, active, strict=True) if alive}
    return tuple(name for name in names if (op, name) in found)


def leaf_key(value: Value) -> tuple[str, str] | None:
    """Operation and name of a leaf that a gradient may be wanted for."""
    if value.op in ("param", "input", "hyper", "carried"):
        name = value.attr("state_name" if value.op == "carried" else "name")
        return (value.op, str(name))
    return None


def passes_gradient(value: Value) -> bool:
    """Whether a gradient that reaches the value goes on to what it is made of."""
    return value.op in ("prev", "final") or TABLE[value.op].derivative is not None


def active_values(flow: Flow, is_wanted: Callable[[Value], bool]) -> list[bool]:
    """The values that depend on a wanted leaf and that the loss depends on, both through real, differentiable values."""
    count = len(flow.values)
    real = [value.type.kind.is_real for value in flow.values]
    needs = [
        [source for source in sources(flow, index) if real[source]]
        if real[index] and passes_gradient(flow.values[index])
        else []
        for index in range(count)
    ]
    users: list[list[int]] = [[] for _ in range(count)]
    for index, each in enumerate(needs):
        for source in each:
            users[source].append(index)
    leaves = [index for index, value in enumerate(flow.values) if real[index] and is_wanted(value)]
    depends = spread(leaves, users)
    loss = flow.roots["loss"]
    return [a and b for a, b in zip(depends, spread([loss], needs), strict=True)]


def spread(start: Sequence[int], edges: Sequence[Sequence[int]]) -> list[bool]:
    """What is reached from `start` along the edges."""
    found = [False] * len(edges)
    todo = list(start)
    while todo:
        index = todo.pop()
        if not found[index]:
            found[index] = True
            todo.extend(edges[index])
    return found


class Adjoint:
    """The walk from the last value to the first. `received` holds what has reached each value so far."""

    def __init__(self, flow: Flow, wanted: Wanted) -> None:
        self.flow = flow
        self.wanted = wanted
        self.builder = Builder()
        self.builder.values = list(flow.values)
        self.builder.states = list(flow.states)
        self.active = active_values(flow, lambda value: leaf_key(value) in wanted)
        self.received: list[list[int]] = [[] for _ in flow.values]
        self.twins: dict[int, int] = {}
        self.at_prev: dict[int, list[int]] = {}
        self.at_final: dict[int, list[int]] = {}
        self.leaves: dict[tuple[str, str], list[int]] = {}

    def run(self) -> Flow:
        """Seed, walk, close the states, and name the results."""
        loss = self.flow.roots["loss"]
        for number in sorted({state_of(self.flow.values[index]) for index in self.readers()}):
            self.open_twin(number, self.flow.states[number])
        self.received[loss].append(self.builder.const(1.0, self.flow.values[loss].type.kind))
        for index in range(len(self.flow.values) - 1, -1, -1):
            if self.active[index] and self.received[index]:
                self.visit(index)
            self.received[index] = []
        for number, twin in self.twins.items():
            type = self.flow.states[number].type
            self.builder.define(
                twin, self.total(self.at_final[number], type), self.total(self.at_prev[number], type)
            )
        roots = dict(self.flow.roots)
        for key, (root, type) in self.wanted.items():
            roots[root] = self.fitted(self.total(self.leaves.get(key, []), type), type)
        return self.builder.finish(roots)

    def readers(self) -> list[int]:
        """The active values that read a state: through these a gradient runs through time."""
        return [
            index
            for index, value in enumerate(self.flow.values)
            if self.active[index] and value.op in ("prev", "final")
        ]

    def open_twin(self, number: int, state: State) -> None:
        """Announce the state of the gradient, and let it reach what makes the state.

        Before its own contributions, the value that becomes the state at this step has what the next step sent.
        """
        twin = self.builder.state(f"d.{state.name}", state.type, OPPOSITE[state.way], carried=False)
        self.twins[number] = twin
        self.at_prev[number], self.at_final[number] = [], []
        origin = self.flow.values[state.next].origin
        with self.builder.at(origin):
            if self.active[state.next]:
                self.received[state.next].append(self.builder.prev(twin))
            if self.active[state.init]:
                self.received[state.init].append(self.builder.final(twin))

    def visit(self, index: int) -> None:
        """Send the gradient of one value on to what it is made of."""
        value = self.flow.values[index]
        with self.builder.at(value.origin):
            gradient = self.fitted(self.total(self.received[index], value.type), value.type)
            if value.op == "prev":
                self.at_prev[state_of(value)].append(gradient)
                return
            if value.op == "final":
                self.at_final[state_of(value)].append(gradient)
                return
            key = leaf_key(value)
            if key is not None and key in self.wanted:
                self.leaves.setdefault(key, []).append(gradient)
            rule = TABLE[value.op].derivative
            if rule is None:
                return
            parts = rule(self.builder, index, gradient)
            for arg, part in zip(value.args, parts, strict=True):
                if part is not None and self.active[arg]:
                    self.received[arg].append(sum_to(self.builder, part, self.flow.values[arg].type))

    def total(self, parts: Sequence[int], like: Type) -> int:
        """The sum of all parts, in the order in which they came; zero without any."""
        if not parts:
            return self.builder.const(0.0, like.kind)
        result = parts[0]
        for part in parts[1:]:
            result = self.builder.plus(result, part)
        return result

    def fitted(self, gradient: int, like: Type) -> int:
        """The gradient with all dims and axes of its value, which rules rely on."""
        return self.builder.broadcast(gradient, like)
