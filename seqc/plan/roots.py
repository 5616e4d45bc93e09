"""Where the caller's memory stands in a Flow: the homes of leaves and of roots.

Takes the name of a leaf or a root and the entry point; gives the `Home` of its buffer. Homes that hold what a call changes
("plain", "optimizer", "carried") are written last.
"""

from __future__ import annotations

from seqc.lower.program import Program
from seqc.plan.buffers import Home

IN_PLACE = frozenset({"plain", "optimizer", "carried"})
"""Roles whose old contents other kernels may still read."""

MAY_BE_NULL = frozenset(
    {
        "output",
        "carried",
        "fresh",
        "started",
        "grad",
        "grad.input",
        "grad.state",
        "grad.hyper",
        "active",
        "stop",
    }
)
"""Roles whose pointer the caller may leave out; a place in the workspace stands in."""

SCALAR_ROOTS = {"until": "stop"}
GRADIENTS = ("input", "state", "hyper")


def root_home(name: str, program: Program) -> Home | None:
    """The memory that a root fills; None for `finite`, which is a condition."""
    head, _, rest = name.partition(".")
    if name == "finite":
        return None
    if name in SCALAR_ROOTS:
        return Home(SCALAR_ROOTS[name])
    if name == "loss":
        return Home("score", "loss")
    if head == "metric":
        return Home("score", rest)
    if head == "state":
        return Home("carried", rest)
    if head == "grad":
        return gradient_home(rest, program)
    if head in ("w", "o"):
        return Home("plain" if head == "w" else "optimizer", rest)
    return Home(head, rest)


def gradient_home(rest: str, program: Program) -> Home:
    """The home of a gradient: of a parameter, unless its name says otherwise and no parameter has it."""
    group, _, name = rest.partition(".")
    if group in GRADIENTS and all(each.name != rest for each in program.parameters):
        return Home(f"grad.{group}", name)
    return Home("grad", rest)


def leaf_home(op: str, name: str, entry: str) -> Home:
    """The memory that a leaf reads."""
    if op == "param":
        return Home("plain", name)
    if op != "input":
        return Home(op, name)
    head, _, rest = name.partition(".")
    roles = {"w": "plain", "o": "optimizer", "g": "grad"}
    if entry in ("apply", "initial") and head in roles and rest:
        return Home(roles[head], rest)
    return Home("input", name)
