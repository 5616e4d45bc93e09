"""Statements as expressions: brackets where they are needed and nowhere else, names where lines would grow too long."""

from __future__ import annotations

import math

import pytest

from seqc.emit import cpp
from seqc.emit.expression import Scope, Term, print_statements
from seqc.flow.types import Kind
from seqc.ops.table import ELEMENTWISE_NAMES
from seqc.plan.buffers import Statement

REAL = Kind.REAL


def known(*names: str, kind: Kind = REAL) -> dict[int, Term]:
    return {number: Term(name, cpp.ATOM, kind, Scope.ELEMENT) for number, name in enumerate(names)}


def printed(*statements: Statement) -> str:
    """The text of the last statement, which a store reads."""
    last = statements[-1].id
    found = print_statements(statements, known("a", "b", "c"), [last], "float")
    return found.lines[Scope.ELEMENT][-1].split(" = ", 1)[1].rstrip(";")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("add", (0, 1)), ("mul", (3, 2)), "(a + b) * c"),
        (("mul", (0, 1)), ("add", (3, 2)), "fma(a, b, c)"),
        (("mul", (0, 1)), ("add", (2, 3)), "fma(a, b, c)"),
        (("mul", (0, 1)), ("sub", (3, 2)), "fma(a, b, -c)"),
        (("mul", (0, 1)), ("sub", (2, 3)), "fma(-a, b, c)"),
        (("mul", (0, 1)), ("mul", (3, 2)), "a * b * c"),
        (("add", (1, 2)), ("add", (0, 3)), "a + (b + c)"),
        (("sub", (1, 2)), ("sub", (0, 3)), "a - (b - c)"),
        (("sub", (0, 1)), ("sub", (3, 2)), "a - b - c"),
        (("div", (1, 2)), ("mul", (0, 3)), "a * (b / c)"),
        (("neg", (0,)), ("neg", (3,)), "-(-a)"),
        (("neg", (0,)), ("sub", (1, 3)), "b - -a"),
        (("add", (0, 1)), ("tanh", (3,)), "tanh(a + b)"),
        (("lt", (0, 1)), ("select", (3, 0, 1)), "select(a < b, a, b)"),
    ],
)
def test_brackets_follow_precedence(first: object, second: object, expected: str) -> None:
    one, two = first, second
    assert isinstance(one, tuple) and isinstance(two, tuple)
    kind = Kind.BOOL if one[0] == "lt" else REAL
    text = printed(Statement(3, one[0], one[1], kind), Statement(4, two[0], two[1], REAL))
    assert text == expected


def test_a_value_used_twice_gets_a_name() -> None:
    statements = (Statement(3, "exp", (0,), REAL), Statement(4, "mul", (3, 3), REAL))
    found = print_statements(statements, known("a", "b", "c"), [4], "float")
    assert found.lines[Scope.ELEMENT] == ("const auto v1 = exp(a);", "const auto v2 = v1 * v1;")


def test_what_does_not_change_is_computed_outside() -> None:
    terms = {0: Term("u", cpp.ATOM, REAL, Scope.KERNEL), 1: Term("x", cpp.ATOM, REAL, Scope.ELEMENT)}
    statements = (Statement(2, "exp", (0,), REAL), Statement(3, "mul", (1, 2), REAL))
    found = print_statements(statements, terms, [3], "float")
    assert found.lines[Scope.KERNEL] == ("const auto v1 = exp(u);",)
    assert found.lines[Scope.ELEMENT] == ("const auto v2 = x * v1;",)


def test_lines_stay_short() -> None:
    statements = [Statement(3, "add", (0, 1), REAL)]
    statements += [Statement(k, "maximum", (k - 1, k - 1 if k % 7 == 0 else 2), REAL) for k in range(4, 60)]
    found = print_statements(statements, known("alpha_beta", "beta", "gamma"), [59], "float")
    assert all(len(line) <= 104 for line in found.lines[Scope.ELEMENT])


@pytest.mark.parametrize("number", [0.1, 1e-300, 5e-324, 1.5, -2.0, 1e22, 123456789.125])
def test_literals_give_the_same_number_back(number: float) -> None:
    text = cpp.literal(number, Kind.F64)
    assert float(text.removeprefix("double(").removesuffix(")")) == number


def test_infinities_and_nan_are_spelled() -> None:
    assert "inf" in cpp.literal(-math.inf, REAL) and "nan" in cpp.literal(math.nan, REAL)


def test_every_elementwise_operation_has_a_spelling() -> None:
    assert not ELEMENTWISE_NAMES - set(cpp.SPELLINGS) - {"cast"}
