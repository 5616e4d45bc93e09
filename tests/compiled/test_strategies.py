"""Every strategy of products and every width of vectors, over sizes that fill none: compiled code against the interpreter."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from seqc.plan import PlanOptions
from tests.compiled.client import STRICT, UNOPTIMISED
from tests.compiled.compare import LANES, check_all, check_gradients, check_infer, check_step, inputs_of, make
from tests.compiled.test_interface import under_sanitizers
from tests.numeric.programs import lower_text

MODEL = """
use std.cells: LSTM, GRU, RNN, PeepholeLSTM, MGU, Dense, LayerNormLSTM, minGRU, IndRNN
use std.optim: SGD
cell Blend(H)(x: real[D]) -> h: real[H] {{
  param W: real[H, D] = zeros
  param U: real[H, H] = zeros
  param rate: real[H] = zeros
  state h: real[H] = 0
  h = prev h + sigmoid(rate) * (tanh(W @ x + U @ prev h) - prev h)
}}

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
    "widest": (("RNN(127)", "GRU(129)", "Dense(1)"), 1),
    "short": (("Blend(17)", "Dense(3)"), 3),
    "others": (("PeepholeLSTM(9)", "MGU(17)", "Blend(31)", "Dense(3)"), 3),
    "paged": (("LSTM(128)", "RNN(512)", "Dense(1)"), 1),  # rows of whole pages, which are moved apart
    "normed": (("LayerNormLSTM(9)", "minGRU(17)", "IndRNN(31)", "Dense(3)"), 3),
}
SHAPES = ((1, 1), (1, 5), (3, 1), (9, 2), (1, 33))


def check(
    chain: str,
    folder: Path,
    vector_bytes: int,
    options: PlanOptions | None,
    real: str = "f64",
    flags: tuple[str, ...] = (),
    tiles: bool = False,
) -> None:
    """A chain of layers whose sizes fill no vector, for several numbers of steps and rows."""
    cells, last = CHAINS[chain]
    program = lower_text(MODEL.format(chain=" |> ".join(cells), last=last))
    pair = make(program, real, folder, vector_bytes=vector_bytes, options=options, flags=flags, tiles=tiles)
    for steps, batch in SHAPES:
        inputs = inputs_of(pair, steps, batch)
        check_infer(pair, inputs, steps, batch, carry=True)
        check_gradients(pair, inputs, steps, batch)
        check_step(pair, inputs, steps, batch)
    check_all(pair, 2, 13)


STRATEGIES = ("", "gemm", "rows", "plain")


def options_of(strategy: str) -> PlanOptions:
    """`rows` wherever it is legal, the others everywhere; the planner's own choice where the name is empty."""
    wish = (("product", strategy),) if strategy else ()
    return PlanOptions(prefer=wish) if strategy == "rows" else PlanOptions(force=wish)


@pytest.mark.parametrize("chain", ["small", "middle", "large", "widest", "others"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy(strategy: str, chain: str, tmp_path: Path) -> None:
    check(chain, tmp_path, LANES, options_of(strategy))


def on_tiles(strategy: str) -> PlanOptions:
    """`tiles` or `either` wherever it is legal, and gradients of weights on tiles."""
    return PlanOptions(prefer=(("product", strategy), ("outer", "tiles")))


@pytest.mark.parametrize("chain", ["small", "middle", "large", "widest"])
@pytest.mark.parametrize("strategy", ["", "tiles", "either", "either_rows"])
def test_single_precision_on_tiles(strategy: str, chain: str, tmp_path: Path) -> None:
    """Where a machine has no tiles, the same library multiplies on vectors."""
    options = on_tiles(strategy) if strategy else None
    check(chain, tmp_path, LANES, options, "f32", UNOPTIMISED, tiles=True)


TILED = """
from pathlib import Path
from tests.compiled.test_interface import SANITIZE
from tests.compiled.test_strategies import LANES, check, on_tiles
check({chain!r}, Path({folder!r}), LANES, on_tiles({strategy!r}), "f32", SANITIZE, True)
print("clean")
"""


@pytest.mark.parametrize(("strategy", "chain"), [("tiles", "short"), ("either", "large")])
def test_tiles_under_sanitizers(strategy: str, chain: str, tmp_path: Path) -> None:
    under_sanitizers(TILED.format(chain=chain, folder=str(tmp_path), strategy=strategy))


SANITIZED = """
from pathlib import Path
from tests.compiled.test_interface import SANITIZE
from tests.compiled.test_strategies import LANES, check, options_of
check({chain!r}, Path({folder!r}), LANES, options_of({strategy!r}), flags=SANITIZE)
print("clean")
"""


@pytest.mark.parametrize(("strategy", "chain"), [("gemm", "widest"), ("rows", "short"), ("plain", "short")])
def test_every_strategy_under_sanitizers(strategy: str, chain: str, tmp_path: Path) -> None:
    under_sanitizers(SANITIZED.format(chain=chain, folder=str(tmp_path), strategy=strategy))


@pytest.mark.parametrize("chain", ["small", "middle", "large", "others"])
def test_loops_apart_from_products(chain: str, tmp_path: Path) -> None:
    check(chain, tmp_path, LANES, PlanOptions(epilogues=False))


@pytest.mark.parametrize("chain", ["small", "middle", "large", "others", "paged", "normed"])
def test_stretches_of_time(chain: str, tmp_path: Path) -> None:
    check(chain, tmp_path, LANES, PlanOptions(stretch=6))


@pytest.mark.parametrize("vector_bytes", sorted({0, 16, 32} - {LANES}))
def test_every_width(vector_bytes: int, tmp_path: Path) -> None:
    check("middle", tmp_path, vector_bytes, None)


@pytest.mark.parametrize("chain", ["widest", "others"])
@pytest.mark.parametrize(("vector_bytes", "march"), [(16, ""), (32, "x86-64-v3")])
def test_builds_for_lesser_machines(vector_bytes: int, march: str, chain: str, tmp_path: Path) -> None:
    """Plain C, and AVX2 without anything beyond it."""
    if march and (platform.machine() not in ("x86_64", "AMD64") or vector_bytes > LANES):
        pytest.skip("this machine does not run what is compiled so")
    flags = ("-O0", *((f"-march={march}",) if march else ()), *STRICT)
    check(chain, tmp_path, vector_bytes, None, flags=flags)


@pytest.mark.parametrize("vector_bytes", sorted({0, 16, 32, LANES}))
def test_every_width_in_single_precision(vector_bytes: int, tmp_path: Path) -> None:
    check("small", tmp_path, vector_bytes, None, "f32")
