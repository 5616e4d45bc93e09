"""`deploy` records: how a model is built for a place, read from a closed table.

Takes a settled model; gives the records with the place of each key. Whether the model can stream is settled here.
"""

from __future__ import annotations

from seqc.lower.body import Body
from seqc.lower.draft import Draft
from seqc.lower.legality import Refusal
from seqc.lower.meaning import Number
from seqc.lower.names import Library
from seqc.lower.program import Deploy
from seqc.lower.record import Reading, bad, several
from seqc.source.diagnostic import Collector, Label, SeqError, fail
from seqc.syntax import tree

KEYS = ("mode", "batch", "steps", "weights", "math", "heap", "ram", "emit", "cpu")
EMITS = ("py", "header", "static", "shared", "exe")
WEIGHTS = ("real", "f32", "f64", "bf16", "int8")


def deploys_of(
    draft: Draft, library: Library, model: tree.Model, refusal: Refusal | None, problems: Collector
) -> tuple[Deploy, ...]:
    """The profiles of a model."""
    records = [
        item
        for item in library.main.file.items
        if isinstance(item, tree.Deploy) and item.model.text == model.name.text
    ]
    return tuple(deploy_of(draft, item, refusal, problems) for item in records)


def record_body(draft: Draft, kind: str) -> Body:
    """A body in which records are read: constants of the file and the sizes of the model."""
    body = Body(draft.shop, draft.shop.library.main, kind, kind)
    for name, size in draft.dims.items():
        entry = draft.body.entries[name]
        body.bind(name, "dim", entry.span, Number(size))
    return body


def deploy_of(draft: Draft, item: tree.Deploy, refusal: Refusal | None, problems: Collector) -> Deploy:
    """One profile."""
    reading = Reading("a deploy record", record_body(draft, "deploy"), problems)
    reading.keys(item.bindings, KEYS)
    text, numbers = Deploy(item.name.text), reading.integer
    mode = reading.read("mode", lambda node: reading.word(node, "mode", ("whole", "streaming")), text.mode)
    batch = reading.read("batch", lambda node: sizes(reading, node, "`batch`"), text.batch)
    steps = reading.read("steps", lambda node: sizes(reading, node, "`steps`"), text.steps)
    weights = reading.read("weights", lambda node: weights_of(reading, node), text.weights)
    math = reading.read("math", lambda node: reading.word(node, "math", ("f32", "f64", "bf16")), text.math)
    heap = reading.read(
        "heap", lambda node: reading.word(node, "heap", ("none", "allowed")) == "allowed", text.heap
    )
    ram = reading.read("ram", lambda node: numbers(node, "`ram`"), text.ram)
    emit = reading.read("emit", lambda node: emits(reading, node), text.emit)
    cpu = reading.read("cpu", cpu_of, text.cpu)
    spans = tuple((key, binding.value.span) for key, binding in reading.found.items())
    if mode == "streaming":
        check_streaming(reading.found["mode"], reading.found.get("steps"), refusal, problems)
    for key, claimed in (("heap = none", heap is False), ("ram", ram is not None)):
        if claimed and not batch:
            problems.add(unbounded(reading, key, "no batch size is given", "add `batch = 1`"))
        elif claimed and key == "ram" and mode == "whole" and not steps:
            remedy = "add the `steps` of a call, or `mode = streaming`"
            problems.add(unbounded(reading, key, "memory grows with the steps of a call", remedy))
    assert (
        isinstance(mode, str)
        and isinstance(batch, tuple)
        and isinstance(steps, tuple)
        and isinstance(weights, str)
    )
    assert (
        isinstance(math, str)
        and isinstance(heap, bool)
        and (ram is None or isinstance(ram, int))
        and isinstance(emit, tuple)
        and isinstance(cpu, str)
    )
    return Deploy(item.name.text, mode, batch, steps, weights, math, heap, ram, emit, cpu, spans)


def unbounded(reading: Reading, key: str, reason: str, remedy: str) -> SeqError:
    """For a claim about memory that nobody could hold for calls of any size."""
    span = reading.found[key.split()[0]].value.span
    return fail("S0602", f"`{key}` needs sizes that are constants", span, reason, hint=remedy)


def sizes(reading: Reading, node: tree.Expression, what: str) -> tuple[int, ...]:
    """One size or several."""
    found: list[int] = []
    for each in several(node):
        value = reading.integer(each, what)
        if value >= 2**31:
            raise bad(what, each.span, "sizes below 2^31", text=f"is {value}")
        if value in found:
            raise bad(what, each.span, "each size once", text=f"{value} again", hint="leave it out")
        found.append(value)
    return tuple(found)


def weights_of(reading: Reading, node: tree.Expression) -> str:
    """`f32`, `bf16`, `int8(per = row)`"""
    if isinstance(node, tree.Call):
        name = reading.word(node.function, "weights", WEIGHTS)
        if name != "int8" or node.positional or len(node.overrides) != 1 or node.overrides[0].dotted != "per":
            raise bad("`weights`", node.span, "`int8(per = row)` where it has brackets", text="not this form")
        reading.word(node.overrides[0].value, "per", ("row", "tensor"))
        return f"int8(per = {node.overrides[0].value.span.text})"
    return reading.word(node, "weights", WEIGHTS)


def emits(reading: Reading, node: tree.Expression) -> tuple[str, ...]:
    """What is written."""
    found: list[str] = []
    for each in several(node):
        if isinstance(each, tree.Reference) and each.name in ("static_lib", "executable", "python", "lib"):
            meant = {"static_lib": "static", "executable": "exe", "python": "py", "lib": "shared"}[each.name]
            raise bad(
                "`emit`",
                each.span,
                ", ".join(f"`{word}`" for word in EMITS),
                text=f"`{each.name}` is not one of them",
                hint=f"did you mean `{meant}`?",
            )
        word = reading.word(each, "emit", EMITS)
        if word in found:
            raise bad("`emit`", each.span, "each word once", text="again", hint="leave it out")
        found.append(word)
    return tuple(found)


def cpu_of(node: tree.Expression) -> str:
    """A name or a text."""
    if isinstance(node, tree.Reference):
        return node.name
    if isinstance(node, tree.String):
        return node.value
    raise bad("`cpu`", node.span, "a name or a text", hint='like `native` or `"x86-64-v3"`')


def check_streaming(
    mode: tree.Binding, steps: tree.Binding | None, refusal: Refusal | None, problems: Collector
) -> None:
    """S0603 where a model that cannot stream shall; and `steps` where there are none."""
    if steps is not None:
        problems.add(
            fail(
                "S0602",
                "`steps` has no meaning in `mode = streaming`",
                steps.value.span,
                "one step per call",
                hint="leave it out",
            )
        )
    if refusal is None:
        return
    text = " ".join(refusal.span.text.split())
    hint = "deploy with `mode = whole`"
    if text.startswith("Both(") and text.endswith(")"):
        hint += f", or replace `{text}` by `{text[5:-1]}`"
    problems.add(
        fail(
            "S0603",
            "this model cannot stream",
            mode.value.span,
            "asked for here",
            others=(Label(refusal.span, refusal.text),),
            hint=hint,
        )
    )
