"""Warnings about what a user wrote and nobody needs: cells of a file, layers of a body, states that nothing moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from seqc.lower.body import Body
from seqc.source.diagnostic import Diagnostic, Label, Severity
from seqc.source.span import Span
from seqc.syntax import tree


def unread(file: tree.File) -> Diagnostic | None:
    """A warning if there are cells, functions or optimizers that no model of the file leads to."""
    own = {
        item.name.text: item for item in file.items if isinstance(item, tree.Cell | tree.Fn | tree.Optimizer)
    }
    pending: list[tree.Node] = [item for item in file.items if isinstance(item, tree.Model | tree.Train)]
    left = dict(own)
    while pending:
        for name in references(pending.pop()):
            if name in left:
                pending.append(left.pop(name))
    if not left:
        return None
    names = ", ".join(f"`{name}`" for name in left)
    return Diagnostic(
        "S0220",
        f"no model of this file leads to {names}",
        Label(next(iter(left.values())).name.span, "only its syntax was read"),
        hint="use it in a model: names, sizes and kinds are checked with the sizes that it gets there",
        severity=Severity.WARNING,
    )


def references(node: object) -> Iterator[str]:
    """All names that are used in a part of the tree."""
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, tree.Reference):
            yield each.name
        elif isinstance(each, tree.Node):
            pending += [getattr(each, field.name) for field in fields(each)]
        elif isinstance(each, tuple):
            pending += each


def warn(body: Body) -> None:
    """Adds the warnings of a body that has been evaluated."""
    if body.module.name.startswith("std/") or body.shop.problems.errors:
        return
    for entry in body.entries.values():
        if entry.kind == "layer" and not entry.read:
            add(
                body,
                "S0218",
                f"the layer `{entry.name}` is never used",
                entry.span,
                "no parameters are made for it",
                "call it, or leave it out",
            )
        elif entry.state is not None and entry.definition is None and entry.past and not entry.read:
            title = f"the state `{entry.name}` never changes"
            add(
                body,
                "S0219",
                title,
                entry.span,
                "has no equation, so `prev` of it is its first value",
                f"write `{entry.name} = …`",
            )


def add(body: Body, code: str, title: str, span: Span, text: str, hint: str) -> None:
    """Adds a message that stops nothing."""
    body.shop.problems.add(Diagnostic(code, title, Label(span, text), hint=hint, severity=Severity.WARNING))
