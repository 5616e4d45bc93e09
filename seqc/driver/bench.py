"""`seqc bench`: how long the entry points of a user's own model take, beside what this machine could do.

Takes a `.seq` file and sizes, builds it, feeds it arrays that fit its inputs, and gives a `Timing` for each entry point:
quantiles over many calls, operations, the share of the floor, bytes of workspace.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.driver.profile import math_of
from seqc.driver.tuned import choices_of, with_tuned
from seqc.plan.rates import Rates
from seqc.plan.setting import Cost
from seqc.source.suggest import nearest

if TYPE_CHECKING:
    from seqc.driver.toolchain import Toolchain
    from seqc.lower.program import Program
    from seqc.run.model import Model

TIMED = ("step", "infer", "update")
"""Entry points that are timed where nobody asks for others."""
NUMBERS = {"step": 5, "infer": 0, "evaluate": 1, "gradients": 2, "update": 4}
"""What can be timed, by the numbers of the binary interface."""
WARM, LEAST, MOST = 3, 11, 100_000
SEED = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """One entry point over many calls. Times in seconds; `operations` of products a call; `least`: the floor;
    `predicted`: what the cost model says of one core; `workspace`: bytes."""

    entry: str
    steps: int
    batch: int
    calls: int
    p50: float
    p99: float
    worst: float
    operations: float
    least: float
    predicted: float
    workspace: int

    @property
    def rate(self) -> float:
        """Operations a second at the median."""
        return self.operations / self.p50

    @property
    def share(self) -> float:
        """Which share of the median no program could save."""
        return self.least / self.p50

    def record(self) -> dict[str, Any]:
        """For machines."""
        names = ("entry", "steps", "batch", "calls", "p50", "p99", "worst", "operations", "predicted")
        found = {name: getattr(self, name) for name in names}
        return {**found, "floor": self.least, "share": self.share, "workspace_bytes": self.workspace}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to time: entry points (none: the usual ones), sizes, for how many seconds each, and how many threads share a call."""

    entries: tuple[str, ...] = ()
    steps: int = 64
    batch: int = 1
    seconds: float = 2.0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Report:
    """All timings of a model, and the rates of the machine that they are held against. `halves` is that of its
    target: what multiplies its products, if they are made of bfloat16."""

    model: str
    real: str
    threads: int
    timings: tuple[Timing, ...]
    rates: Rates
    halves: str = ""


def bench(path: Path, options: Options, wishes: Wishes, note: Callable[[str], None]) -> Report:
    """Builds the model and times it. UserFault for entry points that it lacks, SeqError, ToolFault as a build."""
    from seqc.driver import pipeline, rates
    from seqc.driver.load import load
    from seqc.driver.sources import Reader
    from seqc.plan.cost import costs, total

    program = pipeline.program(Reader(path), options)
    entries = _entries(program, wishes)
    tools, machine = _chosen(options)
    if rates.known(options.compiler, machine) is None:
        note("measuring this machine once, which takes about two seconds")
    found = rates.measured(options.compiler, machine)
    chosen: dict[str, Any] = {"real": options.real, "dims": dict(options.dims), "model": options.model}
    model = load(path, engine="library", march=options.march, note=note, threads=wishes.threads, **chosen)
    choices = choices_of(with_tuned(path, options))
    own = rates.of_build(options.compiler, options.march)
    target = pipeline.target_of(tools, options.real, model=program, math=math_of(program, None), rates=own)
    plans = pipeline.plans(program, target, entries, pipeline.chosen_for(program, tuned=choices))
    timings = []
    for entry in entries:
        steps = 1 if entry == "step" else wishes.steps
        expected = total(costs(plans[entry], target, found, steps, wishes.batch))
        timings.append(_timing(model, entry, steps, wishes, expected))
    return Report(program.name, options.real, wishes.threads, tuple(timings), found, target.halves)


