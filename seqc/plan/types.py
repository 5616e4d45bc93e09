"""The records of Plan: how one entry point runs. Everything numeric is decided here; nothing is text.

A Plan is a list of nodes in running order. A node is a kernel over whole T x B blocks, or a `Scan`, which runs its
kernels once for each step. Kernels read and write `Operand`s: parts of `Buffer`s at the current (t, b).

Addressing. An element e of an operand at step t and row b lies at
    base(buffer) + ((t + shift) * B + b) * stride + offset + e        (terms of axes that the buffer lacks are absent)
where `stride` is the number of elements of the buffer at one instant of one sequence. A state's buffer has one slot more than
there are steps (`slots` = 1): forward, `prev` at t is slot t and `next` is written to slot t + 1; backward,
`prev` at t is slot t + 1 and `next` is written to slot t. So `prev h` of all steps is a view, and dU one product.

Interleaving. The result of a stacked product of G rows of H units lies as [ceil(H / block)][G][block]: element u of
row g at (u // block) * G * block + g * block + u % block. An operand with `gate` set reads such a row; only loads of
`Pointwise` and operands of `Segment` do.

Inside a `Scan` the `axes` of kernels never hold TIME: they run for the step t at hand, operands with TIME lie there.

Order: whatever changes the caller's "plain", "optimizer" or "carried" stands behind all else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqc.flow.types import Axis, Kind, Way
from seqc.plan.buffers import Buffer, Operand, Statement
from seqc.plan.chain import Chain
from seqc.plan.target import Arena


@dataclass(frozen=True, slots=True)
class Pointwise:
    """One loop over `size` elements at each (t, b) of `axes`: loads, statements, stores. A store may name a load.

    A store converts to the element type of its buffer. Where a store hits a buffer that is also loaded, both mean the same
    elements of the same instant, or disjoint ones.

    With `rows` > 1 there are no axes, and long operands are whole matrices of so many rows: weights that a rule changes, what it
    reads of them and leaves. It runs on a few rows at a time, in any order, and what is packed of them is written anew; with `far`
    past the caches, which will not hold it until it is read.

    What goes to the buffers `late` is not read for long; it is stored past the caches if there are more than `late_cells` cells.

    A load of size 1 is the same for all elements; a load whose buffer lacks an axis is the same along it. "draw" loads are
    `draws`: id -> site; their element number is the element index, in the order of the value's own dims.
    """

    axes: frozenset[Axis]
    size: int
    loads: tuple[tuple[int, Operand, Kind], ...]
    draws: tuple[tuple[int, int], ...]
    statements: tuple[Statement, ...]
    stores: tuple[tuple[int, Operand], ...]
    origin: str = ""
    rows: int = 1
    far: bool = False
    late: tuple[int, ...] = ()
    late_cells: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """One summand of a product: packed matrix `pack` (index into Plan.packs) times `operand` of `depth` elements."""

    pack: int
    operand: Operand
    depth: int


@dataclass(frozen=True, slots=True)
class Product:
    """out = sum of packed weights times operands, for all (t, b) of `axes`. `out` is a whole buffer, interleaved if gates > 1.

    With `rows` > 1 there are no axes: operands and out are dense matrices of so many rows.

    `epilogue`: a loop over the units of each row that runs on the sums, block by block of units. Its loads of `out` are
    sums; nothing is stored in `out` but what it stores there. It stores nothing that the segments read.
    `turns`: every other step takes the weights from the last to the first, and finds half a cache of them in place.
    `blocks`: of units, whose sums matrix tiles make before the equations run on them (0: not on tiles).
    """

    axes: frozenset[Axis]
    out: int
    shift: int
    segments: tuple[Segment, ...]
    origin: str = ""
    strategy: str = ""
    rows: int = 1
    epilogue: Pointwise | None = None
    turns: bool = False
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Outer:
    """out[M, N] = sum over (t, b) of `axes` of left[M] x right[N]: the gradient of a weight matrix, after the loop.

    With `rows` > 1 there are no axes: the sum runs over the rows of left[rows, M] and right[rows, N]. `math` "bf16" rounds them,
    and so do "dots", which sums pairs of them, and "tiles", which sums on matrix tiles; "split" sums there what each number is the
    sum of, three of bfloat16.
    """

    axes: frozenset[Axis]
    left: Operand
    right: Operand
    out: Operand
    origin: str = ""
    strategy: str = ""
    rows: int = 1
    math: str = "real"


@dataclass(frozen=True, slots=True)
class Right:
    """A right side of `Outers`, and for each slice of the left one the gradient of the two."""

    operand: Operand
    outs: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Outers:
    """Gradients that share their left side: for each of `slices` slices left_s[M] of left and each right side,
    outs[s][M, N] = sum over (t, b) of `axes` of left_s[M] x right[N]; sums[s][M] = that of left_s alone, where there are sums.
    `math` "tiles" rounds what is multiplied and sums on matrix tiles; "split" as in `Outer`.
    """

    axes: frozenset[Axis]
    left: Operand
    slices: int
    rights: tuple[Right, ...]
    sums: tuple[Operand, ...] = ()
    origin: str = ""
    math: str = "real"


@dataclass(frozen=True, slots=True)
class Einsum:
    """Any other contraction, as plain loops: out has `axes`; axes of the operands that it lacks are summed (`summed`)."""

    spec: str
    extents: tuple[tuple[str, int], ...]
    axes: frozenset[Axis]
    summed: frozenset[Axis]
    left: Operand
    right: Operand
    out: Operand
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Reduce:
    """how: sum | max | min | argmax over `middle` of [outer, middle, inner] elements, and over the axes `summed`.

    out has `axes`, without `summed`. how = "squares": the sum of the squares, in double precision, of all elements.
    """

    how: str
    outer: int
    middle: int
    inner: int
    axes: frozenset[Axis]
    summed: frozenset[Axis]
    operand: Operand
    out: Operand
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Gather:
    """out[width] = table[index] with `count` rows of `width`; index < 0 gives NaN."""

    axes: frozenset[Axis]
    count: int
    width: int
    table: Operand
    index: Operand
    out: Operand
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Scatter:
    """out = zeros [count, width]; out[index] += operand for all (t, b); axes in `summed` are added up, in order.

    out has `axes`, without `summed`; index < 0 adds nothing.
    """

    axes: frozenset[Axis]
    summed: frozenset[Axis]
    count: int
    width: int
    index: Operand
    operand: Operand
    out: Operand
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """Copies elements: out[i * out_step + out_start …] = operand[…] for runs of `width`; `zero` clears out first.

    runs: (source offset, target offset, width) in elements, all of them `count` times, `source_step` and `target_step` apart.
    """

    axes: frozenset[Axis]
    runs: tuple[tuple[int, int, int], ...]
    operand: Operand
    out: Operand
    count: int = 1
    source_step: int = 0
    target_step: int = 0
    zero: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Transpose:
    """out, row-major over `extents`, from the elements of operand at the sum of index times `strides`."""

    axes: frozenset[Axis]
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    operand: Operand
    out: Operand
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Reverse:
    """out[t] = operand[T - 1 - t], or turned round each row's own `length`, the rest copied in place."""

    operand: Operand
    out: Operand
    length: Operand | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Categorical:
    """out = index drawn from softmax(logits / temperature) by the draw of `site`; `temperature` is an operand of size 1."""

    axes: frozenset[Axis]
    logits: Operand
    temperature: Operand
    draw: Operand
    out: Operand
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Pack:
    """Fills packed matrix `pack` from computed values (tied or replaced weights); parameters are packed by `x_pack`."""

    pack: int
    operands: tuple[Operand, ...]
    origin: str = ""


