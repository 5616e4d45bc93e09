"""Messages about single tokens: numbers, strings, characters and operators of other languages.

Each function looks at a place in the text and gives the message, and where it can, the kind of token that was meant.
"""

from __future__ import annotations

import math
import re
import unicodedata

from seqc.source.diagnostic import Diagnostic, Label
from seqc.source.span import Span
from seqc.source.text import Source

NAME_LIMIT = 255
STRING_LIMIT = 4096
INTEGER_LIMIT = 2**63 - 1

_NUMBER = re.compile(r"[0-9]+(?:_[0-9]+)*(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MESSAGES = {
    "**": ("CARET", "`**` is not an operator", "write `^`: `x ^ 2`"),
    "&&": ("AND", "`&&` is not an operator", "write `and`"),
    "||": ("OR", "`||` is not an operator", "write `or`"),
    "!": ("NOT", "`!` is not an operator", "write `not`"),
    "<>": ("COMPARE", "`<>` is not an operator", "write `!=`"),
    "===": ("COMPARE", "`===` is not an operator", "write `==`"),
    "!==": ("COMPARE", "`!==` is not an operator", "write `!=`"),
    ":=": ("EQUAL", "`:=` is not an operator", "write `=`"),
    "=>": ("ARROW", "`=>` is not an operator", "results follow `->`; “at least” is `>=`"),
    "+=": (
        "EQUAL",
        "`+=` is not an operator",
        "each name is defined once: `s = prev s + x` with `state s = 0`",
    ),
    "-=": (
        "EQUAL",
        "`-=` is not an operator",
        "each name is defined once: `s = prev s - x` with `state s = 0`",
    ),
    "*=": (
        "EQUAL",
        "`*=` is not an operator",
        "each name is defined once: `s = prev s * x` with `state s = 1`",
    ),
    "/=": ("EQUAL", "`/=` is not an operator", "“not equal” is `!=`; and each name is defined once"),
}
_CHARACTERS = {
    ";": ("", "`;` is not needed", "leave it out: a statement ends where the next one begins"),
    "%": ("STAR", "`%` is not an operator", "write `mod(a, b)`"),
    "&": ("AND", "`&` is not an operator", "write `and`"),
    "|": ("OR", "`|` is not an operator", "write `or`; a pipe is `|>`"),
    "~": ("NOT", "`~` is not an operator", "write `not`"),
    "?": ("", "`?` is not an operator", "write `if c then a else b`"),
    "$": ("", "`$` is not part of the language", "names are letters, digits and `_`"),
    "\\": ("", "`\\` is not part of the language", "a long line may simply go on below"),
    "`": ("", "a backquote is not part of the language", "write the name alone"),
    "−": ("MINUS", "`−` is not the minus sign", "write `-` (U+002D)"),
    "–": ("MINUS", "`–` is not the minus sign", "write `-` (U+002D)"),
    "×": ("STAR", "`×` is not an operator", "write `*`"),
    "·": ("STAR", "`·` is not an operator", "write `*`, or `@` for a matrix product"),
    "∗": ("STAR", "`∗` is not an operator", "write `*`"),
    "÷": ("SLASH", "`÷` is not an operator", "write `/`"),
    "≤": ("COMPARE", "`≤` is not an operator", "write `<=`"),
    "≥": ("COMPARE", "`≥` is not an operator", "write `>=`"),
    "≠": ("COMPARE", "`≠` is not an operator", "write `!=`"),
    "→": ("ARROW", "`→` is not an operator", "write `->`"),
    "²": ("", "`²` is not part of the language", "write `^ 2`"),
    "³": ("", "`³` is not part of the language", "write `^ 3`"),
}
_LOOKALIKES = dict(
    zip("асеорхуіјѕԁһАВЕКМНОРСТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "aceopxyijsdhABEKMHOPCTXYABEZHIKMNOPTYXo", strict=True)
)
_QUOTES = {"'": "'", "“": "”", "”": "”", "‘": "’", "’": "’", "«": "»"}


def _at(
    source: Source, start: int, end: int, code: str, title: str, text: str, hint: str | None
) -> Diagnostic:
    return Diagnostic(code, title, Label(Span(source, start, end), text), hint=hint)


def number_problem(source: Source, start: int, end: int, after_operand: bool) -> Diagnostic | None:
    """What is wrong with the number at `start`, if anything; its value is read by `number_value`."""
    text = source.text[start:end]
    if text.startswith("."):
        title, hint = f"`{text}` lacks the digit before its point", f"write `0{text}`"
        if after_operand:
            title, hint = (
                "a point and a number do not name a part",
                f"to pick a component write `[{text[1:]}]`",
            )
        return _at(source, start, end, "S0105", title, "", hint)
    if _NUMBER.fullmatch(text) is None:
        return _malformed(source, start, end, text)
    if len(text) > 1 and text[0] == "0" and text[1] in "0123456789_":
        plain = text.lstrip("0_") or "0"
        return _at(source, start, end, "S0105", f"`{text}` begins with a zero", "", f"write `{plain}`")
    return _size_problem(source, start, end, text)


def _size_problem(source: Source, start: int, end: int, text: str) -> Diagnostic | None:
    digits = text.replace("_", "")
    if digits.isdigit():
        if len(digits) > 19 or int(digits) > INTEGER_LIMIT:
            hint = f"the largest is 2^63 - 1; a real number is written `{digits[0]}.0e{len(digits) - 1}`"
            return _at(source, start, end, "S0106", "this integer is too large", "", hint)
        return None
    value = float(digits)
    if math.isinf(value):
        return _at(source, start, end, "S0106", "this number is too large", "past 1.8e308", None)
    if value == 0.0 and any(digit in "123456789" for digit in re.split("[eE]", digits)[0]):
        return _at(
            source, start, end, "S0106", "this number is too small", "would be read as 0", "write `0.0`"
        )
    return None


def _malformed(source: Source, start: int, end: int, text: str) -> Diagnostic:
    if re.match(r"0[xXbBoO]", text):
        title, hint = f"`{text}` is not a decimal number", "numbers are decimal: `255`, `1e-3`, `20_000`"
    elif re.fullmatch(r"[0-9_]+(\.[0-9]+)?[eE][+-]?", text):
        title, hint = f"`{text}` lacks its exponent", f"write `{text}3` or the like"
    elif re.fullmatch(r"[0-9_.]+[eE][+-]?[0-9_]*\.[0-9_]*", text):
        title, hint = f"the exponent of `{text}` is not whole", "write the number out, or `2e-3` and the like"
    elif text.count(".") > 1:
        title, hint = f"`{text}` has two points", "a slice is written `a:b`"
    elif unit := re.fullmatch(r"([0-9][0-9_.]*)([A-Za-z][A-Za-z0-9_]*)", text):
        title = f"`{text}` is neither a number nor a name"
        hint = f"for a product write `{unit[1]} * {unit[2]}`; a name begins with a letter"
        if unit[2] in ("f", "F", "d", "L", "j"):
            hint = f"numbers have no suffix: write `{unit[1]}`"
    else:
        title, hint = f"`{text}` is not a number", "`_` stands between two digits: `20_000`"
    return _at(source, start, end, "S0105", title, "", hint)


def bare_point(source: Source, start: int, end: int) -> Diagnostic:
    """`1.` — the point belongs to the number but nothing follows it."""
    text = source.text[start:end]
    hint = f"write `{text}0`"
    return _at(source, start, end, "S0105", f"`{text}` lacks the digit after its point", "", hint)


def number_value(text: str) -> int | float:
    """The value of a number; of a malformed one, which already has its message, something harmless."""
    if _NUMBER.fullmatch(text) is None:
        return 1
    digits = text.replace("_", "")
    if digits.isdigit():
        return int(digits[:19])
    return float(digits)


def string_problem(source: Source, start: int, end: int) -> Diagnostic | None:
    text = source.text[start:end]
    if len(text) < 2 or not text.endswith('"'):
        hint = 'put a `"` behind its last character'
        return _at(source, start, end, "S0107", "this text has no end on its line", "begins here", hint)
    if len(text) > STRING_LIMIT:
        return _at(
            source, start, start + 1, "S0109", "this text is too long", f"{len(text)} characters", None
        )
    return None


def long_name(source: Source, start: int, end: int) -> Diagnostic:
    text = f"{end - start} characters, at most {NAME_LIMIT}"
    return _at(source, start, start + 20, "S0109", "this name is too long", text, None)


def foreign(source: Source, start: int, text: str, operand_before: bool) -> tuple[str, int, Diagnostic]:
    """An operator of another language: the kind that was meant, its end, the message."""
    end = start + len(text)
    if text in ("//", "/*"):
        return _foreign_comment(source, start, text, operand_before)
    kind, title, hint = _MESSAGES[text]
    return kind, end, _at(source, start, end, "S0114", title, "", hint)


def _foreign_comment(
    source: Source, start: int, text: str, operand_before: bool
) -> tuple[str, int, Diagnostic]:
    number = source.line_of(start)
    alone = not source.text[source.line_start(number) : start].strip()
    line_end = source.line_start(number) + len(source.line_text(number))
    if (
        text == "//"
        and operand_before
        and not alone
        and re.match(r"//(\S| *[0-9(])", source.text[start : start + 9])
    ):
        hint = "floor division is `div(a, b)`"
        return "SLASH", start + 2, _at(source, start, start + 2, "S0114", "`//` is not an operator", "", hint)
    end = line_end
    if text == "/*":
        close = source.text.find("*/", start + 2)
        end = len(source.text) if close < 0 else close + 2
    title, hint = (
        f"`{text}` does not begin a comment",
        "comments begin with `#` and go to the end of the line",
    )
    return "", end, _at(source, start, start + 2, "S0114", title, "", hint)


def unknown(source: Source, start: int, after_operand: bool) -> tuple[str, int, Diagnostic]:
    """A character that begins no token: the kind that was meant (or none), its end, the message."""
    character = source.text[start]
    if character == "'" and after_operand:
        title, hint = "`'` does not transpose", "write `transpose(W)`"
        return "", start + 1, _at(source, start, start + 1, "S0114", title, "", hint)
    if character in _QUOTES:
        return _quoted(source, start, _QUOTES[character])
    if character in _CHARACTERS:
        kind, title, hint = _CHARACTERS[character]
        return kind, start + 1, _at(source, start, start + 1, "S0104", title, "", hint)
    end = start + 1
    while end < len(source.text) and (source.text[end].isalnum() or source.text[end] == "_"):
        end += 1
    if character.isalpha():
        return "NAME", end, _letters(source, start, end)
    title = f"unexpected character {_described(character)}"
    return "", start + 1, _at(source, start, start + 1, "S0104", title, "", None)


def _quoted(source: Source, start: int, close: str) -> tuple[str, int, Diagnostic]:
    number = source.line_of(start)
    line_end = source.line_start(number) + len(source.line_text(number))
    found = source.text.find(close, start + 1, line_end)
    end = line_end if found < 0 else found + 1
    hint = 'write `"` (U+0022) before and behind it'
    return "STRING", end, _at(source, start, end, "S0104", "text stands in straight double quotes", "", hint)


def _letters(source: Source, start: int, end: int) -> Diagnostic:
    """A word that begins with, or is, letters outside a to z."""
    odd = next(character for character in source.text[start:end] if ord(character) > 127)
    title = f"a name holds {_described(odd)}"
    plain = unicodedata.normalize("NFKD", odd).encode("ascii", "ignore").decode()
    hint = "names are made of the letters A to Z, a to z, digits and `_`"
    if odd in _LOOKALIKES:
        hint = f"it looks like `{_LOOKALIKES[odd]}` but is another letter; " + hint
    greek = re.fullmatch(r"GREEK (?:SMALL|CAPITAL) LETTER ([A-Z]+)", unicodedata.name(odd, ""))
    if greek:
        hint = f"write it out: `{greek[1].lower().replace('lamda', 'lambda')}`"
    elif plain.isalpha():
        hint += f"; write `{plain}`"
    return _at(source, start, end, "S0104", title, "", hint)


def _described(character: str) -> str:
    name = unicodedata.name(character, "")
    shown = f"`{character}` " if character.isprintable() else ""
    return f"{shown}(U+{ord(character):04X}{' ' + name if name else ''})"
