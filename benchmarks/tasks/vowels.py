"""JapaneseVowels: which of nine speakers said it, from 270 utterances to learn from and 370 to test.

    python benchmarks/tasks/vowels.py FOLDER              learns from all 270 with several seeds, tests each once
    python benchmarks/tasks/vowels.py FOLDER --choose     five-fold cross validation inside the 270

Utterances have 7 to 29 frames of 12 numbers, which are scaled by mean and deviation of the training frames. The settings
in `vowels.seq` and here were chosen by --choose, which never opens the test file.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, need, pad

import seqc

WHERE = (
    "The folder holds JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts; they come with the package sktime."
)
EPOCHS, ROWS, FOLDS = 60, 16, 5

Utterances = list[np.ndarray]


def read(path: Path) -> tuple[Utterances, np.ndarray]:
    """Utterances [frames, 12] and speakers, from 0, of a `.ts` file: channels stand between colons, the label last."""
    lines = need(path, WHERE).read_text(encoding="utf-8").splitlines()
    rows = [line.split(":") for line in lines[lines.index("@data") + 1 :] if line]
    utterances = [np.array([each.split(",") for each in row[:-1]], np.float32).T for row in rows]
    return utterances, np.array([int(row[-1]) - 1 for row in rows], np.int32)


def scaled(utterances: Utterances, by: Utterances) -> Utterances:
    frames = np.concatenate(by)
    return [(each - frames.mean(axis=0)) / frames.std(axis=0) for each in utterances]


def learn(utterances: Utterances, who: np.ndarray, epochs: int, seed: int) -> Any:
    """A model trained for `epochs`, the learning rate falling along half a cosine."""
    model = seqc.load(HERE / "vowels.seq", seed=seed, engine="library")
    peak = model.hyper["AdamW.lr"]

    def slower(model: Any, record: Any) -> None:
        model.hyper["AdamW.lr"] = peak * 0.5 * (1 + math.cos(math.pi * record.epoch / epochs))

    data = {"frame": utterances, "who": who}
    model.fit(data, epochs=epochs, batch=ROWS, seed=seed, quiet=True, callbacks=[slower])
    return model


def wrong(model: Any, utterances: Utterances, who: np.ndarray) -> int:
    """How many utterances the model gives to another speaker."""
    frame, n = pad(utterances)
    return int(np.sum(model.infer(frame=frame, n=n) != who))


def choose(utterances: Utterances, who: np.ndarray, epochs: int, seeds: int) -> None:
    """Errors of cross validation; the scaling is that of each fold's own training part."""
    order = np.random.default_rng(0).permutation(len(who))
    total = 0
    for seed in range(1, seeds + 1):
        for fold in range(FOLDS):
            out = set(order[fold::FOLDS].tolist())
            inside = [number for number in range(len(who)) if number not in out]
            outside = sorted(out)
            given = [utterances[number] for number in inside]
            model = learn(scaled(given, given), who[inside], epochs, seed)
            total += wrong(model, scaled([utterances[number] for number in outside], given), who[outside])
    print(
        f"cross validation: {total} of {seeds * len(who)} wrong, {1 - total / (seeds * len(who)):.2%} right"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    utterances, who = read(chosen.folder / "JapaneseVowels_TRAIN.ts")
    if chosen.choose:
        choose(utterances, who, chosen.epochs, chosen.seeds)
        return
    held_out, theirs = read(chosen.folder / "JapaneseVowels_TEST.ts")
    rights = []
    for seed in range(1, chosen.seeds + 1):
        model = learn(scaled(utterances, utterances), who, chosen.epochs, seed)
        errors = wrong(model, scaled(held_out, utterances), theirs)
        rights.append(1 - errors / len(theirs))
        print(f"seed {seed}: {errors} of {len(theirs)} wrong, {rights[-1]:.2%} right", flush=True)
    print(
        f"test accuracy: mean {np.mean(rights):.2%}, least {min(rights):.2%}, of {len(rights)} seeds; "
        f"{model.updates} updates each"
    )


if __name__ == "__main__":
    main()
