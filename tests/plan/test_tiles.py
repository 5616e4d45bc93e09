"""Plans for machines with matrix tiles: loops take products along, gradients are summed on tiles, and stretches are long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqc.passes import flow_for
from seqc.plan import Plan, PlanOptions, plan
from seqc.plan.cost import costs, total
from seqc.plan.inside import LONE
from seqc.plan.rates import usual
from seqc.plan.stretch import LONG
from seqc.plan.target import ALONG, Target
from seqc.plan.types import Outer, Outers, Product, Scan
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: {cell}
model M {{
  input x: real[{width}]
  y = x |> {cell}({size})
  output y
  loss = mean(sum(y ^ 2) over time, batch)
}}
"""
TILED = replace(TARGET, vector_bytes=64, real_bytes=4, math="bf16", tiles=True)
VECTORS = replace(TILED, tiles=False)


def planned(cell: str, size: int, width: int, target: Target, entry: str = "infer") -> Plan:
    """The plan of one layer."""
    program = lower_text(MODEL.format(cell=cell, size=size, width=width))
    return plan(flow_for(program, entry), program, entry, target)


def inside(made: Plan) -> list[int]:
    """How many terms each product of the loop has."""
    (scan,) = [node for node in made.nodes if isinstance(node, Scan)]
    return sorted(len(each.segments) for each in scan.kernels if isinstance(each, Product))


@pytest.mark.parametrize(
    ("width", "target", "terms"),
    [(40, TILED, [2]), (ALONG, TILED, [2]), (ALONG + 8, TILED, [1]), (40, VECTORS, [1])],
)
def test_a_loop_takes_along_products_whose_weights_lie_near(
    width: int, target: Target, terms: list[int]
) -> None:
    assert inside(planned("LSTM", 40, width, target)) == terms


def test_a_gate_that_joins_nothing_goes_along_with_the_others() -> None:
    # z and r of W x + U h, and n apart: W x, and U h that r multiplies
    made = planned("GRU", 40, LONE + 8, TILED)
    assert inside(made) == [1, 1, 2]
    assert not any(isinstance(node, Product) for node in made.nodes)


def test_where_a_gate_joins_nothing_short_inputs_stay_outside() -> None:
    assert inside(planned("GRU", 40, LONE, TILED)) == [1]


def test_products_that_join_nothing_stay() -> None:
    made = planned("Dense", 40, 40, TILED)
    assert [isinstance(node, Scan) for node in made.nodes] == [False]


def test_gradients_are_summed_on_tiles_over_long_stretches() -> None:
    for target, math, least in ((TILED, "tiles", LONG), (VECTORS, "bf16", 64)):
        made = planned("LSTM", 512, 40, target, "gradients")
        back = [node for node in made.nodes if isinstance(node, Scan)][-1]
        outers = [each for each in back.after if isinstance(each, Outer | Outers)]
        assert outers and {each.math for each in outers} == {math}
        assert back.stretch == least
        assert len(outers) == (
            1 if target.tiles else 8
        )  # on tiles all gates at once, with both that they multiply


def test_costs_reckon_with_tiles() -> None:
    program = lower_text(MODEL.format(cell="LSTM", size=256, width=40))
    rates = replace(usual(64), tiles=2e12)
    found = {}
    for target in (TILED, VECTORS):
        made = plan(flow_for(program, "gradients"), program, "gradients", target)
        kernels = costs(made, target, rates, 64, 32)
        bounds = {kernel.bound for _, node, kernel in kernels if isinstance(node, Product)}
        found[target.tiles] = bounds, total(kernels)
    assert found[False][0] == {"multiply-adds"}
    assert "multiply-adds" not in found[True][0]
    assert found[True][1].seconds < 0.5 * found[False][1].seconds
    assert found[True][1].least < 0.2 * found[False][1].least


def test_costs_reckon_with_tiles_for_weights_of_eight_bits() -> None:
    program = lower_text(MODEL.format(cell="LSTM", size=256, width=40))
    rates = replace(usual(64), tiles=2e12)
    bounds = {}
    for batch in (1, 32):
        for tiles in (True, False):
            target = replace(TILED, math="real", weights="int8", tiles=tiles)
            made = plan(flow_for(program, "infer"), program, "infer", target)
            kernels = costs(made, target, rates, 64, batch)
            bounds[batch, tiles] = {
                node.segments[0].depth: kernel.bound
                for _, node, kernel in kernels
                if isinstance(node, Product)
            }
    assert bounds[1, True][40] == "matrix tiles"  # all steps at once
    assert bounds[1, True][256] == bounds[1, False][256] == "multiply-adds"  # one row
    assert bounds[32, False][256] == "multiply-adds" != bounds[32, True][256]


