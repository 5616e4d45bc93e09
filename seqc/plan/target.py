"""What a plan is made for: a Target, all that a planner may know of the machine and of a build's wishes; and the size of
the memory that it asks for, an Arena. Values without a reference to anything else."""

from __future__ import annotations

from dataclasses import dataclass

from seqc.plan.rates import Rates, usual

ALONG = 256


@dataclass(frozen=True, slots=True)
class Target:
    """What `plan` may know of the machine. `lanes` counts elements of the build's real type in one vector; `weights` is how
    inference stores the matrices of its products: "real", "bf16" or "int8". With `math` "bf16" the operands of products are
    rounded to bfloat16; `tiles`: the machine multiplies them in matrix tiles, `dots`: in pairs, on vectors. `rates` are those of
    the machine at hand, if the build is for it and somebody measured it."""

    name: str = "portable"
    vector_bytes: int = 16
    real_bytes: int = 4
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 1024 * 1024
    max_threads: int = 1
    weights: str = "real"
    math: str = "real"
    tiles: bool = False
    dots: bool = False
    rates: Rates | None = None

    @property
    def lanes(self) -> int:
        return max(1, self.vector_bytes // self.real_bytes)

    @property
    def along(self) -> int:
        """Terms of products that a loop over time takes along rather than to read their results from memory: in bfloat16 they are
        made sooner than those are read, as long as the weights lie near."""
        return ALONG if self.halves else 0

    @property
    def halves(self) -> str:
        """What multiplies the products of `math` "bf16": "tiles", "dots", or "" for multiply-adds of rounded reals."""
        if self.math != "bf16":
            return ""
        return "tiles" if self.tiles else "dots" if self.dots else ""

    @property
    def whole_tiles(self) -> bool:
        """Whether matrix tiles may multiply numbers of single precision, each in three parts of bfloat16."""
        return self.tiles and self.math == "real" and self.real_bytes == 4

    @property
    def speed(self) -> Rates:
        """The rates to reckon with: measured ones, or those of a plain core with vectors of this width."""
        return self.rates or usual(self.vector_bytes)


@dataclass(frozen=True, slots=True)
class Arena:
    """A size or an address in bytes: fixed + per_row * B + per_step * T + per_cell * T * B."""

    fixed: int
    per_row: int
    per_step: int
    per_cell: int

    def bytes(self, steps: int, batch: int) -> int:
        """The number for one T and B."""
        return self.fixed + self.per_row * batch + self.per_step * steps + self.per_cell * steps * batch
