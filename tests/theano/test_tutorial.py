"""The tutorial example: its data, and a short training by its script in both engines."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import seqc

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sentences", EXAMPLES / "sentences.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_data_are_a_hundred_sentences_of_different_lengths(script: ModuleType) -> None:
    sentences, words = script.read(EXAMPLES / "sentences.txt")
    assert len(sentences) == 100 and len({tuple(each) for each in sentences}) == 100
    assert len({len(each) for each in sentences}) > 5
    assert all(each.index(0) == len(each) - 1 for each in sentences) and words[0] == "."


def test_the_page_quotes_the_program() -> None:
    page = EXAMPLES.parent / "docs" / "from-theano-lstm.md"
    program = (EXAMPLES / "sentences.seq").read_text(encoding="utf-8").split("\n\n", 1)[1]
    assert program in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("lab")
def test_trains_and_forecasts(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    model = script.main(["--updates", "500", "--engine", "library"])
    printed = capsys.readouterr().out
    sentences, words = script.read(EXAMPLES / "sentences.txt")
    batch = script.batch_of(sentences)
    assert model.evaluate(**batch) / batch["lengths"].sum() < 0.5
    lines = printed.strip().splitlines()
    assert lines[-1].startswith("an old ship ") and lines[-1].endswith(" .")
    known = {" ".join(words[number] for number in sentence) for sentence in sentences}
    assert len(set(lines[-5:]) & known) >= 2


@pytest.mark.usefixtures("lab")
def test_runs_without_a_compiler(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    script.main(["--updates", "2", "--engine", "evaluator"])
    assert "nats a word" in capsys.readouterr().out


@pytest.mark.usefixtures("lab")
def test_threads_share_a_call_with_the_same_result(script: ModuleType) -> None:
    """The modern form of several processes on one set of parameters."""
    sentences, words = script.read(EXAMPLES / "sentences.txt")
    batch = script.batch_of(sentences)
    weights = []
    for threads in (1, 3):
        model = seqc.load(
            EXAMPLES / "sentences.seq", engine="library", dims={"V": len(words)}, threads=threads
        )
        for _ in range(5):
            model.update(**batch)
        weights.append([array.copy() for array in model.params.values()])
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))
