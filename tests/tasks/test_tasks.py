"""The tasks of `benchmarks/tasks`: what their scripts draw and read is what they say, and each model takes two updates.

Models run in numpy and small; data that the scripts read from files is made up here.
"""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc

TASKS = Path(__file__).resolve().parents[2] / "benchmarks" / "tasks"
RANDOM = np.random.default_rng(3)


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script of the folder by name."""
    monkeypatch.syspath_prepend(str(TASKS))
    return importlib.import_module


def small(name: str, model: str | None = None, **dims: int) -> Any:
    return seqc.load(TASKS / f"{name}.seq", model=model, dims=dims, engine="evaluator")


def learns(model: Any, *args: Any, **named: Any) -> None:
    """Two updates on the same data lower the loss."""
    first = float(model.update(*args, **named))
    model.update(*args, **named)
    assert math.isfinite(first) and float(model.evaluate(*args, **named)) < first


@pytest.mark.parametrize("name", ["gru", "lstm", "chrono"])
def test_adding(script: Any, name: str) -> None:
    adding = script("adding")
    x, y = adding.draw(RANDOM, rows=6, steps=12)
    np.testing.assert_array_equal(x[:, :, 1].sum(axis=0), 2)
    np.testing.assert_array_equal(x[:6, :, 1].sum(axis=0), 1)
    np.testing.assert_allclose((x[:, :, 0] * x[:, :, 1]).sum(axis=0), y, rtol=1e-6)
    learns(small("adding", adding.MODELS[name], H=5), x, y)


@pytest.mark.parametrize("name", ["gru", "lstm", "chrono"])
def test_copy_memory(script: Any, name: str) -> None:
    copy = script("copy_memory")
    shown, answer = copy.draw(RANDOM, rows=3, blanks=5)
    assert shown.shape == answer.shape == (25, 3)
    np.testing.assert_array_equal(shown[:10], answer[-10:])
    assert (shown[10:14] == 0).all() and (shown[14:] == 9).all() and (answer[:15] == 0).all()
    learns(small("copy_memory", copy.MODELS[name], H=5), *copy.arguments(name, shown, answer))


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_chorales(script: Any, name: str, tmp_path: Path) -> None:
    chorales = script("chorales")
    lengths = {"train": [7, 4], "valid": [5], "test": [3, 6, 4]}
    arrays = {split: RANDOM.integers(0, 2, (sum(n), 88), dtype=np.uint8) for split, n in lengths.items()}
    np.savez(tmp_path / "pieces.npz", **arrays, **{f"{split}_len": n for split, n in lengths.items()})
    data = chorales.read(tmp_path / "pieces.npz")
    assert {split: [len(piece) for piece in pieces] for split, pieces in data.items()} == lengths
    model = small("chorales", chorales.MODELS[name], H=5)
    model.fit(chorales.pairs(data["train"]), validation=chorales.pairs(data["valid"]), epochs=2, quiet=True)
    score = chorales.score(model, data["test"])
    alone = [float(chorales.score(model, [piece])) for piece in data["test"]]
    assert float(score) == pytest.approx(np.dot(alone, [2, 5, 3]) / 10, rel=1e-5)
    assert score.metrics["pieces"] == pytest.approx(np.mean(alone), rel=1e-5)


def test_vowels(script: Any, tmp_path: Path) -> None:
    vowels = script("vowels")
    spoken = [RANDOM.normal(size=(length, 12)).round(3) for length in (7, 9, 4)]
    lines = [
        ":".join([*(",".join(map(str, channel)) for channel in each.T), str(number + 1)])
        for number, each in enumerate(spoken)
    ]
    (tmp_path / "made.ts").write_text("\n".join(["#made up", "@classLabel true 1 2 3", "@data", *lines]))
    utterances, who = vowels.read(tmp_path / "made.ts")
    assert who.tolist() == [0, 1, 2]
    for read, said in zip(utterances, spoken, strict=True):
        np.testing.assert_allclose(read, said, rtol=1e-6)
    model = small("vowels", H=4)
    model.fit({"frame": utterances, "who": who}, epochs=2, quiet=True)
    assert 0 <= vowels.wrong(model, vowels.scaled(utterances, utterances), who) <= 3


def test_silverbox(script: Any) -> None:
    silverbox = script("silverbox")
    u = RANDOM.normal(size=300)
    a, b = np.array([1.2, -0.6, 0.0]), np.array([0.1, 0.2, 0.0])
    y = silverbox.simulate(a, b, u)
    model = small("silverbox", n=3)
    model.params["y.oscillator.a"][:], model.params["y.oscillator.b"][:] = a, b
    np.testing.assert_allclose(model.infer(u.astype(np.float32)), y, rtol=1e-3, atol=1e-4)
    volts = np.stack([u, y], axis=1)
    found, driven = silverbox.arx(np.tile(volts, (200, 1)), 2)
    np.testing.assert_allclose(found, a[:2], atol=0.05)
    np.testing.assert_allclose(driven, b[:2], atol=0.05)
    learns(model, u[:, None].astype(np.float32), (0.9 * y)[:, None].astype(np.float32))


def test_absent_data_is_a_sentence(script: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is nothing at .* come with the package sktime"):
        script("vowels").read(tmp_path / "JapaneseVowels_TRAIN.ts")
