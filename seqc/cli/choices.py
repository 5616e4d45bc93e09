"""The options of `seqc train`, each with its flag, its limits and its sentence of help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Texts, .npz, .npy, .csv or .wav files, or a folder; a model of text without any learns from Python's own sources.",
        metavar="[DATA]",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The folder of the run (default: runs/MODEL).")]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="How often to go through the data.")]
Batch = Annotated[int, typer.Option("--batch", min=1, help="Sequences, or parallel streams.")]
Window = Annotated[
    int | None, typer.Option("--window", min=1, help="Steps of backpropagation (default: the record's).")
]
Warmup = Annotated[
    int | None,
    typer.Option("--warmup", min=0, help="First steps that only move the state (default: the record's)."),
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=1, help="Steps of a sequence, where no input has any."),
]
Bucket = Annotated[
    int, typer.Option("--bucket", min=1, help="How many batches are sorted by length together.")
]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Seed of all that is random (default: the record's).")
]
Val = Annotated[
    str | None,
    typer.Option("--val", help="A share of the data or a file to validate with (default for text: 0.1)."),
]
Patience = Annotated[
    int | None, typer.Option("--patience", min=1, help="Stop after so many epochs that were no better.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where the run in the folder stopped.")]
Checkpoint = Annotated[
    float, typer.Option("--checkpoint", min=0.0, help="Seconds between two checkpoints within an epoch.")
]
Threads = Annotated[
    int,
    typer.Option("--threads", min=1, max=256, help="Threads that share an update; the result is the same."),
]
Weights = Annotated[Path | None, typer.Option("--weights", help="Begin with the weights of this file.")]
Inputs = Annotated[
    str | None,
    typer.Option("--inputs", help="Columns of a .csv that are inputs, in order.", metavar="A,B"),
]
Targets = Annotated[
    str | None,
    typer.Option("--targets", help="Columns of a .csv that are targets, in order.", metavar="C"),
]
Group = Annotated[
    str | None, typer.Option("--group", help="The column of a .csv that tells sequences apart.")
]
Scale = Annotated[
    list[str] | None,
    typer.Option("--scale", help="Scale a Standardise layer by the data.", metavar="LAYER=INPUT"),
]
Numbers = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Set a hyper: --set Adam.lr=1e-3, or an input that the data leaves out.",
        metavar="NAME=VALUE",
    ),
]
