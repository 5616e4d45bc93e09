"""Convenience methods of the builder: one for each operation that lowering and passes write often.

A whole number is the index of a value; a float is a constant of the kind of the other operand. Two operands of which
both are floats make no sense here.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqc.flow.types import Attribute, Axis, Kind, Origin, Type, Value
from seqc.ops.op import FlowError
from seqc.ops.rule import result_type

Operand = int | float


class Arithmetic:
    """The base of `Builder` that needs only its `put`, `const`, `value` and `type`."""

    def put(
        self,
        op: str,
        args: tuple[int, ...],
        attrs: Mapping[str, Attribute],
        type: Type | None = None,
        origin: Origin | None = None,
    ) -> int:
        """See `Builder.put`."""
        raise FlowError("the builder adds values")

    def add(
        self,
        op: str,
        *args: int,
        type: Type | None = None,
        origin: Origin | None = None,
        **attrs: Attribute,
    ) -> int:
        """`put` with arguments and attributes written out."""
        return self.put(op, args, attrs, type, origin)

    def const(self, value: float | int | bool, kind: Kind = Kind.REAL, dims: tuple[int, ...] = ()) -> int:
        """See `Builder.const`."""
        raise FlowError("the builder adds values")

    def value(self, index: int) -> Value:
        """See `Builder.value`."""
        raise FlowError("the builder holds values")

    def type(self, index: int) -> Type:
        """See `Builder.type`."""
        return self.value(index).type

    def text(self, index: int, name: str) -> str:
        """A text attribute of a value."""
        found = self.value(index).attr(name)
        if not isinstance(found, str):
            raise FlowError(f"{name} = {found!r} is no text")
        return found

    def whole(self, index: int, name: str) -> int:
        """A whole-number attribute of a value."""
        found = self.value(index).attr(name)
        if isinstance(found, bool) or not isinstance(found, int):
            raise FlowError(f"{name} = {found!r} is no whole number")
        return found

    def wholes(self, index: int, name: str) -> tuple[int, ...]:
        """A tuple attribute of a value."""
        found = self.value(index).attr(name)
        if not isinstance(found, tuple):
            raise FlowError(f"{name} = {found!r} is no tuple")
        return found

    def number(self, index: int) -> float | None:
        """The number of a real constant, seen through broadcasts; None for anything else."""
        value = self.value(index)
        while value.op == "broadcast":
            value = self.value(value.args[0])
        if value.op != "const" or not value.type.kind.is_real:
            return None
        found = value.attr("value")
        return float(found) if isinstance(found, int | float) else None

    def zero(self, like: int) -> int:
        """The number zero, without dims and axes, in the kind of a value."""
        return self.const(0, self.type(like).kind)

    def binary(self, op: str, a: Operand, b: Operand) -> int:
        """An operation with two operands, of which one may be a float."""
        if isinstance(a, float):
            if isinstance(b, float):
                raise FlowError(f"{op} of two numbers")
            a = self.const(a, self.type(b).kind)
        elif isinstance(b, float):
            b = self.const(b, self.type(a).kind)
        return self.add(op, a, b)

    def plus(self, a: Operand, b: Operand) -> int:
        return self.binary("add", a, b)

    def sub(self, a: Operand, b: Operand) -> int:
        return self.binary("sub", a, b)

    def mul(self, a: Operand, b: Operand) -> int:
        return self.binary("mul", a, b)

    def div(self, a: Operand, b: Operand) -> int:
        return self.binary("div", a, b)

    def pow(self, a: Operand, b: Operand) -> int:
        return self.binary("pow", a, b)

    def minimum(self, a: Operand, b: Operand) -> int:
        return self.binary("minimum", a, b)

    def maximum(self, a: Operand, b: Operand) -> int:
        return self.binary("maximum", a, b)

    def idiv(self, a: int, b: int) -> int:
        return self.add("idiv", a, b)

    def mod(self, a: int, b: int) -> int:
        return self.add("mod", a, b)

    def eq(self, a: Operand, b: Operand) -> int:
        return self.binary("eq", a, b)

    def ne(self, a: Operand, b: Operand) -> int:
        return self.binary("ne", a, b)

    def lt(self, a: Operand, b: Operand) -> int:
        return self.binary("lt", a, b)

    def le(self, a: Operand, b: Operand) -> int:
        return self.binary("le", a, b)

    def gt(self, a: Operand, b: Operand) -> int:
        return self.binary("gt", a, b)

    def ge(self, a: Operand, b: Operand) -> int:
        return self.binary("ge", a, b)

    def both(self, a: int, b: int) -> int:
        return self.add("and", a, b)

    def either(self, a: int, b: int) -> int:
        return self.add("or", a, b)

    def negate(self, a: int) -> int:
        return self.add("not", a)

    def neg(self, a: int) -> int:
        return self.add("neg", a)

    def exp(self, a: int) -> int:
        return self.add("exp", a)

    def log(self, a: int) -> int:
        return self.add("log", a)

    def sqrt(self, a: int) -> int:
        return self.add("sqrt", a)

    def sin(self, a: int) -> int:
        return self.add("sin", a)

    def cos(self, a: int) -> int:
        return self.add("cos", a)

    def tanh(self, a: int) -> int:
        return self.add("tanh", a)

    def sigmoid(self, a: int) -> int:
        return self.add("sigmoid", a)

    def sign(self, a: int) -> int:
        return self.add("sign", a)

    def select(self, chosen: int, a: Operand, b: Operand) -> int:
        """a where `chosen`, else b."""
        if isinstance(a, float):
            a = self.const(a, self.type(int(b)).kind)
        if isinstance(b, float):
            b = self.const(b, self.type(a).kind)
        return self.add("select", chosen, a, b)

    def cast(self, a: int, kind: Kind, bound: int | None = None) -> int:
        """The value in another kind; the value itself if it has this kind."""
        type = self.type(a)
        if (type.kind, type.bound) == (kind, bound):
            return a
        return self.add("cast", a, type=Type(kind, type.dims, type.axes, bound))

    def broadcast(self, a: int, type: Type) -> int:
        """The value with dims and axes of `type`; the value itself if it has them."""
        own = self.type(a)
        if (own.dims, own.axes) == (type.dims, type.axes):
            return a
        return self.add("broadcast", a, type=Type(own.kind, type.dims, type.axes, own.bound))

    def contract(self, spec: str, a: int, b: int, axes: frozenset[Axis] | None = None) -> int:
        """An einsum of two operands; other axes than `axes`, if given, are summed."""
        return self.summing("contract", (a, b), axes, spec=spec)

    def scatter(self, k: int, g: int, size: int, axes: frozenset[Axis] | None = None) -> int:
        """Rows g added at k; other axes than `axes`, if given, are summed."""
        return self.summing("scatter", (k, g), axes, size=size)

    def reduce(
        self, how: str, a: int, dims: tuple[int, ...] | None = None, axes: frozenset[Axis] | None = None
    ) -> int:
        """sum, max or min over the positions `dims` (all, if left out) and all axes but `axes`, if given."""
        removed = tuple(range(len(self.type(a).dims))) if dims is None else dims
        return self.summing("reduce", (a,), axes, how=how, dims=removed)

    def summing(
        self, op: str, args: tuple[int, ...], axes: frozenset[Axis] | None, **attrs: Attribute
    ) -> int:
        """Add an operation whose result keeps only `axes`."""
        full = result_type(op, tuple(self.type(arg) for arg in args), attrs, None)
        return self.put(op, args, attrs, None if axes is None else full.with_axes(axes))

    def gather(self, x: int, k: int) -> int:
        """x[k] along the first dimension."""
        return self.add("gather", x, k)

    def pick(self, x: int, dim: int, indices: tuple[int, ...], drop: bool = False) -> int:
        """Fixed positions along a dimension."""
        return self.add("pick", x, dim=dim, indices=indices, drop=drop)

    def concat(self, *parts: int, dim: int = 0) -> int:
        """Parts one behind the other along an existing dimension."""
        return self.add("concat", *parts, dim=dim)

    def stack(self, *parts: int) -> int:
        """Scalars as a vector."""
        return self.add("stack", *parts)

    def reshape(self, x: int, dims: tuple[int, ...]) -> int:
        """The same elements with other dims."""
        own = self.type(x)
        return self.add("reshape", x, type=Type(own.kind, dims, own.axes, own.bound))

    def reverse(self, x: int, lengths: int | None = None) -> int:
        """Time turned round, within each row's own length if given."""
        return self.add("reverse", x) if lengths is None else self.add("reverse", x, lengths)
