"""Mistakes in brackets and expressions: what is unclosed, missing, doubled, or written as in another language."""

from __future__ import annotations

from seqc.source.diagnostic import Diagnostic
from seqc.syntax.stuck import ITEMS, PAIRS, STATEMENTS, Question, Stuck
from seqc.syntax.tokens import Token

_CLOSERS = {"RPAR": ")", "RSQB": "]", "RBRACE": "}"}
_BINARY = ("PLUS", "STAR", "SLASH", "AT", "CARET", "COMPARE", "AND", "OR", "PIPE", "MINUS")
_TWO_VALUES = ("mod", "div", "min", "max", "outer")
_OPERAND_END = ("NAME", "NUMBER", "STRING", "RPAR", "RSQB")


def _closed_by_another(stuck: Stuck) -> Diagnostic | None:
    token, opener = stuck.token, stuck.unclosed
    if token.kind not in _CLOSERS or opener is None or PAIRS[opener.kind] == token.kind:
        return None
    if opener.kind == "LBRACE":
        return _closes_nothing(stuck)
    if token.kind == "RBRACE" and opener.kind != "LBRACE":
        return _never_closed(stuck, opener)
    title = f"`{opener.text}` is closed by `{token.text}`"
    close = _CLOSERS[PAIRS[opener.kind]]
    return stuck.say("S0112", title, token, f"expected `{close}`", other=(opener, "opened here"))


def _never_closed(stuck: Stuck, opener: Token) -> Diagnostic:
    close = _CLOSERS[PAIRS[opener.kind]]
    hint = f"put a `{close}` where it ends"
    return stuck.say("S0112", f"this `{opener.text}` is never closed", opener, "opened here", hint=hint)


def _closes_nothing(stuck: Stuck) -> Diagnostic | None:
    token, opener = stuck.token, stuck.unclosed
    if token.kind not in _CLOSERS or (opener is not None and opener.kind != "LBRACE"):
        return None
    if opener is not None and token.kind == "RBRACE":
        return None
    if "PLUS" not in stuck.expected and not stuck.body and not stuck.top:
        return None
    return stuck.say(
        "S0112", f"this `{token.text}` closes nothing", token, hint="take it out, or open it before"
    )


def _too_early(stuck: Stuck) -> Diagnostic | None:
    opener = stuck.unclosed
    if stuck.token.kind == "$END" and opener is not None:
        return _never_closed(stuck, opener)
    return None


def _runs_into_the_next(stuck: Stuck) -> Diagnostic | None:
    """An unclosed bracket, noticed at the beginning of the next statement or item."""
    opener, token = stuck.unclosed, stuck.token
    if opener is None or not stuck.first_on_line:
        return None
    next_statement = token.kind in STATEMENTS or (token.kind == "NAME" and stuck.ahead().kind == "EQUAL")
    if opener.kind == "LBRACE":
        column = token.start - stuck.source.line_start(stuck.source.line_of(token.start))
        return _never_closed(stuck, opener) if token.kind in ITEMS and column == 0 else None
    if token.kind in ITEMS or (next_statement and stuck.back().kind in _OPERAND_END):
        return _never_closed(stuck, opener)
    return None


def _time_comparison(stuck: Stuck) -> Diagnostic | None:
    """`=<`, and `a = = b`."""
    if (
        stuck.token.kind == "EQUAL"
        and stuck.ahead().text in ("<", ">")
        and stuck.ahead().start == stuck.token.end
    ):
        hint = f"write `{stuck.ahead().text}=`"
        return stuck.say("S0114", f"`={stuck.ahead().text}` is not an operator", stuck.token, hint=hint)
    if stuck.token.kind in ("COMPARE", "EQUAL") and stuck.back().kind == "EQUAL":
        if stuck.token.text in ("<", ">"):
            hint = f"write `{stuck.token.text}=`"
            return stuck.say("S0114", f"`={stuck.token.text}` is not an operator", stuck.token, hint=hint)
        return stuck.say(
            "S0101", "two signs of equality", stuck.token, hint="a comparison is `==`, without a blank"
        )
    return None


def _equal_in_expression(stuck: Stuck) -> Diagnostic | None:
    """`=` where a comparison was meant, or a second one in an equation."""
    if stuck.token.kind != "EQUAL" or "PLUS" not in stuck.expected:
        return None
    what = "selection" if stuck.open_word("WHERE") is not None else "condition"
    if "THEN" in stuck.expected or stuck.word == "UNTIL" or what == "selection":
        return stuck.say(
            "S0114", f"`=` in a {what}", stuck.token, "defines, does not compare", hint="write `==`"
        )
    if stuck.back().kind in ("RPAR", "RSQB"):
        hint = "left of `=` stand names only; to take a vector apart write `a, b = v`, without brackets"
        return stuck.say("S0114", "an equation for something that is not a name", stuck.token, hint=hint)
    hint = "an equation has one; a comparison is `==`"
    return stuck.say("S0114", "a second `=` in one equation", stuck.token, hint=hint)


