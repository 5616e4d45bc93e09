"""Emit: from the plans of a model to the text of all its files. Nothing is decided here, and the disk is not touched.

`emit` gives {file name: text}: translation unit, C header, manifest, sources of the executable, package files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from seqc.emit.fat import Variant, fat_files, widest_model
from seqc.emit.header import header
from seqc.emit.manifest import manifest, manifest_text
from seqc.emit.model import EmitOptions, Model, arrange_packs, describe, trained_by
from seqc.emit.package import cmake_package, embedded, executable, package_init, package_stub
from seqc.emit.unit import unit
from seqc.lower.program import Program
from seqc.plan.target import Target
from seqc.plan.types import Plan

__all__ = ["EmitOptions", "Model", "Variant", "emit", "emit_fat", "manifest", "model_of"]


def model_of(program: Program, plans: Mapping[str, Plan], target: Target, options: EmitOptions) -> Model:
    """Names, order and places of everything."""
    entries = [entry for entry in plans if entry != "initial"]
    model = describe(program, entries, trained_by(plans.get("apply"), program), target, options)
    packs, packed = arrange_packs(plans, model.real_bytes)
    return replace(model, packs=packs, packed_bytes=packed)


def emit(
    program: Program,
    plans: Mapping[str, Plan],
    target: Target,
    options: EmitOptions,
    source: str = "",
    divided: bool = False,
) -> Mapping[str, str]:
    """The files of a model; `plans` holds one plan for each entry point, and `initial` where there is `apply`.

    `<name>.cpp` (with `<name>_weights.c` where weights are built in) becomes the library, `<name>_main.cpp` the
    program; `__init__.py` and `__init__.pyi` belong into the package beside a copy of the manifest as `model.json`.
    `divided`, a large library has more files: `<name>_part_1.cpp` and so on.
    """
    model = model_of(program, plans, target, options)
    name = options.name
    files = unit(model, plans, source or f"{name}.seq", divided=divided)
    return {**files, f"{name}.h": header(model, plans), **_companions(model)}


def emit_fat(variants: Sequence[Variant], source: str, divided: bool = False) -> Mapping[str, str]:
    """The files of a model for several instruction sets, the widest last; `<name>.cpp` chooses at run time."""
    return {**fat_files(variants, source, divided), **_companions(widest_model(variants))}


def _companions(model: Model) -> dict[str, str]:
    """What does not depend on how the kernels look."""
    name = model.options.name
    files = {
        f"{name}.json": manifest_text(model),
        f"{name}_main.cpp": executable(model),
        f"{name}-config.cmake": cmake_package(model),
        "__init__.py": package_init(model),
        "__init__.pyi": package_stub(model),
    }
    if model.options.embedded is not None:
        files[f"{name}_weights.c"] = embedded(model)
    return files
