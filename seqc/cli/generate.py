"""`seqc generate`: a trained model of text goes on from a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqc.cli.arguments import Dims, March, ModelName, Real, options
from seqc.cli.report import say
from seqc.driver.fault import UserFault


def generate(
    path: Annotated[
        Path,
        typer.Argument(help="The .seq file, or a built package.", show_default=False, metavar="MODEL.seq"),
    ],
    run: Annotated[Path | None, typer.Option("--run", help="The folder of a training run.")] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="A .safetensors file, instead of --run.")
    ] = None,
    prompt: Annotated[str, typer.Option("--prompt", help="What the text begins with.")] = "",
    length: Annotated[int, typer.Option("--length", min=1, help="Characters to write.")] = 500,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", min=0.0, help="Low is careful, high is wild (default: the model's)."),
    ] = None,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Take the likeliest each time: temperature 0.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another text.")] = 0,
    dim: Dims = None,
    real: Real = None,
    model: ModelName = None,
    march: March = None,
) -> None:
    """Write a text with a trained model, in compiled code."""
    chosen = options(dim, real, model, None, march)
    if run is not None and weights is not None:
        raise UserFault("S0906", "`--run` and `--weights` say the same thing", remedy="give one of them")
    if greedy and temperature:
        raise UserFault("S0906", "`--greedy` is temperature 0", remedy="leave one of the two out")
    place = run or weights or Path("runs") / path.stem
    from seqc.driver.generate import generate as write

    text = write(path, place, chosen, prompt, length, 0.0 if greedy else temperature, seed, say)
    typer.echo(prompt + text)
