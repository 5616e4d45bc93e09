"""A model after one round of evaluation, before it is checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from seqc.lower.body import Body
from seqc.lower.shop import Shop
from seqc.source.span import Span
from seqc.syntax import tree


@dataclass(slots=True)
class Draft:
    """A model after one round: `spans` says for each root where its value is written."""

    shop: Shop
    body: Body
    roots: dict[str, int] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    loss: tree.Loss | None = None
