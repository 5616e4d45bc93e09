"""`seqc build`: compiles a program into libraries, header, executable and importable package."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from seqc.cli.arguments import (
    Compiler,
    Deploy,
    Dims,
    Json,
    March,
    ModelFile,
    ModelName,
    Quiet,
    Real,
    names,
    options,
)
from seqc.cli.report import say, use_json


def build(
    path: ModelFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write into.")] = Path("."),
    emit: Annotated[
        str | None,
        typer.Option("--emit", help="Any of py,header,static,shared,exe (default: py, or the profile's)."),
    ] = None,
    real: Real = None,
    dim: Dims = None,
    model: ModelName = None,
    deploy: Deploy = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A .safetensors file to build in.")
    ] = None,
    trained: Annotated[
        Path | None, typer.Option("--run", help="Build in the weights of a training run's folder.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of module and library (default: the file's).")
    ] = None,
    march: March = None,
    compiler: Compiler = None,
    depfile: Annotated[
        Path | None, typer.Option("--depfile", help="Write a dependency file for make and CMake.")
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Time a few ways to run the model here, and keep the quickest.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build a model: importable package, C header, static and shared library, executable."""
    use_json(as_json)
    from seqc.driver.build import build as run

    start = time.perf_counter()
    note: Callable[[str], None] = (lambda _: None) if quiet else say
    chosen = options(dim, real, model, deploy, march, compiler, name, weights)
    wanted = names(emit, "--emit") or None
    if trained is not None:
        from seqc.driver.runs import with_weights

        chosen = with_weights(trained, chosen)
    if tune:
        from seqc.driver.tune import tune as find

        chosen = find(path, chosen, note)
    written = run(path, out, emit=wanted, options=chosen, note=note, depfile=depfile)
    if not quiet and not as_json:
        for each in sorted({_shown(target, out) for target in written}):
            say(f"wrote {each}")
        say(f"in {time.perf_counter() - start:.1f} s")


def _shown(target: Path, out: Path) -> str:
    """A package is shown as its folder, other files by themselves."""
    inside = target.relative_to(out).parts
    return str(out / inside[0]) + ("/" if len(inside) > 1 else "")
