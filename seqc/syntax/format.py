"""`seqc fmt`: one layout for every program, with nothing to choose. Text goes in, text with the same Tree comes out.

Where lines break is the author's; indents and blanks are ours. Columns that the author began are kept: where tokens
of one kind stand below one another in statements that follow each other, and one of them has more than one blank
before it, they stay below one another, as far left as they fit. A comment behind a statement begins in column 41,
or two blanks behind it. At most one blank line stands anywhere, one around every item of several lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from seqc.source.text import Source
from seqc.syntax import tree
from seqc.syntax.parse import parse
from seqc.syntax.place import place
from seqc.syntax.spacing import CLOSING, OPENING, gap, unary
from seqc.syntax.tokens import Token, tokenize

ONE_LINE = 100


@dataclass(slots=True)
class Line:
    """One line to be written: its tokens with the blanks before each, and the comment behind them.

    `starts` says that a statement, an item or a closing brace begins it; else it continues the line before, or holds
    a comment alone.
    """

    depth: int
    starts: bool
    blank: bool = False
    tokens: list[Token] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    comment: Token | None = None

    @property
    def alone(self) -> bool:
        return not self.tokens


def format(source: Source) -> str:
    """The program as `fmt` writes it; SeqError where it does not parse."""
    parsed = parse(source)
    lines = _Breaker(source, parsed).lines()
    _separate(lines)
    return place(source, lines)


class _Breaker:
    """Distributes tokens and comments over lines."""

    def __init__(self, source: Source, parsed: tree.File) -> None:
        read = tokenize(source)
        self.source = source
        self.tokens = read.tokens[:-1]
        self.comments = list(reversed(read.comments))
        self.begins = _statement_starts(parsed)
        self.items = {item.span.start for item in parsed.items}
        self.open = _wide_braces(source, self.tokens)
        self.made: list[Line] = []
        self.inside: list[str] = []
        self.end = 0
        self.depth = 0

    def lines(self) -> list[Line]:
        for index, token in enumerate(self.tokens):
            commented = self._comments_before(token.start)
            self._place(index, token, commented)
            self.end = token.end
        self._comments_before(len(self.source.text) + 1)
        return self.made

    def _comments_before(self, start: int) -> bool:
        """Writes the comments up to `start`; whether there were any."""
        wrote = False
        while self.comments and self.comments[-1].start < start:
            comment = self.comments.pop()
            between = self.source.text[self.end : comment.start]
            if self.made and "\n" not in between and self.end:
                self.made[-1].comment = comment
            else:
                statement = not self.inside or self.inside == ["LBRACE"]
                blank = between.count("\n") > 1
                self.made.append(Line(self.depth, statement, blank, comment=comment))
            self.end = comment.end
            wrote = True
        return wrote

    def _place(self, index: int, token: Token, commented: bool) -> None:
        if token.kind == "RBRACE":
            self.depth = 0
        breaks, starts = self._breaks(index, token, commented)
        if breaks or not self.made:
            blank = starts and self.source.text[self.end : token.start].count("\n") > 1
            self.made.append(Line(self.depth, starts, blank and token.kind != "RBRACE"))
        line = self.made[-1]
        innermost = self.inside[-1] if self.inside else ""
        space = 0 if not line.tokens else gap(self.tokens, index, innermost)
        if line.tokens and token.start in self.begins and self.tokens[index - 1].kind != "LBRACE":
            space = 2
        line.tokens.append(token)
        line.gaps.append(space)
        self._nest(index, token)

    def _nest(self, index: int, token: Token) -> None:
        if token.kind in OPENING:
            self.inside.append(token.kind)
            if token.kind == "LBRACE":
                self.depth = 1
        elif token.kind in CLOSING and self.inside:
            self.inside.pop()

    def _breaks(self, index: int, token: Token, commented: bool) -> tuple[bool, bool]:
        """Whether the token begins a line, and whether that line begins a statement, an item or a brace's end."""
        previous = self.tokens[index - 1] if index else None
        broken = "\n" in self.source.text[self.end : token.start]
        if previous is None or token.start in self.items:
            return True, True
        if token.kind == "RBRACE":
            wide = token.start in self.open and previous.kind != "LBRACE"
            return wide or commented, True
        if previous.kind == "LBRACE":
            return previous.start in self.open or commented, True
        if token.start in self.begins:
            forced = self.tokens[index - 1].end in self.open
            return broken or commented or forced, True
        if commented:
            return True, False
        joined = token.kind in ("LBRACE", "COMMA", "LPAR", "LSQB", "DOT", "COLON", "EQUAL", "ARROW", "OF")
        bound = previous.kind in ("DOT", "MODEL", "CELL", "FN", "OPTIMIZER", "TRAIN", "DEPLOY", "OF", "PREV")
        if token.kind in ("LPAR", "LSQB") and previous.kind not in (
            "NAME",
            "STRING",
            "NUMBER",
            "RPAR",
            "RSQB",
        ):
            joined = False
        if previous.kind == "MINUS" and unary(self.tokens, index - 1):
            bound = True
        if token.kind in ("RPAR", "RSQB"):
            joined = not self._hangs()
        return broken and not joined and not bound, False

    def _hangs(self) -> bool:
        """Whether the innermost bracket ends its line."""
        depth = 0
        for line in reversed(self.made):
            for token in reversed(line.tokens):
                if token.kind in CLOSING:
                    depth += 1
                elif token.kind in OPENING:
                    if depth == 0:
                        return token is line.tokens[-1]
                    depth -= 1
        return False


