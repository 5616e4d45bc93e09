"""`train` records: which optimizer moves which parameter, lowered into one small Flow for each shape.

Takes a settled model; gives the record, a rule for each parameter that is moved, and the hypers of the update.
"""

from __future__ import annotations

from seqc.flow.types import Flow, Kind, Type
from seqc.lower.deploy import record_body
from seqc.lower.draft import Draft
from seqc.lower.meaning import Number, OptimizerName
from seqc.lower.names import Library
from seqc.lower.program import Clip, Hyper, Parameter, Rule, Train
from seqc.lower.reach import reached
from seqc.lower.record import Reading, bad, several
from seqc.lower.rules import (
    Use,
    rule_of,
)
from seqc.lower.scope import find
from seqc.lower.statics import signature
from seqc.source.diagnostic import Collector, fail
from seqc.source.suggest import nearest
from seqc.syntax import tree

KEYS = ("update", "clip", "window", "warmup", "memory", "freeze", "seed", "math")


def train_of(
    draft: Draft,
    library: Library,
    item: tree.Train,
    parameters: tuple[Parameter, ...],
    flow: Flow,
    problems: Collector,
) -> tuple[Train, dict[str, Rule], list[Hyper]]:
    """See the head of the file."""
    reading = Reading("a train record", record_body(draft, "train"), problems)
    reading.keys(item.bindings, KEYS)
    names = [each.name for each in parameters]
    if draft.loss is None:
        problems.add(
            fail(
                "S0606",
                f"`{draft.body.title}` has no loss to train",
                item.name.span,
                "a model without loss",
                hint="write `loss = …` in the model",
            )
        )
    hypers: dict[str, Hyper] = {}
    clip = reading.read("clip", lambda node: clip_of(reading, node, hypers), None)
    window = reading.read("window", lambda node: reading.integer(node, "`window`"), None)
    warmup = reading.read("warmup", lambda node: reading.integer(node, "`warmup`", 0), 0)
    memory = reading.read("memory", lambda node: reading.integer(node, "`memory`"), None)
    seed = reading.read("seed", lambda node: reading.integer(node, "`seed`", 0), 0)
    math = reading.read("math", lambda node: reading.word(node, "math", ("f32", "bf16")), "f32")
    freeze = reading.read("freeze", lambda node: chosen(node, names, draft), ())
    assert (
        isinstance(freeze, tuple)
        and isinstance(warmup, int)
        and isinstance(seed, int)
        and isinstance(math, str)
    )
    assert (
        (window is None or isinstance(window, int))
        and (memory is None or isinstance(memory, int))
        and (clip is None or isinstance(clip, Clip))
    )
    check_window(reading, flow, window, warmup)
    uses = reading.read("update", lambda node: uses_of(reading, node, names, draft), ())
    assert isinstance(uses, tuple)
    if "update" not in reading.found:
        problems.add(
            fail(
                "S0606",
                "a train record says how to update",
                item.span,
                "no `update`",
                hint="write `update = Adam()` and `use std.optim: Adam`",
            )
        )
    rules: dict[str, Rule] = {}
    made: dict[tuple[int, Type], Rule | None] = {}
    moved = reached(flow, "loss") if "loss" in flow.roots else frozenset()
    for parameter in parameters:
        number = next(
            (i for i in reversed(range(len(uses))) if uses[i].only is None or parameter.name in uses[i].only),
            None,
        )
        if number is None or parameter.name in freeze or parameter.name not in moved:
            continue
        key = (number, parameter.type)
        if key not in made:
            made[key] = rule_of(draft, uses[number], parameter.type, hypers, problems)
        rule = made[key]
        if rule is not None:
            rules[parameter.name] = rule
    for use in uses:
        if not any(uses[number] is use for number, _ in made):
            rule_of(draft, use, Type(Kind.REAL, (1,)), {}, problems)
    ordered = {name: each for name, each in sorted(hypers.items(), key=lambda pair: pair[0] != "clip")}
    record = Train(clip, window, warmup, memory, freeze, seed, item.span, math)
    return record, rules, list(ordered.values())


def check_window(reading: Reading, flow: Flow, window: int | None, warmup: int) -> None:
    """S0605, and `warmup` that no window holds."""
    if window is not None and any(value.op == "reverse" for value in flow.values):
        reading.problems.add(
            fail(
                "S0605",
                "a model with `reverse` has no window",
                reading.found["window"].value.span,
                "would cut the sequence",
                notes=("what runs backwards needs the whole sequence",),
                hint="leave `window` out and train on whole sequences",
            )
        )
    if warmup and (window is None or warmup >= window):
        place = reading.found["warmup"].value.span
        reading.problems.add(
            fail(
                "S0602",
                "`warmup` takes fewer steps than `window`",
                place,
                f"is {warmup}" + ("" if window is None else f" of {window}"),
                hint="add `window = …`" if window is None else None,
            )
        )


