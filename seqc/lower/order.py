"""The order in which a body's definitions are evaluated: whoever is read by others first.

Evaluation on demand would find the same values; going in this order keeps it shallow for any number of equations.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqc.lower import walk
from seqc.lower.body import Body, Definition
from seqc.lower.meaning import Poisoned
from seqc.source.diagnostic import SeqError


def run(body: Body) -> None:
    """Evaluates everything in a body. Mistakes have been collected when it returns."""
    for definition in ordered(body):
        try:
            body.settle(definition, None)
        except Poisoned:
            continue
        except SeqError as error:
            body.shop.problems.add(body.with_calls(error))


def ordered(body: Body) -> list[Definition]:
    """All definitions, each behind those that it reads within the step, as far as there is no cycle."""
    definitions = list(
        dict.fromkeys(entry.definition for entry in body.entries.values() if entry.definition is not None)
    )
    order: list[Definition] = []
    begun: set[int] = set()
    for first in definitions:
        if id(first) in begun:
            continue
        begun.add(id(first))
        path: list[tuple[Definition, Iterator[Definition]]] = [(first, needs(body, first))]
        while path:
            definition, rest = path[-1]
            following = next((each for each in rest if id(each) not in begun), None)
            if following is None:
                order.append(definition)
                path.pop()
            else:
                begun.add(id(following))
                path.append((following, needs(body, following)))
    return order


def needs(body: Body, definition: Definition) -> Iterator[Definition]:
    """The definitions of the same body that a definition reads, as far as its text tells."""
    value = getattr(definition.node, "value", None)
    if value is None:
        return
    for name in walk.names(value):
        entry = body.entries.get(name)
        if entry is not None and entry.definition is not None and entry.definition is not definition:
            yield entry.definition
            if entry.kind == "layer":
                yield from (
                    each
                    for each in body.callers.get(name, ())
                    if each is not definition and name in walk.owners(value)
                )
