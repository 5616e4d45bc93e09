"""The example in the docstring of each pass is what the pass does: the graph before and the graph after, as printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from textwrap import indent
from types import ModuleType

import pytest

from seqc.flow.print import show as print_flow
from seqc.flow.types import ONCE, STREAM, Flow, Kind, Type
from seqc.lower.program import Clip, Hyper, Parameter, Program, Rule, Train
from seqc.ops.build import Builder
from seqc.passes import (
    commute,
    differentiate,
    distribute,
    factor,
    merge,
    prune,
    ragged,
    reassociate,
    share,
    simplify,
    specialise,
    stream,
    update,
)

REAL = Type(Kind.REAL)


@dataclass(frozen=True, slots=True)
class Example:
    """A pass with the Flow before it and after it."""

    module: ModuleType
    before: Flow
    after: Flow

    def text(self) -> str:
        """As it stands in the docstring."""
        before, after = (indent(print_flow(flow), "        ") for flow in (self.before, self.after))
        return f"    before\n{before}    after\n{after}"


def stream_input(b: Builder, name: str, *dims: int) -> int:
    return b.add("input", type=Type(Kind.REAL, dims, STREAM), name=name)


def program_of(flow: Flow, **parts: object) -> Program:
    """A Program with nothing but a graph and the parts given."""
    empty = {"parameters": (), "inputs": (), "hypers": (), "rules": {}, "train": None, "deploys": ()}
    return Program(name="example", flow=flow, causal=True, **{**empty, **parts})


def summing_state() -> Flow:
    """y = prev h + x."""
    b = Builder()
    state = b.state("h", Type(Kind.REAL, (), STREAM))
    y = b.plus(b.prev(state), stream_input(b, "x"))
    b.define(state, b.const(0.0), y)
    return b.finish({"output.y": y, "loss": b.reduce("sum", y, axes=frozenset())})


def specialise_example() -> Example:
    flow = summing_state()
    return Example(specialise, flow, specialise.specialise(program_of(flow), "infer"))


def stream_example() -> Example:
    flow = specialise_example().after
    return Example(stream, flow, stream.stream(flow))


def ragged_example() -> Example:
    b = Builder()
    x = stream_input(b, "x")
    flow = b.finish({"output.y": b.exp(x), "loss": b.reduce("sum", b.exp(x), axes=frozenset())})
    return Example(ragged, flow, ragged.ragged(flow, "n"))


def commute_example() -> Example:
    b = Builder()
    k = b.add("input", type=Type(Kind.INDEX, (), STREAM, 5), name="k")
    row = b.gather(b.add("param", type=Type(Kind.REAL, (5, 3)), name="table"), k)
    i, f = (b.add("param", type=Type(Kind.REAL, (4, 3)), name=name) for name in ("Wi", "Wf"))
    y = b.mul(b.contract("hd,d->h", i, row), b.contract("hd,d->h", f, row))
    flow = b.finish({"output.y": y})
    return Example(commute, flow, prune.prune(commute.commute(flow)))


def differentiate_example() -> Example:
    b = Builder()
    state = b.state("h", Type(Kind.REAL, (), STREAM))
    y = b.mul(b.prev(state), b.add("param", type=REAL, name="w"))
    b.define(state, b.const(1.0), y)
    flow = b.finish({"loss": b.reduce("sum", y, axes=frozenset())})
    return Example(differentiate, flow, differentiate.differentiate(flow, {"w": REAL}, {}, {}, {}))


def update_example() -> Example:
    b = Builder()
    w, g = (b.add("input", type=REAL, name=name) for name in "wg")
    rule = b.finish({"w": b.sub(w, g)})
    b = Builder()
    loss = b.mul(b.add("param", type=REAL, name="p"), 2.0)
    parts = {
        "parameters": (Parameter("p", REAL, ("zeros",)),),
        "hypers": (Hyper("clip", REAL, 1.0),),
        "rules": {"p": Rule("Plain", rule, ())},
        "train": Train(clip=Clip("norm")),
    }
    return Example(update, rule, update.apply_flow(program_of(b.finish({"loss": loss}), **parts)))


def simplify_example() -> Example:
    b = Builder()
    x = b.mul(stream_input(b, "x"), 1.0)
    y = b.select(b.negate(b.const(False, Kind.BOOL)), b.neg(b.add("stop", x)), x)
    flow = b.finish({"output.y": y})
    return Example(simplify, flow, simplify.simplify(flow))


def reassociate_example() -> Example:
    b = Builder()
    state = b.state("h", Type(Kind.REAL, (8,), STREAM))
    W, U = (b.add("param", type=Type(Kind.REAL, (8, 8)), name=name) for name in "WU")
    product = b.contract("hd,d->h", W, stream_input(b, "x", 8))
    y = b.plus(
        b.plus(product, b.contract("hk,k->h", U, b.prev(state))),
        b.add("param", type=Type(Kind.REAL, (8,)), name="b"),
    )
    b.define(state, b.const(0.0), y)
    flow = b.finish({"output.y": y})
    return Example(reassociate, flow, prune.prune(reassociate.reassociate(flow)))


def distribute_example() -> Example:
    b = Builder()
    x, y = (stream_input(b, name, 8) for name in "xy")
    row = b.plus(b.mul(b.reduce("sum", x), y), x)
    flow = b.finish({"output.y": b.sub(row, b.reduce("sum", row))})
    return Example(distribute, flow, prune.prune(distribute.distribute(flow)))


def factor_example() -> Example:
    b = Builder()
    x, y, k = stream_input(b, "x", 8, 8), stream_input(b, "y", 8), stream_input(b, "k")
    flow = b.finish({"output.z": b.contract("ab,b->a", b.neg(b.mul(k, x)), y)})
    return Example(factor, flow, prune.prune(factor.factor(flow)))


def merge_example() -> Example:
    b = Builder()
    W = b.add("param", type=Type(Kind.REAL, (2, 4, 8)), name="W")
    flow = b.finish({"output.y": b.contract("abz,z->ab", W, stream_input(b, "x", 8))})
    return Example(merge, flow, prune.prune(merge.merge(flow)))


def share_example() -> Example:
    b = Builder()
    x = b.add("input", type=Type(Kind.REAL, (), ONCE), name="x")
    flow = b.finish({"output.y": b.plus(b.exp(x), b.exp(x))})
    return Example(share, flow, share.share(flow))


def prune_example() -> Example:
    b = Builder()
    x = b.add("input", type=Type(Kind.REAL, (), ONCE), name="x")
    b.exp(x)
    flow = b.finish({"output.y": b.neg(x)})
    return Example(prune, flow, prune.prune(flow))


EXAMPLES: Mapping[str, Callable[[], Example]] = {
    "specialise": specialise_example,
    "ragged": ragged_example,
    "commute": commute_example,
    "differentiate": differentiate_example,
    "update": update_example,
    "stream": stream_example,
    "simplify": simplify_example,
    "reassociate": reassociate_example,
    "distribute": distribute_example,
    "factor": factor_example,
    "merge": merge_example,
    "share": share_example,
    "prune": prune_example,
}


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_docstring_shows_what_the_pass_does(name: str) -> None:
    example = EXAMPLES[name]()
    assert example.text() in (example.module.__doc__ or ""), (
        f"{name}: its docstring should hold\n{example.text()}"
    )
