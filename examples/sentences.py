"""The tutorial of theano_lstm, with sentences of its own: trains a small language model and lets it finish sentences.

    python examples/sentences.py [--updates 1000] [--engine auto]

prints the loss now and then, and what the model goes on with after the first words of some sentences.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import seqc

HERE = Path(__file__).resolve().parent


def read(path: Path) -> tuple[list[list[int]], list[str]]:
    """Sentences as numbers, and the words by number; "." ends a sentence and is number 0."""
    sentences = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line]
    words = [".", *sorted({word for sentence in sentences for word in sentence} - {"."})]
    number = {word: index for index, word in enumerate(words)}
    return [[number[word] for word in sentence] for sentence in sentences], words


def batch_of(sentences: list[list[int]]) -> dict[str, Any]:
    """All sentences side by side, time first: each word, the one after it, and how many of these count."""
    steps = max(map(len, sentences)) - 1
    words, after = (np.zeros((steps, len(sentences)), np.int32) for _ in range(2))
    for row, sentence in enumerate(sentences):
        words[: len(sentence) - 1, row] = sentence[:-1]
        after[: len(sentence) - 1, row] = sentence[1:]
    lengths = np.array([len(sentence) - 1 for sentence in sentences], np.int32)
    return {"words": words, "next": after, "lengths": lengths, "starts": np.zeros_like(lengths)}


def forecast(model: seqc.Model, words: list[str], start: str, most: int = 15) -> str:
    """The words given and the best guess for each that follows, until the sentence ends."""
    given = np.array([words.index(word) for word in start.split()], np.int32)
    found = model.generate(words=given, steps=most)
    return " ".join([start, *(words[number] for number in found.said[: found.lengths])])


def main(arguments: list[str] | None = None) -> seqc.Model:
    """Trains, prints, and gives the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--engine", default="auto", choices=("auto", "library", "evaluator"))
    chosen = parser.parse_args(arguments)
    sentences, words = read(HERE / "sentences.txt")
    batch = batch_of(sentences)
    model = seqc.load(HERE / "sentences.seq", engine=chosen.engine, dims={"V": len(words)})
    counted = int(batch["lengths"].sum())
    for number in range(chosen.updates):
        score = model.update(**batch)
        if number % max(1, chosen.updates // 10) == 0:
            print(f"update {number:5}  {score / counted:.3f} nats a word")
    print(f"in the end    {model.evaluate(**batch) / counted:.3f} nats a word\n")
    for start in ("the cat", "my sister", "after the storm", "the children swim", "an old ship"):
        print(forecast(model, words, start))
    return model


if __name__ == "__main__":
    main()
