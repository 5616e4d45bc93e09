"""Contractions of arrays that vary: compiled code against the interpreter, over sizes round those of vectors and all ways in which
two operands may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqc.flow.types import Kind
from seqc.passes import flow_for
from seqc.plan import plan
from seqc.plan.tiled import Tiled, tile_of
from seqc.plan.types import Einsum, Scan
from tests.compiled.client import native
from tests.compiled.compare import LANES, check_gradients, check_infer, check_step, inputs_of, make
from tests.numeric.programs import lower_text
from tests.plan.compare import TARGET

MODEL = """
use std.optim: SGD
model M {{
  dim M = {m}, N = {n}, K = {k}
  input a: real[M, K]
  input b: real[K, N]
  input v: real[K]
  input w: real[M]
  param p: real[N, K] = glorot
  state s: real[M, K] = 0
  s = 0.5 * prev s + outer(w, v) - outer(prev s @ v, v) / 8
  across = s @ b
  along = a @ transpose(p)
  turned = transpose(b) @ transpose(s)
  beside = transpose(transpose(s) @ a)
  vectors = s @ v + a @ (transpose(s) @ w)
  parts = transpose(transpose(across)[0:1]) + transpose(concat(transpose(along), transpose(across)))[:, 0:1]
  output across
  output along
  output turned
  output beside
  output vectors
  output parts
  loss = mean(sum(across * along) + sum(tanh(turned)) + sum(beside ^ 2) / 9 + sum(vectors) + sum(parts ^ 2) over time, batch)
}}
train M {{ update = SGD(lr = 1e-2) }}
"""
SIZES = (
    (LANES, "f32", (7, 8, 9)),
    (LANES, "f64", (5, 33, 16)),
    (16, "f32", (1, 9, 8)),
    (0, "f32", (2, 3, 5)),
)


@pytest.mark.parametrize(("vector_bytes", "real", "sizes"), SIZES)
def test_contractions(vector_bytes: int, real: str, sizes: tuple[int, int, int], tmp_path: Path) -> None:
    m, n, k = sizes
    program, flags = lower_text(MODEL.format(m=m, n=n, k=k)), native("f32" if n == 8 else "f64")
    pair = make(program, real, tmp_path, vector_bytes=vector_bytes, flags=flags)
    for steps, batch in ((1, 1), (3, 2)):
        inputs = inputs_of(pair, steps, batch)
        check_infer(pair, inputs, steps, batch, carry=True)
        check_gradients(pair, inputs, steps, batch)
        check_step(pair, inputs, steps, batch)


def test_contractions_of_rows_that_end(tmp_path: Path) -> None:
    text = MODEL.format(m=3, n=9, k=5).replace("  input v", "  input n: length\n  input v")
    pair = make(lower_text(text), "f64", tmp_path)
    for steps, lengths in ((1, [1]), (4, [2, 4, 0]), (3, [0, 0])):
        inputs = inputs_of(pair, steps, len(lengths), lengths=lengths)
        check_infer(pair, inputs, steps, len(lengths), carry=True)
        check_gradients(pair, inputs, steps, len(lengths))


def einsums(text: str, entry: str) -> list[tuple[Einsum, Tiled | None]]:
    """All contractions of an entry, with their tiles."""
    program = lower_text(text)
    made = plan(flow_for(program, entry), program, entry, TARGET)
    kernels = [each for node in made.nodes for each in (node.kernels if isinstance(node, Scan) else (node,))]
    return [(each, tile_of(made, each)) for each in kernels if isinstance(each, Einsum)]


def test_all_are_tiles() -> None:
    """Whatever way they lie, the innermost loops of matrices and vectors are known to the compiler."""
    found = einsums(MODEL.format(m=5, n=33, k=17), "update")
    assert {each.spec for each, _ in found} > {"a,b->ab"}
    assert all(tile is not None for _, tile in found), [each.spec for each, tile in found if tile is None]


def test_a_transpose_is_read_where_it_lies() -> None:
    """Columns of a matrix state weighted by another: no copy of the matrix, forwards or backwards."""
    text = """
use std.optim: SGD
model M {
  input x: real[4]
  param p: real[8] = ones
  state s: real[8, 4] = 0
  s = prev s / 2 + outer(p, x)
  output y = transpose(s) @ p
  loss = mean(sum(y ^ 2) over time, batch)
}
train M { update = SGD(lr = 1e-2) }
"""
    for entry in ("infer", "update"):
        flow = flow_for(lower_text(text), entry)
        assert not [each for each in flow.values if each.op == "transpose" and each.type.kind is Kind.REAL]
