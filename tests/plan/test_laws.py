"""The verifier finds broken plans, and places never overlap, whatever T and B."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seqc.flow.types import STREAM, Kind
from seqc.passes import flow_for
from seqc.plan import PlanError, plan, verify, workspace_bytes
from seqc.plan.buffers import Buffer, Home, Operand, Statement
from seqc.plan.place import boxes, first_fit, lifetimes
from seqc.plan.types import Plan, Pointwise, Scan
from seqc.plan.verify import box_bytes, verify_places
from tests.numeric.hand_models import MODELS
from tests.passes.random_flows import random_program
from tests.plan.compare import TARGET


def made() -> Plan:
    program = MODELS["gru"]()
    return plan(flow_for(program, "gradients"), program, "gradients", TARGET)


def test_operand_outside_of_its_buffer() -> None:
    buffer = Buffer("x", Kind.REAL, 2, STREAM, Home("input", "x"))
    out = Buffer("y", Kind.REAL, 2, STREAM, Home("output", "y"))
    node = Pointwise(STREAM, 2, ((0, Operand(0, 2, 1), Kind.REAL),), (), (), ((0, Operand(1, 2)),))
    with pytest.raises(PlanError, match="is not in"):
        verify(Plan("infer", (buffer, out), (), (), (node,)))


def test_read_before_written() -> None:
    buffer = Buffer("x", Kind.REAL, 2, STREAM, Home("workspace"))
    out = Buffer("y", Kind.REAL, 2, STREAM, Home("output", "y"))
    node = Pointwise(STREAM, 2, ((0, Operand(0, 2), Kind.REAL),), (), (), ((0, Operand(1, 2)),))
    with pytest.raises(PlanError, match="before it is written"):
        verify(Plan("infer", (buffer, out), (), (), (node,)))


def test_statement_out_of_order() -> None:
    out = Buffer("y", Kind.REAL, 2, STREAM, Home("output", "y"))
    node = Pointwise(STREAM, 2, (), (), (Statement(1, "neg", (2,), Kind.REAL),), ((1, Operand(0, 2)),))
    with pytest.raises(PlanError, match="out of order"):
        verify(Plan("infer", (out,), (), (), (node,)))


def test_reordered_kernels_are_found() -> None:
    found = made()
    with pytest.raises(PlanError):
        verify(replace(found, nodes=tuple(reversed(found.nodes))))
    turned = tuple(
        replace(node, kernels=tuple(reversed(node.kernels))) if isinstance(node, Scan) else node
        for node in found.nodes
    )
    with pytest.raises(PlanError):
        verify(replace(found, nodes=turned))


def test_overlap_is_found() -> None:
    found = made()
    first = next(number for number in found.offsets if found.buffers[number].axes == STREAM)
    squeezed = {
        number: found.offsets[first] if found.buffers[number].axes == STREAM else at
        for number, at in found.offsets.items()
    }
    with pytest.raises(PlanError, match="overlap"):
        verify_places(replace(found, offsets=squeezed), TARGET)


@pytest.mark.parametrize("seed", range(8))
def test_no_overlap_for_any_sizes(seed: int) -> None:
    """All pairs of live buffers, many T and B."""
    program = random_program(seed, 30)
    found = plan(flow_for(program, "gradients"), program, "gradients", TARGET)
    rng = np.random.default_rng(seed)
    every = [box for some in boxes(found, TARGET).values() for box in some]
    for _ in range(6):
        steps, batch = (int(n) for n in rng.integers(1, 50, 2))
        spans = [
            (found.offsets[box.number].bytes(steps, batch), box_bytes(found, box, steps, batch), box)
            for box in every
        ]
        for place, (a, length, box) in enumerate(spans):
            assert a % 8 == 0 and a + length <= workspace_bytes(found, steps, batch)
            for b, other_length, other in spans[place + 1 :]:
                assert not box.meets(other) or a + length <= b or b + other_length <= a


def test_memory_is_shared() -> None:
    """Buffers whose lives do not meet lie in one place."""
    found = made()
    cells = boxes(found, TARGET)["cell"]
    assert max(at + box.size for box in cells for at, _ in [first_fit(cells)[box.number]]) < sum(
        box.size for box in cells
    )
    assert all(first <= last for first, last in lifetimes(found).values())
