"""A token that does not fit, turned into a sentence about what its author probably meant.

`explain` asks one small function after the other; the first that knows the mistake answers. Those about the words of
declarations are in `habits.py`, those about expressions and brackets in `wrong_expression.py`.
"""

from __future__ import annotations

from seqc.source.diagnostic import Diagnostic
from seqc.syntax import habits, wrong_expression
from seqc.syntax.stuck import ITEMS, STATEMENTS, Stuck

_GROUPS = {
    "a name": ("NAME",),
    "an expression": ("NUMBER", "STRING", "LPAR", "LSQB", "MINUS", "NOT", "PREV", "IF", "NAME"),
    "an operator": ("PLUS", "MINUS", "STAR", "SLASH", "AT", "CARET", "COMPARE", "AND", "OR", "PIPE", "DOT"),
    "a declaration": STATEMENTS,
    "`use`, `const`, `fn`, `cell`, `optimizer`, `model`, `train` or `deploy`": ITEMS,
}
_SPELLINGS = {
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "LBRACE": "{",
    "RBRACE": "}",
    "COMMA": ",",
    "COLON": ":",
    "EQUAL": "=",
    "ARROW": "->",
    "DOT": ".",
}


_QUESTIONS = (
    *wrong_expression.BRACKETS,
    *wrong_expression.EARLY,
    *habits.QUESTIONS,
    *wrong_expression.QUESTIONS,
)


def explain(stuck: Stuck) -> Diagnostic:
    """The message for the place where the parser stopped."""
    for question in _QUESTIONS:
        answer = question(stuck)
        if answer is not None:
            return answer
    return _unexpected(stuck)


def _unexpected(stuck: Stuck) -> Diagnostic:
    token = stuck.token
    title = "the file ends too early" if token.kind == "$END" else f"unexpected `{shortened(token.text)}`"
    wanted = _wanted(stuck.expected)
    if token.kind == "$END" and stuck.index:
        return stuck.say(
            "S0101", title, stuck.tokens[stuck.index - 1], "after this", note=f"expected {wanted}"
        )
    return stuck.say("S0101", title, token, note=f"expected {wanted}")


def shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _wanted(expected: frozenset[str]) -> str:
    """What could have stood there, in words: `=`, a name or an expression."""
    left, words = set(expected), list[str]()
    for group, kinds in reversed(_GROUPS.items()):
        if len(kinds) > 1 and left.issuperset(kinds):
            words.append(group)
            left -= set(kinds)
    if "NAME" in left:
        words.append("a name")
    words += [f"`{_SPELLINGS[kind]}`" for kind in _SPELLINGS if kind in left]
    rest = sorted(
        left - set(_SPELLINGS) - {"NAME", "$END", *_GROUPS["an operator"], *_GROUPS["an expression"]}
    )
    if len(rest) <= 4:
        words += [f"`{kind.lower()}`" for kind in rest]
    if not words:
        return "the end of the file"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
