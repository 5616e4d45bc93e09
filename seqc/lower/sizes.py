"""Types as they are written, sizes as numbers, and sizes inferred where a port meets its argument.

Takes type nodes of the Tree and a body to read names in; gives Flow types. All size arithmetic is checked.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.flow.types import NO_AXES, Kind, Type
from seqc.lower.arithmetic import as_value, brief, describe, shown, type_of
from seqc.lower.body import Body
from seqc.lower.meaning import Dynamic, Meaning, NotYet, Number
from seqc.lower.names import Module
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

KINDS = {
    "real": Kind.REAL,
    "f32": Kind.F32,
    "f64": Kind.F64,
    "int": Kind.INT,
    "bool": Kind.BOOL,
    "index": Kind.INDEX,
}
SIZE_LIMIT = 2**31
PRODUCT_LIMIT = 2**40


def size(body: Body, node: tree.Expression, what: str = "a size") -> int:
    """The number that a size expression stands for."""
    if isinstance(node, tree.Reference) and unknown(body, node.name) and node.name not in body.waiting:
        raise no_size(body, node)
    meaning = body.shop.evaluate(body, node)
    return checked_size(body, meaning, node.span, what)


def checked_size(body: Body, meaning: Meaning, span: Span, what: str = "a size") -> int:
    """The meaning as a size."""
    if not isinstance(meaning, Number) or isinstance(meaning.value, bool):
        raise fail(
            "S0306",
            f"{what} must be a number known to the compiler",
            span,
            "known at run time only"
            if isinstance(meaning, Dynamic)
            else f"found {describe(body.shop, meaning)}",
            hint="sizes are made of numbers, `const`, `dim` and the sizes of cells",
        )
    if isinstance(meaning.value, float) and not meaning.value.is_integer():
        hint = "sizes divide exactly or not at all; `div(a, b)` rounds down" if "/" in span.text else None
        raise fail("S0306", f"{what} must be a whole number", span, f"is {meaning.value!r}", hint=hint)
    value = int(meaning.value)
    if value < 1:
        raise fail("S0307", f"{what} must be at least 1", span, f"is {value}", hint=None)
    if value > SIZE_LIMIT:
        raise fail("S0307", f"{what} is too large", span, f"is {value}", hint=f"the limit is {SIZE_LIMIT}")
    return value


def no_size(body: Body, node: tree.Reference) -> SeqError:
    """S0201 for a size that nobody knows."""
    known = [entry.name for entry in body.entries.values() if entry.kind in ("dim", "size", "static")] + list(
        body.module.consts
    )
    near = nearest(node.name, known)
    hint = (
        f"did you mean `{near}`?"
        if near
        else f"write `dim {node.name} = 8`"
        if body.kind == "model"
        else f"make it an argument: `{body.title}({node.name})`"
    )
    return fail("S0201", f"there is no size `{node.name}` here", node.span, "not defined", hint=hint)


def check_elements(dims: tuple[int, ...], span: Span) -> None:
    """Refuses a shape with more elements than anything could hold."""
    product = 1
    for each in dims:
        product *= each
    if product > PRODUCT_LIMIT:
        listed = " × ".join(map(str, dims))
        raise fail(
            "S0307",
            "this shape has too many elements",
            span,
            f"{listed} is more than 2^40",
            hint="make one of its sizes smaller",
        )


def written_type(body: Body, node: tree.Type) -> Type:
    """The type that a declaration states; every size must be known."""
    kind = kind_of(node)
    bound = None
    if kind is Kind.INDEX:
        assert node.bound is not None
        bound = size(body, node.bound, "the bound of an index")
    dims = tuple(size(body, each) for each in node.sizes)
    check_elements(dims, node.span)
    return Type(kind, dims, NO_AXES, bound)


def kind_of(node: tree.Type) -> Kind:
    """The kind that a type names; an error if there is none or its bound is missing."""
    kind = KINDS.get(node.name.text)
    if kind is None:
        near = nearest(node.name.text, KINDS)
        hint = {
            "float": "real",
            "double": "f64",
            "float32": "f32",
            "float64": "f64",
            "vector": "real[4]",
            "string": "index(V)",
            "boolean": "bool",
            "long": "int",
        }.get(node.name.text, near)
        if node.name.text == "length":
            raise fail(
                "S0309", "`length` is only the type of an input", node.span, "not here", hint="write `int`"
            )
        raise fail(
            "S0309",
            f"there is no type `{node.name.text}`",
            node.name.span,
            "not a type",
            notes=("types are `real`, `f32`, `f64`, `int`, `bool`, `index(V)` and, of an input, `length`",),
            hint=f"did you mean `{hint}`?" if hint else None,
        )
    if kind is Kind.INDEX and node.bound is None:
        raise fail(
            "S0309",
            "an index needs its bound",
            node.span,
            "below what?",
            hint="write `index(V)` for an integer below V",
        )
    if kind is not Kind.INDEX and node.bound is not None:
        raise fail(
            "S0309",
            f"`{node.name.text}` has no bound",
            node.bound.span,
            "only an index has one",
            hint=f"sizes stand in brackets: `{node.name.text}[{brief(node.bound.span)}]`",
        )
    return kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a port asks for, for messages: `node` is its type, `owner` whose port it is."""

    name: str
    node: tree.Type
    owner: str


