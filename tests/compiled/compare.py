"""Compiled code beside the interpreter: the same weights, inputs and states through both, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqc.driver import toolchain
from seqc.emit import EmitOptions, emit
from seqc.flow.types import Axis, Kind
from seqc.lower.program import Program
from seqc.passes import apply_flow, flow_for, initial_optimizer
from seqc.plan import PlanOptions, plan
from seqc.plan.target import Target
from seqc.run.engine import EngineFault, StateArrays
from seqc.run.evaluator import EvaluatorEngine
from tests.compiled.client import Client, aligned, build, native

TOLERANCE = {"f64": 1e-10, "f32": 1e-4}
LANES = toolchain.probe("g++").vector_bytes
"""Bytes of a vector in the generated code: those of this machine, as `-march=native` compiles for it."""


def entries_of(program: Program) -> list[str]:
    """The entry points of a model, as the driver finds them."""
    found = ["infer"]
    if "loss" in program.flow.roots:
        found += ["evaluate", "gradients"] + (["update"] if program.rules else [])
    if program.causal:
        found += ["step"] + (["generate"] if any(each.default for each in program.inputs) else [])
    return found


@dataclass
class Pair:
    """One model twice."""

    program: Program
    real: str
    client: Client
    engine: EvaluatorEngine
    files: Mapping[str, str]
    library: Path

    @property
    def manifest(self) -> Any:
        return self.client.manifest


def flows_of(program: Program) -> dict[str, Any]:
    flows = {entry: flow_for(program, entry) for entry in entries_of(program)}
    if "update" in flows:
        flows |= {"apply": apply_flow(program), "initial": initial_optimizer(program)}
    return flows


def text_of(
    program: Program,
    real: str,
    name: str,
    vector_bytes: int = LANES,
    options: PlanOptions | None = None,
    tiles: bool = False,
) -> Mapping[str, str]:
    """All files of a model; `tiles`: as for a machine with matrix tiles."""
    target = Target(vector_bytes=vector_bytes, real_bytes=8 if real == "f64" else 4, tiles=tiles)
    plans = {entry: plan(flow, program, entry, target, options) for entry, flow in flows_of(program).items()}
    return emit(program, plans, target, EmitOptions(name, real, library=f"lib{name}.so"))


def make(
    program: Program,
    real: str,
    folder: Path,
    name: str = "model",
    vector_bytes: int = LANES,
    options: PlanOptions | None = None,
    tiles: bool = False,
    flags: Sequence[str] = (),
    **more: Any,
) -> Pair:
    """Compiles a model and gives both sides the same random weights. Without `flags`, those of `native`."""
    files = text_of(program, real, name, vector_bytes, options, tiles)
    library = build(files, folder, name, flags=flags or native(real), **more)
    client = Client(library, files[f"{name}.json"])
    return Pair(program, real, client, engine_of(program, client), files, library)


def engine_of(program: Program, client: Client) -> EvaluatorEngine:
    """The interpreter with the weights of a client, which become random."""
    flows = flows_of(program)
    apply, initial = flows.pop("apply", None), flows.pop("initial", None)
    engine = EvaluatorEngine(client.manifest, flows, apply, initial)
    random = np.random.default_rng(5)
    for name, array in client.parameters().items():
        scale = min(0.5, 1.0 / np.sqrt(array.shape[-1])) if array.ndim else 0.5
        array[...] = random.normal(0.0, scale, array.shape) + (1.5 if name == "power" else 0.0)
    engine.arenas.plain[:] = client.plain
    return engine


def inputs_of(
    pair: Pair, steps: int, batch: int, seed: int = 1, lengths: list[int] | None = None
) -> list[Any]:
    """Random inputs and targets."""
    random = np.random.default_rng(seed)
    found: list[Any] = []
    for each in pair.program.inputs:
        lead = [n for axis, n in ((Axis.TIME, steps), (Axis.BATCH, batch)) if axis in each.type.axes]
        shape = (*lead, *each.type.dims)
        if each.length:
            found.append(np.array(lengths or random.integers(1, steps + 1, batch), np.int32))
        elif each.type.kind is Kind.INDEX:
            found.append(random.integers(0, each.type.bound or 1, shape).astype(np.int32))
        elif each.type.kind is Kind.INT:
            found.append(random.integers(0, 2, shape).astype(np.int32))
        elif each.type.kind is Kind.BOOL:
            found.append(random.integers(0, 2, shape).astype(np.uint8))
        else:
            found.append(random.normal(0.0, 1.0, shape).astype(pair.client.real))
    return found


def close(found: Any, expected: Any, real: str, what: str, loose: float = 1.0) -> None:
    """Equal up to the precision of the build, relative to the largest value."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    scale = max(1.0, float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)))
    assert found.shape == expected.shape, what
    assert np.array_equal(np.isnan(found), np.isnan(expected)), what
    error = float(np.max(np.abs(np.nan_to_num(found - expected)), initial=0.0))
    assert error <= loose * TOLERANCE[real] * scale, f"{what}: off by {error}, of {scale}"


