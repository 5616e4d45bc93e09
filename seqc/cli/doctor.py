"""`seqc doctor`: what of the tool chain is found, with versions, and what to install."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Measure multiply-adds, caches and functions anew, and remember them."
        ),
    ] = False,
) -> None:
    """Report compiler, CPU features, host extension, cache and rates; exit 2 if models cannot be compiled."""
    from seqc.driver.diagnose import diagnose

    findings = diagnose(measure)
    width = max(len(each.subject) for each in findings)
    for each in findings:
        typer.echo(f"{'ok ' if each.good else 'no '} {each.subject:<{width}}  {each.found}")
        for line in each.remedy.splitlines():
            typer.echo(f"    {'':<{width}}  {line}")
    if not all(each.good for each in findings if each.needed):
        raise typer.Exit(2)
