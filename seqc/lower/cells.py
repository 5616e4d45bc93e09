"""Cells as values, and their instances: statics given, overrides matched with what they address.

A cell value is a closure of cell, statics, overrides and scope; every layer bound to it is a fresh instance. Of
several overrides of one thing the outermost wins; what stands right of `=` is read where it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from seqc.lower.body import Body
from seqc.lower.meaning import (
    CellName,
    CellValue,
    Closure,
    Meaning,
    OptimizerName,
    Poisoned,
)
from seqc.lower.statics import given_statics
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

DEPTH_LIMIT = 64
INSTANCE_LIMIT = 6_000
Path = tuple[tree.Name, ...]
Level = tuple[tuple[Path, Closure], ...]


@dataclass(slots=True, eq=False)
class Instance:
    """One layer. `levels` are overrides, outermost first; `calls` are the bodies made by calling it.

    `expected` says that somebody calls it; `waiting` is the body made before its first call, for reading its parts.
    """

    name: str
    cell: CellValue
    levels: tuple[Level, ...]
    owner: Body
    span: Span
    path: str
    expected: bool = False
    calls: list[Body] = field(default_factory=list)
    waiting: Body | None = None
    params: dict[str, Meaning] = field(default_factory=dict)
    make: Callable[[Instance], Body] | None = None

    def override(self, name: str) -> Closure | None:
        """The override of a declaration, if there is one."""
        for level in self.levels:
            for path, closure in level:
                if len(path) == 1 and path[0].text == name:
                    return closure
        return None

    def below(self, name: str) -> tuple[Level, ...]:
        """The overrides inside a layer. Those further in than a replacement of the layer go with it."""
        found: list[Level] = []
        for level in self.levels:
            found.append(
                tuple(
                    (path[1:], closure) for path, closure in level if len(path) > 1 and path[0].text == name
                )
            )
            if any(len(path) == 1 and path[0].text == name for path, _ in level):
                break
        return tuple(level for level in found if level)

    def read(self, closure: Closure) -> Meaning:
        """The right side of an override, in its own scope; read once."""
        if closure.memo is None:
            closure.memo = closure.body.shop.evaluate(closure.body, closure.value)
        return closure.memo

    def forget(self) -> None:
        """Takes back the last call, which could not be finished yet."""
        self.calls.pop()
        self.waiting = None

    def body(self) -> Body:
        """The body of its first call, or one that waits for it."""
        if self.calls:
            return self.calls[0]
        if self.waiting is None:
            assert self.make is not None
            self.waiting = self.make(self)
        return self.waiting

    def parts_text(self) -> str:
        """`its parts are …`, for messages."""
        return parts_text(self.cell.node)


def parts_text(cell: tree.Cell | tree.Optimizer) -> str:
    """The parts of a cell that can be addressed."""
    groups: list[tuple[str, list[str]]] = [
        ("layers", []),
        ("parameters", []),
        ("states", []),
        ("arguments", []),
    ]
    for statement in cell.body:
        place = {tree.Layer: 0, tree.Param: 1, tree.State: 2}.get(type(statement))
        if place is not None:
            assert isinstance(statement, tree.Layer | tree.Param | tree.State)
            groups[place][1].extend(name.text for name in statement.names)
    groups[3][1].extend(static.name.text for static in cell.statics if static.default is not None)
    listed = [", ".join(f"`{name}`" for name in names) + f" ({word})" for word, names in groups if names]
    if not listed:
        return f"{cell.name.text} has no parts"
    return "its parts are " + ", ".join(listed)


def addressable(cell: tree.Cell | tree.Optimizer) -> dict[str, str]:
    """What overrides may name in a cell, and its kind."""
    found = {static.name.text: "static" for static in cell.statics}
    for statement in cell.body:
        word = {tree.Layer: "layer", tree.Param: "param", tree.State: "state"}.get(type(statement))
        if word is not None:
            assert isinstance(statement, tree.Layer | tree.Param | tree.State)
            found.update({name.text: word for name in statement.names})
    return found


def cell_value(body: Body, name: CellName, node: tree.Call) -> CellValue:
    """`LSTM(20, g.act = identity)`"""
    cell = name.node
    statics = given_statics(body, cell, node)
    overrides: list[Closure] = []
    known = addressable(cell)
    for each in node.overrides:
        if len(each.path) == 1 and known.get(each.path[0].text) == "static":
            continue
        check_address(body, name, each, known)
        overrides.append(Closure(each.path, each.value, body))
    seen: dict[str, Span] = {}
    for closure in overrides:
        dotted = ".".join(part.text for part in closure.path)
        if dotted in seen:
            raise fail(
                "S0215",
                f"`{dotted}` is given twice",
                closure.path[0].span,
                "again here",
                others=(Label(seen[dotted], "first here"),),
                hint="leave one of them out",
            )
        seen[dotted] = closure.path[0].span
    return CellValue(cell, name.module, statics, tuple(overrides), node.span)


def check_address(
    body: Body, name: CellName | OptimizerName, override: tree.Override, known: dict[str, str]
) -> None:
    """S0203 where an override names nothing of the cell; S0214 where it names something without an address."""
    first = override.path[0]
    cell = name.node
    if first.text in known:
        if len(override.path) > 1 and known[first.text] != "layer":
            word = {"param": "a parameter", "state": "a state", "static": "an argument"}[known[first.text]]
            raise fail(
                "S0203",
                f"`{first.text}` of {cell.name.text} has no parts",
                override.path[1].span,
                f"`{first.text}` is {word}",
                hint=f"write `{first.text} = …`",
            )
        return
    equations = {
        each.text
        for statement in cell.body
        if isinstance(statement, tree.Equation)
        for each in statement.names
    }
    if first.text in equations:
        raise fail(
            "S0214",
            f"`{first.text}` of {cell.name.text} is an equation and cannot be replaced",
            first.span,
            "has no address",
            notes=(parts_text(cell),),
            hint="what stands right of `=` in a declaration can be replaced",
        )
    near = suggestion(body, name, override, known)
    raise no_part(cell, first, near)


def no_part(cell: tree.Cell | tree.Optimizer, name: tree.Name, near: str | None) -> SeqError:
    """S0203"""
    return fail(
        "S0203",
        f"{cell.name.text} has no part named `{name.text}`",
        name.span,
        f"not a layer, parameter or state of {cell.name.text}",
        notes=(parts_text(cell),),
        hint=f"did you mean `{near}`?" if near else None,
    )


def suggestion(
    body: Body, name: CellName | OptimizerName, override: tree.Override, known: dict[str, str]
) -> str | None:
    """What an override probably meant: the nearest name, or a layer that has the rest of its path."""
    first, rest = override.path[0].text, override.path[1:]
    near = nearest(first, known)
    if near is None and rest:
        fitting = [
            layer
            for layer, kind in known.items()
            if kind == "layer" and has_part(body, name, layer, rest[0].text)
        ]
        near = next((layer for layer in fitting if layer in first), fitting[0] if fitting else None)
    if near is None:
        return None
    return ".".join([near, *(part.text for part in rest)])


def has_part(body: Body, name: CellName | OptimizerName, layer: str, part: str) -> bool:
    """Whether a layer of a cell is bound to a cell that has a part, as far as its text tells."""
    for statement in name.node.body:
        if isinstance(statement, tree.Layer) and any(each.text == layer for each in statement.names):
            value = statement.value
            if isinstance(value, tree.Call) and isinstance(value.function, tree.Reference):
                found = name.module.meanings.get(value.function.name)
                return isinstance(found, CellName) and part in addressable(found.node)
    return False


def deep_check(body: Body) -> None:
    """S0209 for cells in cells without end, and for more layers than anybody wants."""
    shop = body.shop
    if shop.stopped:
        raise Poisoned
    shop.instances += 1
    if body.depth >= DEPTH_LIMIT:
        shop.stopped = True
        inner = body
        chain: list[str] = []
        while inner.parent is not None and len(chain) < 4:
            chain.append(inner.title)
            inner = inner.parent
        outer = body
        while outer.parent is not None and outer.parent.parent is not None:
            outer = outer.parent
        span = outer.call or body.module.file.span
        names = " in ".join(f"`{each}`" for each in chain)
        raise fail(
            "S0209",
            f"nested deeper than {DEPTH_LIMIT} levels",
            span,
            "begins here",
            notes=(f"the innermost are {names}",),
            hint="a function cannot contain itself, and a cell only where an `if` over its sizes ends it",
        )
    if shop.instances > INSTANCE_LIMIT:
        shop.stopped = True
        span = body.call or body.module.file.span
        raise fail(
            "S0209",
            f"more than {INSTANCE_LIMIT} calls of cells and functions",
            span,
            "one too many",
            hint=None,
        )
