"""Every strategy of products and every width of vectors, over sizes that fill none: compiled code against the interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.plan import PlanOptions
from tests.compiled.client import STRICT
from tests.compiled.compare import LANES, check_all, check_gradients, check_infer, check_step, inputs_of, make
from tests.numeric.programs import lower_text

MODEL = """
use std.cells: LSTM, GRU, RNN, Dense
use std.optim: SGD
model M {{
  input  x: real[2]
  target goal: real[{last}]
  y = x |> {chain}
  output y
  loss = mean(sum((y - goal) ^ 2) over time, batch)
}}
train M {{ update = SGD(lr = 1e-2) }}
"""

CHAINS = {
    "small": (("LSTM(1)", "GRU(2)", "LSTM(3)", "RNN(7)", "LSTM(8)", "Dense(1)"), 1),
    "middle": (("LSTM(15)", "GRU(16)", "RNN(17)", "Dense(31)"), 31),
    "large": (("LSTM(33)", "RNN(65)", "GRU(63)", "Dense(2)"), 2),
}
SHAPES = ((1, 1), (1, 4), (3, 1), (9, 2))


def check(
    chain: str, folder: Path, vector_bytes: int, options: PlanOptions | None, real: str = "f64"
) -> None:
    """A chain of layers whose sizes fill no vector, for several numbers of steps and rows."""
    cells, last = CHAINS[chain]
    program = lower_text(MODEL.format(chain=" |> ".join(cells), last=last))
    flags = ("-O1", "-march=native", *STRICT)
    pair = make(program, real, folder, vector_bytes=vector_bytes, options=options, flags=flags)
    for steps, batch in SHAPES:
        inputs = inputs_of(pair, steps, batch)
        check_infer(pair, inputs, steps, batch, carry=True)
        check_gradients(pair, inputs, steps, batch)
        check_step(pair, inputs, steps, batch)
    check_all(pair, 2, 13)


@pytest.mark.parametrize("chain", sorted(CHAINS))
@pytest.mark.parametrize("strategy", ["", "gemm", "plain"])
def test_every_strategy(strategy: str, chain: str, tmp_path: Path) -> None:
    force = (("product", strategy),) if strategy else ()
    check(chain, tmp_path, LANES, PlanOptions(force=force))


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_loops_apart_from_products(chain: str, tmp_path: Path) -> None:
    check(chain, tmp_path, LANES, PlanOptions(epilogues=False))


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_stretches_of_time(chain: str, tmp_path: Path) -> None:
    check(chain, tmp_path, LANES, PlanOptions(stretch=6))


@pytest.mark.parametrize("vector_bytes", sorted({0, 16, 32} - {LANES}))
def test_every_width(vector_bytes: int, tmp_path: Path) -> None:
    check("middle", tmp_path, vector_bytes, None)


@pytest.mark.parametrize("vector_bytes", sorted({0, 16, 32, LANES}))
def test_every_width_in_single_precision(vector_bytes: int, tmp_path: Path) -> None:
    check("small", tmp_path, vector_bytes, None, "f32")
