"""SGD, AdaGrad and AdaDelta of the original, update by update: costs, gradients, weights and accumulators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seqc.run.model import Model
from tests.theano.golden import PRECISION, Golden, Lab, close, close_all

Read = Callable[[str], Golden]
RULES = {"sgd": "SGD", "adagrad": "AdaGrad", "adadelta": "AdaDelta"}
CASES = {
    "optim_sgd_default": "sgd",
    "optim_sgd_clipped": "sgd",
    "optim_sgd_unclipped": "sgd",
    "optim_unknown_name": "sgd",
    "optim_adagrad_default": "adagrad",
    "optim_adagrad_unclipped": "adagrad",
    "optim_adadelta_default": "adadelta",
    "optim_adadelta_clipped": "adadelta",
    "optim_adadelta_unclipped": "adadelta",
    "optim_adadelta_runtime": "adadelta",
    "optim_adadelta_h0": "learned",
}
"""File -> text of the model. An unknown name means SGD to the original; to us it is a mistake of the program."""


def prepare(name: str, golden: Golden, model: Model) -> str:
    """Parameters and constants of a file; gives the optimizer's name."""
    golden.put(model)
    rule = RULES["adadelta" if CASES[name] == "learned" else CASES[name]]
    meta = golden.meta
    for hyper in ("lr", "rho", "eps", "max_norm"):
        if f"{rule}.{hyper}" in model.hyper:
            model.hyper[f"{rule}.{hyper}"] = meta[hyper] or 0.0
    return rule


def change(golden: Golden, rule: str, number: int, model: Model) -> None:
    """What the file changes before this update; the original's `lr` is AdaDelta's rho."""
    news = golden.meta["change"]
    if news and news["at"] == number:
        model.hyper[f"{rule}.{'rho' if rule == 'AdaDelta' else 'lr'}"] = news["lr"]


def compare(golden: Golden, model: Model, bound: float) -> None:
    """Weights and accumulators at the end."""
    close_all(model.params, golden.under("final"), bound, "weights")
    for sums in ("gsum", "xsum"):
        found = {f"{name}.{sums}": array for name, array in golden.under(sums).items()}
        if found:
            close_all(model.optimizer, found, bound, "accumulator")
        else:
            assert not any(name.endswith(f".{sums}") for name in model.optimizer)


def replay(name: str, real: str, engine: str, lab: Lab, golden: Golden) -> None:
    model, bound = lab.model(CASES[name], engine, real), PRECISION[real]
    rule = prepare(name, golden, model)
    given = {"x": golden["x"], "goal": golden["target"]}
    each = golden.under("grads")
    for number, cost in enumerate(golden["costs"]):
        change(golden, rule, number, model)
        if each:
            wanted = {name: array[number] for name, array in each.items()}
            close_all(model.gradients(**given).parameters, wanted, bound, f"gradient {number}")
        close(float(model.update(**given)), cost, bound, f"cost {number}")
    compare(golden, model, bound)


@pytest.mark.parametrize("name", sorted(CASES))
def test_ten_updates(name: str, engine: str, lab: Lab, original: Read) -> None:
    replay(name, "f64", engine, lab, original(name))


def test_in_single_precision(engine: str, lab: Lab, original: Read) -> None:
    replay("optim_adadelta_default", "f32", engine, lab, original("optim_adadelta_default.f32"))


def test_gradients_added_up_and_then_applied(engine: str, lab: Lab, original: Read) -> None:
    """The rows of the minibatch one by one: the same updates, since the cost is a sum over rows."""
    golden = original("optim_adadelta_default")
    model = lab.model("adadelta", engine)
    prepare("optim_adadelta_default", golden, model)
    for _ in golden["costs"]:
        found = None
        for row in range(golden.meta["batch"]):
            rows = {"x": golden["x"][:, row], "goal": golden["target"][:, row]}
            found = model.gradients(**rows, accumulate=found)
        assert found is not None
        model.apply(found)
    compare(golden, model, 1e-9)


def test_accumulators_put_back_go_on_where_they_were(engine: str, lab: Lab, original: Read) -> None:
    golden = original("optim_adadelta_default")
    given = {"x": golden["x"], "goal": golden["target"]}
    first, second = (lab.model("adadelta", engine) for _ in range(2))
    prepare("optim_adadelta_default", golden, first)
    for _ in range(4):
        first.update(**given)
    kept: dict[str, Any] = {name: np.array(array) for name, array in first.optimizer.items()}
    for name, array in first.params.items():
        second.params[name] = array
    for name, array in kept.items():
        second.optimizer[name] = array
    for _ in range(6):
        second.update(**given)
    compare(golden, second, 1e-9)
