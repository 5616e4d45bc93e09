"""The planner's choices held against the clock: on a small grid, what it took is not slower than what it left.

Every strategy of products is preferred once, wherever it is legal, and timed in turn with the others. What counts is the
median over rounds of the ratio to the quickest other way, in time of processor, and the margin is wide: a choice fails only
if it takes more than 1.5 times as long, twice in a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.driver import pipeline, toolchain, tuned
from seqc.driver.fault import ToolFault
from seqc.driver.load import load
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.plan import PlanOptions
from seqc.plan.cost import costs, total
from seqc.plan.strategies import STRATEGIES
from tests.plan.test_cost import MODEL, PLAIN

MARGIN = 1.5
TURNS, CALLS = 11, 6


@dataclass(frozen=True, slots=True)
class Way:
    """One strategy on one model: how to call it, and what it should cost."""

    name: str
    call: Callable[[], Any]
    predicted: float


def tell(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets builds prefer a strategy, or choose for themselves where the name is empty, with a cache of their own."""
    monkeypatch.setattr(tuned, "choices_of", lambda options: Preferring(name) if name else {})
    monkeypatch.setenv("SEQC_CACHE", str(cache / (name or "chosen")))


class Preferring(dict[str, PlanOptions]):
    """The same wish for every entry point."""

    def __init__(self, name: str) -> None:
        self.options = PlanOptions(prefer=(("product", name),))

    def __bool__(self) -> bool:
        return True

    def get(self, entry: str, default: Any = None) -> Any:
        return self.options


def way(name: str, path: Path, cache: Path, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> Way:
    """The model with a strategy forced, or with the planner's own choice where the name is empty."""
    tell(name, cache, monkeypatch)
    program = pipeline.program(Reader(path), Options())
    target = pipeline.target_of(toolchain.probe(), "f32")
    found = pipeline.plans(
        program, target, ("infer",), pipeline.chosen_for(program, tuned=tuned.choices_of(Options()))
    )["infer"]
    model = load(path, engine="library")
    hidden = program.inputs[0].type.dims[0]
    x = np.random.default_rng(0).normal(size=(*sizes, hidden)).astype(np.float32)
    return Way(name, lambda: model.infer(x), total(costs(found, target, PLAIN, *sizes)).seconds)


def slower(ways: list[Way]) -> tuple[float, dict[str, float]]:
    """How many times as long as the quickest other way the first takes, and the median seconds of all, in turn."""
    rounds = []
    for _ in range(TURNS):
        spent = {}
        for each in ways:
            each.call()
            start = time.process_time()
            for _ in range(CALLS):
                each.call()
            spent[each.name] = (time.process_time() - start) / CALLS
        rounds.append(spent)
    median = {each.name: float(np.median([spent[each.name] for spent in rounds])) for each in ways}
    best = min((each.name for each in ways[1:]), key=lambda name: median[name])
    return float(np.median([spent[ways[0].name] / spent[best] for spent in rounds])), median


@pytest.mark.parametrize(
    ("cell", "hidden", "batch"),
    [("LSTM", 16, 1), ("LSTM", 40, 1), ("GRU", 16, 32), ("MGU", 24, 5)],
)
def test_what_was_chosen_is_not_slower_than_what_was_left(
    cell: str, hidden: int, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.seq"
    text = MODEL.format(cell=cell, hidden=hidden)
    path.write_text(text[: text.index("train M")].replace("  loss =", "  metric error ="), encoding="utf-8")
    ways = []
    for name in ("", *(each.name for each in STRATEGIES if each.kind == "product")):
        try:
            ways.append(way(name, path, tmp_path, (100, batch), monkeypatch))
        except ToolFault as fault:
            pytest.skip(str(fault))
    first = ways[0].call()
    assert all(np.allclose(each.call(), first, rtol=1e-4, atol=1e-5) for each in ways)
    ratio, spent = slower(ways)
    if ratio > MARGIN:
        ratio, spent = slower(ways)
    assert ratio <= MARGIN, spent
    slowest = max(ways, key=lambda each: each.predicted)
    assert spent[slowest.name] >= 0.7 * spent[""], (spent, [(each.name, each.predicted) for each in ways])


def test_every_strategy_trains_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that fill no vector: losses of three updates, whatever the products are printed as."""
    path = tmp_path / "m.seq"
    path.write_text(MODEL.format(cell="LSTM", hidden=17), encoding="utf-8")
    random = np.random.default_rng(1)
    x = random.normal(size=(5, 3, 17)).astype(np.float32)
    t = random.integers(0, 64, (5, 3)).astype(np.int32)
    found = {}
    for name in ("", "gemm", "rows", "plain"):
        tell(name, tmp_path, monkeypatch)
        try:
            model = load(path, engine="library")
        except ToolFault as fault:
            pytest.skip(str(fault))
        found[name] = [float(model.update(x, t)) for _ in range(3)]
    for name in ("gemm", "rows", "plain"):
        assert np.allclose(found[name], found[""], rtol=1e-5), name
