"""Stretches of what was joined or placed: a window over the last steps moves once a step, and its slopes once back."""

from __future__ import annotations

import pytest

from seqc.flow.types import STREAM, Flow, Kind, Type
from seqc.ops.build import Builder
from seqc.passes import flow_for
from seqc.passes.prune import prune
from seqc.passes.simplify import simplify
from seqc.plan import plan
from seqc.plan.types import Move, Pointwise, Scan
from tests.numeric.programs import lower_text
from tests.passes.test_places import agree, ops
from tests.plan.compare import TARGET, compare

WINDOW = """
model M {
  input x: real[2]
  param W: real[3, 2] = normal(0.5)
  state line: real[4, 2] = 0
  line = concat([tanh(x)], prev line)[0:4]
  output y = W @ (line[3] * line[1])
  loss = mean(sum(y ^ 2) over time, batch)
}
"""


def inputs(b: Builder, *sizes: int) -> list[int]:
    return [
        b.add("input", type=Type(Kind.REAL, (2, size), STREAM), name=f"x{number}")
        for number, size in enumerate(sizes)
    ]


def reduced(b: Builder, value: int) -> tuple[Flow, Flow]:
    flow = b.finish({"output.y": value})
    return flow, prune(simplify(flow))


@pytest.mark.parametrize(
    ("indices", "wanted"),
    [
        ((0, 1, 2, 3), ["concat", "pick"]),
        ((1, 2, 3, 4, 5), ["concat", "pick"]),
        ((2, 3, 4, 5), ["concat"]),
        ((4, 3, 2, 1), ["concat", "pick"]),
        ((1, 1, 2), ["concat", "pick"]),
        ((3, 4), ["pick"]),
    ],
)
def test_a_run_over_several_parts(indices: tuple[int, ...], wanted: list[str]) -> None:
    b = Builder()
    before, after = reduced(b, b.pick(b.concat(*inputs(b, 2, 3, 1), dim=1), 1, indices, False))
    agree(before, after)
    assert sorted(set(ops(after))) == wanted
    joined = [value.type.dims[1] for value in after.values if value.op == "concat"]
    runs = indices == tuple(range(indices[0], indices[-1] + 1))
    assert joined in ([], [len(indices) if runs else 6])


@pytest.mark.parametrize("indices", [(0, 1, 2), (3, 4, 5), (1, 2, 3, 4), (0, 1), (4, 2), (2,)])
def test_a_run_of_what_was_placed_in_part(indices: tuple[int, ...]) -> None:
    b = Builder()
    whole = b.add("place", *inputs(b, 3), dim=1, indices=(2, 3, 4), size=6, drop=False)
    before, after = reduced(b, b.pick(whole, 1, indices, False))
    agree(before, after)
    placed = [value.type.dims[1] for value in after.values if value.op == "place"]
    assert placed in ([], [6 if indices == (0, 1) else len(indices)])


def test_a_window_is_moved_once_a_step() -> None:
    program = lower_text(WINDOW)
    flow = flow_for(program, "gradients")
    compare(flow, program, "gradients")
    scans = [node for node in plan(flow, program, "gradients", TARGET).nodes if isinstance(node, Scan)]
    kinds = [[type(kernel) for kernel in scan.kernels] for scan in scans]
    assert kinds == [[Move, Move], [Pointwise, Move]]
