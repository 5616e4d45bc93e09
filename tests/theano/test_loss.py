"""The masked loss: values and the right gradients; of the original's own, those that are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.theano.golden import PRECISION, Golden, Lab, close

Read = Callable[[str], Golden]


def given(golden: Golden, source: str, rows: Any = None) -> dict[str, Any]:
    """All rows of the file or some, time first."""
    chosen = slice(None) if rows is None else rows
    return {
        source: golden[source].swapaxes(0, 1)[:, chosen],
        "labels": golden["labels"].T[:, chosen],
        "lengths": golden["lengths"][chosen],
        "starts": golden["starts"][chosen],
    }


def replay(real: str, engine: str, lab: Lab, golden: Golden) -> None:
    model, bound = lab.model("masked", engine, real), PRECISION[real]
    call = given(golden, "logits")
    ones = np.ones(golden.meta["batch"], golden["logits"].dtype)
    found = model.gradients(**call, weight=ones)
    close(float(found.score), golden["loss"].sum(), bound, "summed loss")
    close(model.infer(logits=call["logits"], weight=ones).swapaxes(0, 1), golden["probs"], bound, "probs")
    # the original divides by p + 1e-9
    close(found.inputs["logits"].swapaxes(0, 1), golden["grad_sum_logits"], max(bound, 1e-6), "gradient")
    for row, loss in enumerate(golden["loss"]):
        one = float(model.evaluate(**given(golden, "logits", [row]), weight=ones[:1]))
        assert abs(one - loss) <= bound * max(1.0, abs(loss)), f"row {row}"


def test_sums_over_windows(engine: str, lab: Lab, original: Read) -> None:
    replay("f64", engine, lab, original("masked_loss"))


def test_in_single_precision(engine: str, lab: Lab, original: Read) -> None:
    replay("f32", engine, lab, original("masked_loss.f32"))


def test_gradient_of_the_probabilities(engine: str, lab: Lab, original: Read) -> None:
    golden = original("masked_loss")
    model, ones = lab.model("given", engine), np.ones(golden.meta["batch"])
    found = model.gradients(**given(golden, "probs"), weight=ones).inputs["probs"]
    close(found.swapaxes(0, 1), golden["grad_sum_probs"], 1e-6, "gradient")


@pytest.mark.parametrize("how", ["mean", "weighted"])
def test_every_reduction_has_the_right_gradient(how: str, engine: str, lab: Lab, original: Read) -> None:
    """The original's is B² too large for a mean, and divided by the weights; ours is the summed one times them."""
    golden = original("masked_loss")
    model = lab.model("given", engine)
    rows = golden.meta["batch"]
    weight = np.full(rows, 1 / rows) if how == "mean" else golden["weights"]
    found = model.gradients(**given(golden, "probs"), weight=weight)
    wanted = golden["grad_sum_probs"] * weight[:, None, None]
    close(found.inputs["probs"].swapaxes(0, 1), wanted, 1e-6, how)
    close(float(found.score), (golden["loss"] * weight).sum(), 1e-9, "loss")
    close(found.inputs["weight"], golden["loss"], 1e-9, "gradient of the weights")
