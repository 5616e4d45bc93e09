"""`seqc check`: everything that can be said about a program without compiling it."""

from __future__ import annotations

from pathlib import Path

from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.source.diagnostic import Diagnostic


def check(path: str | Path, *, options: Options = Options()) -> tuple[Diagnostic, ...]:  # noqa: B008 - frozen
    """The warnings of a correct program; SeqError with all errors of a wrong one."""
    from seqc.driver import pipeline

    warnings: list[Diagnostic] = []
    for model in pipeline.programs(Reader(Path(path)), options, warnings.append):
        pipeline.flows(model)
    return tuple(warnings)
