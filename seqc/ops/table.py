"""The operations of Flow: one row for each, with its shape rule, numpy meaning and derivative.

The vocabulary is closed. `axes` below means: unless said otherwise the result has the union of its operands' axes;
`elementwise` operands have the dims of the result, or none (a scalar goes with anything), or fewer axes.

    leaves        attrs           type and meaning
    const         value           no axes; dims allowed (filled). bool, int or float by kind
    input         name            an input or a target; axes {T,B} or {B}; in `step` and rules without TIME
    param         name            no axes
    hyper         name            no axes, no dims
    prev          state           value of a state one step ago; type of the state
    carried       state_name      {B}: the state handed in by the caller (made by `specialise`)
    fresh         state_name      bool {B}: whether the row must take its initial value (made by `specialise`)
    instant       –               int {T}: position inside this call, 0 … T-1 (0 in `step`, without axes)
    started       –               int {B}: number of steps the row had seen before this call
    steps         –               int, no axes: T of this call (1 in `step`)
    rows          –               int, no axes: B of this call
    step          –               int {T,B}: `started + instant`; in rules: updates so far, no axes. Resolved by `specialise`
    training      –               bool, no axes; resolved by `specialise`
    given         name            bool: whether the caller gave this input at this step; resolved or kept by `specialise`
    active        –               bool {B}: `generate` only: row has not stopped yet
    draw          site            real in [0,1), k/2^24; dims and axes as its type says; key (seed, call, site, step, row, element)

    elementwise   (args)          derivative in the obvious way; comparisons and logic have none
    add sub mul div neg pow exp log log1p expm1 sqrt root sin cos tan atan tanh sigmoid softplus erf abs sign floor
    minimum maximum  select(c, a, b)  eq ne lt le gt ge  and or not
    idiv mod                      floor division and its remainder, integers
    cast                          to the kind of the result type (real from int/bool, int from real: truncation, …)
    stop(x)                       x, without gradient
    clipped(x, c)                 x; the gradient is clipped to [-c, c] elementwise on the way back
    broadcast(x)                  x with the dims and axes of the result type

    root is the square root with slope 0 at 0.

    structure
    contract      spec            einsum over letters ("hd,d->h"), two operands; axes absent in the result type are summed
    reduce        how, dims       how: sum, max, min; `dims` are the positions removed; axes absent in the result are reduced
                                  (over nothing: 0)
    argmax(x)                     of a vector: index(n)
    gather(x, k)                  x[k] along the first dimension; k: an index or int without dims. k < 0 gives NaN
    scatter(k, g) size            transposed gather: result dims [size, *g.dims]; g added at row k, k < 0 adds nothing;
                                  axes absent in the result are summed
    pick(x)       dim, indices, drop    static selection along a dimension; `drop` removes it (one index)
    place(g)      dim, indices, size, drop   transposed pick: zeros elsewhere
    concat(…)     dim             along an existing dimension
    stack(…)                      of n scalars: a vector
    reshape(x)                    same elements, row-major
    transpose(x)  order           permutes dims
    reverse(x)                    turns time round; a second operand (int {B}), if there, is each row's own length
    categorical(z, temperature, u)   index(n) drawn with softmax(z / temperature) by inverse sum of u; temperature 0: argmax
    final         state           {B}: a state after the last step in its way

A derivative rule gets the builder, its value and a gradient that has all dims and axes of the value. What it gives for
an operand has at least the dims of the operand or none; `build.sum_to` sums away what the operand lacks, and what
misses an axis of the operand is the same along it. contract and gather give their parts at the operand's axes at once.

A draw with the axis TIME is made at the row's own step, one with BATCH alone at the step at which the row starts
(0 for a fresh row), one without axes at step 0 of row 0; `element` counts row-major through dims.
Numbers of a call (no axes, no dims, made of const, hyper, step, steps, rows, training alone) are computed in double.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from seqc.ops.contract import CONTRACT
from seqc.ops.elementwise import ELEMENTWISE
from seqc.ops.index import INDEX
from seqc.ops.layout import LAYOUT
from seqc.ops.leaves import LEAVES
from seqc.ops.op import Op
from seqc.ops.reduce import REDUCE

ROWS: tuple[Op, ...] = (*LEAVES, *ELEMENTWISE, *CONTRACT, *REDUCE, *INDEX, *LAYOUT)

TABLE: Mapping[str, Op] = MappingProxyType({op.name: op for op in ROWS})
"""All operations by name."""

LEAF_NAMES: frozenset[str] = frozenset(op.name for op in LEAVES if op.name != "final")
"""Operations that have no argument and depend on nothing in the graph; `prev` depends on its state one step ago."""

ELEMENTWISE_NAMES: frozenset[str] = frozenset(op.name for op in ELEMENTWISE)
"""Operations whose element i depends on element i of each operand alone; `broadcast` and `cast` are among them."""
