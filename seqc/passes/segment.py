"""A long sequence in segments: programs that together give loss and gradients of one, in a bounded memory.

Takes a Program; gives the Program of each part. They share parameters, hypers and states with the whole.

- `advance` runs a segment forwards: its outputs are the sums over time that the loss is made of (`cut`s), the new states
  its checkpoint. A sum over all steps is the sum of those of the segments.
- `score` is the same without training: no dropout.
- `close` makes loss and metrics of the cuts; its gradients with respect to them are the `seed`s.
- `back` runs a segment forwards again and backwards: its loss is the sum of cuts and last states, each times its seed,
  so that its gradients are those of the whole loss through this segment. The gradient of the state handed in is the seed
  for the segment before.

Gruslys et al. 2016, with the states as checkpoints and one level of recomputing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from seqc.flow.order import sources, state_of
from seqc.flow.types import Axis, Flow, Kind, State, Type, Value, Way
from seqc.lower.program import Input, Program
from seqc.ops.build import Builder, sum_to
from seqc.passes.prune import prune

PARTS = ("advance", "score", "close", "back")
TOTAL = "segment.steps"
"""The input that says how many steps the whole sequence has, where a segment wants to know."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A value without time that streams are summed into, or the last value of a state (`final`)."""

    name: str
    value: int
    final: bool


class NotSegmented(Exception):
    """Why a model cannot be trained in segments."""


def segment(program: Program, part: str) -> Program:
    """One of the parts; NotSegmented with the reason where there is none."""
    cuts = cuts_of(program)
    if part in ("advance", "score"):
        return advance(program, cuts, part)
    return close(program, cuts) if part == "close" else back(program, cuts)


def cuts_of(program: Program) -> tuple[Cut, ...]:
    """The cuts that loss and metrics are made of, in order of their values."""
    flow = program.flow
    if "loss" not in flow.roots:
        raise NotSegmented("the model has no loss")
    scores = [root for name, root in flow.roots.items() if name == "loss" or name.startswith("metric.")]
    found: dict[int, Cut] = {}
    todo, seen = list(scores), set(scores)
    while todo:
        index = todo.pop()
        value = flow.values[index]
        if Axis.TIME in value.type.axes:
            raise NotSegmented("the loss has one value for each step")
        final = value.op == "final"
        if final or any(Axis.TIME in flow.values[arg].type.axes for arg in value.args):
            check_cut(value)
            found[index] = Cut(f"cut.{index}" + (".final" if final else ""), index, final)
            continue
        for arg in value.args:
            if arg not in seen:
                seen.add(arg)
                todo.append(arg)
    check_streams(flow, found)
    return tuple(found[index] for index in sorted(found))


def check_cut(value: Value) -> None:
    """Only what adds up from segment to segment may be cut."""
    if value.op == "reduce" and value.attr("how") != "sum":
        raise NotSegmented(f"the loss takes the {value.attr('how')} over all steps, {place(value)}")


def check_streams(flow: Flow, cuts: dict[int, Cut]) -> None:
    """Streams below the cuts run once through time, forwards, and see nothing of the whole sequence."""
    below = list(cuts)
    seen = set(below)
    while below:
        index = below.pop()
        value = flow.values[index]
        if value.op == "reverse":
            raise NotSegmented(f"it turns time round, {place(value)}")
        if value.op in ("prev", "final") and flow.states[state_of(value)].way is Way.BACKWARD:
            raise NotSegmented("a state runs backwards in time")
        whole = index not in cuts and Axis.TIME not in value.type.axes
        if whole and any(Axis.TIME in flow.values[arg].type.axes for arg in sources(flow, index)):
            raise NotSegmented(f"a step sees a sum over all steps, {place(value)}")
        for arg in sources(flow, index):
            if arg in cuts:
                raise NotSegmented(f"a step sees what is made of all steps, {place(flow.values[arg])}")
            if arg not in seen:
                seen.add(arg)
                below.append(arg)


def place(value: Value) -> str:
    """Where a value stands in the source."""
    return f"at {value.origin.place}" if value.origin.place else "somewhere in the loss"