WHOLE = replace(TILED, math="real")
"""The same machine with products in single precision."""


def strategies(made: Plan) -> dict[str, set[str]]:
    """The strategies of products in loops, and of those outside."""
    loops = [node for node in made.nodes if isinstance(node, Scan)]
    inner = {each.strategy for scan in loops for each in scan.kernels if isinstance(each, Product)}
    ahead = [each for scan in loops for each in scan.before]
    outer = {each.strategy for each in (*made.nodes, *ahead) if isinstance(each, Product)}
    return {"loop": inner, "outside": outer}


def test_single_precision_takes_tiles_where_rows_are_many() -> None:
    assert strategies(planned("LSTM", 128, 128, WHOLE, "gradients")) == {
        "loop": {"tiles"},
        "outside": {"tiles"},
    }
    assert strategies(planned("LSTM", 128, 128, WHOLE)) == {"loop": {"either"}, "outside": {"tiles"}}
    assert strategies(planned("LSTM", 128, 128, WHOLE, "step"))["outside"] == {"gemm"}
    for other in (replace(WHOLE, tiles=False), replace(WHOLE, real_bytes=8)):
        found = strategies(planned("LSTM", 128, 128, other, "gradients"))
        assert found == {"loop": {"gemm"}, "outside": {"gemm"}}


def test_small_products_and_weights_from_afar_stay_on_vectors() -> None:
    assert strategies(planned("LSTM", 8, 8, WHOLE, "gradients"))["loop"] <= {"rows", "gemm"}
    far = strategies(planned("LSTM", 1024, 1024, WHOLE, "gradients"))
    assert far["loop"] == {"gemm"} and "tiles" in far["outside"]


def test_a_few_rows_of_a_small_loop_keep_their_sums_in_registers() -> None:
    made = planned("GRU", 32, 1, WHOLE)
    assert strategies(made)["loop"] == {"either_rows"}
    assert {pack.kind for pack in made.packs if pack.gates > 1} == {"either"}
    assert strategies(planned("GRU", 32, 1, WHOLE, "step"))["outside"] <= {"rows", "gemm"}


def test_rows_of_very_deep_products_with_equations_stay_off_the_stack() -> None:
    chosen = PlanOptions(prefer=(("product", "tiles"),))
    program = lower_text(MODEL.format(cell="RNN", size=4100, width=4100))
    made = plan(flow_for(program, "gradients"), program, "gradients", WHOLE, chosen)
    forward = next(node for node in made.nodes if isinstance(node, Scan))
    assert [each.strategy for each in forward.kernels if isinstance(each, Product)] == ["gemm"]
    assert "tiles" in strategies(made)["outside"]


def test_weights_lie_as_their_products_read_them() -> None:
    made = planned("LSTM", 128, 128, WHOLE)
    kinds = {pack.kind: pack for pack in made.packs}
    assert set(kinds) == {"either", "split"}
    split, either = kinds["split"], kinds["either"]
    assert split.bytes(4) == 4 * 128 * 128 * 6
    assert either.bytes(4) == 4 * 128 * 128 * 10


TWICE = """
cell Twice(H)(x: real[H]) -> h: real[H] {
  param W: real[H, H] = zeros
  state h: real[H] = 0
  h = tanh(W @ x + sigmoid(W @ prev h))
}
model M {
  input x: real[96]
  y = x |> Twice(96)
  output y
}
"""


def test_a_matrix_that_is_read_in_two_ways_is_packed_twice() -> None:
    program = lower_text(TWICE)
    made = plan(flow_for(program, "infer"), program, "infer", WHOLE)
    assert sorted(pack.kind for pack in made.packs) == ["either", "split"]
    assert len({pack.sources for pack in made.packs}) == 1


def test_gradients_of_single_precision_are_summed_on_tiles() -> None:
    made = planned("LSTM", 128, 128, WHOLE, "gradients")
    back = [node for node in made.nodes if isinstance(node, Scan)][-1]
    outers = [each for each in (*back.after, *made.nodes) if isinstance(each, Outer | Outers)]
    assert outers and {each.math for each in outers} == {"split"}
    assert back.stretch in (0, *range(LONG, 1025, LONG))


def test_weights_of_sixteen_bits_lie_in_pairs_on_tiles() -> None:
    target = replace(WHOLE, weights="bf16")
    assert {pack.kind for pack in planned("LSTM", 128, 128, target).packs} == {"exact"}
    assert {pack.kind for pack in planned("LSTM", 128, 128, replace(target, tiles=False)).packs} == {"bf16"}
