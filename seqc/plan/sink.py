"""Rows of tables that one loop alone reads are fetched inside of it, step by step: they stay in the cache, and need
memory for one step instead of all.

    g = table[k] of all steps; for t: h = f(g[t], …)      →      for t: g = table[k[t]]; h = f(g, …)

Takes a `Graph` with uses; changes the phase of such gathers.
"""

from __future__ import annotations

from seqc.flow.types import Axis
from seqc.plan.graph import Graph


def sink_gathers(graph: Graph) -> bool:
    """Move gathers into the one loop that reads them; whether there were any."""
    moved = False
    for index in graph.computed():
        if graph.op[index] != "gather" or Axis.TIME not in graph.type(index).axes:
            continue
        phases = {use.phase if use.user >= 0 else -1 for use in graph.uses[index]}
        if len(phases) != 1:
            continue
        (phase,) = phases
        table = graph.args[index][0]
        if phase != graph.phase[index] and phase >= 0 and graph.cyclic(phase) and not graph.type(table).axes:
            graph.phase[index] = phase
            moved = True
    return moved
