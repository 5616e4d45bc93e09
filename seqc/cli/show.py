"""`seqc show`: a window on every floor of the compiler."""

from __future__ import annotations

from typing import Annotated

import typer

from seqc.cli.arguments import Deploy, Dims, March, ModelFile, ModelName, Real, options
from seqc.driver.fault import UserFault

FLOORS = ("tree", "flow", "plan", "code")


def show(
    floor: Annotated[str, typer.Argument(help="tree, flow, plan or code.")],
    path: ModelFile,
    entry: Annotated[
        str, typer.Option("--entry", help="infer, evaluate, gradients, update, apply, step or generate.")
    ] = "infer",
    after: Annotated[
        str | None, typer.Option("--after", help="Stop after a pass, e.g. differentiate.")
    ] = None,
    real: Real = None,
    dim: Dims = None,
    model: ModelName = None,
    deploy: Deploy = None,
    march: March = None,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Steps for which a plan's costs are shown.")
    ] = 64,
    batch: Annotated[
        int, typer.Option("--batch", min=1, help="Rows for which a plan's costs are shown.")
    ] = 32,
) -> None:
    """Print a program's tree, its meaning (flow), its schedule and what it costs (plan), or the generated code."""
    if floor not in FLOORS:
        raise UserFault("S0906", f"there is no floor `{floor}`", f"expected one of {', '.join(FLOORS)}")
    from seqc.driver.show import show as run

    typer.echo(run(floor, path, options(dim, real, model, deploy, march), entry, after, (steps, batch)))
