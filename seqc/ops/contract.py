"""The row of `contract`: an einsum of two operands over letters for dims, and over axes, as one matrix product.

The derivative of a contraction is a contraction that goes straight to the axes of the operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seqc.flow.types import Type
from seqc.ops.op import Op, Request, ShapeError, expect_kind, join_axes, join_kind, kept_axes
from seqc.ops.product import contract_meaning, parse_spec

if TYPE_CHECKING:
    from seqc.ops.build import Builder


def contract_shape(request: Request) -> Type:
    """Dims by letters; axes of the given type, or the union."""
    spec = parse_spec(request.text("spec"))
    sizes: dict[str, int] = {}
    for letters, each in zip((spec.first, spec.second), request.args, strict=True):
        expect_kind(each, lambda kind: kind.is_real, "reals")
        if len(letters) != len(each.dims):
            raise ShapeError(f"spec {spec} does not fit {each}")
        for letter, size in zip(letters, each.dims, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ShapeError(f"spec {spec}: {letter} is {sizes[letter]} and {size}")
    kind, _ = join_kind(request.args)
    dims = tuple(sizes[letter] for letter in spec.result)
    return Type(kind, dims, kept_axes(request, join_axes(request.args)))


def contract_rule(builder: Builder, value: int, gradient: int) -> Sequence[int | None]:
    """W @ x: dW = g xᵀ summed over the axes that W lacks, dx = Wᵀ g."""
    spec = parse_spec(builder.text(value, "spec"))
    first, second = builder.args(value)
    return (
        operand_gradient(builder, gradient, spec.result, second, spec.second, first, spec.first),
        operand_gradient(builder, gradient, spec.result, first, spec.first, second, spec.second),
    )


def operand_gradient(
    builder: Builder, gradient: int, result: str, other: int, others: str, target: int, letters: str
) -> int:
    """The contraction of the gradient with the other operand that has the letters and axes of the target."""
    type = builder.type(target)
    reached = "".join(letter for letter in letters if letter in result or letter in others)
    axes = type.axes & (builder.type(gradient).axes | builder.type(other).axes)
    sizes = dict(zip(letters, type.dims, strict=True))
    product = builder.contract(f"{result},{others}->{reached}", gradient, other, axes=axes)
    alone = "".join(letter for letter in letters if letter not in reached)
    if not alone:
        return product
    ones = builder.const(1.0, type.kind, tuple(sizes[letter] for letter in alone))
    return builder.contract(f"{reached},{alone}->{letters}", product, ones)


CONTRACT = (
    Op("contract", 2, 2, contract_shape, contract_meaning, contract_rule, attrs=("spec",), typed=True),
)