def infer(body: Body, node: tree.Expression, found: int, wanted: Wanted, place: Span, whole: str) -> bool:
    """Fits one size of a port: binds a name met first. False where it must wait for other names."""
    if isinstance(node, tree.Reference) and unknown(body, node.name):
        body.bind(node.name, "size", node.span, Number(found))
        return True
    if any(unknown(body, name) for name in referred(node)):
        return False
    expected = size(body, node)
    if expected != found:
        entry = body.entries.get(node.name) if isinstance(node, tree.Reference) else None
        notes: tuple[str, ...] = ()
        if entry is not None and entry.kind == "size" and isinstance(node, tree.Reference):
            notes = (f"`{node.name}` is {expected} by what came before",)
        elif not isinstance(node, tree.Number):
            notes = (f"`{brief(node.span)}` is {expected}",)
        raise fits_error(wanted, place, whole, notes)
    return True


def referred(node: tree.Expression) -> list[str]:
    """All names in a size expression."""
    if isinstance(node, tree.Reference):
        return [node.name]
    if isinstance(node, tree.Binary):
        return referred(node.left) + referred(node.right)
    if isinstance(node, tree.Unary):
        return referred(node.value)
    if isinstance(node, tree.Call):
        return [name for each in node.positional for name in referred(each)]
    return []


def unknown(body: Body, name: str) -> bool:
    """Whether a name in a port's type is a size still to be inferred."""
    return name not in body.entries and inferred(body.module, name)


def inferred(module: Module, name: str) -> bool:
    """Whether a name in a port's type of this file is a size that the argument brings."""
    return not (name in module.consts or name in module.meanings or name in module.imports or name == "pi")


def fits_error(
    wanted: Wanted, place: Span, found: str, notes: tuple[str, ...] = (), hint: str | None = None
) -> SeqError:
    """S0304 at an argument, with the port that it does not fit."""
    expected = " ".join(wanted.node.span.text.split())
    return fail(
        "S0304",
        "sizes do not fit",
        place,
        f"found    {found}",
        others=(Label(wanted.node.span, f"expected {expected}"),),
        notes=notes,
        hint=hint,
    )


