"""A token that does not fit, turned into a sentence about what its author probably meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seqc.source.diagnostic import Diagnostic, Label
from seqc.source.span import Span
from seqc.source.text import Source
from seqc.syntax.tokens import Token

ITEMS = ("USE", "CONST", "FN", "CELL", "OPTIMIZER", "MODEL", "TRAIN", "DEPLOY")
STATEMENTS = (
    "DIM",
    "HYPER",
    "INPUT",
    "TARGET",
    "OUTPUT",
    "PARAM",
    "STATE",
    "LAYER",
    "UNTIL",
    "LOSS",
    "METRIC",
)


@dataclass(frozen=True, slots=True)
class Stuck:
    """Where the parser stopped: at token `index`; `expected` could have stood there; `values` is what it had read."""

    source: Source
    tokens: tuple[Token, ...]
    index: int
    expected: frozenset[str]
    values: tuple[Any, ...]


def explain(stuck: Stuck) -> Diagnostic:
    token = stuck.tokens[stuck.index]
    return Diagnostic(
        "S0101", f"unexpected `{token.text}`", Label(Span(stuck.source, token.start, token.end))
    )
