"""Passes: Flow to Flow. `flow_for` runs those that an entry point needs, in order.

Each file holds one pass, whose docstring shows a graph before and after. All are pure, deterministic, and walk the
graph without recursion. Nothing is merged before `differentiate`, so that each draw and each clipping stays itself.
"""

from __future__ import annotations

from seqc.passes.pipeline import PASSES, Wanted, apply_flow, flow_for, initial_optimizer, names_of_passes
from seqc.passes.update import trained_parameters

__all__ = [
    "PASSES",
    "Wanted",
    "apply_flow",
    "flow_for",
    "initial_optimizer",
    "names_of_passes",
    "trained_parameters",
]
