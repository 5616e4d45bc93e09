"""Products in bfloat16: trained and evaluated beside double precision, and the same results however they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.driver import pipeline
from seqc.driver.build import build
from seqc.driver.options import Options
from seqc.driver.sources import Reader
from seqc.plan.target import Target
from seqc.plan.types import Outer, Scan
from seqc.run.package import open_package

MODEL = """
use std.cells: Dense, Embedding, GRU, LSTM
use std.losses: cross_entropy
use std.optim: SGD

model Letters {
  input  k: index(30)
  target t: index(30)
  logits = k |> Embedding(40) |> GRU(33) |> LSTM(48) |> Dense(30)
  output logits
  loss = mean(cross_entropy(logits, t) over time, batch)
}

train Letters { update = SGD(lr = 0.1)  math = bf16 }
deploy half of Letters { weights = bf16  math = bf16 }
deploy whole of Letters { math = bf16 }
deploy exact of Letters { math = f32 }
"""


def source_in(folder: Path) -> Path:
    source = folder / "letters.seq"
    source.write_text(MODEL, encoding="utf-8")
    return source


def letters(steps: int, rows: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    draw = np.random.default_rng(1)
    shape = (steps, rows)
    return draw.integers(0, 30, shape, np.int32), draw.integers(0, 30, shape, np.int32)


def test_functions_that_system_headers_name_too(tmp_path: Path) -> None:
    file = tmp_path / "size.seq"
    text = "use std.cells: Dense\nmodel Size { input x: real[9]  output y = abs(x[0]) > abs(x[1])  output z = abs(x)"
    text += "  output other = x |> Dense(9) }\ndeploy low of Size { math = bf16 }\n"
    file.write_text(text, encoding="utf-8")
    x = np.random.default_rng(0).normal(size=(3, 2, 9)).astype(np.float32)
    build(file, tmp_path, options=Options(deploy="low"))
    y, z, _ = open_package(tmp_path / "size").infer(x)
    assert np.array_equal(z, np.abs(x)) and np.array_equal(y != 0, z[..., 0] > z[..., 1])


def test_gradients_are_near_and_training_learns(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    low = seqc.load(source, engine="library", seed=3)
    exact = seqc.load(source, engine="evaluator", real="f64", seed=3)
    for name, value in exact.params.items():
        value[...] = low.params[name]
    k, t = letters(20, 9)
    found, right = low.gradients(k, t), exact.gradients(k, t)
    gradients = found.parameters
    assert 0 < abs(float(found.score) - float(right.score)) < 2e-3
    for name, value in right.parameters.items():
        size = np.linalg.norm(value)
        assert np.linalg.norm(gradients[name] - value) < 0.03 * size + 1e-9, name
    first = float(low.update(k, t))
    for _ in range(30):
        last = float(low.update(k, t))
    assert last < first - 0.01


def test_rows_steps_and_threads_change_no_bit(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    model = seqc.load(source, engine="library", seed=3)
    k, t = letters(12, 37)
    together = model.infer(k)
    assert np.array_equal(model.infer(k[:, 5:6])[:, 0], together[:, 5])
    state = model.state(37)
    steps = [np.array(model.step(k[step], state=state)) for step in range(12)]
    assert np.allclose(np.stack(steps), together, rtol=0, atol=1e-5)
    alone = {name: np.array(value) for name, value in model.gradients(k, t).parameters.items()}
    model.threads = 3
    shared = model.gradients(k, t).parameters
    assert all(np.array_equal(alone[name], shared[name]) for name in alone)


def test_weights_in_pairs_and_as_reals_agree(tmp_path: Path) -> None:
    source = source_in(tmp_path)
    k, _ = letters(30, 6)
    found, sizes = {}, {}
    for profile in ("half", "whole", "exact"):
        build(source, tmp_path / profile, options=Options(deploy=profile))
        model = open_package(tmp_path / profile / "letters", seed=3)
        found[profile] = np.array(model.infer(k))
        sizes[profile] = model.engine.manifest["packed_bytes"]
    assert sizes["half"] < 0.9 * sizes["exact"]  # depths of 33, 40 and 48 take whole tiles of 32
    span = np.ptp(found["whole"])
    assert np.abs(found["half"] - found["whole"]).max() < 2e-3 * span
    exact = seqc.load(source, engine="evaluator", seed=3).infer(k)
    assert 1e-6 * span < np.abs(found["whole"] - exact).max() < 0.01 * span


@pytest.mark.parametrize(
    ("able", "kind", "math"),
    [(set(), "rounded", "bf16"), ({"dots"}, "dots", "dots"), ({"tiles", "dots"}, "pairs", "tiles")],
)
def test_plans_round_all_wide_products(able: set[str], kind: str, math: str, tmp_path: Path) -> None:
    program = pipeline.program(Reader(source_in(tmp_path)), Options())
    target = Target(vector_bytes=64, math="bf16", tiles="tiles" in able, dots="dots" in able)
    plan = pipeline.plans(program, target, ("update",))["update"]
    assert {pack.kind for pack in plan.packs if pack.sources} == {kind}
    kernels = [each for node in plan.nodes for each in (node.all if isinstance(node, Scan) else (node,))]
    outers = [each for each in kernels if isinstance(each, Outer)]
    assert outers and all(each.math == math for each in outers)


@pytest.fixture
def in_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Target]:
    """Builds as for a machine that multiplies pairs on vectors and has no tiles; where there is no such instruction the same
    code takes two multiply-adds. Gives the targets of what was built."""
    usual, made = pipeline.target_of, list[Target]()

    def target_of(*given: Any, **named: Any) -> Target:
        made.append(replace(usual(*given, **named), tiles=False, dots=True))
        return made[-1]

    monkeypatch.setattr(pipeline, "target_of", target_of)
    monkeypatch.setenv("SEQC_CACHE", str(tmp_path / "cache"))
    return made


def test_pairs_on_vectors_are_near_learn_and_change_no_bit(in_pairs: list[Target], tmp_path: Path) -> None:
    test_gradients_are_near_and_training_learns(tmp_path)
    test_rows_steps_and_threads_change_no_bit(tmp_path)
    test_threads_change_no_bit_where_a_batch_has_many_rows_and_a_member_few(tmp_path)
    assert any(each.math == "bf16" for each in in_pairs)


@pytest.mark.parametrize(
    ("able", "kind"), [(set(), "bf16"), ({"dots"}, "twins"), ({"tiles", "dots"}, "exact")]
)
def test_plans_store_weights_as_the_machine_multiplies_them(
    able: set[str], kind: str, tmp_path: Path
) -> None:
    program = pipeline.program(Reader(source_in(tmp_path)), Options())
    target = Target(vector_bytes=64, weights="bf16", tiles="tiles" in able, dots="dots" in able)
    plan = pipeline.plans(program, target, ("infer",))["infer"]
    assert kind in {pack.kind for pack in plan.packs} <= {kind, "real"}


def test_threads_change_no_bit_where_a_batch_has_many_rows_and_a_member_few(tmp_path: Path) -> None:
    """Which way a loop multiplies goes by the rows of the call, on machines where many rows are multiplied in another way."""
    text = "use std.cells: LSTM\nmodel Wide {\n  input x: real[96]\n  h = x |> LSTM(96)\n  output h\n}\n"
    for weights in ("real", "bf16"):
        source = tmp_path / f"{weights}.seq"
        source.write_text(f"{text}deploy low of Wide {{ weights = {weights} }}\n", encoding="utf-8")
        build(source, tmp_path / weights, options=Options(deploy="low"))
        model = open_package(tmp_path / weights / weights, seed=3)
        x = np.random.default_rng(2).normal(size=(5, 11, 96)).astype(np.float32)
        alone = np.array(model.infer(x))
        for threads in (2, 3, 4):
            model.threads = threads
            assert np.array_equal(np.array(model.infer(x)), alone), (weights, threads)
