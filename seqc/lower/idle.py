"""Warnings about a body of the user's own: layers that nobody uses, states that nothing moves."""

from __future__ import annotations

from seqc.lower.body import Body
from seqc.source.diagnostic import Diagnostic, Label, Severity
from seqc.source.span import Span


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
