"""Copy memory with T = 1000, as in Bai et al. 2018 (arXiv 1803.01271), with LSTM and GRU.

    python benchmarks/tasks/copy_memory.py [lstm] [gru] [chrono]

Ten symbols of eight kinds, 999 blanks, then eleven marks during which the ten are to be said again: 1020 steps.
The loss is the cross entropy over all steps. Without any memory the best is 10 ln 8 / 1020 = 0.0204. Minibatches of
32 are drawn afresh; the figure is the loss on 1000 sequences of a seed of their own, after the last update.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from common import HERE, train_on

import seqc

BLANKS, SYMBOLS, ROWS, HELD_OUT = 1000, 10, 32, 1000
MODELS = {"lstm": "CopyLSTM", "gru": "CopyGRU", "chrono": "CopyChrono"}


def draw(
    random: np.random.Generator, rows: int = ROWS, blanks: int = BLANKS
) -> tuple[np.ndarray, np.ndarray]:
    """What is shown and what is to be said, both [blanks + 20, rows] of whole numbers below 10."""
    said = random.integers(1, 9, (SYMBOLS, rows), dtype=np.int32)
    shown = np.zeros((blanks + 2 * SYMBOLS, rows), np.int32)
    shown[:SYMBOLS] = said
    shown[-SYMBOLS - 1 :] = 9
    answer = np.zeros_like(shown)
    answer[-SYMBOLS:] = said
    return shown, answer


def arguments(name: str, shown: np.ndarray, answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As the model takes them: as in the paper a symbol is a number; for `chrono` it is an index."""
    return (shown if name == "chrono" else shown.astype(np.float32)), answer


def learn(name: str, updates: int, seed: int) -> float:
    """Trains one model and gives its loss on held-out sequences."""
    model = seqc.load(HERE / "copy_memory.seq", model=MODELS[name], seed=seed, engine="library")
    spent = train_on(model, lambda random: arguments(name, *draw(random)), updates, seed, 500)
    x, y = arguments(name, *draw(np.random.default_rng(10_000 + seed), HELD_OUT))
    loss = float(model.evaluate(x, y))
    right = np.mean(model.infer(x)[-SYMBOLS:].argmax(axis=-1) == y[-SYMBOLS:])
    none = SYMBOLS * math.log(8) / len(x)
    print(
        f"{MODELS[name]}: held-out loss {loss:.4f} after {updates} updates, {right:.1%} of the symbols right; "
        f"without memory: {none:.4f}; {spent * 1e3:.1f} ms an update",
        flush=True,
    )
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", nargs="*", default=["lstm", "gru"], help=", ".join(MODELS))
    parser.add_argument("--updates", type=int, default=3125)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for name in chosen.cells:
        if name not in MODELS:
            parser.error(f"{name!r} is none of {', '.join(MODELS)}")
        learn(name, chosen.updates, chosen.seed)


if __name__ == "__main__":
    main()
