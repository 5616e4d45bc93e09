"""Passes: Flow to Flow. `flow_for` runs those that an entry point needs, in order.

Each file holds one pass, whose docstring shows a graph before and after. All are pure, deterministic, and walk the
graph without recursion. Nothing is merged before `differentiate`, so that each draw and each clipping stays itself.
"""

from __future__ import annotations

from seqc.passes.pipeline import PASSES, Wanted, flow_for

__all__ = ["PASSES", "Wanted", "flow_for"]
