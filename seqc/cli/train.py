"""`seqc train`: trains a model on a file and writes a folder with weights, figures and the curve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqc.cli.arguments import Dims, March, ModelFile, ModelName, Quiet, Real, hypers, options
from seqc.cli.report import INTERRUPTED, say


def train(
    path: ModelFile,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A text, a folder of texts, .npz or .npy; a model of text without it learns from Python's own sources.",
            metavar="[DATA]",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder of the run (default: runs/MODEL).")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How often to go through the data.")] = 10,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences, or parallel streams.")] = 32,
    window: Annotated[
        int | None, typer.Option("--window", min=1, help="Steps of backpropagation (default: the record's).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Seed of all that is random (default: the record's).")
    ] = None,
    val: Annotated[
        str | None,
        typer.Option("--val", help="A share of the data or a file to validate with (default for text: 0.1)."),
    ] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", min=1, help="Stop after so many epochs that were no better.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in the folder stopped.")
    ] = False,
    dim: Dims = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set a hyper: --set Adam.lr=1e-3.", metavar="NAME=VALUE"),
    ] = None,
    real: Real = "f32",
    model: ModelName = None,
    march: March = "native",
    quiet: Quiet = False,
) -> None:
    """Train a model; Ctrl-C ends cleanly, and --resume goes on."""
    chosen = options(dim, real, model, None, march)
    from seqc.cli.progress import reporter
    from seqc.driver.train import Wishes
    from seqc.driver.train import train as run

    folder = out if out is not None else Path("runs") / path.stem
    wishes = Wishes(epochs, batch, window, seed, val, patience, resume, hypers(set_))
    done = run(path, data, folder, chosen, wishes, reporter(quiet), _silent if quiet else say)
    if done.history.ended == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if quiet:
        return
    say(f"weights, metrics and curve.png are in {folder}/")
    if done.sample is not None:
        say("it says:")
        typer.echo(done.sample)


def _silent(text: str) -> None:
    """Says nothing."""
