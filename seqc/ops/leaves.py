"""Rows of values without arguments: constants, what the caller hands in, states, counters and draws.

Their types are given by whoever makes them; their arrays come from the interpreter's environment.
"""

from __future__ import annotations

from seqc.flow.types import NO_AXES, ONCE, Kind, Type
from seqc.ops.op import Op, Request, ShapeError


def constant_type(request: Request) -> Type:
    """Type of a constant: as given; no axes, and a number that suits the kind."""
    given = given_type(request)
    value = request.attrs.get("value")
    if given.axes:
        raise ShapeError("a constant has no axes")
    if given.kind is Kind.BOOL:
        suits = isinstance(value, bool)
    elif given.kind.is_integer:
        suits = isinstance(value, int) and not isinstance(value, bool)
    else:
        suits = isinstance(value, float)
    if not suits:
        raise ShapeError(f"{value!r} is no {given.kind.value}")
    return given


def given_type(request: Request) -> Type:
    """The type that the maker of the value states."""
    if request.given is None:
        raise ShapeError("needs an explicit type")
    return request.given


def counter_type(request: Request) -> Type:
    """A whole number without dims."""
    given = given_type(request)
    if given.kind is not Kind.INT or given.dims:
        raise ShapeError(f"is an int without dims, found {given}")
    return given


def flag_type(request: Request) -> Type:
    """A bool without dims."""
    given = given_type(request)
    if given.kind is not Kind.BOOL or given.dims:
        raise ShapeError(f"is a bool without dims, found {given}")
    return given


def parameter_type(request: Request) -> Type:
    """Any type without axes."""
    given = given_type(request)
    if given.axes:
        raise ShapeError("has no axes")
    return given


def hyper_type(request: Request) -> Type:
    """Any type without axes and dims."""
    given = given_type(request)
    if given.axes or given.dims:
        raise ShapeError("has neither axes nor dims")
    return given


def row_type(request: Request) -> Type:
    """Any type with the axis BATCH alone."""
    given = given_type(request)
    if given.axes != ONCE:
        raise ShapeError("has the axis batch and no other")
    return given


def draw_type(request: Request) -> Type:
    """Any real type."""
    given = given_type(request)
    if not given.kind.is_real:
        raise ShapeError(f"is real, found {given.kind.value}")
    return given


ROW_COUNT = Type(Kind.INT, (), ONCE)
COUNT = Type(Kind.INT, (), NO_AXES)
ROW_FLAG = Type(Kind.BOOL, (), ONCE)

LEAVES = (
    Op("const", 0, 0, constant_type, attrs=("value",), typed=True),
    Op("input", 0, 0, given_type, attrs=("name",), typed=True),
    Op("param", 0, 0, parameter_type, attrs=("name",), typed=True),
    Op("hyper", 0, 0, hyper_type, attrs=("name",), typed=True),
    Op("prev", 0, 0, given_type, attrs=("state",), typed=True),
    Op("carried", 0, 0, row_type, attrs=("state_name",), typed=True),
    Op("fresh", 0, 0, flag_type, attrs=("state_name",), typed=True),
    Op("instant", 0, 0, counter_type, typed=True),
    Op("started", 0, 0, counter_type, typed=True),
    Op("steps", 0, 0, counter_type, typed=True),
    Op("rows", 0, 0, counter_type, typed=True),
    Op("step", 0, 0, counter_type, typed=True),
    Op("training", 0, 0, flag_type, typed=True),
    Op("given", 0, 0, flag_type, attrs=("name",), typed=True),
    Op("active", 0, 0, flag_type, typed=True),
    Op("draw", 0, 0, draw_type, attrs=("site",), typed=True),
    Op("final", 0, 0, given_type, attrs=("state",), typed=True),
)
