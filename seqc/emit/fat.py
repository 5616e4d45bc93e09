"""One library for several instruction sets: a translation unit for each, and one that chooses when it is called.

Takes a variant's model and plans for each set, the widest last; gives the files of the library. Every variant lays out
packed weights and workspaces as its vectors want it, so the header and the manifest promise the largest of each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seqc.emit.contexts import Chooser, ChooserVariant
from seqc.emit.header import header
from seqc.emit.interface import getter, typed
from seqc.emit.layout import COLUMNS, comment, tidy
from seqc.emit.model import ENTRIES, Model
from seqc.emit.render import render
from seqc.emit.unit import unit
from seqc.plan.types import Plan

_SIZE = re.compile(r"#define (\w+_BYTES) (\d+)")


@dataclass(frozen=True, slots=True)
class Variant:
    """A model planned for one instruction set. `features` are what `__builtin_cpu_supports` is asked; the first variant
    runs anywhere and has none."""

    march: str
    features: tuple[str, ...]
    model: Model
    plans: Mapping[str, Plan]

    @property
    def suffix(self) -> str:
        """`x86_64_v3`: what its file and its getter are named by."""
        return re.sub(r"\W", "_", self.march)


def fat_files(variants: Sequence[Variant], source: str, divided: bool) -> Mapping[str, str]:
    """`<name>.cpp`, which chooses, `<name>_<set>.cpp` for each variant, and the header that fits all."""
    model = variants[-1].model
    name = model.options.name
    files = {f"{name}.cpp": tidy(render("cpp/chooser.cpp.jinja", _chooser(variants, source)))}
    for each in variants:
        files |= unit(each.model, each.plans, source, each.suffix, divided)
    files[f"{name}.h"] = _widest([header(each.model, each.plans) for each in variants])
    return files


def widest_model(variants: Sequence[Variant]) -> Model:
    """The model whose packed weights have room for those of every variant."""
    return replace(variants[-1].model, packed_bytes=max(each.model.packed_bytes for each in variants))


def _chooser(variants: Sequence[Variant], source: str) -> Chooser:
    first = variants[0]
    model, symbol = first.model, first.model.symbol
    heading = f"{model.program.name}, compiled by seqc from {source} for several instruction sets. Generated: change the source instead."
    better = tuple(
        ChooserVariant(
            each.march,
            tuple(_asked(each.features)),
            getter(model, each.suffix),
        )
        for each in reversed(variants[1:])
    )
    functions = [
        _passed_on(
            f"int64_t {symbol}_workspace_bytes(int entry, int64_t steps, int64_t batch)",
            "workspace_bytes(entry, steps, batch)",
        ),
        _passed_on(
            f"int {symbol}_pack(const ::{symbol}_weights *plain, void *packed)", "pack(plain, packed)"
        ),
    ]
    if "initial" in first.plans:
        head = f"int {symbol}_initial_optimizer(void *optimizer)"
        functions.append(_passed_on(head, "initial_optimizer(optimizer)"))
    for entry in ENTRIES:
        if entry in first.plans:
            functions.append(tuple(typed(model, entry, f"chosen()->{entry}")))
    return Chooser(
        tuple(comment(heading)),
        f"{model.options.name}.h",
        symbol,
        tuple(getter(model, each.suffix) for each in variants),
        better,
        getter(model, first.suffix),
        tuple(functions),
    )


def _asked(features: Sequence[str]) -> list[str]:
    """`  if (__builtin_cpu_supports("avx2") && …)`, one below the other where they do not fit one line."""
    asked = [f'__builtin_cpu_supports("{feature}")' for feature in features]
    one = f"  if ({' && '.join(asked)})"
    if len(one) <= COLUMNS:
        return [one]
    lines = ["  if ("]
    for number, each in enumerate(asked):
        piece = each + (")" if number == len(asked) - 1 else " &&")
        if len(lines[-1]) + 1 + len(piece) > COLUMNS:
            lines.append(" " * 6)
        lines[-1] += piece if lines[-1].endswith(("(", " " * 6)) else f" {piece}"
    return lines


def _passed_on(head: str, call: str) -> tuple[str, ...]:
    """A function that asks the chosen variant."""
    one = f"{head} {{ return chosen()->{call}; }}"
    return (one,) if len(one) <= COLUMNS else (f"{head} {{", f"  return chosen()->{call};", "}")


def _widest(headers: Sequence[str]) -> str:
    """The last header, each of its sizes as large as in any."""
    largest: dict[str, int] = {}
    for text in headers:
        for name, size in _SIZE.findall(text):
            largest[name] = max(largest.get(name, 0), int(size))
    return _SIZE.sub(lambda found: f"#define {found[1]} {largest[found[1]]}", headers[-1])
