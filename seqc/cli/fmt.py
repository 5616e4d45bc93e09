"""`seqc fmt`: writes programs the one way in which they are written. No options of style."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqc.cli.arguments import Json
from seqc.cli.report import say, use_json
from seqc.driver.fault import UserFault


def fmt(
    paths: Annotated[list[Path], typer.Argument(help="Files; `-` for standard input.", metavar="FILE…")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if a file would change.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Format programs in place."""
    use_json(as_json)
    from seqc.driver.format import format_file, format_text

    if Path("-") in paths and len(paths) > 1:
        raise UserFault(
            "S0906",
            "`-` stands for standard input, and stands alone",
            "nothing was formatted",
            "leave out `-`, or the files beside it",
        )
    if [str(path) for path in paths] == ["-"]:
        sys.stdout.write(format_text("<stdin>", sys.stdin.buffer.read()))
        return
    changed = [path for path in paths if format_file(path, write=not check)]
    for path in changed:
        say(f"{'would change' if check else 'formatted'} {path}")
    if check and changed:
        raise UserFault(
            "S0908",
            f"{len(changed)} of {len(paths)} files are not formatted",
            remedy="run `seqc fmt` on them",
        )
