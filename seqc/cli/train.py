"""`seqc train`: trains a model on a file and writes a folder with weights, figures and the curve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqc.cli.arguments import Dims, March, ModelFile, ModelName, Quiet, Real, hypers, names, options, scales
from seqc.cli.report import INTERRUPTED, say


def train(
    path: ModelFile,
    data: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Texts, .npz, .npy, .csv or .wav files, or a folder; a model of text without any learns from Python's own sources.",
            metavar="[DATA]...",
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
    warmup: Annotated[
        int | None,
        typer.Option("--warmup", min=0, help="First steps that only move the state (default: the record's)."),
    ] = None,
    bucket: Annotated[
        int, typer.Option("--bucket", min=1, help="How many batches are sorted by length together.")
    ] = 16,
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
    checkpoint: Annotated[
        float, typer.Option("--checkpoint", min=0.0, help="Seconds between two checkpoints within an epoch.")
    ] = 30.0,
    threads: Annotated[
        int,
        typer.Option(
            "--threads", min=1, max=256, help="Threads that share an update; the result is the same."
        ),
    ] = 1,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Begin with the weights of this file.")
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option("--inputs", help="Columns of a .csv that are inputs, in order.", metavar="A,B"),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option("--targets", help="Columns of a .csv that are targets, in order.", metavar="C"),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="The column of a .csv that tells sequences apart.")
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option("--scale", help="Scale a Standardise layer by the data.", metavar="LAYER=INPUT"),
    ] = None,
    dim: Dims = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Set a hyper: --set Adam.lr=1e-3, or an input that the data leaves out.",
            metavar="NAME=VALUE",
        ),
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
    wishes = Wishes(
        epochs=epochs,
        batch=batch,
        window=window,
        warmup=warmup,
        seed=seed,
        validation=val,
        patience=patience,
        resume=resume,
        weights=weights,
        hypers=hypers(set_),
        scale=scales(scale),
        inputs=names(inputs),
        targets=names(targets),
        group=group,
        bucket=bucket,
        checkpoint=checkpoint,
        threads=threads,
    )
    done = run(path, data or (), folder, chosen, wishes, reporter(quiet), _silent if quiet else say)
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
