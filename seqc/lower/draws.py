"""Draws and initialisers: random values in equations and first values, and what a parameter starts from.

A draw has the axes of its place. Each becomes the operation `draw` (uniform in [0, 1)) with a number of its own and
arithmetic; an initialiser becomes a nested tuple and is never drawn by the model itself.
"""

from __future__ import annotations

import math

from seqc.flow.types import Kind, Type
from seqc.lower import scope
from seqc.lower.arithmetic import as_value, brief, shown, type_of
from seqc.lower.body import Body
from seqc.lower.meaning import Builtin, Dynamic, Meaning, Number, Numbers
from seqc.lower.program import Init
from seqc.lower.sizes import checked_size
from seqc.source.diagnostic import fail
from seqc.source.span import Span
from seqc.syntax import tree

SIGNS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
DRAWS = {"bernoulli": 1, "normal": 1, "uniform": 2}
FIXED = ("zeros", "ones", "eye", "glorot", "orthogonal")
COMPUTED = ("legendre",)
WORDS = {
    "bernoulli": "its probability",
    "normal": "its deviation",
    "uniform": "both ends",
    "legendre": "the number of steps that it remembers",
}
EXAMPLES = {
    "normal": "normal(0.01)",
    "uniform": "uniform(-0.1, 0.1)",
    "bernoulli": "normal(0.01)",
    "legendre": "legendre(100)",
}


def draw(body: Body, name: str, node: tree.Call) -> Meaning:
    """`bernoulli(p)`, `normal(s)`, `uniform(a, b)`, each with a shape behind: `bernoulli(p, [D])`."""
    shop = body.shop
    if shop.rule or body.kind == "file":
        where = "in an update" if shop.rule else "in a constant"
        raise fail("S0204", f"nothing is drawn {where}", node.span, "a draw", hint=None)
    given = list(node.positional)
    count = DRAWS[name]
    mean: tree.Expression | None = None
    meanings = [(shop.evaluate(body, each), each.span) for each in given]
    dims: tuple[int, ...] = ()
    if len(meanings) > count and isinstance(given[-1], tree.Vector):
        sizes, span = meanings.pop()
        if not isinstance(sizes, Numbers):
            raise fail(
                "S0306",
                "the shape of a draw is made of sizes",
                span,
                "not known to the compiler",
                hint="like `[H]`",
            )
        dims = tuple(checked_size(body, Number(each), span) for each in sizes.values)
    if name == "normal" and len(meanings) == 2:
        mean = given[0]
    elif len(meanings) != count:
        hint = {
            "bernoulli": "bernoulli(p, [D])",
            "normal": "normal(0.1, [D])",
            "uniform": "uniform(-1.0, 1.0, [D])",
        }[name]
        raise fail(
            "S0303",
            f"`{name}` takes {WORDS[name]} and a shape",
            node.span,
            f"found {len(given)} arguments",
            hint=f"write `{hint}`; without a shape it is a scalar",
        )
    values = [real_scalar(body, meaning, span, name) for meaning, span in meanings]
    check_shapes(body, name, dims, list(zip(values, (span for _, span in meanings), strict=True)))
    if name == "bernoulli":
        return Dynamic(shop.builder.cast(shop.builder.lt(fresh(body, dims), values[0]), Kind.REAL))
    if name == "uniform":
        width = shop.builder.sub(values[1], values[0])
        return Dynamic(shop.builder.plus(values[0], shop.builder.mul(fresh(body, dims), width)))
    deviation = values[-1]
    scaled = shop.builder.mul(gaussian(body, dims), deviation)
    return Dynamic(scaled if mean is None else shop.builder.plus(values[0], scaled))


def check_shapes(body: Body, name: str, dims: tuple[int, ...], values: list[tuple[int, Span]]) -> None:
    """Refuses an argument of another shape than the draw, or than the arguments before it."""
    for value, span in values:
        type = body.shop.builder.type(value)
        if type.dims and dims and type.dims != dims:
            raise fail(
                "S0304",
                f"`{name}` takes scalars, or what has the shape of the draw",
                span,
                f"found {shown(type)}",
                hint=f"the draw has the shape {list(dims)}",
            )
        dims = dims or type.dims


