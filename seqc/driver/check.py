"""`seqc check`: everything that can be said about a program without compiling it."""

from __future__ import annotations

from pathlib import Path

from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.source.diagnostic import Diagnostic


def check(path: str | Path, *, options: Options = Options()) -> tuple[Diagnostic, ...]:  # noqa: B008 - frozen
    """The warnings of a correct program; SeqError with all errors of a wrong one."""
    from seqc.driver import pipeline
    from seqc.lower.idle import unread
    from seqc.syntax.parse import parse

    warnings: list[Diagnostic] = []
    reader = Reader(Path(path))
    for model in pipeline.programs(reader, options, warnings.append):
        pipeline.flows(model)
    idle = unread(parse(reader.first()))
    return (*warnings, *([idle] if idle else []))
