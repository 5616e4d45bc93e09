"""What all generated files of one model agree on: names, order and places of parameters, states, inputs and scores.

Takes a Program and the options of a build; gives the `Model` record from which manifest, header, code and package
are printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqc.emit.names import mangle
from seqc.flow.carried import carried_states
from seqc.flow.types import Axis, Kind, Type
from seqc.lower.program import Hyper, Input, Program
from seqc.plan.target import Target
from seqc.plan.types import PackedMatrix, Plan

ALIGNMENT = 64
ENTRIES = ("infer", "evaluate", "gradients", "apply", "update", "step", "generate")


@dataclass(frozen=True, slots=True)
class EmitOptions:
    """`name` is that of files, library and C functions; `real` is f32 or f64; `files` what the build wants to have."""

    name: str
    real: str = "f32"
    source_hash: str = ""
    version: str = ""
    library: str = ""
    embedded: bytes | None = None
    heap: bool = True
    batch: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    symbols: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A named array in an arena: where it starts, in bytes."""

    name: str
    type: Type
    offset: int


@dataclass(frozen=True, slots=True)
class Port:
    """A named value at the border: an output or a carried state."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class PlacedPack:
    """A packed matrix in the packed arena."""

    pack: PackedMatrix
    offset: int


@dataclass(frozen=True, slots=True)
class Model:
    """Everything in manifest order."""

    program: Program
    options: EmitOptions
    target: Target
    entries: tuple[str, ...]
    parameters: tuple[Placed, ...]
    optimizer: tuple[Placed, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...]
    metrics: tuple[str, ...]
    trained: tuple[str, ...]
    plain_bytes: int
    optimizer_bytes: int
    packs: tuple[PlacedPack, ...] = ()
    packed_bytes: int = 0

    @property
    def symbol(self) -> str:
        """What C names begin with."""
        return mangle(self.options.name)

    @property
    def real_bytes(self) -> int:
        return 8 if self.options.real == "f64" else 4

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.program.inputs

    @property
    def hypers(self) -> tuple[Hyper, ...]:
        return self.program.hypers


def aligned(size: int) -> int:
    """The next multiple of 64."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def bytes_of(kind: Kind, real_bytes: int) -> int:
    """Bytes of one element at the border."""
    return {Kind.REAL: real_bytes, Kind.F32: 4, Kind.F64: 8, Kind.INT: 4, Kind.INDEX: 4, Kind.BOOL: 1}[kind]


def arrange(items: Sequence[tuple[str, Type]], real_bytes: int) -> tuple[tuple[Placed, ...], int]:
    """One array after another, each aligned; and how many bytes they take."""
    placed = []
    offset = 0
    for name, kind in items:
        placed.append(Placed(name, kind, offset))
        offset += aligned(max(1, kind.size) * bytes_of(kind.kind, real_bytes))
    return tuple(placed), offset


def state_ports(program: Program) -> tuple[Port, ...]:
    """States that live on between calls."""
    once = frozenset({Axis.BATCH})
    return tuple(Port(each.name, each.type.with_axes(once)) for each in carried_states(program.flow))


def describe(
    program: Program, entries: Sequence[str], trained: Sequence[str], target: Target, options: EmitOptions
) -> Model:
    """The record without packed weights; `trained` names the parameters that the update changes, in order."""
    real_bytes = 8 if options.real == "f64" else 4
    parameters, plain = arrange([(p.name, p.type) for p in program.parameters], real_bytes)
    found = []
    for name in trained:
        rule = program.rules[name]
        found += [
            (f"{name}.{state}", _plain(rule.flow.values[rule.flow.roots[state]].type))
            for state in rule.states
        ]
    optimizer, moments = arrange(found, real_bytes)
    roots = program.flow.roots
    outputs = tuple(
        Port(name.removeprefix("output."), program.flow.values[index].type)
        for name, index in roots.items()
        if name.startswith("output.")
    )
    metrics = tuple(name.removeprefix("metric.") for name in roots if name.startswith("metric."))
    return Model(
        program,
        options,
        target,
        tuple(entry for entry in ENTRIES if entry in entries),
        parameters,
        optimizer,
        outputs,
        state_ports(program),
        metrics,
        tuple(trained),
        plain,
        moments,
    )


def _plain(kind: Type) -> Type:
    return kind.with_axes(frozenset())


def trained_by(plan: Plan | None, program: Program) -> list[str]:
    """Parameters that the plan of `apply` writes, in the order of the program."""
    if plan is None:
        return []
    names = {buffer.home.name for buffer in plan.buffers if buffer.home.role == "plain"}
    return [parameter.name for parameter in program.parameters if parameter.name in names]


def pack_key(pack: PackedMatrix) -> tuple[object, ...]:
    """What makes two packed matrices the same memory."""
    return pack.form, pack.sources, pack.units, pack.depth, pack.gates, pack.block, pack.kind


def arrange_packs(plans: Mapping[str, Plan], real_bytes: int) -> tuple[tuple[PlacedPack, ...], int]:
    """The packed weights of all entry points, each matrix once, in order of first use."""
    placed: dict[tuple[object, ...], PlacedPack] = {}
    offset = 0
    for entry in ENTRIES:
        for pack in plans[entry].packs if entry in plans else ():
            if pack.sources is None or pack_key(pack) in placed:
                continue
            placed[pack_key(pack)] = PlacedPack(pack, offset)
            offset += aligned(pack.bytes(real_bytes))
    return tuple(placed.values()), offset


def only_sizes(model: Model, entry: str) -> tuple[int, int]:
    """Steps and batch for which an entry point is compiled, where a profile names one number; 0 for any."""
    steps, batch = model.options.steps, model.options.batch
    whole = entry in ("infer", "evaluate", "gradients", "update")
    only_steps = steps[0] if len(steps) == 1 and whole else 0
    only_batch = batch[0] if len(batch) == 1 and (whole or entry in ("step", "generate")) else 0
    return only_steps, only_batch
