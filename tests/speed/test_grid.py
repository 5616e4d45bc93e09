"""The benchmark grid without its clock: rows, models, floors, the equations of its cells, and the table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from seqc import check, load
from seqc.plan.rates import Rates

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from speed import cells, floor, models, table
from speed.runner import Result, Timing, compare, quarters
from speed.work import GRIDS, Work, rows


@pytest.mark.parametrize("grid", GRIDS)
def test_every_row_is_a_model_with_data(grid: str, tmp_path: Path) -> None:
    names = [row.name for row in rows(grid)]
    assert len(set(names)) == len(names)
    assert 0 < len(rows(grid, quick=True)) <= len(names)
    for text in sorted({models.text(row) for row in rows(grid)}):
        path = tmp_path / "grid.seq"
        path.write_text(text, encoding="utf-8")
        assert check(path) == ()
    for row in rows(grid):
        if row.hidden <= 128 and row.kind != "build":
            assert all(np.isfinite(each).all() for each in models.data(row).values())


@pytest.mark.parametrize("cell", sorted(cells.CELLS))
def test_equations_of_peers_are_those_of_the_library(cell: str, tmp_path: Path) -> None:
    work = Work("sequence", cell, 8, steps=7, batch=3)  # of four heads, where a cell has heads
    path = tmp_path / "grid.seq"
    path.write_text(models.text(work), encoding="utf-8")
    model = load(path, engine="evaluator", real="f64", seed=3)
    x = models.data(work)["x"]
    weights = {name: np.array(value) for name, value in model.params.items()}
    wanted = np.array(model.infer(x.astype(np.float64)))
    assert np.allclose(cells.reference(cell, weights, "cell0", x), wanted, atol=1e-12)


def test_floors_grow_with_work_and_count_products() -> None:
    rates = Rates()
    assert floor.operations(Work("sequence", "LSTM", 8, steps=10, batch=2)) == 2 * 20 * 8 * 8 * 8
    times = [floor.seconds(Work("sequence", "GRU", size), rates) for size in (8, 64, 512)]
    assert times == sorted(times)
    whole, half = Work("training", "LSTM", 64, steps=8, batch=4), Work("ragged", "LSTM", 64, steps=8, batch=4)
    assert floor.seconds(half, rates) < floor.seconds(whole, rates)


def test_tiles_lower_the_floor_of_many_rows() -> None:
    plain = Rates()
    tiled = Rates(tiles=100 * plain.operations)
    many, alone = Work("sequence", "LSTM", 64, steps=8, batch=32), Work("samples", "LSTM", 64)
    assert floor.seconds(many, tiled) == pytest.approx(floor.seconds(many, plain) * 6 / 100)
    assert floor.seconds(alone, tiled) == floor.seconds(alone, plain)


def test_a_row_that_is_not_rounded_takes_several_products() -> None:
    """Two of pairs on vectors, three on tiles; many rows are rounded, and take one."""
    plain = Rates()
    alone = Work("sequence", "LSTM", 16, steps=8, precision="bf16")
    many = Work("sequence", "LSTM", 16, steps=8, batch=32, precision="bf16")
    for rates, parts in ((Rates(dots=3 * plain.operations), 2), (Rates(tiles=6 * plain.operations), 3)):
        quick = max(rates.dots, rates.tiles)
        assert floor.seconds(many, rates) == pytest.approx(floor.operations(many) / quick)
        whole = floor.operations(alone) / quick * parts
        assert whole > alone.steps * floor.resident(floor.loop_bytes(alone), rates)
        assert floor.seconds(alone, rates) == pytest.approx(whole)


def test_a_share_of_the_multiply_adds_may_be_asked_for() -> None:
    work = Work("sequence", "LSTM", 256, steps=100, batch=32, floor=0.88)
    took = floor.operations(work) / 1e11
    for time, mark in ((took, " ✓"), (1.2 * took, " ✗")):
        timing = Timing("seqc", time, time, time, (time,))
        result = Result("sequence", work, timing, (), "", None, took, took / time, 1e11, ())
        assert table.met(result) == mark


def test_results_that_differ_are_named() -> None:
    from speed.peers import PEERS

    work, ones = Work("sequence"), np.ones((2, 2))
    assert compare(work, PEERS[0], ones, ones)[0].startswith("PyTorch: equal")
    assert compare(work, PEERS[0], ones, 1.1 * ones)[0].startswith("DISAGREES")
    assert compare(work, PEERS[0], ones, np.full((2, 2), np.nan))[0].startswith("DISAGREES")
    assert quarters([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)


def test_the_table_says_what_was_measured() -> None:
    ours, other = Timing("seqc", 1e-3, 0.9e-3, 1.1e-3, (1e-3,)), Timing("JAX scan", 4e-3, 4e-3, 4e-3, (4e-3,))
    work = Work("training", "MGU", 128, steps=64, batch=32, target=0.5)
    good = Result("cells", work, ours, (other,), "JAX scan", (0.2, 0.25, 0.3), 5e-4, 0.5, 1e11, ())
    stream = Work("samples", "LSTM", 8, nanoseconds=36)
    late = Result("streaming", stream, ours, (), "", None, 5e-4, 0.5, 2.4e11, ("a remark",))
    text = table.markdown([good, late], Rates())
    assert "| 1 ms |" in text and "0.25 ✓" in text and "✗" in text and "a remark" in text
    assert "36 ns" in text and len(table.as_csv([good, late]).splitlines()) == 4
    assert len(json.loads(table.as_json([good, late], Rates()))["rows"]) == 2
