"""Program: a lowered model, its parameters and records; what `lower` gives and `passes`, `run` and `driver` read.

Roots of `Program.flow` before `specialise`, in this order:
`output.<name>`, `loss`, `metric.<name>`, `until` (bool {T,B}), `default.<input>` (value at a step where the caller gives none).
Roots that passes add: `state.<name>` (its value after the call), `grad.<parameter>`, `grad.input.<name>`,
`grad.state.<name>`, `grad.hyper.<name>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqc.flow.types import Flow, Type
from seqc.source.span import Span

Init = tuple["str | float | int | Init", ...]
"""An initialiser as a nested tuple: ("zeros",), ("ones",), ("constant", v), ("uniform", low, high), ("normal", mean, deviation),
("eye",), ("glorot",), ("orthogonal",), ("legendre", theta), ("add" | "sub" | "mul" | "div", a, b), ("neg", a). Numbers stand as ("constant", v)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A learned array. `type` has no axes. `doc` is the comment above its declaration."""

    name: str
    type: Type
    init: Init
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """An input or a target. `length` marks the one input that says how many steps of each row are real."""

    name: str
    type: Type
    target: bool
    length: bool = False
    default: bool = False
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Hyper:
    """A number that may be set between calls: of the model (`drop`), of its optimizer (`Adam.lr`), or `clip`."""

    name: str
    type: Type
    value: float
    low: float | None = None
    high: float | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """The update of one parameter.

    `flow` has no axes: leaves `input` named `w` (value before), `g` (its clipped gradient) and one for each optimizer
    state, `hyper` and `step` (updates so far); roots `w`, one for each optimizer state, and `init.<state>` (their
    first values). `states` names the optimizer states in order; `<parameter>.<state>` is their public name.
    """

    optimizer: str
    flow: Flow
    states: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """`norm` (over all parameters together), `norm_each` (each alone) or `value`; the bound is the hyper `clip`."""

    how: str


@dataclass(frozen=True, slots=True)
class Train:
    """The `train` record. `freeze` lists parameter names; None where the key is absent. `math`: "f32", or "bf16" where
    the operands of products are rounded."""

    clip: Clip | None = None
    window: int | None = None
    warmup: int = 0
    memory: int | None = None
    freeze: tuple[str, ...] = ()
    seed: int = 0
    span: Span | None = None
    math: str = "f32"


@dataclass(frozen=True, slots=True)
class Deploy:
    """A `deploy` record; `spans` leads from a key to its place, for messages of the driver."""

    name: str
    mode: str = "whole"
    batch: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    weights: str = "real"
    math: str = "f32"
    heap: bool = True
    ram: int | None = None
    emit: tuple[str, ...] = ()
    cpu: str = "native"
    spans: tuple[tuple[str, Span], ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """One model. `rules` leads from a parameter to its update; parameters without one are not trained.

    `causal` says whether it can stream; where not, `why_not` carries the reason and its place.
    """

    name: str
    flow: Flow
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...]
    hypers: tuple[Hyper, ...]
    rules: Mapping[str, Rule]
    train: Train | None
    deploys: tuple[Deploy, ...]
    causal: bool
    why_not: tuple[str, Span] | None = None
    dims: tuple[tuple[str, int], ...] = ()
    doc: str = ""
