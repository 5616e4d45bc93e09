"""The text form of a Flow, for golden files and `seqc show flow`.

Takes a Flow; gives one line for each value, state and root. Parameters, inputs and hypers are named where they are
used, scalar constants are written as numbers, all others are `%index`.
"""

from __future__ import annotations

from seqc.flow.types import Attribute, Flow, State, Value

NAMED = frozenset({"input", "param", "hyper"})
BARE = {"contract": ("spec",), "draw": ("site",), "carried": ("state_name",), "fresh": ("state_name",)}
"""Attributes that stand without their name, by operation."""


def show(flow: Flow) -> str:
    """The whole graph as text, ending with a newline."""
    names = [reference(flow, index) for index in range(len(flow.values))]
    rows = [
        (f"%{index}", str(value.type), expression(flow, value, names), comment(value))
        for index, value in enumerate(flow.values)
        if not is_number(value)
    ]
    wide = max((len(row[0]) for row in rows), default=0)
    types = min(40, max((len(row[1]) for row in rows), default=0))
    bodies = min(56, max((len(row[2]) for row in rows), default=0))
    lines = []
    for index, type, body, note in rows:
        line = f"{index:<{wide}} : {type:<{types}} = {body}"
        lines.append(f"{line:<{wide + types + bodies + 6}}  # {note}" if note else line)
    lines += [state_line(place, state, names) for place, state in enumerate(flow.states)]
    lines += [f"root {name} = {names[index]}" for name, index in flow.roots.items()]
    return "".join(f"{line}\n" for line in lines)


def is_number(value: Value) -> bool:
    """Whether a value is written where it is used: a constant without dims."""
    return value.op == "const" and not value.type.dims


def reference(flow: Flow, index: int) -> str:
    """How users of a value name it."""
    value = flow.values[index]
    if value.op in NAMED:
        return str(value.attr("name"))
    if is_number(value):
        return number(value.attr("value"))
    return f"%{index}"


def number(value: Attribute) -> str:
    """A number in its shortest exact form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def attribute(value: Attribute) -> str:
    """An attribute as text."""
    if isinstance(value, tuple):
        return f"({stretch(value)})"
    return value if isinstance(value, str) else number(value)


def stretch(numbers: tuple[int, ...]) -> str:
    """`0, 2, 4`, or `3..9` for numbers that follow each other."""
    if len(numbers) > 3 and numbers == tuple(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]}..{numbers[-1]}"
    return ", ".join(map(str, numbers))


def expression(flow: Flow, value: Value, names: list[str]) -> str:
    """Operation, attributes and arguments."""
    words = [value.op]
    if value.op in ("prev", "final"):
        state = value.attr("state")
        assert isinstance(state, int)
        words.append(flow.states[state].name)
    elif value.op in NAMED or value.op == "given":
        words.append(str(value.attr("name")))
    else:
        bare = BARE.get(value.op, ())
        words += [
            attribute(each) if name in bare else f"{name}={attribute(each)}" for name, each in value.attrs
        ]
    head = " ".join(words)
    if not value.args:
        return head
    gap = "  " if len(words) > 1 else " "
    return f"{head}{gap}{', '.join(names[arg] for arg in value.args)}"


def comment(value: Value) -> str:
    """Where a value comes from; the state's number where it reads one."""
    parts = [str(value.origin)] if str(value.origin) else []
    if value.op in ("prev", "final"):
        parts.insert(0, f"state {value.attr('state')}")
    return ", ".join(parts)


def state_line(place: int, state: State, names: list[str]) -> str:
    """A state with its direction, first and next value."""
    kept = "" if state.carried else ", not carried"
    return (
        f"state {place} {state.name} : {state.type}, {state.way.value}{kept} = "
        f"init {names[state.init]}, next {names[state.next]}"
    )
