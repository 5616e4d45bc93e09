"""The message for a value that needs itself within one step, with the way that leads back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span

if TYPE_CHECKING:
    from seqc.lower.body import Body, Definition
    from seqc.lower.shop import Shop

SHOWN = 6


def cycle_error(shop: Shop, body: Body, definition: Definition, asked: Span | None) -> SeqError:
    """S0402, or S0403 where the way leads through a reader of the whole sequence."""
    start = next(i for i, frame in enumerate(shop.frames) if frame.definition is definition)
    loop = shop.frames[start:]
    for frame in loop:
        if frame.definition is None and frame.asked is not None:
            return whole_error(definition.names[0], frame.whole, frame.asked, asked)
    name = definition.names[0]
    steps = [frame for frame in loop if frame.definition is not None]
    span = asked or definition.span
    if definition.kind == "const":
        return fail(
            "S0402",
            f"`{name}` needs itself",
            span,
            "this is the number being defined",
            hint="give it a number",
        )
    if len(steps) == 1:
        return fail(
            "S0402",
            f"`{name}` needs itself within one step",
            span,
            "this is the value being defined",
            hint=f"for the value of the last step write `prev {name}`"
            + ("" if has_state(body, name) else f" and declare `state {name} = 0`"),
        )
    others = []
    for frame in steps[1:SHOWN]:
        assert frame.definition is not None
        if frame.asked is not None:
            others.append(Label(frame.asked, f"needs `{frame.definition.names[0]}`"))
    names = [frame.definition.names[0] for frame in steps if frame.definition is not None]
    if len(names) > SHOWN:
        names = [*names[: SHOWN - 1], f"… ({len(names) - SHOWN} more)", names[-1]]
    way = " → ".join(f"`{each}`" if not each.startswith("…") else each for each in [*names, name])
    stateful = next((each for each in names if has_state(body, each)), None)
    return fail(
        "S0402",
        f"`{name}` needs itself within one step",
        span,
        f"needs `{name}`, where the way began",
        others=tuple(others),
        notes=(f"the way is {way}",),
        hint=f"break it with the value of the last step: `prev {stateful or name}`"
        + ("" if stateful else f", which needs `state {name} = 0`"),
    )


def whole_error(name: str, what: str, place: Span, asked: Span | None) -> SeqError:
    """S0403: a loop through something that needs all steps."""
    return fail(
        "S0403",
        f"`{name}` depends on the whole sequence of itself",
        place,
        f"{what} needs every step of its operand",
        others=(Label(asked, f"leads back to `{name}`"),) if asked is not None else (),
        notes=("no step could be computed before all the others",),
        hint="accumulate step by step instead: `state total = 0  total = prev total + …`",
    )


def has_state(body: Body, name: str) -> bool:
    """Whether a name of a body is a state."""
    entry = body.entries.get(name)
    return entry is not None and entry.state is not None
