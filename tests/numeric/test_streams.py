"""Programs step by step give what the whole sequence gives; rows of different lengths give what each gives alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seqc.flow.types import Axis
from seqc.lower.program import Program
from seqc.ops.evaluate import evaluate
from seqc.passes import flow_for
from tests.numeric.gradient_check import leaves_for, started
from tests.numeric.programs import CELLS, EXAMPLES, cell_program, example

STEPS, ROWS = 5, 3
OPTIONS = {"seed": 3, "call": 2}
CAUSAL = [name for name in EXAMPLES if name != "speech"]


def one_step(program: Program, leaves: dict[Any, Any], step: int) -> dict[Any, Any]:
    """The leaves of one step."""
    now = dict(leaves)
    for each in program.inputs:
        if Axis.TIME in each.type.axes:
            now["input", each.name] = leaves["input", each.name][step]
    return now


def check_streaming(program: Program) -> None:
    """Outputs and states, from rows that are fresh and rows that carry."""
    leaves = leaves_for(program, 5, STEPS, ROWS)
    for each in program.inputs:
        if each.length:
            leaves["input", each.name] = np.full(ROWS, STEPS)
    whole = evaluate(flow_for(program, "infer"), leaves, T=STEPS, B=ROWS, started=started(), **OPTIONS)
    flow = flow_for(program, "step")
    carried = dict(leaves)
    for step in range(STEPS):
        now = one_step(program, carried, step)
        found = evaluate(flow, now, T=1, B=ROWS, started=started() + step, **OPTIONS)
        for root, array in found.items():
            if root.startswith("state."):
                name = root.removeprefix("state.")
                carried["carried", name], carried["fresh", name] = array, np.zeros(ROWS, bool)
            elif (
                Axis.TIME
                in flow_for(program, "infer").values[flow_for(program, "infer").roots[root]].type.axes
            ):
                np.testing.assert_allclose(array, whole[root][step], rtol=1e-11, atol=1e-13)
    assert list(found) == list(whole)
    for root, array in found.items():
        last = whole[root] if whole[root].shape == array.shape else whole[root][-1]
        np.testing.assert_allclose(array, last, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", CAUSAL)
def test_examples_stream(name: str) -> None:
    check_streaming(example(name))


@pytest.mark.parametrize("name", [name for name in CELLS if name != "Both"])
def test_cells_stream(name: str) -> None:
    check_streaming(cell_program(name))


@pytest.mark.parametrize("name", ["tagger", "speech"])
def test_rows_of_different_lengths_give_what_each_gives_alone(name: str) -> None:
    program = example(name)
    leaves = leaves_for(program, 6, STEPS, ROWS)
    length = next(each.name for each in program.inputs if each.length)
    lengths = leaves["input", length]
    for each in program.inputs:
        if each.type.axes == {Axis.TIME, Axis.BATCH}:
            for row, size in enumerate(lengths):
                padding = np.nan if each.type.kind.is_real else -5
                leaves["input", each.name][size:, row] = padding
    entries = ("infer", "evaluate")
    together = {
        entry: evaluate(flow_for(program, entry), leaves, T=STEPS, B=ROWS, started=started(), **OPTIONS)
        for entry in entries
    }
    assert all(np.all(np.isfinite(array)) for array in together["evaluate"].values())
    for row, size in enumerate(lengths):
        alone = dict(leaves)
        for each in program.inputs:
            array = leaves["input", each.name]
            alone["input", each.name] = (
                array[:size, row : row + 1] if Axis.TIME in each.type.axes else array[row : row + 1]
            )
        for key in leaves:
            if key[0] in ("carried", "fresh"):
                alone[key] = leaves[key][row : row + 1]
        for entry in entries:
            single = evaluate(
                flow_for(program, entry),
                alone,
                T=int(size),
                B=1,
                started=started()[row : row + 1],
                first_row=row,
                **OPTIONS,
            )
            for root, array in single.items():
                if root.startswith("state."):
                    np.testing.assert_allclose(together[entry][root][row], array[0], rtol=1e-11)
                elif root.startswith("output."):
                    np.testing.assert_allclose(together[entry][root][:size, row], array[:, 0], rtol=1e-11)
                    assert not np.any(together[entry][root][size:, row])


@pytest.mark.parametrize("name", ["tagger", "speech"])
def test_padding_changes_no_gradient(name: str) -> None:
    """More padding, with NaN in it, gives the same loss and the same gradients to the bit."""
    program = example(name)
    leaves = leaves_for(program, 7, STEPS, ROWS)
    flow = flow_for(program, "gradients")
    before = evaluate(flow, leaves, T=STEPS, B=ROWS, **OPTIONS)
    longer = dict(leaves)
    for each in program.inputs:
        if Axis.TIME in each.type.axes:
            array = leaves["input", each.name]
            padding = np.full((2, *array.shape[1:]), np.nan if each.type.kind.is_real else -7)
            longer["input", each.name] = np.concatenate([array, padding.astype(array.dtype)])
    after = evaluate(flow, longer, T=STEPS + 2, B=ROWS, **OPTIONS)
    for root, array in before.items():
        np.testing.assert_allclose(
            after[root][:STEPS] if after[root].shape != array.shape else after[root],
            array,
            rtol=1e-11,
            atol=1e-15,
        )
