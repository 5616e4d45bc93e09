"""The README's controller in a closed loop through the double pendulum, against the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