Carrying = Gather | Scatter | Move | Transpose | Reverse | Pack
Kernel = Pointwise | Chain | Product | Outer | Outers | Einsum | Reduce | Categorical | Carrying


@dataclass(frozen=True, slots=True)
class Scan:
    """Kernels that run once for each step, `way` through time. Within a step they run in order.

    With `stretch` > 0 the loop goes by stretches of steps of about so many cells (steps of rows), at least one step each. The
    kernels of `before` and `after` have TIME and BATCH and run for all steps of a stretch at once, before and after its loop:
    what one makes for another is still in the cache. Those of `after` make each cell from that cell alone, or sum over all cells;
    later stretches add to what the first one has left.
    """

    way: Way
    kernels: tuple[Kernel, ...]
    origin: str = ""
    strategy: str = ""
    before: tuple[Kernel, ...] = ()
    after: tuple[Kernel, ...] = ()
    stretch: int = 0

    @property
    def all(self) -> tuple[Kernel, ...]:
        """Every kernel in running order."""
        return (*self.before, *self.kernels, *self.after)


@dataclass(frozen=True, slots=True)
class Guard:
    """Stops the entry point with SEQC_NOT_FINITE unless the bool operand holds; what follows changes the caller's memory."""

    condition: Operand


Node = Kernel | Scan | Guard


