"""Rules of an update by rows of the weights that they change.

    pointwise[2000000]  w = w - lr * g      →      pointwise[2000000] by 10000 rows  w = w - lr * g

Takes the Plan of `apply`; gives it with `Pointwise.rows`. Members of a team then share a weight, and what is packed of a few
rows follows at once, as long as they are in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from seqc.lower.program import Program
from seqc.plan.lanes import is_real, runs_on_vectors
from seqc.plan.target import Target
from seqc.plan.types import Node, Plan, Pointwise

FAR_BYTES = 16 << 20
"""Bytes of weights from which an update has been through more memory than caches hold before they are read packed."""


def by_rows(plan: Plan, program: Program, target: Target) -> Plan:
    """The plan with rules by rows, where the parameter is a matrix and the rule works element by element."""
    if plan.entry != "apply":
        return plan
    rows = {
        each.name: each.type.size // each.type.dims[-1]
        for each in program.parameters
        if len(each.type.dims) > 1 and each.type.size > 0
    }
    far = sum(each.type.size for each in program.parameters) * target.real_bytes >= FAR_BYTES
    return replace(plan, nodes=tuple(ruled(plan, node, rows, far) for node in plan.nodes))


def ruled(plan: Plan, node: Node, rows: Mapping[str, int], far: bool) -> Node:
    """A node by rows, if it is the rule of one matrix."""
    if not isinstance(node, Pointwise) or node.axes or node.draws or not runs_on_vectors(plan, node):
        return node
    operands = [each for _, each, _ in node.loads] + [each for _, each in node.stores]
    long = [each for each in operands if each.size > 1]
    homes = [plan.buffers[each.buffer].home for _, each in node.stores]
    weights = [home.name for home in homes if home.role == "plain"]
    whole = all(each.size == node.size == plan.buffers[each.buffer].size for each in long)
    if len(weights) != 1 or not whole or not all(is_real(plan, each) for each in long):
        return node
    return replace(node, rows=rows.get(weights[0], 1), far=far)
