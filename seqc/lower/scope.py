"""What a name means where it stands: in its body, its file, the prelude or among the built-in names; and `prev`.

Takes a body and a name; gives a meaning. States come into the graph here, the first time that somebody reads one.
"""

from __future__ import annotations

import math

from seqc.flow.types import NO_AXES, STREAM, Kind, Type
from seqc.lower.body import Body, Definition, Entry, article
from seqc.lower.builtins import FUNCTIONS, REDUCERS
from seqc.lower.meaning import INITIALISERS, Builtin, Dynamic, Meaning, NotYet, Number, Numbers, Poisoned
from seqc.lower.names import Module
from seqc.lower.states import loose, slot
from seqc.source.diagnostic import SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

CONSTANTS: dict[str, float | bool] = {"pi": math.pi, "true": True, "false": False}
SUGGESTED = 20
COUNTERS = ("step", "steps", "training")
KNOWN = frozenset((*CONSTANTS, *COUNTERS, *FUNCTIONS, *REDUCERS, *INITIALISERS))
"""What every file sees without an import, beside the prelude."""


HABITS = {
    "t": "time has no name; `prev x` is the last step, `step` counts",
    "time": "time has no name; `prev x` is the last step, `step` counts",
    "batch": "rows of a batch cannot be told apart here",
    "True": "write `true`",
    "False": "write `false`",
    "self": "parts of a body are named without `self`",
    "attention": "attention over all past steps is outside the language; over a window it is a state of so many rows",
    "Attention": "attention over all past steps is outside the language; over a window it is a state of so many rows",
    "beam": "beam search is outside the language; `generate` samples or is greedy",
    "None": "there is no empty value",
    "dot": "write `a @ b`",
    "matmul": "write `A @ b`",
    "einsum": "write `A @ b`, `outer(a, b)` and `transpose(A)`; a function of these is applied along further sizes",
    "bmm": "a function of matrices is applied along further sizes: `fn product(A: real[M, K], B: real[K, N]) = A @ B`",
    "vmap": "call it: where a function is given more sizes than its ports have, it is applied along them",
    "reshape": "`concat(M)` joins the rows of a matrix; a vector is cut by `x[0:2]`",
    "view": "`concat(M)` joins the rows of a matrix; a vector is cut by `x[0:2]`",
    "flatten": "`concat(M)` joins the rows of a matrix",
    "ravel": "`concat(M)` joins the rows of a matrix",
    "diag": "a matrix with `d` on its diagonal is `outer(d, one) * same`, where `one` and `same` start from `ones` and `eye`",
    "pow": "write `x ^ y`",
    "power": "write `x ^ y`",
    "maximum": "write `max(a, b)`",
    "minimum": "write `min(a, b)`",
    "cond": "write `if c then a else b`",
    "select": "write `if c then a else b`",
    "ifelse": "write `if c then a else b`",
    "cat": "write `concat(x, y)`",
    "concatenate": "write `concat(x, y)`",
    "stack": "write `[a, b]`: numbers become a vector, vectors a matrix",
    "np": "functions stand by themselves: `exp(x)`",
    "numpy": "functions stand by themselves: `exp(x)`",
    "torch": "functions stand by themselves, `exp(x)`; layers are cells of `std.cells`",
    "nn": "functions stand by themselves, `exp(x)`; layers are cells of `std.cells`",
    "jnp": "functions stand by themselves: `exp(x)`",
    "var": "write `mean((x - mean(x)) ^ 2)`",
    "std": "write `sqrt(mean((x - mean(x)) ^ 2))`",
    "square": "write `x ^ 2`",
    "rsqrt": "write `1 / sqrt(x)`",
    "clamp": "write `min(max(x, low), high)`",
    "clip": "write `min(max(x, low), high)`",
    "round": "write `floor(x + 0.5)`",
    "ceil": "write `-floor(-x)`",
    "sinh": "write `0.5 * (exp(x) - exp(-x))`",
    "cosh": "write `0.5 * (exp(x) + exp(-x))`",
    "swish": "write `silu`",
    "cumsum": "a running sum is a state: `state s = 0  s = prev s + x`",
    "inverse": "there is none: that of a small matrix is written out, that of a larger one kept up as a state",
    "inv": "there is none: that of a small matrix is written out, that of a larger one kept up as a state",
    "solve": "there is none: small systems are written out, larger ones take steps of an iteration",
    "logsigmoid": "write `-softplus(-x)`",
    "log_sigmoid": "write `-softplus(-x)`",
    "inf": "write a large number, such as `1e30`",
    "infinity": "write a large number, such as `1e30`",
    "sigma": "write `sigmoid`",
    "xavier": "write `glorot`",
    "kaiming": "write `normal(deviation)`",
    "he": "write `normal(deviation)`",
    "randn": "write `normal(deviation)`",
    "random": "write `uniform(low, high)`",
}
"""What people write who come from elsewhere, and what to do."""


