"""The place where the parser stopped, and the questions that can be asked about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seqc.source.diagnostic import Diagnostic, Label
from seqc.source.span import Span
from seqc.source.text import Source
from seqc.syntax.tokens import RESERVED, Token

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
PAIRS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
NOTHING = Token("", "", 0, 0)


@dataclass(frozen=True, slots=True)
class Stuck:
    """The parser stopped at token `index`; one of `expected` could have stood there; `values` is what it had read.

    `begun` is the first token since the beginning of the file or the last mistake.
    """

    source: Source
    tokens: tuple[Token, ...]
    begun: int
    index: int
    expected: frozenset[str]
    values: tuple[Any, ...]

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def back(self, count: int = 1) -> Token:
        """The token `count` places before; a token without kind before the first."""
        return self.tokens[self.index - count] if self.index - count >= self.begun else NOTHING

    def ahead(self, count: int = 1) -> Token:
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    @property
    def reserved(self) -> bool:
        return self.token.text in RESERVED

    @property
    def first_on_line(self) -> bool:
        start = self.source.line_start(self.source.line_of(self.token.start))
        return not self.source.text[start : self.token.start].strip()

    @property
    def unclosed(self) -> Token | None:
        """The innermost bracket that the parser has open."""
        closed = 0
        for value in reversed(self.values):
            if not isinstance(value, Token):
                continue
            if value.kind in PAIRS and closed == 0:
                return value
            closed += (value.kind in PAIRS.values()) - (value.kind in PAIRS)
        return None

    @property
    def word(self) -> str:
        """The kind of the declaration being read: the last word of ITEMS or STATEMENTS still open, else ""."""
        for value in reversed(self.values):
            if isinstance(value, Token) and value.kind == "LBRACE":
                return ""
            if isinstance(value, Token) and value.kind in ITEMS + STATEMENTS:
                return value.kind
        return ""

    @property
    def item(self) -> str:
        """The kind of the item being read, "" between items."""
        kinds = [value.kind for value in self.values if isinstance(value, Token) and value.kind in ITEMS]
        return kinds[-1] if kinds and not self.top else ""

    @property
    def top(self) -> bool:
        """Whether a new item could begin here."""
        return "USE" in self.expected

    @property
    def body(self) -> bool:
        """Whether a new statement could begin here."""
        return "RBRACE" in self.expected and "NAME" in self.expected

    def open_word(self, kind: str) -> Token | None:
        """The last token of a kind that is still waiting for its other parts."""
        for value in reversed(self.values):
            if isinstance(value, Token) and value.kind == kind:
                return value
        return None

    def span(self, token: Token) -> Span:
        if token.kind == "$END":
            end = len(self.source.text.rstrip())
            return Span(self.source, end, end)
        return Span(self.source, token.start, token.end)

    def say(
        self,
        code: str,
        title: str,
        token: Token,
        text: str = "",
        *,
        hint: str | None = None,
        note: str | None = None,
        other: tuple[Token, str] | None = None,
    ) -> Diagnostic:
        others = () if other is None else (Label(self.span(other[0]), other[1]),)
        notes = () if note is None else (note,)
        return Diagnostic(code, title, Label(self.span(token), text), others, notes, hint)


Question = Callable[[Stuck], Diagnostic | None]
