"""Random graphs: every pass keeps what the evaluator gives, and gradients agree with differences."""

from __future__ import annotations

import numpy as np
import pytest

from seqc.flow.print import show
from seqc.ops.evaluate import evaluate
from seqc.passes import flow_for
from tests.numeric.gradient_check import STEPS, check_gradients, leaves_for, observed, started
from tests.passes.random_flows import random_program

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_passes_keep_the_meaning_of_random_graphs(seed: int) -> None:
    program = random_program(seed)
    leaves = leaves_for(program, seed)
    flows = list(observed(program, "gradients").items())
    before: dict[str, np.ndarray] = {}
    for name, flow in flows:
        now = evaluate(flow, leaves, T=STEPS, B=3, started=started())
        for root, array in before.items():
            size = max(1.0, float(np.max(np.abs(array), initial=0.0)))
            np.testing.assert_allclose(
                now[root], array, rtol=1e-11, atol=1e-12 * size, err_msg=f"{name}: {root}"
            )
        before = now


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_random_graphs_agree_with_differences(seed: int) -> None:
    check_gradients(random_program(1000 + seed, size=10, smooth=True), seed=seed, elements=1)


@pytest.mark.parametrize("seed", range(5))
def test_passes_repeat_to_the_letter(seed: int) -> None:
    first, second = (show(flow_for(random_program(seed), "gradients")) for _ in range(2))
    assert first == second