def fit_port(
    body: Body, wanted: Wanted, meaning: Meaning, place: Span, advice: tuple[str, ...] = ()
) -> Meaning:
    """The argument as the port asks for it, its sizes inferred or checked."""
    node = wanted.node
    kind = kind_of(node)
    type = type_of(body.shop, meaning)
    if type is None:
        as_value(body.shop, meaning, None, place)
        raise AssertionError("a meaning without type is no value")
    if isinstance(meaning, Number):
        if node.sizes:
            text = brief(place)
            hint = "a port takes exactly its shape; a scalar is not spread here"
            if text.startswith("prev "):
                name = text.removeprefix("prev ")
                hint = f"`{name}` starts from a number alone; declare its sizes, as in `state {name}: real[H] = 0`"
            raise fits_error(wanted, place, "a number", hint=hint)
        if kind is Kind.INDEX:
            assert node.bound is not None
            if any(unknown(body, name) for name in referred(node.bound)):
                raise fail(
                    "S0306",
                    f"`{brief(node.bound.span)}` cannot be inferred from a number",
                    place,
                    f"`{wanted.name}` is {brief(node.span)}",
                    hint=None,
                )
            return Dynamic(as_value(body.shop, meaning, kind, place, size(body, node.bound)))
        if kind.is_real and isinstance(meaning.value, int) and not isinstance(meaning.value, bool):
            return Number(float(meaning.value))
        as_value(body.shop, meaning, kind, place)
        return meaning
    value = as_value(body.shop, meaning, kind, place)
    type = body.shop.builder.type(value)
    if type.kind is not kind and not (kind is Kind.INT and type.kind is Kind.INDEX):
        raise kind_error(wanted, type, place)
    if len(node.sizes) != len(type.dims):
        raise fits_error(wanted, place, shown(type), notes=advice)
    pairs = list(zip(node.sizes, type.dims, strict=True))
    if kind is Kind.INDEX and node.bound is not None and type.bound is not None:
        pairs.append((node.bound, type.bound))
    waiting = [pair for pair in pairs if not infer(body, pair[0], pair[1], wanted, place, shown(type))]
    for each, found in waiting:
        if not infer(body, each, found, wanted, place, shown(type)):
            raise fail(
                "S0306",
                f"`{brief(each.span)}` cannot be inferred",
                each.span,
                "has unknown names",
                hint="an inferred size is a single name",
            )
    if kind is Kind.INT and type.kind is Kind.INDEX:
        return Dynamic(body.shop.builder.cast(value, Kind.INT))
    return Dynamic(value)


def kind_error(wanted: Wanted, type: Type, place: Span) -> SeqError:
    """S0301 at an argument of another kind."""
    expected = wanted.node.name.text
    hint = None
    if expected == "real" and type.kind is not Kind.REAL:
        hint = f"write `real({brief(place)})`"
    elif expected == "index":
        hint = "only an index(V) can point: declare it so, or take it from `argmax` or `categorical`"
    elif expected in ("int", "f32", "f64"):
        hint = f"write `{expected}({brief(place)})`"
    elif expected == "bool":
        hint = "write a comparison, like `x > 0`"
    return fail(
        "S0301",
        f"`{wanted.name}` of {wanted.owner} takes {expected}",
        place,
        f"found {shown(type)}",
        others=(Label(wanted.node.span, "declared here"),),
        hint=hint,
    )


def check_result(body: Body, port: tree.Port, meaning: Meaning, place: Span) -> Meaning:
    """A result as its port declares it."""
    if port.type is None:
        return meaning
    if body.lifted_ports and not port.type.sizes and isinstance(meaning, Dynamic):
        found = body.shop.builder.type(meaning.index)
        if found.dims and found.kind is kind_of(port.type) is not Kind.INDEX:
            return meaning  # a function of scalars, lifted: the result has the shape of the arguments
    wanted = Wanted(port.name.text, port.type, f"`{body.title}`")
    return fit_port(body, wanted, meaning, place)


def fit_declared(
    body: Body, meaning: Meaning, wanted: Type, place: Span, what: str, declared: Span | None
) -> int:
    """The meaning as a value of a known type (axes aside); numbers fill the shape."""
    shop = body.shop
    if isinstance(meaning, Number):
        value = as_value(shop, meaning, wanted.kind, place, wanted.bound)
        return shop.builder.broadcast(value, Type(wanted.kind, wanted.dims, NO_AXES, wanted.bound))
    value = as_value(shop, meaning, wanted.kind, place, wanted.bound)
    found = shop.builder.type(value)
    if wanted.kind is Kind.INT and found.kind is Kind.INDEX:
        value = shop.builder.cast(value, Kind.INT)
        found = shop.builder.type(value)
    same_bound = wanted.kind is not Kind.INDEX or found.bound == wanted.bound
    if (found.kind, found.dims) != (wanted.kind, wanted.dims) or not same_bound:
        raise fail(
            "S0304" if found.kind is wanted.kind else "S0301",
            f"{what} has another type",
            place,
            f"found    {shown(found)}",
            others=(Label(declared, f"expected {shown(wanted)}"),) if declared is not None else (),
            notes=() if declared is not None else (f"expected {shown(wanted)}",),
            hint=f"write `real({brief(place)})`"
            if wanted.kind is Kind.REAL and found.kind is not Kind.REAL
            else None,
        )
    return value


__all__ = ["NotYet", "Wanted", "check_result", "fit_declared", "fit_port", "kind_of", "size", "written_type"]
