"""Random graphs: every pass keeps what the evaluator gives, and gradients agree with differences."""

from __future__ import annotations

import pytest

from seqc.flow.print import show
from seqc.passes import flow_for
from tests.numeric.gradient_check import check_gradients, check_passes
from tests.passes.random_flows import random_program

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_passes_keep_the_meaning_of_random_graphs(seed: int) -> None:
    check_passes(random_program(seed), "gradients")


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_random_graphs_agree_with_differences(seed: int) -> None:
    check_gradients(random_program(1000 + seed, size=10, smooth=True), seed=seed, elements=1)


@pytest.mark.parametrize("seed", range(5))
def test_passes_repeat_to_the_letter(seed: int) -> None:
    first, second = (show(flow_for(random_program(seed), "gradients")) for _ in range(2))
    assert first == second
