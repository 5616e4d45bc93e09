"""Rules by rows of weights: which rules run so, who shares them, and which packed matrices they write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqc.emit.packing import renewed, shapes_of
from seqc.passes import flow_for
from seqc.plan import Plan, plan
from seqc.plan.share import Split, shares
from seqc.plan.types import PackedMatrix, Pointwise
from seqc.plan.verify import PlanError, verify
from seqc.plan.weights import FAR_BYTES
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.cells: Dense, GRU
use std.losses: cross_entropy
use std.optim: {rule}

model M {{
  input  x: real[3]
  target t: index({words})
  layer gru = GRU(20)
  layer out = Dense({words})
  z = x |> gru |> out
  output z
  loss = mean(cross_entropy(z, t) over time, batch)
}}

train M {{ update = {rule}()  clip = norm(1.0) }}
"""


def rules(rule: str = "SGD", words: int = 40) -> Plan:
    """The plan of `apply`."""
    program = lower_text(MODEL.format(rule=rule, words=words))
    return plan(flow_for(program, "apply"), program, "apply", TARGET)


@pytest.mark.parametrize("rule", ["SGD", "Adam", "AdaDelta", "Lion"])
def test_matrices_are_changed_row_by_row(rule: str) -> None:
    made = rules(rule)
    assert shapes_of(made)["out.W"] == (40, 20)
    assert {shape for name, shape in shapes_of(made).items() if name.endswith(".U")} == {(20, 20)}
    assert not any(name.endswith(".b") for name in shapes_of(made))


def test_members_share_a_matrix_of_many_rows() -> None:
    made = rules()
    split = {
        node.rows: share.split
        for node, share in zip(made.nodes, shares(made, 4, 16), strict=True)
        if isinstance(node, Pointwise) and node.rows > 1
    }
    assert split == {20: Split.TASK, 40: Split.PART}


def test_only_weights_beyond_all_caches_are_written_past_them() -> None:
    few, many = rules(), rules(words=FAR_BYTES // 80)
    assert {node.far for node in few.nodes if isinstance(node, Pointwise) and node.rows > 1} == {False}
    assert {node.far for node in many.nodes if isinstance(node, Pointwise) and node.rows > 1} == {True}


def test_a_packed_matrix_is_written_where_all_its_sources_are_whole() -> None:
    shapes = {"a": (4, 3), "b": (4, 3)}
    rows = PackedMatrix("rows", (("a", 0), ("b", 0)), 4, 3, 2, 16)
    columns = PackedMatrix("columns", (("a", 0), ("b", 0)), 3, 8, 1, 16)
    assert renewed(rows, shapes) and renewed(columns, shapes)
    assert not renewed(rows, {"a": (4, 3)})
    assert not renewed(PackedMatrix("rows", (("a", 3),), 3, 3, 1, 16), shapes)
    assert not renewed(PackedMatrix("rows", (("a", 0),), 4, 3, 1, 16, kind="int8"), shapes)


def test_pairs_are_written_where_none_is_of_two_matrices() -> None:
    shapes = {"a": (400, 600), "b": (400, 600), "c": (401, 600), "d": (40, 60)}
    for kind in ("pairs", "split"):
        rows = PackedMatrix("rows", (("a", 0), ("b", 0)), 400, 600, 2, 16, kind=kind)
        columns = PackedMatrix("columns", (("a", 0), ("b", 0)), 600, 800, 1, 16, kind=kind)
        odd = PackedMatrix("columns", (("c", 0),), 600, 401, 1, 16, kind=kind)
        assert renewed(rows, shapes) and renewed(columns, shapes) and renewed(odd, shapes)
        assert not renewed(replace(odd, sources=(("c", 0), ("c", 0)), depth=802), shapes)
        assert not renewed(PackedMatrix("rows", (("d", 0),), 40, 60, 1, 16, kind=kind), shapes)  # small


def test_a_loop_by_rows_has_whole_matrices() -> None:
    made = rules()
    place, node = next((n, each) for n, each in enumerate(made.nodes) if shapes_like(each))
    assert isinstance(node, Pointwise)
    wrong = (*made.nodes[:place], replace(node, rows=7), *made.nodes[place + 1 :])
    with pytest.raises(PlanError, match="by 7 rows"):
        verify(replace(made, nodes=wrong))


def shapes_like(node: object) -> bool:
    """Whether a node runs by rows."""
    return isinstance(node, Pointwise) and node.rows > 1
