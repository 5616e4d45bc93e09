"""Operations with operands for which tests check meaning and derivative; a new one that is not elementwise gets a case here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.ops.build import Builder
from seqc.ops.rule import result_type
from seqc.ops.table import ELEMENTWISE_NAMES, TABLE
from tests.numeric.flows import ALL_AXES, TIME_ONLY, shape_of

T, B = 3, 2
Attrs = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An operation with the dims and domains of its operands. `whole` names operands that are indices below a bound;
    `keeps`: the result may lack axes of its operands."""

    op: str
    dims: tuple[tuple[int, ...], ...]
    attrs: Attrs
    domain: tuple[float, float] = (-2.0, 2.0)
    whole: tuple[int | None, ...] = ()
    result: tuple[int, ...] | None = None
    keeps: bool = False

    def __str__(self) -> str:
        return "-".join([self.op, *(str(each) for each in self.attrs.values())])


POSITIVE = {"log", "sqrt", "root", "div", "pow"}
ABOVE_ONE = {"log1p"}


def elementwise_cases() -> Iterator[Case]:
    for name in sorted(ELEMENTWISE_NAMES - {"broadcast", "cast", "select", "clipped"}):
        row = TABLE[name]
        if row.derivative is not None:
            domain = (0.5, 2.0) if name in POSITIVE | ABOVE_ONE else (-1.2, 1.2)
            yield Case(name, ((2,),) * row.fewest, {}, domain)


CASES = (
    *elementwise_cases(),
    Case("contract", ((3, 2), (2,)), {"spec": "hd,d->h"}, keeps=True),
    Case("contract", ((3,), (2,)), {"spec": "h,d->hd"}, keeps=True),
    Case("contract", ((2, 3), (3, 2)), {"spec": "ab,bc->ca"}, keeps=True),
    Case("contract", ((2, 3), (2, 3)), {"spec": "ab,ab->a"}, keeps=True),
    Case("contract", ((2, 3), (2, 3)), {"spec": "ab,ab->ab"}, keeps=True),
    Case("contract", ((2, 3), (2, 3, 2)), {"spec": "nd,ndk->nk"}, keeps=True),
    Case("contract", ((2, 3), (2,)), {"spec": "ab,c->ac"}, keeps=True),
    Case("contract", ((2,), (3,)), {"spec": "a,b->"}, keeps=True),
    Case("contract", ((), (3,)), {"spec": ",b->b"}, keeps=True),
    Case("contract", ((2, 2, 3), (3, 2, 2)), {"spec": "abc,cbd->da"}, keeps=True),
    Case("reduce", ((3,),), {"how": "sum", "dims": (0,)}, keeps=True),
    Case("reduce", ((2, 3),), {"how": "sum", "dims": (0,)}, keeps=True),
    Case("reduce", ((2, 3),), {"how": "max", "dims": (1,)}, keeps=True),
    Case("reduce", ((2, 3),), {"how": "min", "dims": ()}, keeps=True),
    Case("gather", ((4, 2), ()), {}, whole=(None, 4)),
    Case("gather", ((4, 2, 3), ()), {}, whole=(None, 4)),
    Case("gather", ((4,), ()), {}, whole=(None, 4)),
    Case("scatter", ((), (2,)), {"size": 4}, whole=(4, None), keeps=True),
    Case("scatter", ((), ()), {"size": 3}, whole=(3, None), keeps=True),
    Case("pick", ((4,),), {"dim": 0, "indices": (1, 2), "drop": False}),
    Case("pick", ((2, 4),), {"dim": 1, "indices": (3, 0, 3), "drop": False}),
    Case("pick", ((2, 4),), {"dim": 0, "indices": (1,), "drop": True}),
    Case("place", ((2,),), {"dim": 0, "indices": (1, 2), "size": 4, "drop": False}),
    Case("place", ((2, 3),), {"dim": 1, "indices": (0, 3, 1), "size": 4, "drop": False}),
    Case("place", ((2,),), {"dim": 1, "indices": (2,), "size": 3, "drop": True}),
    Case("place", ((),), {"dim": 0, "indices": (1,), "size": 2, "drop": True}),
    Case("concat", ((2,), (3,)), {"dim": 0}),
    Case("concat", ((2, 2), (2, 1), (2, 2)), {"dim": 1}),
    Case("stack", ((), (), ()), {}),
    Case("reshape", ((2, 3),), {}, result=(3, 2)),
    Case("transpose", ((2, 3, 4),), {"order": (1, 2, 0)}),
    Case("reverse", ((2,),), {}),
)


def axes_of(case: Case) -> Iterator[tuple[frozenset[Axis], ...]]:
    """All axes for one or two operands; for more, a few that differ."""
    count = len(case.dims)
    if count <= 2:
        yield from itertools.product(ALL_AXES, repeat=count)
    else:
        yield from ((STREAM,) * count, (NO_AXES, STREAM, ONCE), (ONCE, TIME_ONLY, NO_AXES))


def dims_of(case: Case) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The dims as stated, and for elementwise operations a scalar in place of one operand."""
    yield case.dims
    if case.op in ELEMENTWISE_NAMES and len(case.dims) > 1:
        for place in range(len(case.dims)):
            yield tuple(() if each == place else dims for each, dims in enumerate(case.dims))


def results_of(case: Case, axes: frozenset[Axis]) -> Iterator[frozenset[Axis]]:
    """The axes that the result may have."""
    yield axes
    if case.keeps:
        yield from (each for each in ALL_AXES if each < axes)


def leaf(builder: Builder, case: Case, place: int, dims: tuple[int, ...], axes: frozenset[Axis]) -> int:
    bound = case.whole[place] if case.whole else None
    kind = Kind.REAL if bound is None else Kind.INDEX
    return builder.add("input", type=Type(kind, dims, axes, bound), name=f"x{place}")


def array_for(value_type: Type, domain: tuple[float, float], random: np.random.Generator) -> Any:
    shape = shape_of(value_type, T, B)
    if value_type.bound is not None:
        return random.integers(0, value_type.bound, size=shape)
    return random.uniform(*domain, size=shape)


def builder_type(case: Case, builder: Builder, args: tuple[int, ...], axes: frozenset[Axis]) -> Type:
    """The type that the rule gives, with other axes."""
    full = result_type(case.op, tuple(builder.type(arg) for arg in args), case.attrs, None)
    return full.with_axes(axes)