def real_scalar(body: Body, meaning: Meaning, span: Span, name: str) -> int:
    """An argument of a draw: a real, of any shape that goes with the draw's."""
    value = as_value(body.shop, meaning, Kind.REAL, span)
    type = body.shop.builder.type(value)
    if type.kind is not Kind.REAL:
        raise fail(
            "S0301",
            f"`{name}` takes reals",
            span,
            f"found {type.kind.value}",
            hint=f"write `real({brief(span)})`",
        )
    return value


def fresh(body: Body, dims: tuple[int, ...]) -> int:
    """Uniform numbers in [0, 1) that nothing else draws."""
    shop = body.shop
    return shop.builder.add("draw", type=Type(Kind.REAL, dims, shop.place), site=shop.fresh_site())


def gaussian(body: Body, dims: tuple[int, ...]) -> int:
    """Box and Muller 1958: sqrt(-2 log(1 - u)) cos(2 pi v)."""
    builder = body.shop.builder
    radius = builder.sqrt(builder.mul(builder.log(builder.sub(1.0, fresh(body, dims))), -2.0))
    return builder.mul(radius, builder.cos(builder.mul(fresh(body, dims), 2.0 * math.pi)))


def categorical(body: Body, node: tree.Call) -> Meaning:
    """`categorical(logits, temperature)`"""
    shop = body.shop
    given = list(node.positional)
    if len(given) not in (1, 2):
        raise fail(
            "S0303",
            "`categorical` takes logits and a temperature",
            node.span,
            f"found {len(given)} arguments",
            hint="write `categorical(logits, 1.0)`",
        )
    logits = as_value(shop, shop.evaluate(body, given[0]), Kind.REAL, given[0].span)
    type = shop.builder.type(logits)
    if len(type.dims) != 1 or type.kind is not Kind.REAL:
        raise fail(
            "S0304",
            "`categorical` draws from a vector",
            given[0].span,
            f"found {type.with_axes(frozenset())}",
            hint="give it logits, one for each symbol",
        )
    temperature = Number(1.0) if len(given) == 1 else shop.evaluate(body, given[1])
    place = given[-1].span
    scale = real_scalar(body, temperature, place, "categorical")
    shop.bound(scale, 0.0, None)
    if shop.builder.type(scale).dims:
        raise fail("S0304", "a temperature is a scalar", place, "found a vector", hint=None)
    return Dynamic(shop.builder.add("categorical", logits, scale, fresh(body, ())))


def reads_run_time(body: Body, node: tree.Expression) -> bool:
    """Whether an expression reads anything that has its value at run time only."""
    pending: list[object] = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, tree.Prev | tree.Member | tree.Pipe | tree.Reduce):
            return True
        if isinstance(each, tree.Reference):
            if run_time_name(body, each.name):
                return True
        elif isinstance(each, tree.Call):
            pending += [each.function, *each.arguments]
        elif isinstance(each, tree.Unary | tree.Override):
            pending.append(each.value)
        elif isinstance(each, tree.Binary):
            pending += [each.left, each.right]
        elif isinstance(each, tree.Vector):
            pending += each.items
        elif isinstance(each, tree.Choose):
            pending += [each.condition, each.then, each.otherwise]
        elif isinstance(each, tree.Pick):
            return True
    return False


def run_time_name(body: Body, name: str) -> bool:
    """Whether a name has its value at run time only."""
    entry = body.entries.get(name)
    if entry is None:
        return name in body.waiting or name in scope.COUNTERS
    if entry.kind in ("size", "dim", "const"):
        return False
    if entry.kind == "static":
        return isinstance(body.ask(entry, None), Dynamic)
    return True