@dataclass(frozen=True, slots=True)
class Uniform:
    """A scalar without axes that depends on hypers, step, steps, rows and constants only; computed in double on entry.

    op "hyper" (name), "steps", "rows", "step" (updates so far), "given" (name), "const", or an elementwise op on earlier uniforms.
    """

    op: str
    args: tuple[int, ...]
    kind: Kind
    value: float | int | bool | str | None = None


@dataclass(frozen=True, slots=True)
class PackedMatrix:
    """Weights as a product reads them: panels (see runtime/pack.hpp). `offset`: bytes in the packed arena, for parameters.

    form "rows": y = W x; `sources` are the G matrices [units, depth], stacked and interleaved by `block`.
    form "columns": x' = Wt y; sources [depth / their number, units] one below the other. A source is (parameter, offset
    in elements), or None when it is filled by a `Pack` node and lives in the workspace, in buffer `buffer`. `kind`: "real",
    "bf16", "int8" (quant.hpp, tiles8.hpp), "rounded", "dots" or "pairs" (bfloat16 for rows that are rounded too: as reals, or in
    pairs for vectors or tiles), "exact" and "twins" (pairs for rows as they are, on tiles and on vectors), "split" (three of
    bfloat16 for each real), or "either" ("real", and "split" behind it).
    """

    form: str
    sources: tuple[tuple[str, int], ...] | None
    units: int
    depth: int
    gates: int
    block: int
    offset: int = -1
    buffer: int = -1
    kind: str = "real"

    def bytes(self, real_bytes: int) -> int:
        """Size of the packed form."""
        columns = -(-self.units // self.block) * self.block * self.gates
        pairs = 64 * -(-self.depth // 32)
        low = {
            "bf16": 4 * -(-self.depth // 2),
            "dots": 4 * -(-self.depth // 2),
            "twins": 4 * -(-self.depth // 2),
            "pairs": pairs,
            "exact": pairs,
            "int8": 8 + 4 * -(-self.depth // 4),
            "split": 3 * pairs,
        }
        if self.kind == "either":
            return -(-self.elements * real_bytes // 64) * 64 + columns * low["split"]
        return columns * low[self.kind] if self.kind in low else self.elements * real_bytes

    @property
    def elements(self) -> int:
        """How many elements the packed form takes; agrees with `packed_size` of the runtime."""
        if self.gates == 1 and self.units * 4 <= self.block:
            return self.units * -(-self.depth // self.block) * self.block
        return -(-self.units // self.block) * self.block * self.gates * self.depth


@dataclass(frozen=True, slots=True)
class Plan:
    """One entry point. `length`: the input by which rows are sorted (see `plan.ragged`), or "". `arena` is the size of its workspace;
    `offsets` the address in it of every buffer of role "workspace", and of the stand-in of every buffer of the caller that may be
    NULL. Buffers of 64 bytes or more an instant start at multiples of 64 bytes if T and B times their size does, all at multiples of 8.
    """

    entry: str
    buffers: tuple[Buffer, ...]
    packs: tuple[PackedMatrix, ...]
    uniforms: tuple[Uniform, ...]
    nodes: tuple[Node, ...]
    arena: Arena = field(default=Arena(0, 0, 0, 0))
    offsets: Mapping[int, Arena] = field(default_factory=dict)
    length: str = ""
