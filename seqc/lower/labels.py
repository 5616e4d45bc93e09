"""Names of anonymous instances: `<equation>.<cell in lower case>`, numbered where an equation holds several.

What an expression makes is told from its text alone, before anything is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqc.lower import walk
from seqc.lower.body import Body, Status
from seqc.lower.builtins import FUNCTIONS, REDUCERS
from seqc.lower.meaning import (
    Builtin,
    CellName,
    CellValue,
    Meaning,
)
from seqc.syntax import tree


def peek(body: Body, name: str) -> Meaning | None:
    """What a name means, without evaluating anything: functions and cells only."""
    entry = body.entries.get(name)
    if entry is not None:
        if entry.kind == "static" and entry.definition is not None and entry.definition.status is Status.DONE:
            return entry.definition.meanings[0]
        return None
    for module in (body.module, body.shop.library.prelude):
        original, place = name, module
        while original in place.imports and place.imports[original][1]:
            place, original = place.imports[original]
        if original in place.meanings:
            return place.meanings[original]
        if original in place.consts:
            return None
    return Builtin(name) if name in FUNCTIONS or name in REDUCERS else None


def cell_word(body: Body, node: tree.Expression) -> str | None:
    """The name of the cell that an expression makes an instance of; None where it is something else."""
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Reference):
        found = peek(body, node.function.name)
        return found.node.name.text if isinstance(found, CellName) else None
    if isinstance(node, tree.Reference):
        found = peek(body, node.name)
        return found.node.name.text if isinstance(found, CellValue) else None
    return None


def label(body: Body, base: str, node: tree.Expression) -> None:
    """Names the anonymous instances of an expression: `<base>.<cell in lower case>`, numbered where there are several."""
    sites = list(instance_sites(body, node))
    words = [cell.lower() for _, cell in sites]
    seen: dict[str, int] = {}
    for (place, _), word in zip(sites, words, strict=True):
        name = word
        if words.count(word) > 1:
            seen[word] = seen.get(word, 0) + 1
            name = f"{word}{'_' if word[-1].isdigit() else ''}{seen[word]}"
        body.labels[id(place)] = f"{base}.{name}"


def instance_sites(body: Body, node: tree.Expression) -> Iterator[tuple[tree.Expression, str]]:
    """The places of an expression that make an instance, in reading order, with the name of the cell."""
    pending: list[tuple[tree.Expression, bool]] = [(node, False)]
    while pending:
        each, called = pending.pop()
        if called:
            word = cell_word(body, each)
            if word is not None:
                yield each, word
        if isinstance(each, tree.Call):
            arguments = [
                (one.value if isinstance(one, tree.Override) else one, False) for one in each.arguments
            ]
            pending += reversed([(each.function, True), *arguments])
        elif isinstance(each, tree.Pipe):
            pending += reversed([(each.value, False), *((stage, True) for stage in each.stages)])
        else:
            pending += reversed([(child, False) for child in walk.children(each)])