def clip_of(reading: Reading, node: tree.Expression, hypers: dict[str, Hyper]) -> Clip:
    """`norm(5.0)`, `norm(5.0, per = parameter)`, `value(1.0)`"""
    form = "`norm(5.0)`, `norm(5.0, per = parameter)` or `value(1.0)`"
    if (
        not isinstance(node, tree.Call)
        or not isinstance(node.function, tree.Reference)
        or node.function.name not in ("norm", "value")
    ):
        raise bad(
            "`clip`",
            node.span,
            form,
            hint=f"write `norm({node.span.text})`" if isinstance(node, tree.Number) else None,
        )
    if len(node.positional) != 1:
        raise bad("`clip`", node.span, form, text="needs its bound")
    meaning = reading.body.shop.evaluate(reading.body, node.positional[0])
    if not isinstance(meaning, Number) or isinstance(meaning.value, bool) or not meaning.value > 0:
        raise bad("`clip`", node.positional[0].span, "a number above 0", text="is not")
    how = node.function.name
    for each in node.overrides:
        if each.dotted != "per" or how != "norm":
            raise bad("`clip`", each.span, form, text="not this form")
        reading.word(each.value, "per", ("parameter",))
        how = "norm_each"
    hypers["clip"] = Hyper("clip", Type(Kind.REAL), float(meaning.value), 0.0, None)
    return Clip(how)


def uses_of(reading: Reading, node: tree.Expression, names: list[str], draft: Draft) -> tuple[Use, ...]:
    """The optimizers of `update`, in order."""
    found: list[Use] = []
    for each in several(node):
        function = each.function if isinstance(each, tree.Call) else each
        meaning = (
            find(reading.body, function.name, function.span) if isinstance(function, tree.Reference) else None
        )
        if not isinstance(meaning, OptimizerName):
            raise bad(
                "`update`",
                each.span,
                "an optimizer or a list of them",
                text="not an optimizer",
                hint="like `Adam(lr = 1e-3)`",
            )
        if not isinstance(each, tree.Call):
            raise bad(
                "`update`",
                each.span,
                "an optimizer or a list of them",
                text="not called",
                hint=f"write `{meaning.node.name.text}()`",
            )
        only: frozenset[str] | None = None
        kept: list[tree.Expression | tree.Override] = []
        for argument in each.arguments:
            if isinstance(argument, tree.Override) and argument.dotted == "only":
                only = frozenset(chosen(argument.value, names, draft))
            else:
                check_argument(meaning, argument)
                kept.append(argument)
        same = sum(use.name.node is meaning.node for use in found)
        prefix = meaning.node.name.text + (str(same + 1) if same else "")
        found.append(Use(meaning, tree.Call(each.span, each.function, tuple(kept)), prefix, only))
    return tuple(found)


def check_argument(name: OptimizerName, argument: tree.Expression | tree.Override) -> None:
    """S0607 for an argument that an optimizer does not have."""
    if not isinstance(argument, tree.Override):
        return
    known = [static.name.text for static in name.node.statics]
    first = argument.path[0]
    if len(argument.path) > 1 or first.text not in known:
        near = nearest(argument.dotted, known) or (
            {"learning_rate": "lr", "alpha": "lr", "weight_decay": "decay"}.get(argument.dotted)
        )
        hint = f"did you mean `{near}`?" if near in known else None
        raise fail(
            "S0607",
            f"`{name.node.name.text}` has no argument `{argument.dotted}`",
            first.span,
            "not an argument",
            notes=(f"its head is `{signature(name.node)}`",),
            hint=hint,
        )


def chosen(node: tree.Expression, names: list[str], draft: Draft) -> tuple[str, ...]:
    """The parameters that one or several dotted names cover."""
    found: list[str] = []
    for each in several(node):
        path = dotted(each)
        if path is None:
            raise bad("this", each.span, "names of layers or parameters", hint="like `net.emb`")
        covered = [name for name in names if name == path or name.startswith(path + ".")]
        if not covered:
            tops = list(
                dict.fromkeys(
                    [
                        *names,
                        *(name.rsplit(".", 1)[0] for name in names if "." in name),
                        *(name.split(".")[0] for name in names),
                    ]
                )
            )
            near = nearest(path, tops)
            raise fail(
                "S0610",
                f"no parameter lies in `{path}`",
                each.span,
                "covers nothing",
                notes=("the parameters are " + listed(names),),
                hint=f"did you mean `{near}`?" if near else None,
            )
        found += [name for name in covered if name not in found]
    return tuple(found)


def listed(names: list[str]) -> str:
    """Names for a message, the first few."""
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return (shown or "none") + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def dotted(node: tree.Expression) -> str | None:
    """`net.emb` as a text."""
    if isinstance(node, tree.Reference):
        return node.name
    if isinstance(node, tree.Member):
        before = dotted(node.value)
        return None if before is None else f"{before}.{node.name.text}"
    return None