def find(body: Body, name: str, span: Span) -> Meaning:
    """The meaning of a name read at `span`."""
    entry = body.entries.get(name)
    if entry is not None:
        entry.read = True
        if entry.state is not None and entry.definition is None:
            return Dynamic(slot(body, entry, span).value)
        return body.ask(entry, span)
    if name in body.waiting:
        raise NotYet
    for module in (body.module, body.shop.library.prelude):
        meaning = in_module(body, module, name, span)
        if meaning is not None:
            return meaning
    if name in CONSTANTS:
        return Number(CONSTANTS[name])
    if name in COUNTERS:
        return counter(body, name, span)
    if name in FUNCTIONS or name in REDUCERS or name in INITIALISERS:
        return Builtin(name)
    raise unknown_name(body, name, span)


def in_module(body: Body, module: Module, name: str, span: Span) -> Meaning | None:
    """What a file means by a name; None if nothing."""
    if name in module.imports:
        source, original = module.imports[name]
        if not original:
            raise Poisoned
        return in_module(body, source, original, span)
    if name in module.consts:
        inside = body.shop.file_body(module, lambda each: constants(body, each))
        return inside.ask(inside.entries[name], span)
    if name in module.models:
        raise fail(
            "S0204",
            "a model cannot be used inside another",
            span,
            "is a model",
            hint="put what both share into a cell",
        )
    return module.meanings.get(name)


def constants(body: Body, module: Module) -> Body:
    """The body of a file, which holds its constants."""
    made = Body(body.shop, module, "file", module.name)
    for name, binding in module.consts.items():
        value = binding.value

        def compute(_: Definition, value: tree.Expression = value) -> tuple[Meaning, ...]:
            meaning = body.shop.evaluate(made, value)
            if not isinstance(meaning, Number | Numbers):
                raise fail(
                    "S0306",
                    "a `const` is known to the compiler",
                    value.span,
                    "depends on something that is not",
                    hint="constants are made of numbers and other constants",
                )
            return (meaning,)

        made.define(
            Entry(
                name,
                "const",
                binding.name.span,
                Definition((name,), "const", binding.name.span, binding, compute),
            )
        )
    return made


def counter(body: Body, name: str, span: Span) -> Meaning:
    """`step`, `steps` and `training`."""
    shop = body.shop
    if body.kind == "file":
        raise fail("S0306", f"`{name}` is known at run time only", span, "not a constant", hint=None)
    if shop.rule and name != "step":
        raise fail(
            "S0204",
            f"`{name}` has no meaning in an update",
            span,
            "not here",
            hint="`step` counts the updates so far",
        )
    if name == "training":
        return Dynamic(shop.builder.add("training", type=Type(Kind.BOOL)))
    if name == "steps":
        if shop.length is not None:
            return Dynamic(shop.length)
        return Dynamic(shop.builder.add("steps", type=Type(Kind.INT)))
    axes = NO_AXES if shop.rule else STREAM
    return Dynamic(shop.builder.add("step", type=Type(Kind.INT, (), axes)))


def unknown_name(body: Body, name: str, span: Span) -> SeqError:
    """S0201 with the nearest name and, for habits from elsewhere, what to write."""
    known = [
        *body.entries,
        *body.module.meanings,
        *body.module.consts,
        *body.module.imports,
        *body.shop.library.prelude.meanings,
        *FUNCTIONS,
        *REDUCERS,
        *INITIALISERS,
        *CONSTANTS,
        *COUNTERS,
    ]
    near = nearest(name, known) if body.shop.problems.count < SUGGESTED else None
    habit = None if near in body.entries else HABITS.get(name)
    hint = habit or (f"did you mean `{near}`?" if near else None)
    patient = body.shop.problems.count < SUGGESTED
    shelf = body.shop.library.shelf(name) if patient and name not in known else None
    if shelf is not None:
        hint = f"write `use std.{shelf}: {name}` above"
    if hint is None and body.kind in ("train", "deploy"):
        hint = "a record is made of numbers, `const`, `dim` and, in an update, `step`"
    return fail("S0201", f"there is no `{name}` here", span, "not defined", hint=hint)


def previous(body: Body, name: tree.Name) -> Meaning:
    """`prev name`."""
    entry = body.entries.get(name.text)
    if entry is None:
        if name.text in body.waiting:
            raise NotYet
        meaning = find(body, name.text, name.span)
        raise not_a_state(name, "a number" if isinstance(meaning, Number) else "not a state")
    entry.past = True
    if entry.state is None:
        raise not_a_state(name, article(entry.kind))
    shop = body.shop
    dotted = body.dotted(entry.name)
    if loose(body, entry) and dotted not in shop.assumed and dotted not in shop.found:
        assert isinstance(entry.first, Number)
        shop.unsettled.add(dotted)
        return entry.first
    return Dynamic(slot(body, entry, name.span).value)


def not_a_state(name: tree.Name, found: str) -> SeqError:
    """S0205"""
    free = "d" if name.text != "d" else "last"
    return fail(
        "S0205",
        "only a state has a past",
        name.span,
        f"`{name.text}` is {found}",
        hint=f"declare one: `state {free} = 0  {free} = {name.text}`, then read `prev {free}`",
    )
