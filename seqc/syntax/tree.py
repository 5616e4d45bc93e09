"""The Tree: one frozen record for each rule of the grammar, with the place it was read from. Nothing is resolved.

    node        syntax
    File        the whole file; `items` in reading order
    Use         use std.cells: LSTM, Dense        `path` is ("std", "cells"), `file` is None
                use "my/cells.seq": Fast          `path` is (), `file` is the String
    Const       const a = 1, b = 2
    Fn          fn f(x: real) -> y: real { y = … }    `results`, `equations`; `value` is None
                fn f(x: real) = …                     `results` is (), `equations` is (), `value` is the expression
    Cell        cell C(H, act: fn = tanh)(x: real[D]) -> y: real[H] { … }
    Optimizer   optimizer O(lr: real = 1e-3)(w, g) { … }
    Model       model M { … }
    Train       train M { key = value … }
    Deploy      deploy p of M { key = value … }
    Static      H          act: fn = tanh         `kind` is "dim" for a bare name, else dim, real, fn, cell or flag
    Port        x          x: real[D]
    Binding     a = 1                             in const, dim, train, deploy
    Knob        drop = 0.3     end: index(V) = 0      in hyper
    Type        real     real[H, D]     index(V)      `name`, `bound` (what stands in parentheses), `sizes`

    Dim         dim V = 65, H = 512
    Hyper       hyper drop = 0.3
    Input       input x: real[4] once = e         `once` is a bool, `default` may be None
    Target      target y: real once
    Output      output y     output p = e         `value` may be None
    Param       param W, U: real[H, D] = glorot
    State       state h, c = 0                    `type` may be None
    Layer       layer i, o = Gate(H)
    Until       until e
    Loss        loss = e
    Metric      metric wrong = e
    Equation    y = e     a, b = e

    Choose      if c then a else b
    Pipe        x |> f |> g                       `value` x, `stages` (f, g)
    Binary      a + b                             `operator` is one of + - * / @ ^ or and == != < <= > >=
    Unary       -a     not a                      `operator` is "-" or "not"
    Call        f(a, k.b = c)                     `arguments`: expressions and Overrides in reading order
    Override    k.b = c                           `path` is (k, b); stands in a Call only
    Reduce      mean(e over time, batch where m)  `axes` are Names; `where` may be None
    Pick        x[0]     x[0:2]     x[[0, 2]]     `indices`: expressions and Slices
    Slice       0:2     :     1:                  stands in a Pick only; both ends may be None
    Member      a.b                               `prev a.b` is Member(Prev(a), b)
    Prev        prev h
    Vector      [a, b]
    Number      1     20_000     1e-3             `value` is an int or a float, `text` as written
    String      "text"
    Reference   a                                 a use of a name in an expression
    Name        a name with its own place: every name that is defined, and those in paths

Parentheses leave no node; the span of what they hold grows to include them. No expression is nested deeper than
`DEPTH_LIMIT` levels (a sum of n terms has n levels), so later rooms may recurse over a Tree.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from seqc.source.span import Span
from seqc.syntax.expression import (
    DEPTH_LIMIT,
    Binary,
    Call,
    Choose,
    Expression,
    Member,
    Name,
    Node,
    Number,
    Override,
    Pick,
    Pipe,
    Prev,
    Reduce,
    Reference,
    Slice,
    String,
    Unary,
    Vector,
)

# --- parts of declarations -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Type(Node):
    name: Name
    bound: Expression | None
    sizes: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Static(Node):
    name: Name
    kind: str
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Port(Node):
    name: Name
    type: Type | None


@dataclass(frozen=True, slots=True)
class Binding(Node):
    name: Name
    value: Expression


@dataclass(frozen=True, slots=True)
class Knob(Node):
    name: Name
    type: Type | None
    value: Expression


# --- statements; `doc` is the comment directly above -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dim(Node):
    doc: str | None
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Hyper(Node):
    doc: str | None
    knobs: tuple[Knob, ...]


@dataclass(frozen=True, slots=True)
class Input(Node):
    doc: str | None
    name: Name
    type: Type
    once: bool
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Target(Node):
    doc: str | None
    name: Name
    type: Type
    once: bool


@dataclass(frozen=True, slots=True)
class Output(Node):
    doc: str | None
    name: Name
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Param(Node):
    doc: str | None
    names: tuple[Name, ...]
    type: Type
    value: Expression


@dataclass(frozen=True, slots=True)
class State(Node):
    doc: str | None
    names: tuple[Name, ...]
    type: Type | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Layer(Node):
    doc: str | None
    names: tuple[Name, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Until(Node):
    doc: str | None
    condition: Expression


@dataclass(frozen=True, slots=True)
class Loss(Node):
    """`keyword` is the place of the word `loss`."""

    doc: str | None
    keyword: Span = field(repr=False)
    value: Expression


@dataclass(frozen=True, slots=True)
class Metric(Node):
    doc: str | None
    name: Name
    value: Expression


@dataclass(frozen=True, slots=True)
class Equation(Node):
    doc: str | None
    names: tuple[Name, ...]
    value: Expression


Statement: TypeAlias = (
    Dim | Hyper | Input | Target | Output | Param | State | Layer | Until | Loss | Metric | Equation
)


# --- items of a file; `doc` is the comment directly above --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use(Node):
    doc: str | None
    path: tuple[Name, ...]
    file: String | None
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Const(Node):
    doc: str | None
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Fn(Node):
    doc: str | None
    name: Name
    ports: tuple[Port, ...]
    results: tuple[Port, ...]
    equations: tuple[Equation, ...]
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Cell(Node):
    doc: str | None
    name: Name
    statics: tuple[Static, ...]
    ports: tuple[Port, ...]
    results: tuple[Port, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Optimizer(Node):
    doc: str | None
    name: Name
    statics: tuple[Static, ...]
    ports: tuple[Port, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Model(Node):
    doc: str | None
    name: Name
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Train(Node):
    """`name` is the model's."""

    doc: str | None
    name: Name
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Deploy(Node):
    """`name` is the profile's, `model` the model's."""

    doc: str | None
    name: Name
    model: Name
    bindings: tuple[Binding, ...]


Item: TypeAlias = Use | Const | Fn | Cell | Optimizer | Model | Train | Deploy


@dataclass(frozen=True, slots=True)
class File(Node):
    items: tuple[Item, ...]


__all__ = [
    "DEPTH_LIMIT",
    "Binary",
    "Binding",
    "Call",
    "Cell",
    "Choose",
    "Const",
    "Deploy",
    "Dim",
    "Equation",
    "Expression",
    "File",
    "Fn",
    "Hyper",
    "Input",
    "Item",
    "Knob",
    "Layer",
    "Loss",
    "Member",
    "Metric",
    "Model",
    "Name",
    "Node",
    "Number",
    "Optimizer",
    "Output",
    "Override",
    "Param",
    "Pick",
    "Pipe",
    "Port",
    "Prev",
    "Reduce",
    "Reference",
    "Slice",
    "State",
    "Statement",
    "Static",
    "String",
    "Target",
    "Train",
    "Type",
    "Unary",
    "Until",
    "Use",
    "Vector",
]
