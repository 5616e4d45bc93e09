"""The second half of `fmt`: lines of tokens get their columns, and become text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from seqc.source.text import Source
from seqc.syntax.spacing import OPENING, OPERATORS
from seqc.syntax.tokens import Token

COMMENT_COLUMN = 40
COMMENT_LIMIT = 64
INDENT = 2

Key = tuple[int, int]
"""A token by its line and its position there."""


class Row(Protocol):
    """What `place` reads of a line of `format`."""

    depth: int
    starts: bool
    blank: bool
    tokens: list[Token]
    gaps: list[int]
    comment: Token | None


@dataclass(slots=True)
class _Bracket:
    """An open bracket: its column, the indent of its line, whether it ends its line, whether it only groups."""

    column: int
    indent: int
    hangs: bool
    groups: bool
    pipe: int | None = None


@dataclass(slots=True)
class _Statement:
    """What the lines that continue a statement are placed by."""

    indent: int
    equal: int | None = None
    value: int | None = None
    items: int | None = None
    pipe: int | None = None
    brackets: list[_Bracket] = field(default_factory=list)


def place(source: Source, lines: Sequence[Row]) -> str:
    """The text of all lines."""
    _pad_groups(lines)
    columns = _columns(source, lines)
    texts: list[str] = []
    statement = _Statement(0)
    for number, line in enumerate(lines):
        if line.starts and line.tokens:
            statement = _Statement(line.depth * INDENT)
        texts.append(_text(line, number, statement, columns))
    comments = _comment_columns(lines, texts)
    written: list[str] = []
    for number, line in enumerate(lines):
        text = texts[number]
        if line.comment is not None and line.tokens:
            text = f"{text:<{comments[number]}}{line.comment.text.rstrip()}"
        written.extend(("", text) if line.blank else (text,))
    return "\n".join(written) + "\n" if written else ""


def _text(line: Row, number: int, statement: _Statement, columns: dict[Key, int]) -> str:
    if not line.tokens:
        indent = line.depth * INDENT if line.starts else _continuation(None, statement)
        return " " * indent + (line.comment.text.rstrip() if line.comment else "")
    first = line.tokens[0]
    indent = line.depth * INDENT if line.starts else _continuation(first, statement)
    text = " " * indent
    for position, token in enumerate(line.tokens):
        column = columns.get((number, position), len(text) + line.gaps[position])
        text = f"{text:<{column}}"
        _note(token, len(text), line, position, indent, statement)
        text += token.text
    return text


def _note(token: Token, column: int, line: Row, position: int, indent: int, statement: _Statement) -> None:
    """Remembers what later lines of the statement stand below."""
    before = line.tokens[position - 1] if position else None
    brackets = statement.brackets
    if not brackets:
        if statement.value is None and statement.equal is not None:
            statement.value = column
        if token.kind == "EQUAL" and statement.equal is None:
            statement.equal = column
        if (
            before is not None
            and statement.items is None
            and before.kind in ("CONST", "DIM", "HYPER", "COLON")
        ):
            statement.items = column
        if token.kind == "PIPE" and statement.pipe is None:
            statement.pipe = column
    elif token.kind == "PIPE" and brackets[-1].pipe is None:
        brackets[-1].pipe = column
    if token.kind in OPENING:
        applied = before is not None and before.kind in ("NAME", "STRING", "NUMBER", "RPAR", "RSQB")
        hangs = position == len(line.tokens) - 1
        brackets.append(_Bracket(column, indent, hangs, token.kind == "LPAR" and not applied))
    elif token.kind in ("RPAR", "RSQB", "RBRACE") and brackets:
        brackets.pop()


def _continuation(first: Token | None, statement: _Statement) -> int:
    """The column of a line that goes on with a statement and begins with `first` (None: a comment)."""
    kind = "" if first is None else first.kind
    operator = kind in OPERATORS
    if statement.brackets and kind != "LBRACE":
        bracket = statement.brackets[-1]
        if bracket.hangs:
            return bracket.indent + (0 if kind in ("RPAR", "RSQB") else INDENT)
        if kind == "PIPE" and bracket.pipe is not None:
            return bracket.pipe
        return bracket.column if operator and bracket.groups else bracket.column + 1
    if kind == "LBRACE":
        return statement.indent
    if kind == "PIPE" and statement.pipe is not None:
        return statement.pipe
    if operator:
        return statement.indent + INDENT if statement.equal is None else statement.equal
    if statement.items is not None:
        return statement.items
    return statement.indent + 2 * INDENT if statement.value is None else statement.value


def _pad_groups(lines: Sequence[Row]) -> None:
    """A blank behind a grouping parenthesis whose sum goes on in the next line, so that operands stand in a column."""
    for number, line in enumerate(lines):
        open_at: list[int] = []
        for position, token in enumerate(line.tokens):
            if token.kind in OPENING:
                open_at.append(position)
            elif token.kind in ("RPAR", "RSQB", "RBRACE") and open_at:
                open_at.pop()
        if not open_at or number + 1 == len(lines) or open_at[-1] + 1 >= len(line.tokens):
            continue
        position, below = open_at[-1], lines[number + 1]
        before = line.tokens[position - 1].kind if position else ""
        groups = line.tokens[position].kind == "LPAR" and before not in ("NAME", "STRING", "RPAR", "RSQB")
        continued = not below.starts and below.tokens and below.tokens[0].kind in ("PLUS", "MINUS")
        if groups and continued and line.tokens[position + 1].kind != "MINUS":
            line.gaps[position + 1] = 1


def _columns(source: Source, lines: Sequence[Row]) -> dict[Key, int]:
    """Columns of the tokens that the author has put below one another."""
    member = _alignments(source, lines)
    columns: dict[int, int] = {}
    while True:
        changed = False
        for number, line in enumerate(lines):
            column = line.depth * INDENT
            for position, token in enumerate(line.tokens if line.starts else ()):
                column += line.gaps[position]
                group = member.get((number, position))
                if group is not None:
                    changed = changed or column > columns.get(group, -1)
                    column = columns[group] = max(column, columns.get(group, -1))
                column += len(token.text)
        if not changed:
            return {key: columns[group] for key, group in member.items()}


def _alignments(source: Source, lines: Sequence[Row]) -> dict[Key, int]:
    """Which tokens form a column, by the number of that column."""
    member: dict[Key, int] = {}
    wide: set[int] = set()
    groups = 0
    above: dict[tuple[int, str], Key] = {}
    for number, line in enumerate(lines):
        if not line.starts and line.tokens:
            continue
        here: dict[tuple[int, str], Key] = {}
        for position, token in enumerate(line.tokens):
            if position == 0 or not _blanks(source, token):
                continue
            spot = (_column(source, token), token.kind)
            here[spot] = key = (number, position)
            partner = None if line.blank or line.depth != lines[number - 1].depth else above.get(spot)
            if partner is None:
                member[key] = groups
                groups += 1
            else:
                member[key] = member[partner]
            if _blanks(source, token) > 1:
                wide.add(member[key])
        above = here
    sizes = Counter(member.values())
    return {key: group for key, group in member.items() if group in wide and sizes[group] > 1}


def _blanks(source: Source, token: Token) -> int:
    """Blanks before the token on its line; none before the first token of a line."""
    start = source.line_start(source.line_of(token.start))
    before = source.text[start : token.start]
    return len(before) - len(before.rstrip()) if before.strip() else 0


def _column(source: Source, token: Token) -> int:
    start = source.line_start(source.line_of(token.start))
    return len(source.text[start : token.start].expandtabs(4))


def _comment_columns(lines: Sequence[Row], texts: list[str]) -> dict[int, int]:
    """Where comments behind code begin; those of lines that follow each other together, if that is not too far."""
    columns: dict[int, int] = {}
    run: list[int] = []
    for number in range(len(lines) + 1):
        line = lines[number] if number < len(lines) else None
        trailing = line is not None and line.comment is not None and bool(line.tokens)
        if run and (not trailing or (line is not None and line.blank)):
            _settle(run, texts, columns)
            run = []
        if trailing:
            run.append(number)
    return columns


def _settle(run: list[int], texts: list[str], columns: dict[int, int]) -> None:
    together = max(COMMENT_COLUMN, *(len(texts[number]) + 2 for number in run))
    for number in run:
        alone = max(COMMENT_COLUMN, len(texts[number]) + 2)
        columns[number] = together if together <= COMMENT_LIMIT else alone
