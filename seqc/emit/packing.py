"""Packed weights as text: all of them from the plain ones, and rules of an update that write them as they go.

Takes a `Model` and its plans; gives the lines of `pack_weights`, those of `pack_others` for what rules do not write, and
the call of a rule that runs some rows at a time: what a few rows are packed into follows while they are in the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from seqc.emit.kernel import Kernel, Place, Pointer, Scalar, Shelf
from seqc.emit.layout import call, commented
from seqc.emit.memory import ELEMENTS
from seqc.emit.model import Model, PlacedPack
from seqc.emit.team import Team
from seqc.plan.buffers import Operand
from seqc.plan.types import PackedMatrix, Plan, Pointwise


def packing(model: Model, plans: Mapping[str, Plan]) -> list[str]:
    """`pack_weights`: every packed matrix from the plain weights. `pack_others`: those that no rule writes."""
    lines = _packing(model, "int pack_weights", model.packs)
    if needs_others(model, plans):
        lines += ["", *_packing(model, "int pack_others", others(model, plans["apply"]))]
    return lines


def others(model: Model, plan: Plan) -> tuple[PlacedPack, ...]:
    """The packed matrices that the rules do not write."""
    shapes = shapes_of(plan)
    return tuple(each for each in model.packs if not renewed(each.pack, shapes))


def needs_others(model: Model, plans: Mapping[str, Plan]) -> bool:
    """Whether an update has to pack something behind its rules."""
    return "apply" in plans and bool(others(model, plans["apply"]))


def shapes_of(plan: Plan) -> dict[str, tuple[int, int]]:
    """Rows and columns of the weights whose rules run some rows at a time."""
    return {
        name: (node.rows, node.size // node.rows)
        for node in plan.nodes
        if isinstance(node, Pointwise) and node.rows > 1
        for name in [weight_of(plan, node)[0]]
    }


def weight_of(plan: Plan, node: Pointwise) -> tuple[str, Operand]:
    """The parameter that a rule changes."""
    return next(
        (plan.buffers[operand.buffer].home.name, operand)
        for _, operand in node.stores
        if plan.buffers[operand.buffer].home.role == "plain"
    )


IN_PAIRS = {"pairs": 1, "split": 3}
"""Kinds of weights of training in pairs of tiles, and how many parts of each number they hold."""


LARGE = 1 << 17
"""Weights in a matrix from which pairs are written by rules: smaller ones stay near till they are packed, all at once."""


def renewed(pack: PackedMatrix, shapes: Mapping[str, tuple[int, int]]) -> bool:
    """Whether rules write a packed matrix: all its sources are whole weights of theirs."""
    if not pack.sources:
        return False
    wanted = (pack.units, pack.depth)
    if pack.form == "columns":
        wanted = (pack.depth // len(pack.sources), pack.units)
    if pack.kind in IN_PAIRS or pack.kind == "dots":
        small = pack.units * pack.depth * pack.gates < LARGE
        across = pack.form == "columns" and wanted[0] % 2 and len(pack.sources) > 1  # pairs of two matrices
        if small or across:
            return False
    elif pack.kind != "real":
        return False
    return all(not offset and shapes.get(name) == wanted for name, offset in pack.sources)


class Printer(Protocol):
    """What the call of a rule needs of the printer of its entry point."""

    model: Model
    plan: Plan
    shelf: Shelf
    lines: list[str]
    team: Team

    def base(self, operand: Operand, written: bool) -> str:
        """The local variable that points to a buffer."""

    def scalar(self, parameter: Scalar, where: Place, in_scan: bool) -> str:
        """The text of an argument that is no pointer."""


def print_rule(printer: Printer, node: Pointwise, kernel: Kernel, indent: int) -> None:
    """The call of a rule, some rows at a time, each time with what is packed of them."""
    width, still = node.size // node.rows, Place(frozenset(), False)
    arguments = ["count"]
    for parameter in kernel.parameters:
        if isinstance(parameter, Pointer):
            base = printer.base(parameter.operand, parameter.written)
            moves = f" + first * {width}" if parameter.operand.size > 1 else ""
            arguments.append(base + moves)
        else:
            arguments.append(printer.scalar(parameter, still, False))
    margin = " " * indent
    head = f"seqc::by_rows({printer.team.part(node.rows)}, {width}, [&](int64_t first, int64_t count) {{"
    body = call(indent + 2, f"kernels::{printer.shelf.take(kernel)}", arguments)
    renewals = _renewals(printer, node, indent + 2)
    printer.lines += [margin + head, *body, *renewals, f"{margin}}});"]
    if node.far and renewals:
        printer.lines.append(f"{margin}settle();")


def _renewals(printer: Printer, node: Pointwise, indent: int) -> list[str]:
    """What writes rows `first` … `first + count` of a weight where they lie packed."""
    shapes = shapes_of(printer.plan)
    name, operand = weight_of(printer.plan, node)
    weight, lines = printer.base(operand, True), list[str]()
    far = "true" if node.far else "false"
    for placed in printer.model.packs:
        pack = placed.pack
        if not renewed(pack, shapes):
            continue
        assert pack.sources is not None
        parts = IN_PAIRS.get(pack.kind)
        renew, end = ("renew_pair", f"<{parts}, {far}>") if parts else ("renew", f"<{far}>")
        element = ELEMENTS.get(pack.kind, "char")
        to, rows = f"frame.renewed<{element}>({placed.offset})", [weight, "first", "first + count"]
        for number, (source, _) in enumerate(pack.sources):
            if source == name and pack.form == "columns":
                start = number * (pack.depth // len(pack.sources))
                sizes = [str(pack.units), str(pack.depth), str(start)]
                lines += call(indent, f"{renew}_columns{end}", [to, *sizes, *rows])
            elif source == name:
                sizes = [str(pack.depth), str(pack.units), str(len(pack.sources)), str(number)]
                lines += call(indent, f"{renew}_rows{end}", [to, *sizes, *rows])
    return lines


def _packing(model: Model, head: str, packs: Sequence[PlacedPack]) -> list[str]:
    """A function that makes some packed matrices from the plain weights."""
    offsets = {each.name: each.offset for each in model.parameters}
    body: list[str] = []
    for placed in packs:
        body += _pack(placed, offsets, model.real_bytes)
    if not body:
        return [f"{head}(const void *, void *) {{ return SEQC_OK; }}"]
    opening = [
        f"{head}(const void *plain, void *packed) {{",
        "  if (!plain || !packed)",
        "    return SEQC_BAD_CALL;",
        "  const char *from = static_cast<const char *>(plain);",
        "  char *to = static_cast<char *>(packed);",
    ]
    return [*opening, *body, "  return SEQC_OK;", "}"]


def _pack(placed: PlacedPack, offsets: Mapping[str, int], real_bytes: int) -> list[str]:
    pack = placed.pack
    assert pack.sources is not None
    starts = [offsets[name] + offset * real_bytes for name, offset in pack.sources]
    texts = [f"reinterpret_cast<const real *>(from + {start})" for start in starts]
    if pack.kind in ("bf16", "int8"):
        return _pack_low(placed, texts)
    if pack.kind == "either":
        reals = replace(pack, kind="real")
        behind = placed.offset + pack.bytes(real_bytes) - replace(pack, kind="split").bytes(real_bytes)
        both = (PlacedPack(reals, placed.offset), PlacedPack(replace(pack, kind="split"), behind))
        return [line for each in both for line in _pack(each, offsets, real_bytes)]
    pairs, element = pack.kind in ("pairs", "exact", "split"), ELEMENTS.get(pack.kind)
    to = f"to + {placed.offset}" if pairs else f"reinterpret_cast<{element} *>(to + {placed.offset})"
    parts = "<3>" if pack.kind == "split" else ""
    if pack.form == "columns":
        depth = pack.depth // len(texts)
        named = [
            (f"{{{text}, {pack.units}, {depth}}}", name)
            for text, (name, _) in zip(texts, pack.sources, strict=True)
        ]
        body = ["    const Rows<real> sources[] = {", *commented(named, 8), "    };"]
        rest = [str(pack.units), "sources", str(len(texts))]
        body += call(4, f"pack_pair_columns{parts}" if pairs else f"pack_columns<{element}>", [to, *rest])
    else:
        named = [(text, name) for text, (name, _) in zip(texts, pack.sources, strict=True)]
        body = ["    const real *const gates[] = {", *commented(named, 8), "    };"]
        sizes = [str(pack.depth), str(pack.units), "gates", str(len(texts))]
        if pairs:
            body += call(4, f"pack_pair_gates{parts}", [to, *sizes])
        else:
            body += call(4, f"pack_gates<{element}>", [to, *sizes, str(pack.depth)])
    if pack.kind == "rounded":
        body += call(4, "round_values", [str(pack.elements), to, to])
    return ["  {", *body, "  }"]


def _pack_low(placed: PlacedPack, texts: list[str]) -> list[str]:
    """Weights of fewer bits, of inference alone: each number is asked for by gate, row and column."""
    pack = placed.pack
    assert pack.sources is not None and pack.form == "rows"
    named = [(text, name) for text, (name, _) in zip(texts, pack.sources, strict=True)]
    sizes = [f"to + {placed.offset}", str(pack.depth), str(pack.units), str(len(texts))]
    weight = [
        "    const auto weight = [&](int gate, int64_t unit, int64_t k) {",
        f"      return gates[gate][unit * {pack.depth} + k];",
        "    };",
    ]
    body = ["    const real *const gates[] = {", *commented(named, 8), "    };", *weight]
    return [
        "  {",
        *body,
        *call(4, f"pack_{pack.kind}", [*sizes, "weight"]),
        "  }",
    ]
