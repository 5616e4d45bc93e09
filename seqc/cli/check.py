"""`seqc check`: reads a program and says everything that is wrong with it; needs no C++ compiler."""

from __future__ import annotations

from seqc.cli.arguments import Dims, Json, ModelFile, Quiet, options
from seqc.cli.report import say, show, use_json


def check(path: ModelFile, dim: Dims = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Check a program: names, sizes, axes, gradients."""
    use_json(as_json)
    from seqc.driver.check import check as run

    warnings = run(path, options=options(dims=dim))
    show(warnings)
    if not quiet and not as_json:
        count = "one warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
        say(f"{path}: no mistakes" + (f", {count}" if warnings else ""))