def _missing_else(stuck: Stuck) -> Diagnostic | None:
    if "ELSE" not in stuck.expected or (stuck.unclosed and stuck.token.kind in ("COMMA",)):
        return None
    opener = stuck.open_word("IF")
    if opener is None or stuck.token.text == "elif":
        return None
    hint = "every choice has a value in both cases: `if c then a else b`"
    return stuck.say(
        "S0116", "`else` is missing", stuck.token, "before this", hint=hint, other=(opener, "of this `if`")
    )


def _elif(stuck: Stuck) -> Diagnostic | None:
    if stuck.token.text in ("elif", "elsif", "elseif"):
        return stuck.say(
            "S0114",
            f"`{stuck.token.text}` is not a word of the language",
            stuck.token,
            hint="write `else if`",
        )
    return None


def _missing_then(stuck: Stuck) -> Diagnostic | None:
    if "THEN" not in stuck.expected:
        return None
    opener = stuck.open_word("IF")
    hint = "a choice is an expression: `y = if c then a else b`"
    return (
        None
        if opener is None
        else stuck.say("S0116", "`then` is missing", stuck.token, "before this", hint=hint)
    )


def _function_between(stuck: Stuck) -> Diagnostic | None:
    """`a mod b`: a function of two values, written as an operator."""
    word, before = stuck.token, stuck.back()
    if word.text not in _TWO_VALUES:
        word, before = stuck.back(), stuck.back(2)
    if word.text not in _TWO_VALUES or before.kind not in _OPERAND_END:
        return None
    if stuck.source.line_of(before.start) != stuck.source.line_of(word.start):
        return None
    hint = f"write `{word.text}(a, b)`"
    return stuck.say("S0104", f"`{word.text}` is a function, not an operator", word, hint=hint)


def _stray_branch(stuck: Stuck) -> Diagnostic | None:
    if stuck.token.kind in ("THEN", "ELSE") and stuck.back().kind in _OPERAND_END:
        title = f"`{stuck.token.text}` without an `if`"
        return stuck.say("S0116", title, stuck.token, hint="write `if c then a else b`")
    return None


def _if_statement(stuck: Stuck) -> Diagnostic | None:
    if stuck.token.kind == "IF" and stuck.body:
        hint = "`if` chooses between values: `y = if c then a else b`; every name has one equation"
        return stuck.say("S0116", "`if` does not begin a statement", stuck.token, hint=hint)
    return None


def _reducer(stuck: Stuck) -> Diagnostic | None:
    """Mistakes around `over` and `where`."""
    token, before = stuck.token, stuck.back()
    if token.kind == "OVER" and before.kind == "COMMA":
        return stuck.say("S0101", "a comma before `over`", before, hint="write `mean(e over time)`")
    if token.kind == "LPAR" and before.kind == "OVER":
        return stuck.say("S0101", "axes stand without parentheses", token, hint="write `over time, batch`")
    if before.kind == "OVER" and token.kind != "NAME":
        return stuck.say(
            "S0101", "`over` takes the names of axes", token, hint="write `over time`, `over batch` or both"
        )
    if token.kind == "OVER" and stuck.open_word("WHERE") is not None:
        hint = "write `mean(e over time where m)`"
        return stuck.say("S0101", "`where` stands behind the axes", token, hint=hint)
    if token.kind == "WHERE" and "OVER" in stuck.expected:
        line = stuck.source.line_of(token.start)
        later = [each for each in stuck.tokens[stuck.index :] if each.kind == "OVER"]
        if later and stuck.source.line_of(later[0].start) == line:
            hint = "write `mean(e over time where m)`"
            return stuck.say("S0101", "`where` stands behind the axes", token, hint=hint)
        hint = "`where` belongs to axes: `mean(e over time where m)`"
        return stuck.say("S0101", "`over` is missing", token, "before this", hint=hint)
    if token.kind == "NAME" and before.kind == "NAME" and stuck.open_word("OVER") is not None:
        return stuck.say(
            "S0101", "a comma is missing between two axes", token, hint="write `over time, batch`"
        )
    if token.kind == "OVER":
        return stuck.say("S0101", "`over` outside a reducer", token, hint="write `sum(e over time)`")
    return None


def _prev(stuck: Stuck) -> Diagnostic | None:
    token = stuck.token
    if stuck.back().kind != "PREV" or token.kind == "NAME" or (stuck.reserved and token.kind != "PREV"):
        return None
    if token.kind == "PREV":
        hint = "for two steps ago declare `state d = 0  d = prev h` and read `prev d`"
        return stuck.say("S0101", "`prev` twice", token, "one step is all that it goes back", hint=hint)
    hint = "give the expression a name, and that a state: `state s = 0  s = …  y = prev s`"
    return stuck.say("S0101", "`prev` takes the name of a state", token, "is not a name", hint=hint)


