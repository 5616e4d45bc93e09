"""The translation unit of a model: kernels, entry points, tables, packing and the functions of the interface.

Takes a `Model` and its plans; gives the text of `<name>.cpp`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seqc.emit.contexts import EntryText, Unit
from seqc.emit.divide import divide, is_large
from seqc.emit.entry import EntryPrinter
from seqc.emit.interface import exported, hyper_values, interface, steps_quickly
from seqc.emit.kernel import Shelf
from seqc.emit.layout import comment, commented, tidy
from seqc.emit.memory import Numbers, read_inputs, written_buffers
from seqc.emit.model import ENTRIES, Model, bytes_of, only_sizes
from seqc.emit.names import mangle
from seqc.emit.packing import packing
from seqc.emit.render import render
from seqc.flow.types import Axis, Type
from seqc.plan.effort import effort
from seqc.plan.place import flat
from seqc.plan.target import Arena
from seqc.plan.types import Outer, Outers, Plan, Product

ABOUT = {
    "infer": "outputs of whole sequences",
    "evaluate": "loss and metrics of whole sequences",
    "gradients": "loss, metrics and gradients",
    "apply": "the update rules of all parameters",
    "update": "loss, metrics and the gradients that the update needs",
    "step": "outputs of one instant, from carried state to carried state",
    "generate": "outputs of one instant, its inputs given or fed back",
    "initial": "first values of the optimizer states",
}


def numbers_of(model: Model) -> Numbers:
    """Positions in the arrays of a call."""
    return Numbers(
        Numbers.of([each.name for each in model.inputs]),
        Numbers.of([each.name for each in model.outputs]),
        Numbers.of([each.name for each in model.states]),
        Numbers.of([each.name for each in model.hypers]),
        Numbers.of(["loss", *model.metrics]),
        {each.name: each.offset for each in model.parameters},
        {each.name: each.offset for each in model.optimizer},
    )


def includes(model: Model, plans: Mapping[str, Plan]) -> tuple[str, ...]:
    """The headers of the runtime that a model needs."""
    kinds = {placed.pack.kind for placed in model.packs}
    nodes = [node for each in plans.values() for _, node in flat(each.nodes)]
    maths = {node.math for node in nodes if isinstance(node, Outer | Outers)}
    headers = {
        "tiles8.hpp": "int8" in kinds,
        "quant.hpp": "bf16" in kinds,
        "bf16.hpp": model.target.math != "real" or "twins" in kinds,
        "tiles.hpp": bool(kinds & {"pairs", "split"}),
        "either.hpp": "either" in kinds,
        "tile_few.hpp": "exact" in kinds,
        "tile_outer.hpp": bool(maths & {"tiles", "split"}),
    }
    plain = any(isinstance(node, Product) and node.strategy == "plain" for node in nodes)
    return (
        "blocks.hpp",
        "entry.hpp",
        *(["plain.hpp"] if plain else []),
        *(name for name, needed in headers.items() if needed),
        "random.hpp",
        *(["step.hpp"] if "step" in plans and steps_quickly(model, plans["step"]) else []),
    )


def opening(model: Model, plans: Mapping[str, Plan]) -> tuple[str, ...]:
    """The lines that include the model's header and those of the runtime."""
    wide = f"#define SEQC_VECTOR_BYTES {model.target.vector_bytes}"
    headers = [f'#include "{name}"' for name in includes(model, plans)]
    return wide, f'#include "{model.options.name}.h"', "", *headers


def unit(
    model: Model, plans: Mapping[str, Plan], source: str, variant: str = "", divided: bool = False
) -> Mapping[str, str]:
    """`<name>.cpp`, or a variant of it for one instruction set. `divided`, a large one comes in several files."""
    shelf = Shelf()
    numbers = numbers_of(model)
    entries = []
    for name in (*ENTRIES, "initial"):
        if name in plans:
            lines = EntryPrinter(model, plans[name], shelf, numbers).run()
            linkage = "SEQC_INLINE " if name == "step" else "static "
            entries.append(EntryText(name, ABOUT[name], linkage, tuple(lines)))
    heading = f"{model.program.name}, compiled by seqc from {source}. Generated: change the source instead."
    stem = f"{model.options.name}_{variant}" if variant else model.options.name
    whole = Unit(
        tuple(comment(heading)),
        opening(model, plans),
        "double" if model.options.real == "f64" else "float",
        model.target.lanes,
        False,
        f"{mangle(stem)}_parts",
        tuple(kernel.lines() for kernel in shelf.printed),
        tuple(entries),
        tuple(tuple(table) for table in tables(model, plans)),
        tuple(packing(model, plans)),
        tuple(first_states(model, plans)),
        tuple(interface(model, plans)),
        tuple(exported(model, plans, variant)),
    )
    if divided and is_large(shelf.printed):
        return divide(whole, shelf.printed, stem)
    return {f"{stem}.cpp": tidy(render("cpp/unit.cpp.jinja", whole))}


# ---- tables -------------------------------------------------------------------------------------------------------


