"""JAX: one jitted function around `lax.scan`, for any cell; products with the input are taken out of the loop by hand.

The unrolling of the loop is chosen by trial among 1 and 4, whichever is quicker on this row.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)  # one core

import jax
import jax.numpy as jnp
import numpy as np

from speed.cells import CELLS, Functions, ahead, stacked
from speed.models import RATE, data
from speed.peers import Peer, Runner
from speed.work import Work

JAX = Functions(
    jax.nn.sigmoid,
    jnp.tanh,
    jax.nn.relu,
    jnp.sqrt,
    lambda x, n: tuple(jnp.split(x, n, -1)),
    lambda x: jnp.mean(x, -1, keepdims=True),
    jnp.exp,
    jax.nn.softplus,
    jnp.einsum,
)


def parameters(work: Work, weights: dict[str, np.ndarray]) -> dict[str, Any]:
    """The tree of parameters."""
    layers = [stacked(work.cell, weights, f"cell{number}") for number in range(work.layers)]
    tree: dict[str, Any] = {"layers": layers}
    tree |= {name: weights[name] for name in ("table.table", "out.W", "out.b") if name in weights}
    return jax.tree.map(jnp.asarray, tree)


def hidden(work: Work, unroll: int, p: dict[str, Any], x: Any) -> Any:
    """All hidden states of the last layer."""
    record = CELLS[work.cell]
    for plain in p["layers"]:
        layer = record.settled(JAX, plain)
        firsts = (layer[f"{name}0"] for name in record.states)
        start = tuple(jnp.broadcast_to(each, (x.shape[1], *each.shape)) for each in firsts)

        def step(state: Any, now: Any, layer: Any = layer) -> Any:
            state = record.step(JAX, layer, now, state)
            return state, record.shown(JAX, layer, now, state)

        x = jax.lax.scan(step, start, ahead(JAX, work.cell, layer, x), unroll=unroll)[1]
    return x


def loss(work: Work, unroll: int, p: dict[str, Any], x: Any, t: Any) -> Any:
    """Mean cross entropy."""
    x = p["table.table"][x] if work.given == "index" else x
    z = hidden(work, unroll, p, x) @ p["out.W"].T + p["out.b"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), t[..., None], -1))


def update(work: Work, unroll: int) -> Callable[..., Any]:
    """One update of SGD, jitted, parameters in place."""

    def run(p: Any, x: Any, t: Any) -> Any:
        value, gradients = jax.value_and_grad(lambda p: loss(work, unroll, p, x, t))(p)
        scale: Any = RATE
        if work.clip:
            norm = jnp.sqrt(sum(jnp.sum(each**2) for each in jax.tree.leaves(gradients)))
            scale = RATE * jnp.minimum(1.0, work.clip / norm)
        return jax.tree.map(lambda w, g: w - scale * g, p, gradients), value

    return jax.jit(run, donate_argnums=0)


def make(work: Work, weights: dict[str, np.ndarray] | None, peer: Peer) -> Runner:
    """A worker."""
    assert weights is not None
    if work.kind == "pendulum":
        from speed.peers import jaxpendulum

        return jaxpendulum.make(work, weights)
    given = {name: jnp.asarray(value) for name, value in data(work).items()}
    if work.kind == "training":
        return _training(work, weights, given)
    p = parameters(work, weights)
    if work.kind == "step":
        return _step(work, p, given["x"])

    def candidate(unroll: int) -> Callable[[], Any]:
        run = jax.jit(lambda p, x: hidden(work, unroll, p, x))
        return lambda: run(p, given["x"]).block_until_ready()

    best, note = quickest({unroll: candidate(unroll) for unroll in (1, 4)})
    return Runner(lambda: float(np.asarray(best())[-1, 0, 0]), lambda: np.asarray(best()), note=note)


def _training(work: Work, weights: dict[str, np.ndarray], given: dict[str, Any]) -> Runner:
    def candidate(unroll: int) -> Callable[[], Any]:
        run, memory = update(work, unroll), [parameters(work, weights)]

        def once() -> Any:
            memory[0], value = run(memory[0], given["x"], given["t"])
            return value.block_until_ready()

        return once

    best, note = quickest({unroll: candidate(unroll) for unroll in (1, 4)})

    def losses() -> np.ndarray:
        run, p, found = update(work, 1), parameters(work, weights), []
        for _ in range(3):
            p, value = run(p, given["x"], given["t"])
            found.append(float(value))
        return np.array(found)

    return Runner(lambda: float(best()), losses, note=note)


def _step(work: Work, p: dict[str, Any], x: Any) -> Runner:
    record, layer = CELLS[work.cell], p["layers"][0]

    @jax.jit
    def one(state: Any, now: Any) -> Any:
        state = record.step(JAX, layer, ahead(JAX, work.cell, layer, now), state)
        return state, state[0] @ p["out.W"].T + p["out.b"]

    def first() -> Any:
        return tuple(layer[f"{name}0"][None] for name in record.states)

    memory = [first()]

    def run() -> float:
        memory[0], y = one(memory[0], x[0])
        return float(y[0, 0])

    def outcome() -> np.ndarray:
        state, found = first(), []
        for t in range(len(x)):
            state, y = one(state, x[t])
            found.append(np.asarray(y)[0])
        return np.array(found)

    return Runner(run, outcome)


def quickest(candidates: dict[int, Callable[[], Any]]) -> tuple[Callable[[], Any], str]:
    """The candidate with the least time of five runs."""
    spent = {}
    for name, run in candidates.items():
        run()
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        spent[name] = min(times)
    best = min(spent, key=spent.__getitem__)
    return candidates[best], f"unroll {best}"
