"""The planner: decides everything about how an entry point runs, from a Flow to a Plan with addresses.

Products are hoisted, stacked and chained; elementwise values become loops; states become buffers with one slot more than
there are steps; what a backward scan needs is kept or computed again; the workspace is laid out.
"""

from __future__ import annotations

from collections.abc import Callable

from seqc.flow.types import Flow
from seqc.lower.program import Program
from seqc.plan.apart import keep_apart
from seqc.plan.beside import put_beside
from seqc.plan.chains import add_chains
from seqc.plan.choose import PlanOptions, StrategyError, choose
from seqc.plan.epilogue import add_epilogues
from seqc.plan.halves import keep_halves
from seqc.plan.late import store_late
from seqc.plan.layout import optimizer_layout, pack_layout, plain_layout
from seqc.plan.lookup import look_up
from seqc.plan.place import place, workspace_bytes
from seqc.plan.print import counts, print_plan
from seqc.plan.quantise import quantise
from seqc.plan.ragged import make_ragged
from seqc.plan.rings import make_rings
from seqc.plan.schedule import schedule
from seqc.plan.stretch import make_stretches
from seqc.plan.target import Target
from seqc.plan.types import Plan
from seqc.plan.verify import PlanError, verify, verify_places
from seqc.plan.weights import by_rows

PLAN_PASSES = (
    "schedule",
    "ragged",
    "rings",
    "epilogues",
    "lookup",
    "chains",
    "choose",
    "stretches",
    "beside",
    "quantise",
    "weights",
    "halves",
    "apart",
    "late",
    "place",
)
"""The steps from a Flow to a finished Plan; `schedule` holds stacking, keeping and fusing, which work on the Flow."""


def plan(
    flow: Flow,
    program: Program,
    entry: str,
    target: Target,
    options: PlanOptions | None = None,
    after: str = "place",
) -> Plan:
    """The plan of one entry point; `after` names the step with which to stop."""
    options = options or PlanOptions()
    length = next((each.name for each in program.inputs if each.length), None)
    steps: dict[str, Callable[[Plan], Plan]] = {
        "ragged": lambda made: make_ragged(made, length) if options.ragged else made,
        "rings": make_rings,
        "epilogues": lambda made: add_epilogues(made) if options.epilogues else made,
        "lookup": lambda made: look_up(made, program),
        "chains": lambda made: add_chains(made, target) if options.chains else made,
        "choose": lambda made: choose(made, target, options),
        "stretches": lambda made: make_stretches(made, target, options.stretch),
        "beside": lambda made: put_beside(made, target) if options.beside else made,
        "quantise": lambda made: quantise(made, target),
        "weights": lambda made: by_rows(made, program, target),
        "halves": lambda made: keep_halves(made, target),
        "apart": lambda made: keep_apart(made, target),
        "late": lambda made: store_late(made, target),
        "place": lambda made: place(made, target),
    }
    result = schedule(flow, program, entry, target, options.recompute)
    for name in PLAN_PASSES[1 : PLAN_PASSES.index(after) + 1]:
        result = steps[name](result)
    if options.verify:
        verify(result)
        if result.offsets:
            verify_places(result, target)
    return result


__all__ = [
    "PLAN_PASSES",
    "Plan",
    "PlanError",
    "PlanOptions",
    "StrategyError",
    "Target",
    "counts",
    "optimizer_layout",
    "pack_layout",
    "plain_layout",
    "plan",
    "print_plan",
    "verify",
    "workspace_bytes",
]
