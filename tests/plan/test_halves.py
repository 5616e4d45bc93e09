"""What only the way back reads is kept in bfloat16 where products are: which values, how many blocks at once, and the numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seqc
from seqc.passes import flow_for
from seqc.plan import Plan, plan
from seqc.plan.late import LIMITS
from seqc.plan.place import workspace_bytes
from seqc.plan.target import Target
from seqc.plan.types import Product, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

LAYER = """
use std.cells: LSTM, GRU, Dense
model M {{
  input x: real[8]
  h = x |> {cell}({size})
  y = h |> Dense(2)
  output y
  loss = mean(sum({shown} ^ 2) over time, batch)
}}
"""
BF16 = replace(TARGET, vector_bytes=64, real_bytes=4, math="bf16")
TILES = replace(BF16, tiles=True)


def planned(text: str, entry: str = "gradients", target: Target = BF16) -> Plan:
    """The plan of a model."""
    program = lower_text(text)
    return plan(flow_for(program, entry), program, entry, target)


def layer(cell: str, size: int, shown: str = "y") -> str:
    """A layer behind which a product stands, and a loss of what that gives, or of the layer itself."""
    return LAYER.format(cell=cell, size=size, shown=shown)


def halves(made: Plan) -> list[str]:
    """The names of what is kept so."""
    return sorted(each.name for each in made.buffers if each.half)


@pytest.mark.parametrize(("cell", "kept"), [("LSTM", 5), ("GRU", 4)])
def test_gates_are_kept_in_halves(cell: str, kept: int) -> None:
    text = layer(cell, 32)
    assert len(halves(planned(text))) == kept
    assert not halves(planned(text, target=replace(BF16, math="real")))
    assert not halves(planned(text, target=replace(BF16, real_bytes=8)))
    assert not halves(planned(text, "infer"))
    assert not halves(planned(layer(cell, 8)))  # less than a vector


def test_a_buffer_takes_half_of_the_bytes() -> None:
    text, single = layer("LSTM", 32), replace(BF16, math="real")
    sizes = [workspace_bytes(planned(text, target=each), 10, 4) for each in (BF16, single)]
    assert sizes[1] - sizes[0] == 5 * 10 * 4 * 32 * 2


def test_what_a_loss_is_made_of_stays() -> None:
    # h = o tanh(c) is computed again for the loss, from both
    seen = {each.split(".")[-2] for each in halves(planned(layer("LSTM", 32, "h")))}
    assert seen == {"f", "i", "g"}


@pytest.mark.parametrize(
    ("size", "entry", "blocks"),
    [
        (32, "gradients", 1),
        (64, "gradients", 2),
        (512, "gradients", 4),
        (128, "infer", 1),
        (512, "infer", 2),
    ],
)
def test_blocks_that_tiles_take_at_once(size: int, entry: str, blocks: int) -> None:
    made = planned(layer("LSTM", size), entry, TILES)
    scan = next(node for node in made.nodes if isinstance(node, Scan))
    assert [each.blocks for each in scan.kernels if isinstance(each, Product)] == [blocks]


def test_halves_go_past_the_caches_by_whole_lines() -> None:
    for target, late in ((TILES, 5), (BF16, 0)):
        made = planned(layer("LSTM", 512), target=target)
        scan = next(node for node in made.nodes if isinstance(node, Scan))
        (product,) = [each for each in scan.kernels if isinstance(each, Product)]
        assert product.epilogue is not None and len(product.epilogue.late) == late
        if late:
            assert product.epilogue.late_cells == LIMITS["halves"].much // (5 * 512 * 2)


TRAINED = """
use std.cells: LSTM, Dense
use std.optim: SGD
model M {
  input x: real[5]
  target t: real[2]
  y = x |> LSTM(37) |> Dense(2)
  output y
  loss = mean(sum((y - t) ^ 2) over time, batch)
}
train M { update = SGD(lr = 0.1) PRODUCTS }
"""


@pytest.mark.parametrize("march", ["native", ""])
def test_gradients_stay_near_those_of_single_precision(tmp_path: Path, march: str) -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(9, 3, 5)).astype(np.float32)
    t = random.normal(size=(9, 3, 2)).astype(np.float32)
    found = []
    for number, products in enumerate(("", "math = bf16")):
        path = tmp_path / f"m{number}.seq"
        path.write_text(TRAINED.replace("PRODUCTS", products), encoding="utf-8")
        found.append(seqc.load(path, engine="library", march=march, seed=1).gradients(x, t))
    assert 0 < abs(float(found[0].score) - float(found[1].score)) < 2e-3
    for name, exact in found[0].parameters.items():
        size = float(np.linalg.norm(exact))
        error = float(np.linalg.norm(found[1].parameters[name] - exact))
        assert 0 < error < 0.03 * size or size == 0, name


def test_rows_that_end_and_threads(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(23, 7, 5)).astype(np.float32)
    t = random.normal(size=(23, 7, 2)).astype(np.float32)
    lengths = np.array([23, 5, 1, 17, 9, 23, 2], np.int32)
    found = []
    for number, products in enumerate(("", "math = bf16")):
        path = tmp_path / f"r{number}.seq"
        text = TRAINED.replace("PRODUCTS", products).replace("  target t", "  input n: length\n  target t")
        path.write_text(text, encoding="utf-8")
        model = seqc.load(path, engine="library", seed=1)
        alone = {name: np.array(each) for name, each in model.gradients(x, t, n=lengths).parameters.items()}
        model.threads = 2
        shared = model.gradients(x, t, n=lengths).parameters
        assert all(np.array_equal(alone[name], shared[name]) for name in alone)
        found.append(alone)
    for name, exact in found[0].items():
        error = float(np.linalg.norm(found[1][name] - exact))
        assert error < 0.03 * float(np.linalg.norm(exact)) + 1e-9, name
