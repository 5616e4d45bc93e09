"""A function of vectors on matrices: what its body made of one row, made of all of them.

Takes the values that a body has added for the first row; gives the same operations with the further sizes in front.
Nothing runs row by row: a product becomes one product with a further letter, a sum one sum over the last sizes.
"""

from __future__ import annotations

from collections.abc import Callable

from seqc.flow.types import Type, Value
from seqc.lower.shop import Shop, Site
from seqc.ops.table import ELEMENTWISE_NAMES


class Each:
    """Leads values of one element to those of all. `lead`: the sizes in front, at least one."""

    def __init__(self, shop: Shop, lead: tuple[int, ...]) -> None:
        self.shop, self.builder, self.lead = shop, shop.builder, lead
        self.start = len(self.builder.values)
        self.moved: dict[int, int] = {}

    def first(self, value: int) -> int:
        """The first element of a value with the sizes in front, for the body to read."""
        element = value
        for _ in self.lead:
            element = self.builder.pick(element, 0, (0,), drop=True)
        self.moved[element] = value
        return element

    def repeat(self) -> Site | None:
        """Makes all that was added since the start for all elements; the place of what sees one alone, if any does."""
        for index in range(self.start, len(self.builder.values)):
            value = self.builder.value(index)
            depends = value.op in OWN or any(arg in self.moved for arg in value.args)
            if index in self.moved or not depends:
                continue
            rule = ELEMENTWISE if value.op in ELEMENTWISE_NAMES else RULES.get(value.op)
            site = self.builder.sites[index]
            if rule is None:
                return site
            with self.shop.at(site.body, site.span, value.origin.name):
                made = rule(self, value)
            if made is None:
                return site
            self.moved[index] = made
        return None

    def result(self, value: int) -> int:
        """A result for all elements; the same for each where it does not depend on them."""
        return self.moved[value] if value in self.moved else self.ahead(value)

    def whole(self, value: Value) -> Type:
        """The type of a value for all elements."""
        return Type(value.type.kind, self.lead + value.type.dims, value.type.axes, value.type.bound)

    def fitted(self, arg: int, dims: tuple[int, ...]) -> int:
        """An argument with the sizes in front and `dims` behind, or without any where it is one number for all."""
        own = self.builder.type(arg).dims
        if arg not in self.moved:
            return self.ahead(arg) if own else arg
        return self.moved[arg] if own == dims else self.spread(self.moved[arg], (), dims)

    def ahead(self, value: int) -> int:
        """A value that all elements share, once for each."""
        return self.spread(value, self.lead, ())

    def spread(self, value: int, before: tuple[int, ...], behind: tuple[int, ...]) -> int:
        """A value repeated along further sizes in front and behind."""
        builder, type = self.builder, self.builder.type(value)
        dims = before + type.dims + behind
        if not type.dims:
            return builder.broadcast(value, Type(type.kind, dims, type.axes, type.bound))
        if type.kind.is_real:
            letters = letters_for(len(dims))
            start, end = len(before), len(before) + len(type.dims)
            ones = builder.const(1.0, type.kind, before + behind)
            spec = f"{letters[start:end]},{letters[:start]}{letters[end:]}->{letters}"
            return builder.contract(spec, value, ones)
        value = builder.reshape(value, (1,) * len(before) + type.dims + (1,) * len(behind))
        for place, size in enumerate(dims):
            if not len(before) <= place < len(before) + len(type.dims):
                value = builder.pick(value, place, (0,) * size)
        return value


OWN = ("draw", "final", "prev")
"""What has no arguments and is yet of one element: a number drawn for it, a state that a reducer over time made."""

Rule = Callable[[Each, Value], int | None]


def letters_for(count: int, used: str = "") -> str:
    """So many letters that are not used yet."""
    free = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in used]
    return "".join(free[:count])


def _elementwise(each: Each, value: Value) -> int:
    args = tuple(each.fitted(arg, value.type.dims) for arg in value.args)
    asked = each.whole(value) if value.op in ("cast", "broadcast") else None
    return each.builder.put(value.op, args, dict(value.attrs), asked)


def _contract(each: Each, value: Value) -> int:
    spec = str(value.attr("spec"))
    sides, result = spec.split("->")
    more = letters_for(len(each.lead), spec)
    operands = [
        (more if arg in each.moved else "") + side
        for arg, side in zip(value.args, sides.split(","), strict=True)
    ]
    args = tuple(each.moved.get(arg, arg) for arg in value.args)
    return each.builder.put(
        "contract", args, {"spec": f"{','.join(operands)}->{more}{result}"}, each.whole(value)
    )


def _reduce(each: Each, value: Value) -> int:
    attrs = dict(value.attrs)
    removed = attrs["dims"]
    assert isinstance(removed, tuple)
    attrs["dims"] = tuple(len(each.lead) + place for place in removed)
    return each.builder.put("reduce", (each.moved[value.args[0]],), attrs, each.whole(value))


def _along(each: Each, value: Value) -> int:
    """pick and concat: the same dimension, behind the sizes in front."""
    attrs = dict(value.attrs)
    dim = attrs["dim"]
    assert isinstance(dim, int)
    attrs["dim"] = len(each.lead) + dim
    args = tuple(each.fitted(arg, each.builder.type(arg).dims) for arg in value.args)
    return each.builder.put(value.op, args, attrs)


def _stack(each: Each, value: Value) -> int:
    parts = [each.builder.reshape(each.result(arg), (*each.lead, 1)) for arg in value.args]
    return each.builder.concat(*parts, dim=len(each.lead))


def _reshape(each: Each, value: Value) -> int:
    return each.builder.reshape(each.moved[value.args[0]], each.lead + value.type.dims)


def _transpose(each: Each, value: Value) -> int:
    order = value.attr("order")
    assert isinstance(order, tuple)
    count = len(each.lead)
    return each.builder.add(
        "transpose", each.moved[value.args[0]], order=(*range(count), *(count + place for place in order))
    )


def _reverse(each: Each, value: Value) -> int:
    return each.builder.add("reverse", each.moved[value.args[0]], *value.args[1:])


def _gather(each: Each, value: Value) -> int | None:
    """A place that all elements share, along the first size behind those in front."""
    source, position = value.args
    if position in each.moved:
        return None
    count, rank = len(each.lead), len(each.builder.type(each.moved[source]).dims)
    order = (count, *range(count), *range(count + 1, rank))
    return each.builder.gather(each.builder.add("transpose", each.moved[source], order=order), position)


def _draw(each: Each, value: Value) -> int:
    return each.builder.put("draw", (), dict(value.attrs), each.whole(value))


ELEMENTWISE: Rule = _elementwise
RULES: dict[str, Rule] = {
    "contract": _contract,
    "reduce": _reduce,
    "pick": _along,
    "concat": _along,
    "stack": _stack,
    "reshape": _reshape,
    "transpose": _transpose,
    "reverse": _reverse,
    "gather": _gather,
    "draw": _draw,
}
"""What has no rule here sees one vector alone: `argmax`, `categorical`, a state, a row looked up for each element."""
