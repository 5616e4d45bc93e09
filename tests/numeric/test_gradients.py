"""Gradients of every example, cell, function and loss of the library against differences, and training in the evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqc.lower.program import Program
from seqc.ops.evaluate import evaluate
from seqc.passes import apply_flow, flow_for, initial_optimizer
from tests.numeric.gradient_check import check_gradients, check_passes
from tests.numeric.programs import (
    CELLS,
    EXAMPLES,
    FUNCTIONS,
    LOSSES,
    batch_for,
    cell_program,
    example,
    function_program,
    loss_program,
    started_weights,
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradients_of_examples(name: str) -> None:
    assert check_gradients(example(name), seed=1, elements=1, steps=4) > 0


@pytest.mark.parametrize("name", list(CELLS))
def test_gradients_of_cells(name: str) -> None:
    assert check_gradients(cell_program(name), seed=2, steps=4) > 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_functions(name: str) -> None:
    assert check_gradients(function_program(name), seed=4, steps=2) > 0


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients_of_losses(name: str) -> None:
    assert check_gradients(loss_program(name), seed=4, steps=3) > 0


@pytest.mark.parametrize("entry", ["infer", "evaluate", "gradients", "update"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_passes_keep_the_meaning_of_examples(name: str, entry: str) -> None:
    check_passes(example(name), entry)


@pytest.mark.parametrize("name", list(CELLS))
def test_passes_keep_the_meaning_of_cells(name: str) -> None:
    check_passes(cell_program(name), "gradients")


FASTER = {"AdaDelta.eps": 1e-3, "Adam.lr": 0.02, "AdaGrad.lr": 0.1, "drop": 0.05}
"""Hypers with which tens of updates are enough."""


def trained(program: Program, updates: int, steps: int, rows: int) -> list[float]:
    """The losses of the evaluator while it learns one batch by heart."""
    leaves: dict[tuple[str, str], Any] = batch_for(program, steps, rows)
    leaves |= {("hyper", each.name): FASTER.get(each.name, each.value) for each in program.hypers}
    weights = started_weights(program)
    flow, rules = flow_for(program, "update"), apply_flow(program)
    optimizer = evaluate(initial_optimizer(program), {})
    losses = []
    for update in range(updates):
        now = leaves | {("param", name): array for name, array in weights.items()}
        found = evaluate(flow, now, T=steps, B=rows, seed=1, call=update)
        losses.append(float(found["loss"]))
        values = {("input", f"w.{name}"): array for name, array in weights.items()}
        values |= {("input", name): array for name, array in optimizer.items()}
        values |= {
            ("input", f"g.{root[5:]}"): each for root, each in found.items() if root.startswith("grad.")
        }
        after = evaluate(rules, {**leaves, **values, ("step", ""): update})
        assert after["finite"]
        weights |= {root[2:]: array for root, array in after.items() if root.startswith("w.")}
        optimizer = {root: array for root, array in after.items() if root.startswith("o.")}
    return losses


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "pendulum"])
def test_examples_learn_in_the_evaluator(name: str) -> None:
    losses = trained(example(name), 200 if name == "charlm" else 80, 6, 4)
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5]), losses[:: len(losses) // 6]


def test_the_controller_learns_in_the_evaluator() -> None:
    """In forty steps of a hundredth of a second it can do little, but each update makes it better."""
    losses = trained(example("pendulum"), 30, 40, 2)
    assert np.all(np.diff(losses) < 0), losses