def _operator_without_operand(stuck: Stuck) -> Diagnostic | None:
    token, before = stuck.token, stuck.back()
    if "NUMBER" not in stuck.expected:
        return None
    if token.kind in _BINARY and before.kind in (
        "STAR",
        "SLASH",
        "PLUS",
        "CARET",
        "AT",
        "COMPARE",
        "PIPE",
        "MINUS",
    ):
        return stuck.say(
            "S0101", f"`{before.text} {token.text}`: a value is missing between two operators", token
        )
    if token.kind == "PLUS":
        return stuck.say(
            "S0101", "`+` is not a sign", token, "there is nothing before it", hint="leave it out"
        )
    if token.kind in _BINARY:
        title = f"`{token.text}` has nothing on its left"
        return stuck.say("S0101", title, token, "a value is missing before this")
    if token.kind == "COMMA":
        return stuck.say("S0101", "nothing stands before this comma", token)
    if before.kind == "COMMA" and token.kind in _CLOSERS:
        return stuck.say("S0101", "nothing follows this comma", before, hint="leave it out")
    return None


def _missing_expression(stuck: Stuck) -> Diagnostic | None:
    before = stuck.back()
    if "NUMBER" not in stuck.expected or not before.kind:
        return None
    ends = stuck.token.kind in ("RBRACE", "$END", "RPAR", "RSQB", "THEN", "ELSE", "EQUAL") or stuck.reserved
    if before.kind == "EQUAL" and (ends or stuck.token.kind == "LBRACE"):
        if stuck.reserved and not stuck.first_on_line:
            return None
        hint = "bodies of cells stand in braces, values do not" if stuck.token.kind == "LBRACE" else None
        return stuck.say("S0101", "an expression is missing", before, "nothing follows this `=`", hint=hint)
    if before.kind in _BINARY and ends:
        return stuck.say(
            "S0101", f"`{before.text}` has nothing on its right", before, "a value is missing behind this"
        )
    return None


def _missing_comma(stuck: Stuck) -> Diagnostic | None:
    token, before = stuck.token, stuck.back()
    begins = token.kind in ("NAME", "NUMBER", "STRING", "PREV")
    if "COMMA" not in stuck.expected or not begins or before.kind not in _OPERAND_END:
        return None
    opener = stuck.unclosed
    if opener is None or opener.kind == "LBRACE":
        return None
    if before.kind == "NUMBER" and token.kind == "NAME":
        hint = f"a product is `{before.text} * {token.text}`; two values need a comma"
        return stuck.say("S0101", "an operator is missing", token, "before this", hint=hint)
    return stuck.say("S0101", "a comma is missing", token, "before this")


def _juxtaposed(stuck: Stuck) -> Diagnostic | None:
    token, before = stuck.token, stuck.back()
    if before.kind == "NAME" and stuck.expected == {"COMMA", "EQUAL"} and stuck.back(2).kind in _OPERAND_END:
        # What was meant as a second factor was read as the beginning of the next statement.
        token, before = before, stuck.back(2)
        if stuck.back(3).kind == "OUTPUT":
            return stuck.say(
                "S0117", "one `output` at a time", token, hint="write `output` again before the next"
            )
        if stuck.source.line_of(before.start) != stuck.source.line_of(token.start):
            return None
        hint = f"a product is `{before.text} * {token.text}`" if before.kind in ("NAME", "NUMBER") else None
        return stuck.say("S0101", "an operator is missing", token, "before this", hint=hint)
    grouped = stuck.unclosed is not None and stuck.unclosed.kind != "LBRACE"
    if (
        token.kind in ("NUMBER", "STRING", *(["NAME"] if grouped else []))
        and before.kind in _OPERAND_END
        and "PLUS" in stuck.expected
    ):
        hint = f"a product is `{before.text} * {token.text}`" if before.kind in ("NAME", "NUMBER") else None
        return stuck.say("S0101", "an operator is missing", token, "before this", hint=hint)
    return None


def _indexed_equation(stuck: Stuck) -> Diagnostic | None:
    """`h[t] = …`, `x[0] = …`."""
    if stuck.token.kind != "LSQB" or stuck.back().kind != "NAME" or stuck.expected != {"COMMA", "EQUAL"}:
        return None
    name = stuck.back().text
    if stuck.ahead().text in ("t", "time", "step"):
        hint = f"write `{name} = …`; the value of the last step is `prev {name}`"
        title, text = "a value has no time index", "equations describe one instant"
        return stuck.say("S0115", title, stuck.token, text, hint=hint)
    hint = f"one equation gives all components: `{name} = [a, b]`"
    return stuck.say("S0101", "components are not defined one by one", stuck.token, hint=hint)


BRACKETS: tuple[Question, ...] = (_too_early, _closed_by_another, _closes_nothing, _runs_into_the_next)
EARLY: tuple[Question, ...] = (
    _elif,
    _function_between,
    _if_statement,
    _reducer,
    _prev,
    _time_comparison,
    _equal_in_expression,
)
QUESTIONS: tuple[Question, ...] = (
    _missing_then,
    _missing_else,
    _stray_branch,
    _indexed_equation,
    _operator_without_operand,
    _missing_expression,
    _missing_comma,
    _juxtaposed,
)
