"""Text to tokens: names, reserved words, numbers, strings, operators, and the comments beside them.

What another language would have written (`&&`, `**`, `;`, `'text'`) becomes one message each and the token that was
meant, so that the parser can go on and find what else is wrong. `lexical.py` has the words of those messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from seqc.source.diagnostic import Diagnostic
from seqc.source.text import Source
from seqc.syntax import lexical

_WORDS = (
    "use const fn cell optimizer model train deploy of dim hyper input target output param state layer until loss "
    "metric prev if then else and or not over where once"
)
RESERVED = tuple(_WORDS.split(" "))
_KINDS = {word: word.upper() for word in RESERVED}
_OPERATORS = {
    "|>": "PIPE",
    "->": "ARROW",
    "<=": "COMPARE",
    ">=": "COMPARE",
    "==": "COMPARE",
    "!=": "COMPARE",
    "<": "COMPARE",
    ">": "COMPARE",
    "=": "EQUAL",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "SLASH",
    "@": "AT",
    "^": "CARET",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    "{": "LBRACE",
    "}": "RBRACE",
    ",": "COMMA",
    ":": "COLON",
    ".": "DOT",
}

_TOKEN = re.compile(
    r"(?P<space>[ \t\n]+)"
    r"|(?P<comment>#[^\n]*)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>\.?[0-9](?:[eE][+-][0-9]|[A-Za-z0-9_]|\.(?=[0-9]))*)"
    r'|(?P<string>"[^"\n]*"?)'
    r"|(?P<foreign>\*\*|&&|\|\||\+=|-=|\*=|/=|:=|=>|<>|===|!==|//|/\*|!(?!=))"
    r"|(?P<operator>\|>|->|<=|>=|==|!=|[-<>=+*/@^()\[\]{},:.])"
)


class Token(NamedTuple):
    """A terminal of the grammar (`kind`), as written, and where."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens up to `$END`, the comments in order, and what was wrong with single tokens."""

    tokens: tuple[Token, ...]
    comments: tuple[Token, ...]
    problems: tuple[Diagnostic, ...]


def tokenize(source: Source) -> Tokens:
    """Every token of a text that `decode.check_text` has accepted."""
    text = source.text
    tokens: list[Token] = []
    comments: list[Token] = []
    problems: list[Diagnostic] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        group = None if match is None else match.lastgroup
        if match is None or group in ("foreign", "string", "number"):
            token, problem = _special(source, tokens, position, match)
            if problem is not None:
                problems.append(problem)
            if token.kind:
                tokens.append(token)
            position = token.end
            continue
        word, end = match.group(), match.end()
        if group == "name":
            tokens.append(Token(_KINDS.get(word, "NAME"), word, position, end))
            if end - position > lexical.NAME_LIMIT:
                problems.append(lexical.long_name(source, position, end))
        elif group == "operator":
            tokens.append(Token(_OPERATORS[word], word, position, end))
        elif group == "comment":
            comments.append(Token("COMMENT", word, position, end))
        position = end
    tokens.append(Token("$END", "", len(text), len(text)))
    return Tokens(tuple(tokens), tuple(comments), tuple(problems))


def _special(
    source: Source, tokens: list[Token], position: int, match: re.Match[str] | None
) -> tuple[Token, Diagnostic | None]:
    """Numbers, strings and everything that needs a look at its neighbours. A token without kind is left out."""
    problem: Diagnostic | None
    before = tokens[-1] if tokens else None
    touching = before is not None and before.end == position
    operand_before = before is not None and before.kind in ("NAME", "RPAR", "RSQB", "NUMBER")
    if match is None:
        kind, end, problem = lexical.unknown(source, position, touching and operand_before)
    elif match.lastgroup == "number":
        end = match.end()
        kind, problem = "NUMBER", lexical.number_problem(source, position, end, touching and operand_before)
        if problem is None and source.text[end : end + 1] == ".":
            end += 1
            problem = lexical.bare_point(source, position, end)
    elif match.lastgroup == "string":
        kind, end, problem = "STRING", match.end(), lexical.string_problem(source, position, match.end())
    else:
        kind, end, problem = lexical.foreign(source, position, match.group(), operand_before)
    return Token(kind, source.text[position:end], position, end), problem
