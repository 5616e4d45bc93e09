"""The double pendulum of `examples/pendulum.seq`: its controller is trained in closed loop, through the dynamics.

    python benchmarks/pendulum.py [--picture docs/pendulum.png]

Task: hold a bent posture. The motor gives a torque between 0 and 1; the goal is the rest position under a torque
of 0.8 (about 2.3 and 4.7 degrees). Starts are drawn around it (0.003 rad, 0.01 rad/s); the horizon is 2 s, 200 steps.
An untrained controller gives about 0.5 and swings; a good one finds the torque and damps what the start left over.
The cost is the model's own loss on 256 starts that training never saw.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import seqc

STEPS, ROWS, HELD_OUT = 200, 64, 256
TORQUE = 0.8
GRAVITY = 9.81
EXAMPLE = Path(__file__).parent.parent / "examples" / "pendulum.seq"


def rest(torque: float) -> np.ndarray:
    """Angles at which gravity balances the torque (Newton's method on the static equations)."""
    angles = np.array([torque / (2 * GRAVITY), torque / GRAVITY])

    def residual(a: np.ndarray) -> np.ndarray:
        d = a[1] - a[0]
        first = np.sin(a[1]) * np.cos(d) - 2 * np.sin(a[0])
        second = 2 * GRAVITY * (np.sin(a[0]) * np.cos(d) - np.sin(a[1])) / (2 - np.cos(d) ** 2) + torque
        return np.array([first, second])

    for _ in range(30):
        jacobian = np.stack(
            [(residual(angles + e) - residual(angles - e)) / 2e-6 for e in np.eye(2) * 1e-6], 1
        )
        angles = angles - np.linalg.solve(jacobian, residual(angles))
    return angles


def starts(random: np.random.Generator, rows: int, goal: np.ndarray) -> np.ndarray:
    """[rows, 4]: angle and speed of both arms, drawn around the goal."""
    return (goal + random.normal(0, [0.003, 0.01, 0.003, 0.01], (rows, 4))).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=4000)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    a, b = rest(TORQUE)
    goal = np.array([a, 0, b, 0], np.float32)
    model = seqc.load(EXAMPLE, engine="library")
    random = np.random.default_rng(1)
    held_out = starts(np.random.default_rng(2), HELD_OUT, goal)
    goals = np.tile(goal, (HELD_OUT, 1))
    before = float(model.evaluate(held_out, goals, steps=STEPS))
    path_before = model.infer(held_out, steps=STEPS)
    begin = time.perf_counter()
    for number in range(1, chosen.updates + 1):
        loss = model.update(starts(random, ROWS, goal), goals[:ROWS], steps=STEPS)
        if number % 500 == 0:
            print(f"update {number:5}  cost {float(loss):.6f}", flush=True)
    spent = time.perf_counter() - begin
    after = float(model.evaluate(held_out, goals, steps=STEPS))
    print(
        f"cost on {HELD_OUT} held-out starts: untrained {before:.6f}, trained {after:.6f}: {before / after:.1f} times lower"
    )
    print(
        f"{chosen.updates} updates in {spent:.1f} s ({spent / chosen.updates * 1e3:.2f} ms each, {STEPS} steps, {ROWS} rows)"
    )
    if chosen.picture:
        draw(chosen.picture, path_before, model.infer(held_out, steps=STEPS), goal)


def draw(path: Path, before: np.ndarray, after: np.ndarray, goal: np.ndarray) -> None:
    """Angles over time of eight held-out starts, untrained and trained."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
    seconds = np.arange(1, len(before) + 1) * 0.01
    for axis, name, run in ((axes[0], "untrained", before), (axes[1], "trained", after)):
        for arm, colour in ((0, "tab:blue"), (2, "tab:orange")):
            axis.plot(seconds, np.degrees(run[:, :8, arm]), color=colour, lw=0.8)
            axis.axhline(np.degrees(goal[arm]), color="black", lw=0.8, ls="--")
        axis.set_title(name)
        axis.set_xlabel("time, s")
    axes[0].set_ylabel("angle of arms 1 and 2, degrees")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