def advance(program: Program, cuts: tuple[Cut, ...], name: str) -> Program:
    """Forwards through a segment, as in training or not."""
    flow = within_segment(program)
    if name == "advance":
        flow = replace(flow, values=tuple(as_in_training(value) for value in flow.values))
    roots = {f"output.{cut.name}": cut.value for cut in cuts}
    return part(program, name, replace(flow, roots=roots), inputs_of(program, flow))


def as_in_training(value: Value) -> Value:
    """`training` is true although the segment runs forwards alone."""
    if value.op != "training":
        return value
    return Value("const", (), (("value", True),), value.type, value.origin)


def close(program: Program, cuts: tuple[Cut, ...]) -> Program:
    """From the cuts to loss and metrics."""
    flow = program.flow
    values = list(flow.values)
    inputs = []
    for cut in cuts:
        type = values[cut.value].type
        values[cut.value] = Value("input", (), (("name", cut.name),), type, values[cut.value].origin)
        inputs.append(Input(cut.name, type, target=False))
    roots = {name: root for name, root in flow.roots.items() if name == "loss" or name.startswith("metric.")}
    return part(program, "close", Flow(tuple(values), all_carried(flow), roots), (*program.inputs, *inputs))


def back(program: Program, cuts: tuple[Cut, ...]) -> Program:
    """Forwards and backwards through a segment."""
    flow = within_segment(program)
    builder = Builder()
    builder.values, builder.states = list(flow.values), list(flow.states)
    seeds: list[Input] = []
    total = builder.const(0.0, Kind.REAL)
    wanted = [(f"seed.{cut.name}", cut.value) for cut in cuts if flow.values[cut.value].type.kind.is_real]
    for number in states_below(flow, cuts):
        type = flow.states[number].type
        if not type.kind.is_real:
            continue
        end = builder.put("final", (), {"state": number}, type.with_axes(type.axes - {Axis.TIME}))
        wanted.append((f"seed.state.{flow.states[number].name}", end))
    for name, value in wanted:
        type = builder.type(value)
        seeds.append(Input(name, type, target=False))
        seed = builder.add("input", type=type, name=name)
        weighed = builder.mul(value, seed)
        if type.dims:
            weighed = builder.reduce("sum", weighed)
        weighed = builder.cast(weighed, Kind.REAL)
        total = builder.plus(total, sum_to(builder, weighed, Type(Kind.REAL)))
    finished = builder.finish({"loss": total})
    return part(program, "back", finished, (*inputs_of(program, flow), *seeds))


def states_below(flow: Flow, cuts: tuple[Cut, ...]) -> list[int]:
    """The states that the cuts are made of."""
    todo = [cut.value for cut in cuts]
    seen = set(todo)
    found: set[int] = set()
    while todo:
        index = todo.pop()
        value = flow.values[index]
        if value.op in ("prev", "final"):
            found.add(state_of(value))
        for arg in sources(flow, index):
            if arg not in seen:
                seen.add(arg)
                todo.append(arg)
    return sorted(found)


def within_segment(program: Program) -> Flow:
    """The flow of a segment: how many steps there are in all is an input, and every state lives on to the next one."""
    lengths = {each.name for each in program.inputs if each.length}
    values = tuple(
        Value("input", (), (("name", TOTAL),), value.type, value.origin)
        if value.op == "steps" or (value.op == "input" and value.attr("name") in lengths)
        else value
        for value in program.flow.values
    )
    return replace(program.flow, values=values, states=all_carried(program.flow))


def all_carried(flow: Flow) -> tuple[State, ...]:
    """The states, those that begin anew with every call included."""
    return tuple(replace(state, carried=True) for state in flow.states)


def inputs_of(program: Program, flow: Flow) -> tuple[Input, ...]:
    """The inputs of the model, and the number of all steps where it is read. Targets are read like any other."""
    total = next(
        (value.type for value in flow.values if value.op == "input" and value.attr("name") == TOTAL), None
    )
    return (*program.inputs, *(() if total is None else (Input(TOTAL, total, target=False),)))


def part(program: Program, name: str, flow: Flow, inputs: tuple[Input, ...]) -> Program:
    """A program of the same parameters, hypers and states around another flow, less what only outputs need: where one of
    them turns time round, states would not live on."""
    title = f"{program.name}_{name}"
    return replace(program, name=title, flow=prune(flow), inputs=inputs, rules={}, deploys=())
