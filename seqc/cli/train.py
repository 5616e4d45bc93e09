"""`seqc train`: trains a model on a file and writes a folder with weights, figures and the curve."""

from __future__ import annotations

from pathlib import Path

import typer

from seqc.cli import choices
from seqc.cli.arguments import Dims, March, ModelFile, ModelName, Quiet, Real, hypers, names, options, scales
from seqc.cli.report import INTERRUPTED, say


def train(
    path: ModelFile,
    data: choices.Data = None,
    out: choices.Out = None,
    epochs: choices.Epochs = 10,
    batch: choices.Batch = 32,
    window: choices.Window = None,
    warmup: choices.Warmup = None,
    steps: choices.Steps = None,
    bucket: choices.Bucket = 16,
    seed: choices.Seed = None,
    val: choices.Val = None,
    patience: choices.Patience = None,
    resume: choices.Resume = False,
    checkpoint: choices.Checkpoint = 30.0,
    threads: choices.Threads = 1,
    weights: choices.Weights = None,
    inputs: choices.Inputs = None,
    targets: choices.Targets = None,
    group: choices.Group = None,
    scale: choices.Scale = None,
    dim: Dims = None,
    set_: choices.Numbers = None,
    real: Real = None,
    model: ModelName = None,
    march: March = None,
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
        steps=steps,
        seed=seed,
        validation=val,
        patience=patience,
        resume=resume,
        weights=weights,
        hypers=hypers(set_),
        scale=scales(scale),
        inputs=names(inputs, "--inputs"),
        targets=names(targets, "--targets"),
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
    drawn = (folder / "curve.png").is_file()
    say(f"{'weights, metrics and curve.png' if drawn else 'weights and metrics'} are in {folder}/")
    if done.sample is not None:
        say("it says:")
        typer.echo(done.sample)


def _silent(text: str) -> None:
    """Says nothing."""