def _chosen(options: Options) -> tuple[Toolchain, str]:
    """What compiles the code that is timed, and for what the rates of the machine are read: a fat build runs the best of its
    levels, and no rate can be read but that of the machine at hand."""
    from seqc.driver import toolchain

    if options.march != toolchain.FAT:
        return toolchain.probe(options.compiler, options.march), options.march
    here = set(toolchain.probe(options.compiler).features)
    first, *better = toolchain.levels(options.compiler)
    return next((each for each in reversed(better) if set(each.features) <= here), first), "native"


def _entries(program: Program, wishes: Wishes) -> tuple[str, ...]:
    from seqc.driver import pipeline

    known = [each for each in NUMBERS if each in pipeline.entries(program)]
    for each in wishes.entries:
        if each not in known:
            close = nearest(each, known)
            hint = f"did you mean `{close}`?" if close else None
            listed = ", ".join(known)
            raise UserFault(
                "S0906", f"{program.name} has no entry point `{each}` to time", f"it has {listed}", hint
            )
    return wishes.entries or tuple(each for each in TIMED if each in known)


def _timing(model: Model, entry: str, steps: int, wishes: Wishes, expected: Cost) -> Timing:
    run = call(model, entry, steps, wishes.batch)
    for _ in range(WARM):
        run()
    spent: list[float] = []
    clock = time.perf_counter
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = clock() + wishes.seconds
        while len(spent) < LEAST or (clock() < end and len(spent) < MOST):
            start = clock()
            run()
            spent.append(clock() - start)
    finally:
        if collecting:
            gc.enable()
    p50, p99 = (float(each) for each in np.quantile(spent, [0.5, 0.99]))
    library: Any = model.engine
    workspace = int(library.library.workspace_bytes(NUMBERS[entry], steps, wishes.batch))
    sizes = (expected.operations, expected.least / wishes.threads, expected.seconds, workspace)
    return Timing(entry, steps, wishes.batch, len(spent), p50, p99, max(spent), *sizes)


def call(model: Model, entry: str, steps: int, batch: int) -> Callable[[], Any]:
    """One call of an entry point with everything that it needs already made."""
    arrays = inputs(model.manifest, steps, batch, entry)
    if entry == "step":
        state, values = model.state(batch), tuple(arrays.values())
        out = model.step(*values, state=state)
        return lambda: model.step(*values, state=state, out=out)
    sizes: dict[str, Any] = {}
    axes = [each["axes"] for each in model.manifest["inputs"]]
    if not any("time" in each for each in axes):
        sizes["steps"] = steps
    if not arrays:
        sizes["batch"] = batch
    if entry == "infer":
        out = model.infer(**arrays, **sizes)
        return lambda: model.infer(**arrays, **sizes, out=out)
    method = getattr(model, entry)
    return lambda: method(**arrays, **sizes)


def inputs(manifest: Any, steps: int, batch: int, entry: str) -> dict[str, Any]:
    """Arrays for the inputs (and targets) of an entry point: draws from N(0, 1), any labels, full lengths."""
    from seqc.run.arguments import public

    random = np.random.default_rng(SEED)
    found = {}
    for each in manifest["inputs"]:
        if each["target"] and entry in ("step", "infer"):
            continue
        if each["length"]:
            if entry != "step":
                found[public(each["name"])] = np.full(batch, steps, np.int32)
            continue
        timed = "time" in each["axes"] and entry != "step"
        shape = (*((steps,) if timed else ()), *((batch,) if "batch" in each["axes"] else ()), *each["dims"])
        found[public(each["name"])] = _draw(random, each, shape, manifest["real"])
    return found


def _draw(random: Any, each: Any, shape: tuple[int, ...], real: str) -> Any:
    kind = each["kind"]
    if kind in ("index", "int"):
        return random.integers(0, max(1, each.get("bound") or 2), shape).astype(np.int32)
    if kind == "bool":
        return random.integers(0, 2, shape).astype(bool)
    double = kind == "f64" or (kind == "real" and real == "f64")
    return random.normal(0.0, 1.0, shape).astype(np.float64 if double else np.float32)