def state_arrays(state: list[Any] | None) -> StateArrays | None:
    """The client's list as the engine's record."""
    if state is None:
        return None
    return StateArrays(state[0:-1:2], state[1:-1:2], state[-1])


def close_states(pair: Pair, one: list[Any] | None, other: list[Any] | None, what: str) -> None:
    for number, (a, b) in enumerate(zip(one or [], other or [], strict=True)):
        close(a, b, pair.real, f"{what} state array {number}")


def check_infer(pair: Pair, inputs: list[Any], steps: int, batch: int, carry: bool) -> None:
    """infer, twice with carried state."""
    mine = pair.client.state(batch) if carry else None
    theirs = pair.client.state(batch) if carry else None
    hidden = [None if each.target else array for each, array in zip(pair.program.inputs, inputs, strict=True)]
    for turn in range(2):
        found, expected = pair.client.outputs(steps, batch), pair.client.outputs(steps, batch)
        assert pair.client.forward("infer", hidden, found, mine, steps, batch, seed=3, call=turn) == 0
        pair.engine.infer(hidden, expected, state_arrays(theirs), steps, batch, 3, turn)
        for port, one, other in zip(pair.manifest["outputs"], found, expected, strict=True):
            close(one, other, pair.real, f"infer {port['name']} turn {turn}")
        close_states(pair, mine, theirs, "infer")


def check_evaluate(pair: Pair, inputs: list[Any], steps: int, batch: int) -> None:
    mine, theirs = pair.client.state(batch), pair.client.state(batch)
    for turn in range(2):
        code, found = pair.client.evaluate(inputs, mine, steps, batch, seed=3, call=turn)
        assert code == 0
        expected = pair.engine.evaluate(inputs, state_arrays(theirs), steps, batch, 3, turn)
        close(found, expected, pair.real, f"scores turn {turn}")
        close_states(pair, mine, theirs, "evaluate")


def empty_grads(pair: Pair, inputs: list[Any], batch: int) -> list[Any]:
    """Arrays for all gradients, full of rubbish."""
    client = pair.client
    plain = aligned(pair.manifest["plain_bytes"])
    plain[:] = 0x55
    found: list[Any] = [plain, np.full(max(1, len(pair.manifest["hypers"])), 9.0)]
    for each, array in zip(pair.program.inputs, inputs, strict=True):
        found.append(np.full(array.shape, 9, client.real) if each.type.kind.is_real else None)
    for each in pair.manifest["states"]:
        real = each["kind"] in ("real", "f32", "f64")
        found.append(np.full((batch, *each["dims"]), 9, client.dtype(each["kind"])) if real else None)
    return found


def check_gradients(pair: Pair, inputs: list[Any], steps: int, batch: int) -> None:
    """All gradients, then accumulated once more, then none but those of the parameters."""
    client, count = pair.client, len(pair.program.inputs)
    random = np.random.default_rng(8)
    mine = client.state(batch)
    for values, fresh in zip(mine[0:-1:2], mine[1:-1:2], strict=True):
        if values.dtype == client.real:
            values[...] = random.normal(size=values.shape)
            fresh[...] = np.arange(batch) % 2
    theirs = [each.copy() for each in mine]
    grads = empty_grads(pair, inputs, batch)
    code, scores = client.gradients(
        inputs, grads, [each.copy() for each in mine], steps, batch, seed=3, call=1
    )
    assert code == 0
    wanted = empty_grads(pair, inputs, batch)
    hypers = wanted[1][: len(pair.manifest["hypers"])]
    expected = pair.engine.gradients(
        inputs,
        wanted[0],
        hypers,
        wanted[2 : 2 + count],
        wanted[2 + count :],
        state_arrays(theirs),
        steps,
        batch,
        3,
        1,
        False,
    )
    close(scores, expected, pair.real, "scores of gradients")
    for name, array in client.parameters(grads[0]).items():
        close(array, client.parameters(wanted[0])[name], pair.real, f"grad {name}")
    close(grads[1][: len(hypers)], hypers, pair.real, "grad of hypers")
    for number, (one, other) in enumerate(zip(grads[2:], wanted[2:], strict=True)):
        if one is not None:
            close(one, other, pair.real, f"grad array {number} of inputs and states")
    twice = [None if each is None else each.copy() for each in grads]
    twice[0] = aligned(len(grads[0]))
    twice[0][:] = grads[0]
    code, _ = client.gradients(
        inputs, twice, [each.copy() for each in mine], steps, batch, accumulate=1, seed=3, call=1
    )
    assert code == 0
    for name, array in client.parameters(twice[0]).items():
        close(array, 2 * client.parameters(grads[0])[name], pair.real, f"accumulated {name}")
    for number, (one, other) in enumerate(zip(grads[2:], twice[2:], strict=True)):
        if one is not None:
            close(other, 2 * one, pair.real, f"accumulated array {number} of inputs and states")
    alone: list[Any] = [aligned(len(grads[0])), None, *[None for _ in grads[2:]]]
    code, _ = client.gradients(inputs, alone, mine, steps, batch, seed=3, call=1)
    assert code == 0
    for name, array in client.parameters(alone[0]).items():
        assert np.array_equal(array, client.parameters(grads[0])[name])


