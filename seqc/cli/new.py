"""`seqc new`: writes a starter model to begin from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqc.cli.report import say


def new(
    path: Annotated[Path, typer.Argument(help="The file to write.", metavar="MODEL.seq")],
    kind: Annotated[str, typer.Option("--kind", help="text, series, audio or control.")] = "text",
) -> None:
    """Write a starter model; an existing file is never overwritten."""
    from seqc.driver.starter import write

    write(path, kind)
    say(f"wrote {path}; try: seqc check {path}")
