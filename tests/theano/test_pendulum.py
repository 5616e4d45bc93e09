"""The README's controller in a closed loop through the double pendulum, against the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.theano.golden import Golden, Lab, close, close_all

Read = Callable[[str], Golden]
SIZES = {"pendulum_vector": {}, "pendulum_readme_size": {"A": 20, "B": 20}}


def states(golden: Golden) -> dict[str, Any]:
    """The packed states of the file, cells first, by our outputs."""
    found = {"x": golden["trajectory"], "u": golden["u"]}
    for number in (0, 1):
        packed = golden[f"state.{number}"]
        width = packed.shape[-1] // 2
        found |= {f"c{number}": packed[:, :width], f"h{number}": packed[:, width:]}
    return found


@pytest.mark.parametrize("name", sorted(SIZES))
def test_closed_loop(name: str, engine: str, lab: Lab, original: Read) -> None:
    golden = original(name)
    model = lab.model("pendulum", engine, **SIZES[name])
    golden.put(model)
    call = {"start": golden["x0"], "goal": golden["target"], "steps": golden.meta["steps"]}
    close_all(model.infer(**call)._asdict(), states(golden), 1e-9, "output")
    found = model.gradients(**call)
    close(float(found.score), golden["cost"], 1e-9, "cost")
    close_all(found.parameters, golden.under("grad"), 1e-9, "gradient")
    close(found.inputs["start"], golden["grad.x0"], 1e-9, "gradient of the start")
    close(found.inputs["goal"], golden["grad.target"], 1e-9, "gradient of the goal")
    if not golden.meta["train_updates"]:
        return
    for number, cost in enumerate(golden["costs"]):
        close(float(model.update(**call)), cost, 1e-9, f"cost {number}")
    close_all(model.params, golden.under("final"), 1e-9, "weights")
    for sums in ("gsum", "xsum"):
        wanted = {f"{name}.{sums}": array for name, array in golden.under(sums).items()}
        close_all(model.optimizer, wanted, 1e-9, "accumulator")


def test_a_minibatch_is_its_rows(engine: str, lab: Lab) -> None:
    """One text serves both, and any number of steps."""
    model, random = lab.model("pendulum", engine), np.random.default_rng(1)
    starts, goals = random.normal(0.0, 0.2, (3, 4)), random.normal(0.0, 0.2, (3, 4))
    for steps in (1, 7):
        together = model.gradients(start=starts, goal=goals, steps=steps)
        alone = [model.gradients(start=a, goal=b, steps=steps) for a, b in zip(starts, goals, strict=True)]
        close(float(together.score), np.mean([float(each.score) for each in alone]), 1e-12)
        for name, gradient in together.parameters.items():
            close(gradient, np.mean([each.parameters[name] for each in alone], axis=0), 1e-11, name)


def test_no_miss_has_no_gradient(engine: str, lab: Lab) -> None:
    """Where the error is 0 the original's norm gives NaN."""
    model = lab.model("pendulum", engine)
    for name, array in model.params.items():
        model.params[name] = np.zeros_like(array)
    found = model.gradients(start=np.zeros(4), goal=np.zeros(4), steps=3)
    assert float(found.score) == 0.0
    assert not any(gradient.any() for gradient in found.parameters.values())
