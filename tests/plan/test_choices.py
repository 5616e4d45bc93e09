"""The planner's choices held against the clock: on a small grid, what it took is not slower than what it left.

Every legal strategy of products is forced once and timed in turn with the others. What counts is the least time of processor
of many short turns, to which other work on the machine adds little, and the margin is wide: 1.3 times the best.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.driver import pipeline, toolchain
from seqc.driver.fault import ToolFault
from seqc.driver.load import load
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.plan import PlanOptions, StrategyError, plan
from seqc.plan.cost import costs, total
from seqc.plan.strategies import STRATEGIES
from tests.plan.test_cost import MODEL, PLAIN

MARGIN = 1.3
TURNS, CALLS = 12, 6


@dataclass(frozen=True, slots=True)
class Way:
    """One strategy on one model: how to call it, and what it should cost."""

    name: str
    call: Callable[[], Any]
    predicted: float


def way(name: str, path: Path, cache: Path, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> Way:
    """The model with a strategy forced, or with the planner's own choice where the name is empty."""
    options = PlanOptions(force=(("product", name),) if name else ())
    monkeypatch.setattr(pipeline, "plan", partial(plan, options=options))
    monkeypatch.setenv("SEQC_CACHE", str(cache / (name or "chosen")))
    program = pipeline.program(Reader(path), Options())
    target = pipeline.target_of(toolchain.probe(), "f32")
    found = pipeline.plans(program, target, ("infer",))["infer"]
    model = load(path, engine="library")
    hidden = program.inputs[0].type.dims[0]
    x = np.random.default_rng(0).normal(size=(*sizes, hidden)).astype(np.float32)
    return Way(name, lambda: model.infer(x), total(costs(found, target, PLAIN, *sizes)).seconds)


def least(ways: list[Way]) -> dict[str, float]:
    """Least seconds of processor a call, all ways in turn."""
    found = {each.name: float("inf") for each in ways}
    for _ in range(TURNS):
        for each in ways:
            each.call()
            start = time.process_time()
            for _ in range(CALLS):
                each.call()
            found[each.name] = min(found[each.name], (time.process_time() - start) / CALLS)
    return found


@pytest.mark.parametrize(
    ("cell", "hidden", "batch"), [("LSTM", 16, 1), ("LSTM", 64, 1), ("GRU", 16, 32), ("LSTM", 64, 32)]
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
        except StrategyError:
            continue  # not legal for every product of this model
        except ToolFault as fault:
            pytest.skip(str(fault))
    first = ways[0].call()
    assert all(np.allclose(each.call(), first, rtol=1e-4, atol=1e-5) for each in ways)
    spent = least(ways)
    assert spent[""] <= MARGIN * min(spent.values()), spent
    slowest = max(ways, key=lambda each: each.predicted)
    assert spent[slowest.name] >= 0.9 * spent[""], (spent, [(each.name, each.predicted) for each in ways])


def test_every_strategy_trains_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that fill no vector: losses of three updates, whatever the products are printed as."""
    path = tmp_path / "m.seq"
    path.write_text(MODEL.format(cell="LSTM", hidden=17), encoding="utf-8")
    random = np.random.default_rng(1)
    x = random.normal(size=(5, 3, 17)).astype(np.float32)
    t = random.integers(0, 64, (5, 3)).astype(np.int32)
    found = {}
    for name in ("", "gemm", "plain"):
        options = PlanOptions(force=(("product", name),) if name else ())
        monkeypatch.setattr(pipeline, "plan", partial(plan, options=options))
        monkeypatch.setenv("SEQC_CACHE", str(tmp_path / (name or "chosen")))
        try:
            model = load(path, engine="library")
        except ToolFault as fault:
            pytest.skip(str(fault))
        found[name] = [float(model.update(x, t)) for _ in range(3)]
    assert np.allclose(found["gemm"], found[""], rtol=1e-5) and np.allclose(
        found["plain"], found[""], rtol=1e-5
    )
