"""What loops store for long after them goes past the caches: which values, from how many cells on, and the same numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seqc
from seqc.passes import flow_for
from seqc.plan import Plan, PlanOptions, plan
from seqc.plan.late import LIMITS, PARTED
from seqc.plan.place import reads_and_writes
from seqc.plan.types import Product, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: LSTM, Dense
model M {{
  input x: real[3]
  y = x |> LSTM({size}) |> Dense(2)
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}}
"""
MUCH = LIMITS["workspace"].much
WIDE = replace(TARGET, vector_bytes=64, real_bytes=4)


def forward(
    size: int, entry: str, target: object = WIDE, options: PlanOptions | None = None
) -> tuple[Plan, Scan, Product]:
    """A plan, its first loop and the product in it."""
    assert isinstance(target, type(TARGET))
    program = lower_text(MODEL.format(size=size))
    made = plan(flow_for(program, entry), program, entry, target, options)
    scan = next(node for node in made.nodes if isinstance(node, Scan))
    (product,) = [each for each in scan.kernels if isinstance(each, Product)]
    return made, scan, product


def test_gates_go_past_the_caches_and_states_do_not() -> None:
    made, scan, product = forward(512, "gradients")
    assert product.epilogue is not None
    late = set(product.epilogue.late)
    read = {each.buffer for kernel in scan.kernels for each in reads_and_writes(made, kernel)[0]}
    assert len(late) == 5 and not late & read  # four gates and the tanh of the cell
    assert product.epilogue.late_cells == MUCH // (5 * 512 * 4)
    stored = {operand.buffer for _, operand in product.epilogue.stores}
    assert late < stored


@pytest.mark.parametrize(("size", "entry"), [(500, "gradients"), (256, "infer"), (256, "gradients")])
def test_parts_of_lines_stay_and_so_does_little(size: int, entry: str) -> None:
    product = forward(size, entry)[2]
    assert product.epilogue is not None and not product.epilogue.late


def test_weights_in_parts_need_the_room_earlier() -> None:
    target = replace(WIDE, tiles=True)
    for name in ("gemm", "tiles"):
        product = forward(256, "gradients", target, PlanOptions(prefer=(("product", name),)))[2]
        assert product.epilogue is not None and bool(product.epilogue.late) == (name == "tiles")


def test_no_other_vectors_are_whole_lines() -> None:
    product = forward(512, "gradients", replace(WIDE, vector_bytes=32))[2]
    assert product.epilogue is not None and not product.epilogue.late


def test_gradients_are_those_of_fewer_rows(tmp_path: Path) -> None:
    source = tmp_path / "m.seq"
    source.write_text(MODEL.format(size=512), encoding="utf-8")
    model = seqc.load(source, engine="library", seed=1)
    steps, rows = 26, 50
    for much in (PARTED.much, MUCH):  # on a machine with matrix tiles, or without
        steps = max(steps, much // (5 * 512 * 4) // rows + 1)
        assert steps * rows > much // (5 * 512 * 4) > steps * rows // 4
    x = np.random.default_rng(0).normal(0, 1, (steps, rows, 3)).astype(np.float32)
    found, halves = (
        model.gradients(x).parameters,
        [model.gradients(part).parameters for part in (x[:, :25], x[:, 25:])],
    )
    for name, value in found.items():
        expected = (halves[0][name].astype(np.float64) + halves[1][name]) / 2
        assert np.abs(value - expected).max() < 2e-6 * np.abs(expected).max(), name


def test_sequences_go_to_the_caller_past_the_caches() -> None:
    program = lower_text(
        "use std.cells: LSTM\nmodel M {\n  input x: real[3]\n  h = x |> LSTM(512)\n  output h\n}\n"
    )
    made = plan(flow_for(program, "infer"), program, "infer", WIDE)
    (scan,) = [node for node in made.nodes if isinstance(node, Scan)]
    (product,) = [each for each in scan.kernels if isinstance(each, Product)]
    assert product.epilogue is not None
    assert [made.buffers[each].home.role for each in product.epilogue.late] == ["output"]
    assert product.epilogue.late_cells == LIMITS["output"].much // (4 * 512)
