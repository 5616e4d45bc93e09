"""The passes of each entry point, in order.

Takes a Program and the name of an entry; gives the Flow that `plan` schedules and the evaluator runs. It can stop
after any pass, and calls an observer after each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seqc.flow.types import Flow, Type
from seqc.ops.op import FlowError
from seqc.passes import update
from seqc.passes.commute import commute
from seqc.passes.differentiate import differentiate
from seqc.passes.distribute import distribute
from seqc.passes.factor import factor
from seqc.passes.merge import merge
from seqc.passes.prune import prune
from seqc.passes.ragged import ragged
from seqc.passes.reassociate import reassociate
from seqc.passes.share import share
from seqc.passes.simplify import simplify
from seqc.passes.specialise import ONE_STEP, specialise
from seqc.passes.stream import stream
from seqc.passes.update import trained_parameters

if TYPE_CHECKING:
    from seqc.lower.program import Program

PASSES = (
    "specialise",
    "ragged",
    "commute",
    "differentiate",
    "update",
    "stream",
    "simplify",
    "merge",
    "reassociate",
    "distribute",
    "factor",
    "share",
    "prune",
)
"""Names of all passes in order; an entry skips those that it has nothing for."""

LAST: Mapping[str, Callable[[Flow], Flow]] = {
    "simplify": simplify,
    "merge": merge,
    "reassociate": reassociate,
    "distribute": distribute,
    "factor": factor,
    "share": share,
    "prune": prune,
}
"""The passes that every entry ends with."""

Observer = Callable[[str, Flow], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What gradients are asked for: names with their types, in order."""

    parameters: Mapping[str, Type]
    inputs: Mapping[str, Type]
    states: Mapping[str, Type]
    hypers: Mapping[str, Type]


def flow_for(
    program: Program,
    entry: str,
    *,
    gradients_of: Wanted | None = None,
    after: str | None = None,
    observe: Observer | None = None,
) -> Flow:
    """The Flow of an entry point: infer, evaluate, gradients, update, step, generate or apply.

    `gradients` has the gradients of all parameters, real inputs, carried states and hypers unless `gradients_of` says
    which; `update` those of the trained parameters. `after` names the last pass to run, whether or not this entry
    needs it; `observe(name, flow)` is called after each one that runs.
    """
    if after is not None and after not in PASSES:
        raise FlowError(f"there is no pass {after}")
    flow: Flow | None = None
    for name in PASSES:
        step = pass_of(program, entry, name, gradients_of)
        if step is not None:
            flow = step(flow if flow is not None else program.flow)
            if observe is not None:
                observe(name, flow)
        if name == after:
            break
    return flow if flow is not None else program.flow


def pass_of(program: Program, entry: str, name: str, wanted: Wanted | None) -> Callable[[Flow], Flow] | None:
    """What a pass does in an entry; None where it has nothing to do."""
    if name not in names_of_passes(entry):
        return None
    if name == "specialise":
        return lambda flow: specialise(program, entry)
    if name == "ragged":
        length = next((each.name for each in program.inputs if each.length), None)
        return None if length is None else lambda flow: ragged(flow, length)
    if name == "differentiate":
        return lambda flow: derived(program, entry, flow, wanted)
    if name == "update":
        return lambda flow: update.apply_flow(program)
    return {"stream": stream, "commute": commute}.get(name) or LAST[name]


def names_of_passes(entry: str) -> tuple[str, ...]:
    """The passes that an entry may run, in order. `ragged` runs for models with a length alone."""
    if entry == "apply":
        return ("update", *LAST)
    if entry in ONE_STEP:
        return ("specialise", "stream", *LAST)
    if entry in ("gradients", "update"):
        return ("specialise", "ragged", "commute", "differentiate", *LAST)
    if entry == "evaluate":
        return ("specialise", "ragged", "commute", *LAST)
    return ("specialise", "ragged", *LAST)


def apply_flow(program: Program) -> Flow:
    """The update of the weights, made ready: see `update.apply_flow`."""
    return flow_for(program, "apply")


def initial_optimizer(program: Program) -> Flow:
    """The first optimizer states, made ready: see `update.initial_optimizer`."""
    return share(simplify(update.initial_optimizer(program)))


def derived(program: Program, entry: str, flow: Flow, wanted: Wanted | None) -> Flow:
    """The flow with the gradients that an entry gives."""
    if wanted is None:
        wanted = all_gradients(program, flow)
    if entry == "update":
        trained = {each.name: each.type for each in trained_parameters(program)}
        wanted = Wanted(trained, {}, {}, {})
    return differentiate(flow, wanted.parameters, wanted.inputs, wanted.states, wanted.hypers)


def all_gradients(program: Program, flow: Flow) -> Wanted:
    """Everything real that a caller may want: parameters (frozen ones too), inputs, carried states, hypers."""
    states = {}
    for value in flow.values:
        if value.op == "carried" and value.type.kind.is_real:
            states[str(value.attr("state_name"))] = value.type
    return Wanted(
        {each.name: each.type for each in program.parameters},
        {each.name: each.type for each in program.inputs if each.type.kind.is_real and not each.target},
        states,
        {each.name: each.type for each in program.hypers if each.type.kind.is_real},
    )