def listed(head: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    """A constant array or record, one element on each line with its name."""
    return [f"{head} = {{", *commented(rows, 4), "};"]


def array_info(kind: Type, real_bytes: int) -> str:
    size, item = max(1, kind.size), bytes_of(kind.kind, real_bytes)
    return f"{{{size}, {item}, {flag(Axis.TIME in kind.axes)}, {flag(Axis.BATCH in kind.axes)}}}"


def flag(value: bool) -> str:
    return "true" if value else "false"


def tables(model: Model, plans: Mapping[str, Plan]) -> list[list[str]]:
    """Inputs, outputs, states and parameters, then what each entry point reads and advances."""
    real = model.real_bytes
    inputs = []
    for each in model.inputs:
        flags = ", ".join(flag(value) for value in (each.target, each.length, each.default))
        inputs.append((f"{{{array_info(each.type, real)}, {each.type.bound or 0}, {flags}}}", each.name))
    outputs = [(array_info(each.type, real), each.name) for each in model.outputs]
    states = [(array_info(each.type, real), each.name) for each in model.states]
    parameters = [(f"{{{each.offset}, {max(1, each.type.size)}}}", each.name) for each in model.parameters]
    found = []
    pointers = []
    for name, kind, rows in (
        ("inputs", "InputInfo", inputs),
        ("outputs", "ArrayInfo", outputs),
        ("states", "ArrayInfo", states),
        ("parameters", "ParameterInfo", parameters),
    ):
        pointers.append((f"{name}_of_model" if rows else "nullptr", name))
        if rows:
            found.append(listed(f"const {kind} {name}_of_model[]", rows))
    counts = {
        "inputs": len(inputs),
        "outputs": len(outputs),
        "states": len(states),
        "hypers": len(model.hypers),
    }
    counts |= {"loss and metrics": 1 + len(model.metrics), "parameters": len(parameters)}
    numbers = [(str(count), name) for name, count in counts.items()]
    sizes = [(str(model.plain_bytes), "bytes of weights"), (str(model.packed_bytes), "of packed weights")]
    sizes.append((str(model.optimizer_bytes), "of optimizer states"))
    found.append(listed("const ModelInfo model_info", [*numbers, *pointers, *sizes]))
    for entry in ENTRIES:
        if entry in plans:
            found += entry_tables(model, plans, entry)
    return [hyper_values(model), *found] if model.hypers else found


def entry_tables(model: Model, plans: Mapping[str, Plan], entry: str) -> list[list[str]]:
    """What an entry point reads and advances, how much memory its kernels ask for."""
    plan = plans[entry]
    found = []
    reads = [(flag(each.name in read_inputs(plan) or each.length), each.name) for each in model.inputs]
    buffers = [plan.buffers[number].home for number in written_buffers(plan)]
    written = {home.name for home in buffers if home.role == "carried"}
    advances = [(flag(each.name in written), each.name) for each in model.states]
    names = []
    for what, rows in (("reads", reads), ("advances", advances)):
        names.append((f"{entry}_{what}" if rows else "nullptr", f"what it {what}"))
        if rows:
            found.append(listed(f"const bool {entry}_{what}[]", rows))
    arena = plan.arena
    rules = whole(plans["apply"].arena) if entry == "update" and "apply" in plans else 0
    work = effort(plan)
    sizes = {"additions and multiplications": work.fixed, "for a step of a row, too": work.per_cell}
    sizes |= {"bytes": arena.fixed, "for a row": arena.per_row, "for a step": arena.per_step}
    sizes |= {"for a step of a row": arena.per_cell, "for the rules": rules}
    flags = {
        "gives outputs": entry in ("infer", "step", "generate"),
        "gives gradients of parameters": entry in ("gradients", "update"),
        "and all others": entry == "gradients",
    }
    rows = [(f"{entry}_nodes", "kernels"), *((str(value), name) for name, value in sizes.items()), *names]
    rows += [(flag(value), name) for name, value in flags.items()]
    steps, batch = only_sizes(model, entry)
    rows += [(str(steps), "only steps"), (str(batch), "only batch")]
    if plan.length:
        number = [each.name for each in model.inputs].index(plan.length)
        rows.append((str(number), "the input by which rows are sorted"))
    found.append(listed(f"const EntryInfo {entry}_info", rows))
    return found


def whole(arena: Arena) -> int:
    """Bytes for one step of one row."""
    return arena.bytes(1, 1)


# ---- first optimizer states -----------------------------------------------------------------------------------------


def first_states(model: Model, plans: Mapping[str, Plan]) -> list[str]:
    """`first_optimizer_states`: runs the plan `initial` on a workspace of its own, whose size is known here."""
    plan = plans.get("initial")
    if plan is None:
        return []
    lines = [
        "int first_optimizer_states(void *optimizer) {",
        *(["  if (!optimizer)", "    return SEQC_BAD_CALL;"] if model.optimizer else []),
        "  Frame frame = {};",
        "  frame.steps = 1;",
        "  frame.batch = 1;",
        "  frame.optimizer = static_cast<char *>(optimizer);",
    ]
    if model.hypers:
        lines.append("  frame.hyper = hyper_values;")
    if whole(plan.arena):
        lines.append(f"  alignas(64) char memory[{whole(plan.arena)}];")
        lines.append("  frame.memory = memory;")
    return [*lines, "  return initial_nodes(frame, alone);", "}"]