def initialiser(body: Body, node: tree.Expression) -> Init:
    """What a parameter starts from, made of numbers, sizes and draws."""
    if isinstance(node, tree.Binary) and node.operator in SIGNS and not settled(body, node):
        return (SIGNS[node.operator], initialiser(body, node.left), initialiser(body, node.right))
    if isinstance(node, tree.Unary) and node.operator == "-" and not settled(body, node):
        return ("neg", initialiser(body, node.value))
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Reference):
        meaning = scope.find(body, node.function.name, node.function.span)
        if isinstance(meaning, Builtin) and meaning.name in (*DRAWS, *COMPUTED):
            return drawn_start(body, meaning.name, node)
        if isinstance(meaning, Builtin) and meaning.name in FIXED:
            raise fail(
                "S0303",
                f"`{meaning.name}` takes no arguments",
                node.span,
                "called",
                hint=f"write `{meaning.name}`; the shape is that of the parameter",
            )
    meaning = body.shop.evaluate(body, node)
    if isinstance(meaning, Builtin) and meaning.name in FIXED:
        return (meaning.name,)
    if isinstance(meaning, Builtin) and meaning.name in (*DRAWS, *COMPUTED):
        raise fail(
            "S0303",
            f"`{meaning.name}` needs {WORDS[meaning.name]}",
            node.span,
            "not called",
            hint=f"like `{EXAMPLES[meaning.name]}`",
        )
    if isinstance(meaning, Number) and not isinstance(meaning.value, bool):
        return ("constant", float(meaning.value))
    names = "`zeros`, `ones`, `eye`, `glorot`, `orthogonal`, `normal(deviation)` and `uniform(low, high)`"
    found = "a vector" if isinstance(meaning, Numbers) else "not one of these"
    raise fail(
        "S0310",
        "a parameter starts from a number or a draw",
        node.span,
        found,
        notes=(f"there are {names}, and sums and products of them",),
        hint=None,
    )


def settled(body: Body, node: tree.Expression) -> bool:
    """Whether an expression among initialisers is a plain number."""
    if isinstance(node, tree.Number):
        return True
    if isinstance(node, tree.Binary):
        return settled(body, node.left) and settled(body, node.right)
    if isinstance(node, tree.Unary):
        return settled(body, node.value)
    if isinstance(node, tree.Reference):
        return isinstance(scope.find(body, node.name, node.span), Number)
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Reference):
        return node.function.name not in (*DRAWS, *COMPUTED)
    return False


def drawn_start(body: Body, name: str, node: tree.Call) -> Init:
    """`normal(0.01)`, `uniform(-1.0, 1.0)` or `legendre(100)` as the start of a parameter."""
    if name == "bernoulli":
        raise fail(
            "S0310",
            "no parameter starts from `bernoulli`",
            node.span,
            "not an initialiser",
            hint="use `normal(deviation)` or `uniform(low, high)`",
        )
    numbers: list[float] = []
    for each in node.positional:
        meaning = body.shop.evaluate(body, each)
        if not isinstance(meaning, Number) or isinstance(meaning.value, bool):
            type = type_of(body.shop, meaning)
            hint = "the shape is that of the parameter" if type is not None and type.dims else None
            raise fail(
                "S0310",
                "an initialiser is made of numbers",
                each.span,
                "not a number known to the compiler",
                hint=hint,
            )
        numbers.append(float(meaning.value))
    if name == "normal" and len(numbers) == 1:
        numbers = [0.0, *numbers]
    if len(numbers) != (1 if name in COMPUTED else 2):
        raise fail(
            "S0303",
            f"`{name}` takes {WORDS[name]}",
            node.span,
            f"found {len(numbers)} arguments",
            hint=f"like `{EXAMPLES[name]}`",
        )
    if name in COMPUTED and not 0 < numbers[0] < math.inf:
        raise fail("S0310", "a memory is longer than nothing", node.span, f"found {numbers[0]:g}", hint=None)
    return (name, *numbers)


def check_size(init: Init, type: Type, span: Span) -> None:
    """Refuses `eye` for what is no matrix, and `legendre` for what is neither a square matrix nor a vector."""
    pending: list[object] = [init]
    while pending:
        each = pending.pop()
        if isinstance(each, tuple):
            pending += each
        elif each == "eye" and len(type.dims) != 2:
            raise fail("S0304", "`eye` fills a matrix", span, f"the parameter is {type}", hint=None)
        elif each in COMPUTED and not (
            len(type.dims) == 1 or (len(type.dims) == 2 and len({*type.dims}) == 1)
        ):
            raise fail(
                "S0304",
                f"`{each}` fills a square matrix or a vector",
                span,
                f"the parameter is {type}",
                hint="`param A: real[M, M]` is what passes from state to state, `param B: real[M]` what comes in",
            )
