"""What costs are counted for, a Setting, and what they are, a Cost: records of `cost`."""

from __future__ import annotations

from dataclasses import dataclass

from seqc.flow.types import Axis
from seqc.plan.place import element_bytes
from seqc.plan.rates import Rates
from seqc.plan.target import Target
from seqc.plan.types import Plan


@dataclass(frozen=True, slots=True)
class Cost:
    """One kernel, all its runs of one call. `least`: seconds that no program can go below; `bound`: what it waits for.

    `operations`: of products, a multiply-add being two; `values`: elementary functions; `bytes`: read and written, weights once
    a run; `weights`: bytes of packed weights that a run reads.
    """

    operations: float = 0.0
    values: float = 0.0
    bytes: float = 0.0
    weights: float = 0.0
    runs: int = 1
    seconds: float = 0.0
    least: float = 0.0
    bound: str = "calls"


@dataclass(frozen=True, slots=True)
class Setting:
    """What costs are counted for; `residents` are bytes that the loop at hand reads at every step."""

    plan: Plan
    target: Target
    rates: Rates
    steps: int
    batch: int
    residents: float = 0.0

    def cells(self, axes: frozenset[Axis], looped: bool) -> int:
        """Instants and rows of one run of a kernel."""
        time = self.steps if Axis.TIME in axes and not looped else 1
        return time * (self.batch if Axis.BATCH in axes else 1)

    def whole(self, number: int) -> float:
        """Bytes of a buffer with all its instants and rows."""
        buffer = self.plan.buffers[number]
        instants = buffer.ring or (self.steps + buffer.slots if Axis.TIME in buffer.axes else 1)
        rows = self.batch if Axis.BATCH in buffer.axes else 1
        return float(buffer.stride * instants * rows * element_bytes(buffer, self.target))
