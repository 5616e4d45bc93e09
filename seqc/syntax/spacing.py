"""Blanks between two tokens of one line, as `fmt` writes them."""

from __future__ import annotations

from seqc.syntax.tokens import Token

OPENING = ("LPAR", "LSQB", "LBRACE")
CLOSING = ("RPAR", "RSQB", "RBRACE")
OPERAND_END = ("NAME", "NUMBER", "STRING", "RPAR", "RSQB")
OPERATORS = ("PIPE", "PLUS", "MINUS", "STAR", "SLASH", "AT", "CARET", "COMPARE", "AND", "OR")


def unary(tokens: tuple[Token, ...], index: int) -> bool:
    """Whether the minus at `index` is a sign."""
    return index == 0 or tokens[index - 1].kind not in OPERAND_END


def gap(tokens: tuple[Token, ...], index: int, inside: str) -> int:
    """Blanks before token `index` when it follows another on its line; `inside` is the innermost open bracket."""
    left, right = tokens[index - 1].kind, tokens[index].kind
    if right in ("COMMA", "RPAR", "RSQB", "DOT") or left in ("LPAR", "LSQB", "DOT"):
        return 0
    if right == "COLON" or (left == "COLON" and inside == "LSQB"):
        return 1 if left == "COMMA" else 0
    if left == "MINUS" and unary(tokens, index - 1):
        return 0
    if right in ("LPAR", "LSQB") and left in ("NAME", "STRING", "NUMBER", "RPAR", "RSQB"):
        return 0
    if left == "LBRACE" and right == "RBRACE":
        return 0
    return 1
