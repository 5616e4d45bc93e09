"""The models of the grid in the language, and the data that they are fed with.

`text(work)` is a `.seq` file, `data(work)` its arrays, the same in every process because they are drawn from a seed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speed.cells import SOURCES
from speed.work import Work

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
RATE = 0.1
"""Learning rate of all training rows."""


def text(work: Work) -> str:
    """The model of a row, as a `.seq` file."""
    if work.kind == "pendulum":
        return (EXAMPLES / "pendulum.seq").read_text(encoding="utf-8")
    own = SOURCES.get(work.cell, "")
    cells = sorted({"Dense", "Embedding", *(() if own else (work.cell,))})
    head = [f"use std.cells: {', '.join(cells)}", "use std.losses: cross_entropy", "use std.optim: SGD", own]
    body = _layers(work)
    if work.kind in ("training", "ragged", "build"):
        tail = _trained(work)
    elif work.kind == "sequence":
        tail = ["  h = " + _chain(work, "x"), "  output h", "}"]
    else:
        tail = ["  y = " + _chain(work, "x") + " |> out", "  output y", "}"]
    if work.precision != "f32" and work.kind == "sequence":
        asked = "weights = int8(per = row)  math = f32"
        if (
            work.precision == "bf16"
        ):  # a row alone waits for the bytes of its weights, many rows for their products
            asked = "weights = bf16  math = f32" if work.batch == 1 else "math = bf16"
        tail += ["", f"deploy low of Grid {{ {asked}  emit = [shared] }}"]
    return "\n".join([*head, "model Grid {", *body, *tail, ""])


def _layers(work: Work) -> list[str]:
    lines = []
    if work.kind in ("training", "ragged", "build"):
        index = work.given == "index"
        lines.append(f"  input  x: {f'index({work.vocabulary})' if index else f'real[{work.hidden}]'}")
        lines.append(f"  target t: index({work.vocabulary})")
        if work.kind == "ragged":
            lines.append("  input  n: length")
        if index:
            lines.append(f"  layer table = Embedding({work.hidden})")
        lines.append(f"  layer out = Dense({work.vocabulary})")
    elif work.kind == "sequence":
        lines.append(f"  input  x: real[{work.hidden}]")
    else:
        lines.append("  input  x: real[1]")
        lines.append("  layer out = Dense(1)")
    lines += [f"  layer cell{number} = {work.cell}({work.hidden})" for number in range(work.layers)]
    return lines


def _chain(work: Work, first: str) -> str:
    return " |> ".join([first, *(f"cell{number}" for number in range(work.layers))])


def _trained(work: Work) -> list[str]:
    first = "x |> table" if work.given == "index" else "x"
    clip = f"  clip = norm({work.clip})" if work.clip else ""
    math = "  math = bf16" if work.precision == "bf16" else ""
    return [
        f"  z = {_chain(work, first)} |> out",
        "  output z",
        "  loss = mean(cross_entropy(z, t) over time, batch)",
        "}",
        "",
        f"train Grid {{ update = SGD(lr = {RATE}){clip}{math} }}",
    ]


def data(work: Work) -> dict[str, np.ndarray]:
    """Inputs and targets by name, [steps, batch, …]; lengths uniform in 1 … steps for ragged work."""
    random = np.random.default_rng(7)
    shape = (work.steps, work.batch)
    if work.kind == "pendulum":
        goal = np.array([0.04, 0.0, 0.08, 0.0])
        start = goal + random.normal(0, [0.003, 0.01, 0.003, 0.01], (work.batch, 4))
        return {"start": start.astype(np.float32), "goal": np.tile(goal, (work.batch, 1)).astype(np.float32)}
    if work.kind in ("training", "ragged"):
        x = (
            random.integers(0, work.vocabulary, shape, np.int32)
            if work.given == "index"
            else random.normal(0, 1, (*shape, work.hidden)).astype(np.float32)
        )
        found = {"x": x, "t": random.integers(0, work.vocabulary, shape, np.int32)}
        if work.kind == "ragged":
            found["n"] = random.integers(1, work.steps + 1, work.batch, np.int32)
        return found
    width = work.hidden if work.kind == "sequence" else 1
    return {"x": random.normal(0, 1, (*shape, width)).astype(np.float32)}
