"""What one core of a machine can do, as numbers: the measure that `cost` holds kernels against.

`usual` is a plain core of our days with vectors of some width, for builds whose machine nobody measured. The driver measures
the machine at hand (`runtime/bench/rates.cpp`) and gives its own record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

LEVELS = ("L1", "L2", "L3", "memory")
"""Where bytes lie, from near to far."""

NOMINAL, PAIRED = 16.0, 2.0
"""Operations in bfloat16 of matrix tiles, and of vectors of pairs, for each one of a core's multiply-adds in single precision."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates per second of one core.

    `operations` counts a multiply-add as two, in single precision; `tiles` the same of bfloat16 matrix tiles, `dots` of
    vectors of bfloat16 pairs, 0 where there are none. `reads` are bytes of each level, `sizes` the bytes that the caches hold. `exp`, `tanh`, `sigmoid` and
    `simple` (one addition or multiplication) are single-precision values. `call` is the time to begin a kernel, in seconds.
    """

    operations: float = 100e9
    operations_double: float = 50e9
    tiles: float = 0.0
    dots: float = 0.0
    reads: tuple[float, float, float, float] = (150e9, 60e9, 20e9, 10e9)
    sizes: tuple[int, int, int] = (32 * 1024, 1024 * 1024, 16 * 1024 * 1024)
    exp: float = 1.5e9
    tanh: float = 1.5e9
    sigmoid: float = 1.5e9
    simple: float = 12e9
    call: float = 20e-9
    measured: bool = False

    def level(self, bytes: float) -> int:
        """The number of the nearest level (see LEVELS) that holds so many bytes, with room for what else is there."""
        for number, size in enumerate(self.sizes):
            if bytes <= 0.9 * size:
                return number
        return len(self.sizes)

    def read(self, bytes: float, footprint: float) -> float:
        """Seconds to read bytes out of a footprint that is read over and over."""
        return bytes / self.reads[self.level(footprint)]

    def multiply(self, operations: float, real_bytes: int = 4) -> float:
        """Seconds for so many operations of multiply-adds."""
        return operations / (self.operations_double if real_bytes == 8 else self.operations)

    def multiply_tiles(self, operations: float) -> float:
        """Seconds for so many operations on matrix tiles; where nobody measured them, at their nominal rate."""
        return operations / (self.tiles or NOMINAL * self.operations)

    def in_pairs(self) -> Rates:
        """The same core where it multiplies pairs of bfloat16 numbers; where nobody measured that, at its nominal rate."""
        return replace(self, operations=self.dots or PAIRED * self.operations)

    def origin(self) -> str:
        """Where these numbers come from, in two words."""
        return "measured" if self.measured else "built in"


def usual(vector_bytes: int) -> Rates:
    """A plain core whose vectors have so many bytes; 0 stands for one number at a time."""
    share = max(vector_bytes, 8) / 32
    known = Rates()
    values = min(1.0, share)  # wider vectors bring less for functions, which are long chains
    return replace(
        known,
        operations=known.operations * share,
        operations_double=known.operations_double * share,
        reads=(known.reads[0] * share, known.reads[1] * min(share, 1.5), *known.reads[2:]),
        exp=known.exp * values,
        tanh=known.tanh * values,
        sigmoid=known.sigmoid * values,
        simple=known.simple * values,
    )
