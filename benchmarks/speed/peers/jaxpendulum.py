"""The controller of `examples/pendulum.seq` in JAX: two LSTM layers inside the dynamics of a double pendulum, AdaDelta."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from speed.cells import stacked
from speed.models import data
from speed.peers import Runner
from speed.work import Work

GRAVITY, DT, RHO, EPS, CLIP = 9.81, 0.01, 0.95, 1e-6, 5.0


def dynamics(x: Any, u: Any) -> Any:
    """The next angles and speeds; all masses and lengths are 1."""
    a, va, b, vb = x[:, 0], x[:, 1], x[:, 2], x[:, 3]
    d = b - a
    den = 2 - jnp.cos(d) ** 2
    first = (
        va**2 * jnp.sin(d) * jnp.cos(d)
        + GRAVITY * jnp.sin(b) * jnp.cos(d)
        + vb**2 * jnp.sin(d)
        - 2 * GRAVITY * jnp.sin(a)
    ) / den
    second = (
        -(vb**2) * jnp.sin(d) * jnp.cos(d)
        + 2 * (GRAVITY * jnp.sin(a) * jnp.cos(d) - va**2 * jnp.sin(d) - GRAVITY * jnp.sin(b))
    ) / den
    return x + DT * jnp.stack([va, first, vb, second + u], 1)


def cell(p: Any, x: Any, h: Any, c: Any, linear: bool) -> Any:
    """One step of an LSTM, the input of its memory squashed or not."""
    i, f, g, o = jnp.split(x @ p["W"] + h @ p["U"] + p["b"], 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * (g if linear else jnp.tanh(g))
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def loss(p: Any, start: Any, goal: Any, steps: int) -> Any:
    """Mean distance of the angles from the goal, as the example measures it."""
    rows = start.shape[0]
    first, second = p["layers"]

    def step(state: Any, _: Any) -> Any:
        x, h1, c1, h2, c2 = state
        h1, c1 = cell(first, x, h1, c1, True)
        h2, c2 = cell(second, h1, h2, c2, False)
        push = jax.nn.softmax(h2 @ p["W"].T + p["b"])
        x = dynamics(x, push[:, 0])
        return (x, h1, c1, h2, c2), jnp.sum((x - goal)[:, jnp.array([0, 2])] ** 2, 1)

    memory = [jnp.tile(each[name], (rows, 1)) for each in (first, second) for name in ("h0", "c0")]
    misses = jax.lax.scan(step, (start, *memory), None, length=steps)[1]
    return jnp.mean(jnp.sqrt(jnp.sum(misses, 0)) / steps)


@jax.jit
def adadelta(p: Any, g: Any, memory: Any) -> Any:
    """Clipping to a norm of 5, then Zeiler's rule."""
    norm = jnp.sqrt(sum(jnp.sum(each**2) for each in jax.tree.leaves(g)))
    g = jax.tree.map(lambda each: each * jnp.minimum(1.0, CLIP / norm), g)
    gg = jax.tree.map(lambda old, each: RHO * old + (1 - RHO) * each**2, memory[0], g)
    d = jax.tree.map(lambda dd, sq, each: jnp.sqrt((dd + EPS) / (sq + EPS)) * each, memory[1], gg, g)
    dd = jax.tree.map(lambda old, each: RHO * old + (1 - RHO) * each**2, memory[1], d)
    return jax.tree.map(lambda w, each: w - each, p, d), (gg, dd)


def make(work: Work, weights: dict[str, np.ndarray]) -> Runner:
    """A worker."""
    given = {name: jnp.asarray(value) for name, value in data(work).items()}
    layers = [stacked("LSTM", weights, f"push.lstm{number}") for number in (1, 2)]
    tree = {"layers": layers, "W": weights["push.dense.W"], "b": weights["push.dense.b"]}

    def fresh() -> Any:
        p = jax.tree.map(jnp.array, tree)
        zeros = jax.tree.map(jnp.zeros_like, p)
        return p, (zeros, jax.tree.map(jnp.zeros_like, p))

    @jax.jit
    def update(p: Any, memory: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(p, given["start"], given["goal"], work.steps)
        p, memory = adadelta(p, gradients, memory)
        return p, memory, value

    held = [*fresh()]

    def run() -> float:
        held[0], held[1], value = update(held[0], held[1])
        return float(value)

    def losses() -> np.ndarray:
        p, memory = fresh()
        found = []
        for _ in range(3):
            p, memory, value = update(p, memory)
            found.append(float(value))
        return np.array(found)

    return Runner(run, losses)
