"""What one loop alone reads and can make by itself, step by step: rows of tables, which stay in the cache and need memory for
one step instead of all; and sums of rows that it reads besides.

    g = table[k] of all steps; for t: h = f(g[t], …)      →      for t: g = table[k[t]]; h = f(g, …)
    s = sum of rows d;         for t: h = f(d[t], s[t])   →      for t: s = sum of d[t]; h = f(d[t], s)

Takes a `Graph` with uses; changes the phase of such values.
"""

from __future__ import annotations

from seqc.flow.types import Axis
from seqc.plan.graph import Graph


def sink_rows(graph: Graph) -> bool:
    """Move gathers and sums of rows into the one loop that reads them; whether there were any."""
    moved = False
    for index in graph.computed():
        if Axis.TIME not in graph.type(index).axes:
            continue
        phases = {use.phase if use.user >= 0 else -1 for use in graph.uses[index]}
        if len(phases) != 1:
            continue
        (phase,) = phases
        if phase == graph.phase[index] or phase < 0 or not graph.cyclic(phase):
            continue
        if fetches(graph, index) or sums_up(graph, index, phase):
            graph.phase[index] = phase
            moved = True
    return moved


def fetches(graph: Graph, index: int) -> bool:
    """Whether a value is a row of a table that is the same at all times."""
    return graph.op[index] == "gather" and not graph.type(graph.args[index][0]).axes


def sums_up(graph: Graph, index: int, phase: int) -> bool:
    """Whether a value is the sum of a row that others in a phase read, too."""
    if not is_row_sum(graph, index):
        return False
    return any(use.user != index and use.phase == phase for use in graph.uses[graph.args[index][0]])


def is_row_sum(graph: Graph, index: int) -> bool:
    """Whether a value is one number for each cell, made of the row of that cell."""
    if graph.op[index] != "reduce" or graph.type(index).dims:
        return False
    row = graph.type(graph.args[index][0])
    return row.axes == graph.type(index).axes and len(row.dims) == 1
