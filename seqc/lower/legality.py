"""What is legal about a whole graph: loops through time, rows that mix, outputs that read targets, and streaming.

Takes a pruned Flow with the place of each value; adds what it finds to the collector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seqc.flow.carried import behind_outputs
from seqc.flow.order import Fault, Reason, faults, sources
from seqc.flow.types import Axis, Flow, Value
from seqc.lower.body import Body
from seqc.lower.draft import Draft
from seqc.lower.shop import Site
from seqc.source.diagnostic import Collector, Label, SeqError, fail
from seqc.source.span import Span


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a model cannot stream: `span` is where the user wrote it, `inner` where the library says it."""

    text: str
    span: Span


def user_place(site: Site) -> Span:
    """The place that led to a value, in a file of the user's own."""
    span = site.span
    body: Body | None = site.body
    while body is not None and span.source.name.startswith("std/") and body.call is not None:
        span, body = body.call, body.parent
    return span


def reduces(flow: Flow, value: Value, axis: Axis) -> bool:
    """Whether a value is a reduction over an axis."""
    return (
        value.op == "reduce" and axis in flow.values[value.args[0]].type.axes and axis not in value.type.axes
    )


def needs_whole(flow: Flow, value: Value) -> bool:
    """Whether a value needs every step of its operand."""
    return value.op in ("reverse", "final") or reduces(flow, value, Axis.TIME)


def check_flow(flow: Flow, sites: list[Site], draft: Draft, problems: Collector) -> None:
    """S0403, S0502, S0604."""
    for fault in faults(flow):
        whole = (index for index in fault.values if needs_whole(flow, flow.values[index]))
        span = user_place(sites[next(whole, fault.value)])
        problems.add(loop_error(fault, span, [flow.states[state].name for state in fault.states]))
    targets = {each.name for each in draft.shop.inputs.values() if each.target}
    mixed = tainted(flow, lambda value: reduces(flow, value, Axis.BATCH))
    labelled = tainted(flow, lambda value: value.op == "input" and value.attr("name") in targets)
    for name, root in flow.roots.items():
        what = root_word(name)
        if what is None:
            continue
        if root in mixed:
            problems.add(mixing_error(what, draft.spans[name], user_place(sites[mixed[root]])))
        if root in labelled:
            target = str(flow.values[labelled[root]].attr("name"))
            problems.add(target_error(what, target, draft.spans[name]))
    for state in flow.states:
        cause = mixed.get(state.init, mixed.get(state.next))
        if cause is not None:
            problems.add(mixing_error(f"the state `{state.name}`", user_place(sites[cause]), None))


def root_word(name: str) -> str | None:
    """What a root is called, if it is computed when the model runs."""
    kind, _, short = name.partition(".")
    words = {"output": f"the output `{short}`", "until": "`until`", "default": f"the default of `{short}`"}
    return words.get(kind)


def loop_error(fault: Fault, span: Span, states: list[str]) -> SeqError:
    """S0403: a loop through something that needs all steps."""
    if fault.reason is Reason.REVERSE:
        return fail(
            "S0403",
            "time is turned round inside a loop",
            span,
            "`reverse` needs every step of its operand",
            hint="reverse outside the recurrence",
        )
    title = "a loop needs the whole sequence of itself"
    return fail(
        "S0403",
        f"`{states[0]}` depends on the whole sequence of itself" if states else title,
        span,
        "needs every step of its operand",
        notes=("no step could be computed before all the others",),
        hint="accumulate step by step instead: `state total = 0  total = prev total + …`",
    )


def mixing_error(what: str, place: Span, reduced: Span | None) -> SeqError:
    """S0502: a value of several sequences where each must be alone."""
    return fail(
        "S0502",
        f"{what} mixes the rows of a batch",
        place,
        "reduced over batch here" if reduced is None else "reads a value reduced over batch",
        others=() if reduced is None else (Label(reduced, "reduced here"),),
        notes=("each sequence must be computed as if it were alone",),
        hint="such values may reach losses and metrics only",
    )


def target_error(what: str, target: str, place: Span) -> SeqError:
    """S0604: a target where there is none."""
    instead = f", or {what.replace('the ', 'this ')} a metric" if what.startswith("the output") else ""
    return fail(
        "S0604",
        f"{what} reads the target `{target}`",
        place,
        "not there when the model runs",
        notes=("a target is given in training only",),
        hint=f"make `{target}` an input{instead}",
    )


def tainted(flow: Flow, starts: Callable[[Value], bool]) -> dict[int, int]:
    """All values that depend on one where `starts` holds, with the first such one."""
    users: dict[int, list[int]] = {}
    for index in range(len(flow.values)):
        for source in sources(flow, index):
            users.setdefault(source, []).append(index)
    found: dict[int, int] = {}
    for index, value in enumerate(flow.values):
        if not starts(value):
            continue
        pending = [index]
        while pending:
            each = pending.pop()
            if each not in found:
                found[each] = index
                pending.extend(users.get(each, ()))
    return found


def ends_of(flow: Flow) -> dict[int, int]:
    """What is made of the last value of a stream, without time, and that value: an output may be, a step may not see it."""
    found: dict[int, int] = {}
    for index, value in enumerate(flow.values):
        if value.op == "final":
            found[index] = index
        elif Axis.TIME not in value.type.axes:
            told = [found[arg] for arg in value.args if arg in found]
            if told:
                found[index] = min(told)
    return found


def streaming(flow: Flow, sites: list[Site]) -> Refusal | None:
    """Why no `step` can be made of a model: an output needs what only the whole sequence tells. None if one can."""
    ends = ends_of(flow)
    causes: list[int] = []
    for index in behind_outputs(flow):
        value = flow.values[index]
        if value.op in ("reverse", "steps") or reduces(flow, value, Axis.TIME):
            causes.append(index)
        elif Axis.TIME in value.type.axes:
            causes += [ends[source] for source in sources(flow, index) if source in ends]
    if not causes:
        return None
    worst = min(causes)
    value, site = flow.values[worst], sites[worst]
    words = {"reverse": "`reverse`", "steps": "`steps`", "final": "`last` over time within a step"}
    word = words.get(value.op, "a reduction over time")
    place = user_place(site)
    where = f" ({site.span.place})" if place != site.span else ""
    return Refusal(f"uses {word}{where}, which needs the whole sequence", place)
