"""A slow interpreter of Plans in numpy, kernel by kernel, exactly by the addressing rules of `plan.types`.

Takes a Plan and the caller's arrays; runs it in one workspace of bytes at the placed addresses, filled with rubbish before.
What it computes must agree with what `ops.evaluate` computes from the Flow: that tests the planner without C++.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seqc.flow.types import Axis, Kind, Way
from seqc.ops.elementwise import erf, sigmoid, softplus
from seqc.ops.random import draw
from seqc.plan.buffers import Buffer, Home, Lookup, Operand, Statement
from seqc.plan.chain import LOCAL, Chain
from seqc.plan.types import (
    Categorical,
    Einsum,
    Gather,
    Guard,
    Move,
    Outer,
    Outers,
    Pack,
    Plan,
    Pointwise,
    Product,
    Reduce,
    Reverse,
    Scan,
    Scatter,
    Transpose,
)

Array = Any

ELEMENTWISE: Mapping[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "pow": np.power,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "root": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "quick_tanh": np.tanh,
    "quick_sigmoid": sigmoid,
    "coarse_tanh": np.tanh,
    "coarse_sigmoid": sigmoid,
    "softplus": softplus,
    "erf": erf,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "select": np.where,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "idiv": np.floor_divide,
    "mod": np.mod,
}


class NotFinite(Exception):
    """A guard that did not hold."""


@dataclass
class Machine:
    """One call. `arrays` are the caller's by home, in the types of the border."""

    plan: Plan
    arrays: dict[Home, Array]
    steps: int
    batch: int
    real: Any
    hypers: Mapping[str, float]
    seed: int = 0
    call: int = 0
    step: int = 0
    given: Mapping[str, bool] = field(default_factory=dict)
    first_row: int = 0
    started: Array = None
    t: int = -1
    span: range = range(0)
    """The steps that a kernel over all of them means: those of a stretch, within one."""
    later: bool = False
    """Whether sums go on where an earlier stretch has left them."""

    def __post_init__(self) -> None:
        self.span = range(self.steps)
        size = self.plan.arena.bytes(self.steps, self.batch)
        self.workspace = np.full(size, 0xFF, np.uint8)
        if self.started is None:
            self.started = np.zeros(self.batch, np.int64)
        self.packed: dict[int, Array] = {}
        self.sums: dict[int, Array] = {}
        self.local: dict[int, Array] = {}
        self.uniforms = self.scalars()

    def dtype(self, kind: Kind) -> Any:
        fixed = {Kind.REAL: self.real, Kind.F32: np.float32, Kind.F64: np.float64, Kind.BOOL: np.bool_}
        return np.dtype(fixed.get(kind, np.int64))

    def shape(self, buffer: Buffer) -> tuple[int, int, int]:
        times = (buffer.ring or self.steps + buffer.slots) if Axis.TIME in buffer.axes else 1
        return times, self.batch if Axis.BATCH in buffer.axes else 1, buffer.stride

    def memory(self, number: int) -> Array:
        """A buffer as an array [times, rows, stride]."""
        buffer = self.plan.buffers[number]
        if buffer.home.role == LOCAL:
            if number not in self.local:
                self.local[number] = np.full(self.shape(buffer), np.nan, self.dtype(buffer.kind))
            return self.local[number]
        if buffer.home.role != "workspace":
            return self.arrays[buffer.home].reshape(self.shape(buffer))
        dtype = self.dtype(buffer.kind)
        dtype = np.dtype(np.uint8) if dtype == np.bool_ else dtype
        start = self.plan.offsets[number].bytes(self.steps, self.batch)
        assert start % dtype.itemsize == 0
        shape = self.shape(buffer)
        end = start + int(np.prod(shape)) * dtype.itemsize
        assert end <= self.workspace.size, "outside of the workspace"
        return self.workspace[start:end].view(dtype).reshape(shape)

    def window(self, operand: Operand) -> Array:
        """The instants that an operand means: [T or 1, B or 1, stride], as a view."""
        buffer, memory = self.plan.buffers[operand.buffer], self.memory(operand.buffer)
        if Axis.TIME not in buffer.axes:
            assert not operand.shift and not operand.at
            return memory
        if operand.at or self.t >= 0:
            place = self.t + operand.shift
            if operand.at:
                place = 0 if operand.at == "first" else self.steps - 1 + buffer.slots
            place = place % buffer.ring if buffer.ring else place
            return memory[place : place + 1]
        assert not buffer.ring
        return memory[operand.shift + self.span.start : operand.shift + self.span.stop]

    def part(self, operand: Operand) -> Array:
        """The elements of an operand, as a view [.., .., size] (interleaved rows: [.., .., blocks, block])."""
        window = self.window(operand)
        buffer = self.plan.buffers[operand.buffer]
        if operand.gate is None:
            return window[..., operand.offset : operand.offset + operand.size]
        blocks = -(-buffer.units // buffer.block)
        return window.reshape(*window.shape[:2], blocks, buffer.gates, buffer.block)[..., operand.gate, :]

    def get(self, operand: Operand, kind: Kind | None = None) -> Array:
        if operand.lookup is not None:
            return self.looked_up(operand, operand.lookup)
        found = self.part(operand)
        if operand.gate is not None:
            found = found.reshape(*found.shape[:2], -1)[..., : operand.size]
        kind = kind or self.plan.buffers[operand.buffer].kind
        return found.astype(self.dtype(kind))

    def loaded(self, operand: Operand, kind: Kind, size: int) -> Array:
        """What a loop over so many elements reads."""
        found = self.get(operand, kind)
        if operand.spread:
            assert operand.gate is None and not operand.lookup
            spread, places = operand.spread, np.arange(size)
            rounds = places // spread.block * spread.round if spread.block else 0
            return found[..., rounds + places // spread.each % spread.round]
        assert operand.size in (1, size)
        return found

    def looked_up(self, operand: Operand, lookup: Lookup) -> Array:
        table = self.get(Operand(operand.buffer, lookup.count * lookup.width)).reshape(lookup.count, -1)
        index = self.get(Operand(lookup.index, 1))[..., 0]
        return table[index][..., operand.offset : operand.offset + operand.size]

    def put_sum(self, operand: Operand, value: Array) -> None:
        self.put(operand, value + self.get(operand) if self.later else value)

    def put(self, operand: Operand, value: Array) -> None:
        part = self.part(operand)
        if operand.gate is not None:
            flat = np.zeros((*part.shape[:2], part.shape[2] * part.shape[3]), self.real)
            flat[..., : operand.size] = value
            value = flat.reshape(part.shape)
        part[...] = np.broadcast_to(value, part.shape)

    def scalars(self) -> list[Array]:
        found: list[Array] = []
        for each in self.plan.uniforms:
            args = [found[arg] for arg in each.args]
            match each.op:
                case "hyper":
                    value: Any = float(self.hypers[str(each.value)])
                case "given":
                    value = self.given[str(each.value)]
                case "steps" | "rows" | "step":
                    value = {"steps": self.steps, "rows": self.batch, "step": self.step}[each.op]
                case "const":
                    value = each.value
                case "cast":
                    value = np.trunc(args[0]) if each.kind in (Kind.INT, Kind.INDEX) else args[0]
                case _:
                    value = ELEMENTWISE[each.op](*args)
            kind = np.float64 if each.kind.is_real else self.dtype(each.kind)
            found.append(np.asarray(value).astype(kind))
        return found

    def run(self) -> None:
        with np.errstate(all="ignore"):
            for node in self.plan.nodes:
                if isinstance(node, Scan):
                    self.scan(node)
                else:
                    self.kernel(node)

    def scan(self, node: Scan) -> None:
        """A loop over time, stretch by stretch of steps."""
        turn = (lambda steps: steps) if node.way is Way.FORWARD else (lambda steps: steps[::-1])
        count = max(1, node.stretch // self.batch) if node.stretch else self.steps
        for number, first in enumerate(turn(range(0, self.steps, count))):
            self.span = range(first, min(first + count, self.steps))
            for kernel in node.before:
                self.kernel(kernel)
            for t in turn(self.span):
                self.t = t
                for kernel in node.kernels:
                    self.kernel(kernel)
            self.t, self.later = -1, number > 0
            for kernel in node.after:
                self.kernel(kernel)
            self.later = False
        self.span = range(self.steps)

    def kernel(self, node: Any) -> None:
        match node:
            case Pointwise():
                self.pointwise(node)
            case Chain():
                self.chain(node)
            case Product():
                self.product(node)
            case Outer():
                left, right = self.get(node.left), self.get(node.right)
                left = left.reshape(-1, left.shape[2] // node.rows)
                right = right.reshape(-1, right.shape[2] // node.rows)
                self.put_sum(node.out, (left.T @ right).reshape(1, 1, -1))
            case Outers():
                left = self.get(node.left)
                slopes = np.split(left.reshape(-1, left.shape[2]), node.slices, axis=1)
                for right in node.rights:
                    given = self.get(right.operand)
                    for out, each in zip(right.outs, slopes, strict=True):
                        self.put_sum(out, (each.T @ given.reshape(-1, given.shape[2])).reshape(1, 1, -1))
                for out, each in zip(node.sums, slopes, strict=bool(node.sums)):
                    self.put_sum(out, each.sum(axis=0).reshape(1, 1, -1))
            case Einsum():
                self.einsum(node)
            case Reduce():
                self.reduce(node)
            case Gather():
                self.gather(node)
            case Scatter():
                self.scatter(node)
            case Move():
                self.move(node)
            case Transpose():
                self.transpose(node)
            case Reverse():
                self.reverse(node)
            case Categorical():
                self.categorical(node)
            case Pack():
                self.packed[node.pack] = self.get(node.operands[0]).reshape(-1)
            case Guard():
                if not self.get(node.condition).all():
                    raise NotFinite
            case _:
                raise AssertionError(node)

    def domain(self, axes: frozenset[Axis]) -> tuple[int, int]:
        assert self.t < 0 or Axis.TIME not in axes
        return len(self.span) if Axis.TIME in axes else 1, self.batch if Axis.BATCH in axes else 1

    def chain(self, node: Chain) -> None:
        known: dict[int, Array] = {}
        self.local = {}
        for sweep in node.sweeps:
            shape = (*self.domain(node.axes), sweep.size)
            for number, operand, kind in sweep.loads:
                known[number] = self.loaded(operand, kind, sweep.size)
            for pick in sweep.picks:
                table = self.get(pick.table)
                table = np.broadcast_to(table, (*shape[:2], table.shape[2]))
                index = np.broadcast_to(known[pick.index], (*shape[:2], 1))
                inside = (index >= 0) & (index < table.shape[2])
                found = np.take_along_axis(table, np.where(inside, index, 0), axis=2)
                known[pick.id] = np.where(inside, found, np.nan)
            for spot in sweep.spots:
                here = np.arange(sweep.size) == known[spot.index]
                known[spot.id] = np.where(here, known[spot.value], 0)
            self.statements(sweep.statements, node.axes, known)
            how = {"sum": np.sum, "max": np.max, "min": np.min}
            for fold in sweep.folds:
                every = np.broadcast_to(known[fold.value], shape)
                known[fold.id] = how[fold.how](every, axis=2, keepdims=True)
            for number, operand in sweep.stores:
                self.put(operand, np.broadcast_to(known[number], shape))

    def pointwise(self, node: Pointwise) -> None:
        shape = (*self.domain(node.axes), node.size)
        known: dict[int, Array] = {}
        for number, operand, kind in node.loads:
            if operand.buffer in self.sums:
                assert operand.size == node.size and not operand.spread
                known[number] = self.sums[operand.buffer][:, :, operand.gate or 0]
            else:
                known[number] = self.loaded(operand, kind, node.size)
        for number, site in node.draws:
            known[number] = self.draw(site, shape, node.axes)
        self.statements(node.statements, node.axes, known)
        for number, operand in node.stores:
            self.put(operand, np.broadcast_to(known[number], shape))

    def statements(
        self, statements: Sequence[Statement], axes: frozenset[Axis], known: dict[int, Array]
    ) -> None:
        for each in statements:
            args = [known[arg] for arg in each.args]
            dtype = self.dtype(each.kind)
            if each.op == "const":
                value: Array = np.asarray(each.value)
            elif each.op == "uniform":
                value = self.uniforms[int(each.value or 0)]
            elif each.op == "instant":
                value = self.instants(Axis.TIME in axes)
            elif each.op == "cast":
                whole = each.kind in (Kind.INT, Kind.INDEX) and args[0].dtype.kind == "f"
                value = np.trunc(args[0]) if whole else args[0]
            else:
                value = ELEMENTWISE[each.op](*args)
            known[each.id] = np.asarray(value).astype(dtype)

    def instants(self, time: bool) -> Array:
        return np.array(self.span)[:, None, None] if time else np.full((1, 1, 1), max(self.t, 0))

    def draw(self, site: int, shape: tuple[int, ...], axes: frozenset[Axis]) -> Array:
        """The numbers of a site; a loop without batch draws at step 0 in row 0, but for its steps."""
        step, rows = np.zeros((1, 1, 1), np.int64), np.zeros((1, 1, 1), np.int64)
        if axes or self.t >= 0:
            step = step + self.instants(Axis.TIME in axes)
        if Axis.BATCH in axes:
            step = step + self.started[None, :, None]
            rows = np.arange(shape[1])[None, :, None] + self.first_row
        found = draw(self.seed, self.call, site, step, rows, np.arange(shape[2]))
        return np.broadcast_to(found, shape).astype(self.real)

    def product(self, node: Product) -> None:
        buffer = self.plan.buffers[node.out]
        if node.rows > 1:
            terms = [
                self.get(each.operand).reshape(node.rows, each.depth) @ self.matrix(each.pack)[0].T
                for each in node.segments
            ]
            self.put(Operand(node.out, buffer.size), sum(terms[1:], terms[0]).reshape(1, 1, -1))
            return
        gates = max(1, buffer.gates)
        total: Array = np.zeros((*self.domain(node.axes), gates, buffer.size // gates), self.real)
        for each in node.segments:
            total = total + np.einsum("ghd,tbd->tbgh", self.matrix(each.pack), self.get(each.operand))
        if node.epilogue is not None:
            self.sums = {node.out: total}
            self.pointwise(node.epilogue)
            self.sums = {}
            return
        for gate in range(gates):
            part = self.part(
                Operand(node.out, buffer.size // gates, 0, node.shift, gate if buffer.gates else None)
            )
            if buffer.gates:
                flat = np.zeros((*part.shape[:2], part.shape[2] * part.shape[3]), self.real)
                flat[..., : total.shape[3]] = total[:, :, gate]
                part[...] = flat.reshape(part.shape)
            else:
                part[...] = total[:, :, gate]

    def matrix(self, number: int) -> Array:
        """A packed matrix as [gates, units, depth]."""
        pack = self.plan.packs[number]
        parts = len(pack.sources) if pack.form == "columns" and pack.sources is not None else 1
        count = pack.units * pack.depth // parts
        if pack.sources is None:
            flats = [self.packed[number]]
        else:
            flats = [
                self.arrays[Home("plain", name)].reshape(-1)[at : at + count] for name, at in pack.sources
            ]
        if pack.form == "rows":
            return np.stack([flat.reshape(pack.units, pack.depth) for flat in flats])
        return np.concatenate(flats).reshape(1, pack.depth, pack.units).transpose(0, 2, 1)

    def einsum(self, node: Einsum) -> None:
        first, rest = node.spec.split(",")
        second, result = rest.split("->")
        sizes = dict(node.extents)
        shape = self.domain(node.axes | node.summed)
        a, b = (
            np.broadcast_to(each, (*shape, each.shape[2])).reshape(*shape, *(sizes[c] for c in names))
            for each, names in ((self.get(node.left), first), (self.get(node.right), second))
        )
        names = {letter: chr(ord("a") + i) for i, letter in enumerate(dict.fromkeys(first + second))}
        first, second, result = ("".join(names[c] for c in each) for each in (first, second, result))
        kept = ("T" if Axis.TIME in node.axes else "") + ("B" if Axis.BATCH in node.axes else "")
        found = np.einsum(f"TB{first},TB{second}->{kept}{result}", a, b)
        self.put(node.out, found.reshape(*self.domain(node.axes), -1))

    def reduce(self, node: Reduce) -> None:
        shape = self.domain(node.axes)
        source = self.get(node.operand)
        source = np.broadcast_to(source, (*shape, source.shape[2]))
        x = source.reshape(*shape, node.outer, node.middle, node.inner)
        places = tuple(i for i, axis in enumerate(Axis) if axis in node.summed)
        how = {"sum": np.sum, "max": np.max, "min": np.min}
        if node.how == "argmax":
            found = np.argmax(x, axis=3)
        elif node.how == "squares":
            found = np.sum(np.square(x.astype(np.float64)), axis=3)
        else:
            found = (
                how[node.how](how[node.how](x, axis=3), axis=places, keepdims=True)
                if places
                else how[node.how](x, axis=3)
            )
        put = self.put_sum if node.summed else self.put
        put(node.out, found.reshape(*found.shape[:2], -1))

    def gather(self, node: Gather) -> None:
        shape = self.domain(node.axes)
        table = self.get(node.table).reshape(*self.get(node.table).shape[:2], node.count, node.width)
        table = np.broadcast_to(table, (*shape, node.count, node.width))
        index = np.broadcast_to(self.get(node.index, Kind.INT)[..., 0], shape)
        inside = (index >= 0) & (index < node.count)
        found = np.take_along_axis(table, np.where(inside, index, 0)[..., None, None], axis=2)[:, :, 0]
        self.put(node.out, np.where(inside[..., None], found, np.nan if found.dtype.kind == "f" else 0))

    def scatter(self, node: Scatter) -> None:
        shape = self.domain(node.axes)
        source = np.broadcast_to(self.get(node.operand), (*shape, node.width))
        index = np.broadcast_to(self.get(node.index, Kind.INT)[..., 0], shape)
        out = np.zeros((*shape, node.count, node.width), source.dtype)
        for t in range(shape[0]):
            for b in range(shape[1]):
                if 0 <= index[t, b] < node.count:
                    out[t, b, index[t, b]] += source[t, b]
        places = tuple(i for i, axis in enumerate(Axis) if axis in node.summed)
        out = out.sum(axis=places, keepdims=True) if places else out
        self.put_sum(node.out, out.reshape(*out.shape[:2], -1))

    def move(self, node: Move) -> None:
        shape = self.domain(node.axes)
        source = self.get(node.operand)
        source = np.broadcast_to(source, (*shape, source.shape[2]))
        out = self.part(node.out)
        if node.zero:
            out[...] = 0
        for i in range(node.count):
            for start, to, width in node.runs:
                start, to = start + i * node.source_step, to + i * node.target_step
                assert start + width <= node.operand.size and to + width <= node.out.size
                out[..., to : to + width] = source[..., start : start + width]

    def transpose(self, node: Transpose) -> None:
        source = self.get(node.operand)
        places = np.zeros((), int)
        for extent, stride in zip(node.extents, node.strides, strict=True):
            places = places[..., None] + np.arange(extent) * stride
        self.put(node.out, source[..., places.reshape(-1)])

    def reverse(self, node: Reverse) -> None:
        source = self.get(node.operand)
        source = np.broadcast_to(source, (self.steps, *source.shape[1:]))
        out = source[::-1].copy()
        if node.length is not None:
            length = self.get(node.length, Kind.INT)
            place = np.arange(self.steps)[:, None, None]
            turned = np.where(place < length, length - 1 - place, place)
            out = np.take_along_axis(
                source,
                np.broadcast_to(turned, source.shape[:1] + turned.shape[1:2] + (source.shape[2],)),
                axis=0,
            )
        self.put(node.out, out)

    def categorical(self, node: Categorical) -> None:
        z, temperature, u = self.get(node.logits), self.get(node.temperature), self.get(node.draw)
        greedy = temperature <= 0
        weights = np.exp((z - z.max(-1, keepdims=True)) / np.where(greedy, 1, temperature).astype(z.dtype))
        running = np.cumsum(weights, axis=-1)
        found = np.minimum((running <= u * running[..., -1:]).sum(-1, keepdims=True), z.shape[-1] - 1)
        self.put(node.out, np.where(greedy, z.argmax(-1)[..., None], found))