def _statement_starts(parsed: tree.File) -> set[int]:
    starts = set()
    for item in parsed.items:
        starts.add(item.span.start)
        if isinstance(item, tree.Fn):
            starts.update(each.span.start for each in item.equations)
        elif isinstance(item, tree.Cell | tree.Optimizer | tree.Model):
            starts.update(each.span.start for each in item.body)
        elif isinstance(item, tree.Train | tree.Deploy):
            starts.update(each.span.start for each in item.bindings)
    return starts


def _wide_braces(source: Source, tokens: tuple[Token, ...]) -> set[int]:
    """Where the braces stand whose body takes several lines: in the text, or because one would be too long.

    Of a body that was too long, the ends of its tokens are in the set too: there every statement gets its own line.
    """
    wide: set[int] = set()
    first = begin = 0
    for index, token in enumerate(tokens):
        if token.kind == "LBRACE":
            begin = index
        elif token.kind == "RBRACE":
            text = source.text[tokens[begin].start : token.end]
            broken = "\n" in text
            length = sum(len(each.text) + 1 for each in tokens[first : index + 1])
            if broken or length > ONE_LINE:
                wide.update((tokens[begin].start, token.start))
            if not broken and length > ONE_LINE:
                wide.update(each.end for each in tokens[begin : index + 1])
            first = index + 1
        elif token.kind in ("USE", "CONST", "FN", "CELL", "OPTIMIZER", "MODEL", "TRAIN", "DEPLOY"):
            inside_header = tokens[index - 1].kind == "COLON" if index else False
            first = first if inside_header else index
    return wide


def _separate(lines: list[Line]) -> None:
    """Blank lines: none at the ends of the file and of bodies, one around every item of several lines."""
    starts = [i for i, line in enumerate(lines) if line.starts and not line.depth and line.tokens]
    starts = [i for i in starts if lines[i].tokens[0].kind != "RBRACE"]
    for before, after in pairwise([*starts, len(lines)]):
        if after == len(lines):
            continue
        top = _with_comment(lines, after)
        long = any(line.depth for line in lines[before:top]) or any(
            line.depth for line in lines[after : _next(starts, after, len(lines))]
        )
        if long and top > before:
            lines[top].blank = True
    for previous, line in pairwise(lines):
        if previous.tokens and previous.tokens[-1].kind == "LBRACE":
            line.blank = False
    if lines:
        lines[0].blank = False


def _with_comment(lines: list[Line], index: int) -> int:
    """The first line of the comment that stands directly above line `index`."""
    while index and not lines[index].blank and lines[index - 1].alone and not lines[index - 1].depth:
        index -= 1
    return index


def _next(starts: list[int], index: int, end: int) -> int:
    return min((each for each in starts if each > index), default=end)
