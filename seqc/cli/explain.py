"""`seqc explain S0304`: the long form of a message."""

from __future__ import annotations

from typing import Annotated

import typer

from seqc.driver.fault import UserFault


def explain(
    code: Annotated[
        str | None, typer.Argument(help="A code as printed in a message.", metavar="S0000")
    ] = None,
) -> None:
    """Explain a message at length, with an example; without a code, list all."""
    from seqc.source.explain import codes, page
    from seqc.source.suggest import nearest

    if code is None:
        for each in codes():
            typer.echo(f"{each}  {page(each).splitlines()[0].lstrip('# ').removeprefix(each).lstrip(' :·-')}")
        return
    wanted = code.strip().upper()
    if wanted not in codes():
        close = nearest(wanted, codes())
        raise UserFault(
            "S0909",
            f"there is no message `{code}`",
            remedy=f"did you mean `{close}`?" if close else "see `seqc explain`",
        )
    typer.echo(page(wanted))
