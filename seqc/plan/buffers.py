"""The records under those of a Plan: memory, parts of it that kernels read and write, and statements on single elements.

How an element is found in a buffer stands at the head of `plan.types`.
"""

from __future__ import annotations

from dataclasses import dataclass

from seqc.flow.types import Axis, Kind


@dataclass(frozen=True, slots=True)
class Home:
    """Where a buffer lives.

    role: "workspace" (offset from `place`), or memory of the caller: "plain" (name = parameter; in `apply` the weights that are
    updated), "input", "output", "carried", "fresh", "started" (name = the state's or input's), "grad" (parameter gradients),
    "grad.input", "grad.state", "grad.hyper", "score" (name = loss or metric; double), "optimizer" (name = <parameter>.<state>),
    "lengths", "active", "given" (generate). Integer buffers of the caller are int32, scores and hypers double, `fresh` uint8; workspace
    integers are int64, booleans uint8.
    """

    role: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory for a value. `units`, `gates`, `block` describe interleaving where gates > 0 (see the module's head).

    `ring` > 0 (only with TIME): it holds that many instants, and instant p lies at p % ring. Nobody outside its scan
    reads it but through `Operand.at`.
    `local` (only with TIME): nobody outside of one scan, what stands before and what stands after its loop uses it, and in
    each stretch of steps it is filled anew from its beginning.
    `half`: reals that are kept in bfloat16. `pad`: elements behind each row that nobody uses.
    """

    name: str
    kind: Kind
    size: int
    axes: frozenset[Axis]
    home: Home
    slots: int = 0
    gates: int = 0
    units: int = 0
    block: int = 0
    ring: int = 0
    local: bool = False
    half: bool = False
    pad: int = 0

    def element_bytes(self, real_bytes: int) -> int:
        """Bytes of one element in the workspace."""
        if self.half:
            return 2
        return {Kind.REAL: real_bytes, Kind.F32: 4, Kind.F64: 8, Kind.BOOL: 1}.get(self.kind, 8)

    @property
    def stride(self) -> int:
        """Elements of one instant of one sequence, padding included."""
        if not self.gates:
            return self.size + self.pad
        return -(-self.units // self.block) * self.gates * self.block


@dataclass(frozen=True, slots=True)
class Lookup:
    """Which row of a table: its number is what lies in buffer `index` at the instant at hand; `count` rows of `width`."""

    index: int
    count: int
    width: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Element e of a loop reads element e // each % round: `each` neighbours read one, again and again the first `round` of the
    operand; or, with a `block`, those of round e // block."""

    each: int
    round: int
    block: int = 0


@dataclass(frozen=True, slots=True)
class Operand:
    """A part of a buffer: `size` elements from `offset` on (contiguous), or row `gate` of an interleaved one.

    `at` "first" or "last" (buffers with TIME only) stands for the instant 0 or T - 1 + slots whatever t is; such an operand
    has no TIME, and `shift` is 0. With `lookup` the buffer is a table without axes, `offset` counts from the start of the row
    that is looked up; loads of loops that run on the sums of a product may have it. With a `spread` several elements of a
    loop read one, and whole vectors either one or neighbours.
    """

    buffer: int
    size: int
    offset: int = 0
    shift: int = 0
    gate: int | None = None
    at: str = ""
    lookup: Lookup | None = None
    spread: Spread | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """`id = op(args)` on one element: args are ids of loads or earlier statements; `value` for op "const".

    ops are the elementwise ones of `ops.table`, "quick_tanh", "coarse_tanh" and those of "sigmoid" (the same by shorter ways), "const",
    "uniform" (a scalar of the entry point, number `value`) and "instant" (INT: t, the position inside this call).
    Statements of kind REAL compute in the build's real type.
    """

    id: int
    op: str
    args: tuple[int, ...]
    kind: Kind
    value: float | int | bool | None = None
