"""How C++ spells the statements of a kernel: the only table that a second backend must replace.

Every spelling works on a scalar and on a vector of reals alike; the functions are those of `runtime/`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from seqc.flow.types import Kind

# Precedence of C++ operators, larger binds tighter.
ATOM, UNARY, TIMES, PLUS, ORDER, EQUAL, TERNARY = 16, 14, 13, 12, 9, 8, 3


@dataclass(frozen=True, slots=True)
class Infix:
    """`a sign b`. The right operand gets brackets if it binds equally: sums of reals keep their order."""

    sign: str
    level: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """`sign a`."""

    sign: str


@dataclass(frozen=True, slots=True)
class Call:
    """`name(a, b, …)`."""

    name: str


@dataclass(frozen=True, slots=True)
class Same:
    """The first operand itself."""


Spelling = Infix | Prefix | Call | Same

SPELLINGS: dict[str, Spelling] = {
    "add": Infix("+", PLUS),
    "sub": Infix("-", PLUS),
    "mul": Infix("*", TIMES),
    "div": Infix("/", TIMES),
    "neg": Prefix("-"),
    "pow": Call("pow"),
    "exp": Call("exp"),
    "log": Call("log"),
    "log1p": Call("log1p"),
    "expm1": Call("expm1"),
    "sqrt": Call("sqrt"),
    "root": Call("root0"),
    "sin": Call("sin"),
    "cos": Call("cos"),
    "tan": Call("tan"),
    "atan": Call("atan"),
    "tanh": Call("tanh"),
    "sigmoid": Call("sigmoid"),
    "quick_tanh": Call("quick_tanh"),
    "quick_sigmoid": Call("quick_sigmoid"),
    "coarse_tanh": Call("coarse_tanh"),
    "coarse_sigmoid": Call("coarse_sigmoid"),
    "softplus": Call("softplus"),
    "erf": Call("erf"),
    "abs": Call("magnitude"),
    "sign": Call("sign"),
    "floor": Call("floor"),
    "minimum": Call("min"),
    "maximum": Call("max"),
    "select": Call("select"),
    "eq": Infix("==", EQUAL),
    "ne": Infix("!=", EQUAL),
    "lt": Infix("<", ORDER),
    "le": Infix("<=", ORDER),
    "gt": Infix(">", ORDER),
    "ge": Infix(">=", ORDER),
    "and": Call("both"),
    "or": Call("either"),
    "not": Call("opposite"),
    "idiv": Call("divide_floor"),
    "mod": Call("modulo_floor"),
    "stop": Same(),
    "clipped": Same(),
    "broadcast": Same(),
    "reshape": Same(),
}

TYPES: dict[Kind, str] = {
    Kind.REAL: "real",
    Kind.F32: "float",
    Kind.F64: "double",
    Kind.INT: "int64_t",
    Kind.INDEX: "int64_t",
    Kind.BOOL: "bool",
}
"""The type of one value inside a kernel."""


def literal(value: float | int | bool | None, kind: Kind) -> str:
    """A constant, shortest form that gives back the same number."""
    if kind is Kind.BOOL:
        return "true" if value else "false"
    if kind.is_integer:
        return f"int64_t{{{int(value or 0)}}}"
    number = float(value or 0.0)
    if math.isnan(number):
        text = '__builtin_nan("")'
    elif math.isinf(number):
        text = "__builtin_inf()" if number > 0 else "-__builtin_inf()"
    else:
        text = repr(number)
    return f"{TYPES[kind]}({text})"
