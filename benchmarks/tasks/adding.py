"""The adding problem with T = 600, as in Bai et al. 2018 (arXiv 1803.01271), with LSTM and GRU.

    python benchmarks/tasks/adding.py [gru] [lstm] [chrono]

Each sequence holds 600 numbers drawn from [0, 1), one of each half marked; the answer is the sum of the marked two.
The loss is the mean squared error; always answering 1 gives 1/6. Minibatches of 32 are drawn afresh for 12,000
updates, and the figure is the loss on 1000 sequences of a seed of their own, after the last update.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import HERE, train_on

import seqc

STEPS, ROWS, HELD_OUT = 600, 32, 1000
MODELS = {"gru": "AddingGRU", "lstm": "AddingLSTM", "chrono": "AddingChrono"}


def draw(random: np.random.Generator, rows: int = ROWS, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [steps, rows, 2] and their answers [rows]."""
    x = np.zeros((steps, rows, 2), np.float32)
    x[:, :, 0] = random.random((steps, rows), np.float32)
    half, row = steps // 2, np.arange(rows)
    first, second = random.integers(0, half, rows), random.integers(half, steps, rows)
    x[first, row, 1] = x[second, row, 1] = 1
    return x, x[first, row, 0] + x[second, row, 0]


def learn(name: str, updates: int, seed: int) -> float:
    """Trains one model and gives its loss on held-out sequences."""
    model = seqc.load(HERE / "adding.seq", model=MODELS[name], seed=seed, engine="library")
    spent = train_on(model, draw, updates, seed)
    x, y = draw(np.random.default_rng(10_000 + seed), HELD_OUT)
    loss = float(model.evaluate(x, y))
    always = float(np.mean((y - 1) ** 2))
    print(
        f"{MODELS[name]}: held-out loss {loss:.3g} after {updates} updates; always answering 1: {always:.4f}; "
        f"{spent * 1e3:.1f} ms an update",
        flush=True,
    )
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", nargs="*", default=["gru", "lstm"], help=", ".join(MODELS))
    parser.add_argument("--updates", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for name in chosen.cells:
        if name not in MODELS:
            parser.error(f"{name!r} is none of {', '.join(MODELS)}")
        learn(name, chosen.updates, chosen.seed)


if __name__ == "__main__":
    main()