def check_update(pair: Pair, inputs: list[Any], steps: int, batch: int) -> None:
    """Three updates, with carried state. Rules that divide by the size of a gradient make noise of tiny ones visible."""
    loose = 100.0 if pair.real == "f32" else 1.0
    client, engine = pair.client, pair.engine
    mine, theirs = client.state(batch), client.state(batch)
    for turn in range(3):
        code, scores = client.update(inputs, mine, steps, batch, seed=3, call=turn)
        assert code == 0
        expected = engine.update(inputs, state_arrays(theirs), steps, batch, 3)
        close(scores, expected, pair.real, f"scores of update {turn}", loose)
        theirs_now = client.parameters(engine.arenas.plain)
        for name, array in client.parameters().items():
            close(array, theirs_now[name], pair.real, f"{name} after update {turn}", loose)
        for entry in pair.manifest["optimizer"]:
            one, other = client.view(client.optimizer, entry), client.view(engine.arenas.optimizer, entry)
            close(one, other, pair.real, f"{entry['name']} after update {turn}", loose)
    assert client.updates[0] == 3
    engine.arenas.plain[:] = client.plain


def same(found: Any, expected: Any, what: str) -> None:
    """Equal to 1e-6, relative to the largest value."""
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    error = float(np.max(np.abs(found.astype(np.float64) - expected), initial=0.0))
    assert error <= 1e-6 * scale, f"{what}: off by {error}, of {scale}"


def check_step(pair: Pair, inputs: list[Any], steps: int, batch: int) -> None:
    """step T times is infer."""
    client = pair.client
    sequence, state = client.outputs(steps, batch), client.state(batch)
    hidden = [
        None if each.target or each.length else array
        for each, array in zip(pair.program.inputs, inputs, strict=True)
    ]
    assert client.forward("infer", hidden, sequence, None, steps, batch, seed=3) == 0
    for step in range(steps):
        now = [
            array[step].copy() if array is not None and Axis.TIME in each.type.axes else array
            for each, array in zip(pair.program.inputs, hidden, strict=True)
        ]
        outputs = [
            np.zeros((batch, *each["dims"]), client.dtype(each["kind"])) for each in pair.manifest["outputs"]
        ]
        assert client.forward("step", now, outputs, state, 1, batch, seed=3) == 0
        for each, one, whole in zip(pair.manifest["outputs"], outputs, sequence, strict=True):
            if "time" in each["axes"]:
                same(one, whole[step], f"step {step} of {each['name']}")
            elif step == steps - 1:
                same(one, whole, each["name"])


def check_generate(pair: Pair, inputs: list[Any], steps: int, batch: int, given: int) -> None:
    client = pair.client
    hidden = [
        None if each.target or each.length else array
        for each, array in zip(pair.program.inputs, inputs, strict=True)
    ]
    made = steps - max(given - 1, 0)
    found, expected = client.outputs(made, batch), client.outputs(made, batch)
    lengths, wanted = np.zeros(batch, np.int32), np.zeros(batch, np.int32)
    mine, theirs = client.state(batch), client.state(batch)
    assert client.forward("generate", hidden, [*found, lengths], mine, steps, batch, given=given, seed=3) == 0
    pair.engine.generate(hidden, expected, wanted, state_arrays(theirs), steps, given, batch, 3, 0)
    assert np.array_equal(lengths, wanted)
    for one, other in zip(found, expected, strict=True):
        close(one, other, pair.real, "generated")
    close_states(pair, mine, theirs, "generate")


def check_all(pair: Pair, steps: int = 5, batch: int = 3) -> None:
    """Every entry point that the model has."""
    inputs = inputs_of(pair, steps, batch)
    found = pair.manifest["entries"]
    check_infer(pair, inputs, steps, batch, carry=True)
    check_infer(pair, inputs, steps, batch, carry=False)
    if "evaluate" in found:
        check_evaluate(pair, inputs, steps, batch)
        check_gradients(pair, inputs, steps, batch)
    if "update" in found:
        check_update(pair, inputs, steps, batch)
    if "step" in found:
        check_step(pair, inputs, steps, batch)
    if "generate" in found:
        for given in (0, 1, 3):
            check_generate(pair, inputs, steps, batch, given)


__all__ = ["EngineFault", "Pair", "check_all", "inputs_of", "make"]
