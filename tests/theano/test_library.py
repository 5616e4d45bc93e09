"""What `std.theano` promises without golden files: starts, dropout, windows of the loss, optimizers, mistakes.

`original(…)` is asked for only where a file says what the original's draws were like.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from tests.compiled.client import native
from tests.compiled.compare import check_all, make
from tests.numeric.gradient_check import check_gradients
from tests.numeric.programs import lower_text
from tests.numeric.test_streams import check_streaming
from tests.theano.golden import Golden, Lab, close

Read = Callable[[str], Golden]
STEPS, ROWS, WIDE = 3, 40, 50
DROPPED = {"x": np.ones((STEPS, ROWS, WIDE), np.float32)}


def masks(model: seqc.Model, seed: int = 0) -> tuple[Any, Any]:
    """The two masks of a training call, as gradients of the sum of what they let through."""
    found = model.gradients(**DROPPED, other=DROPPED["x"], seed=seed).inputs
    return found["x"], found["other"]


def test_dropout_is_one_mask_for_a_sequence(engine: str, lab: Lab) -> None:
    model = lab.model("dropout", engine, "f32")
    first, second = masks(model)
    assert set(np.unique(first)) == {0.0, 1.0}  # kept or not, and not rescaled
    assert (first == first[:1]).all() and (second == second[:1]).all()  # the same at every step
    assert (first[0] != first[0, :1]).any() and (first != second).any()  # each row and layer has its own
    assert np.array_equal(first, masks(model)[0]) and (first != masks(model, 1)[0]).any()


def test_dropout_is_adjusted_without_a_rebuild(engine: str, lab: Lab) -> None:
    model = lab.model("dropout", engine, "f32")
    for drop in (0.3, 0.8, 0.0, 0.5):
        model.hyper["drop"] = drop
        kept = float(masks(model)[0].mean())
        assert abs(kept - (1 - drop)) < 0.05 if drop else kept == 1.0
        # without training everything passes, scaled by how much of it training keeps
        close(model.infer(**DROPPED, other=DROPPED["x"]), np.full((STEPS, ROWS), 2 * WIDE * (1 - drop)), 1e-5)
    for wrong in (-0.1, 1.0):
        with pytest.raises(seqc.ModelError, match="hyper `drop`: expected a number from 0"):
            model.hyper["drop"] = wrong


def test_dropout_keeps_as_much_as_the_original(engine: str, lab: Lab, original: Read) -> None:
    golden, model = original("dropout_draws"), lab.model("dropout", engine, "f32")
    for drop, wanted in ((0.3, "mean_kept_at_p_03"), (0.8, "mean_kept_at_p_08")):
        model.hyper["drop"] = drop
        assert abs(float(masks(model)[0].mean()) - float(golden[wanted])) < 0.05
    assert all(set(np.unique(golden[name])) <= {0.0, 1.0} for name in ("first.0", "first.1"))


def test_starts_are_normal_over_the_rows(lab: Lab) -> None:
    model = lab.model("starts", "evaluator")
    model.initialise(3)
    for name, array in model.params.items():
        scaled = np.sort(np.ravel(array)) * array.shape[0]
        assert abs(scaled.mean()) < 4 / np.sqrt(scaled.size), name
        assert abs(scaled.std() - 1) < 3 / np.sqrt(scaled.size), name
        assert scaled.size < 1000 or abs(np.mean(np.abs(scaled) < 1) - 0.6827) < 0.03, name


def test_starts_of_the_original_are_of_that_kind(lab: Lab, original: Read) -> None:
    golden, model = original("initial_values"), lab.model("starts", "evaluator")
    model.initialise(1)
    ours: list[Any] = []
    theirs: list[Any] = []
    for name, array in golden.under("param").items():
        scaled = np.ravel(array) * array.shape[0]
        theirs += scaled.tolist()
        ours += (np.ravel(model.params[name]) * model.params[name].shape[0]).tolist()
    for numbers in (np.array(theirs), np.array(ours)):
        assert abs(numbers.std() - 1) < 0.1 and abs(numbers.mean()) < 0.15


def test_initial_states_stay_unless_they_learn(engine: str, lab: Lab, tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    call = {"x": random.normal(size=(5, 3, 2)), "goal": random.normal(size=(5, 3, 2))}
    for text, moves in (("adadelta", False), ("learned", True)):
        model = lab.model(text, engine)
        before = np.array(model.params["l0.h0"])
        gradient = model.gradients(**call).parameters["l0.h0"]
        model.update(**call)
        assert (np.array(model.params["l0.h0"]) != before).all() == moves
        assert gradient.any() == moves and ("l0.h0.gsum" in model.optimizer) == moves
    model.save(tmp_path / "kept.safetensors")  # either way it is a parameter, and saved
    other = lab.model("learned", engine)
    other.load(tmp_path / "kept.safetensors")
    assert np.array_equal(other.params["l0.h0"], model.params["l0.h0"])


def test_initial_state_from_the_caller(engine: str, lab: Lab) -> None:
    model, random = lab.model("handed", engine), np.random.default_rng(2)
    x, start = random.normal(size=(4, 3, 2)), random.normal(size=(3, 5))
    found = model.infer(x=x, start=start)
    state = model.state(3)
    state["y.lstm.h"], state["y.lstm.c"] = start, np.zeros((3, 5))
    close(model.infer(x=x, start=np.zeros_like(start), state=state), found, 1e-12)


def masked(**changes: Any) -> dict[str, Any]:
    """Two rows of four steps; the first counts steps 1 and 2, the second nothing."""
    call: dict[str, Any] = {
        "logits": np.random.default_rng(3).normal(size=(4, 2, 4)),
        "weight": np.ones(2),
        "labels": np.array([[-1, -1], [2, -1], [0, -1], [-1, -1]]),
        "lengths": np.array([2, 0]),
        "starts": np.array([1, 3]),
    }
    return call | changes


def test_masked_loss_counts_the_window(engine: str, lab: Lab) -> None:
    model, call = lab.model("masked", engine), masked()
    probs = model.infer(logits=call["logits"], weight=call["weight"])
    wanted = -np.log(probs[1, 0, 2]) - np.log(probs[2, 0, 0])
    found = model.gradients(**call)
    assert abs(float(found.score) - wanted) < 1e-12
    assert not found.inputs["logits"][:, 1].any() and not found.inputs["logits"][[0, 3], 0].any()


@pytest.mark.parametrize("starts", [[4, 100], [-9, -9]])
def test_a_window_beside_the_sequence_counts_nothing(starts: list[int], engine: str, lab: Lab) -> None:
    found = lab.model("masked", engine).gradients(**masked(starts=np.array(starts)))
    assert float(found.score) == 0.0 and not found.inputs["logits"].any()


def test_a_window_over_the_end_stops_there(engine: str, lab: Lab) -> None:
    model = lab.model("masked", engine)
    labels = np.array([[-1, -1], [2, -1], [0, -1], [1, -1]])
    inside = model.evaluate(**masked(labels=labels, lengths=np.array([3, 0])))
    assert float(model.evaluate(**masked(labels=labels, lengths=np.array([50, 0])))) == float(inside)
    assert float(model.evaluate(**masked(labels=labels, lengths=np.array([-2, -1])))) == 0.0


@pytest.mark.parametrize(("step", "label", "says"), [(2, -1, "label"), (0, 4, "labels")])
def test_labels_that_cannot_be(step: int, label: int, says: str, engine: str, lab: Lab) -> None:
    """Counted but missing, and too large, even where it is not counted."""
    labels = np.array(masked()["labels"])
    labels[step, 0] = label
    with pytest.raises(seqc.ModelError, match=says):
        lab.model("masked", engine).evaluate(**masked(labels=labels))


def shortened(g: Any, most: float, eps: float) -> Any:
    size = np.sqrt(np.sum(g**2))
    return g * min(most, size) / (size + eps) if most > 0 else g


@pytest.mark.parametrize("most", [0.0, 0.05, 5.0])
@pytest.mark.parametrize("rule", ["sgd", "adagrad", "adadelta"])
def test_updates_against_numpy(rule: str, most: float, engine: str, lab: Lab) -> None:
    model, random = lab.model(rule, engine), np.random.default_rng(4)
    prefix = {"sgd": "SGD", "adagrad": "AdaGrad", "adadelta": "AdaDelta"}[rule]
    model.hyper[f"{prefix}.max_norm"] = most
    call = {"x": random.normal(size=(3, 2, 2)), "goal": random.normal(size=(3, 2, 2))}
    for name in ("l0.in_gate.W", "l1.b"):
        eps, lr, rho, sums, moves = 1e-6, 0.01, 0.95, 0.0, 0.0
        model.initialise(1)
        for _ in range(3):
            w = np.array(model.params[name])
            g = shortened(model.gradients(**call).parameters[name], most, eps)
            model.update(**call)
            if rule == "sgd":
                w = w - lr * g
            elif rule == "adagrad":
                sums = sums + g**2
                w = w - lr * g / np.sqrt(sums + eps)
            else:
                sums = rho * sums + (1 - rho) * g**2
                d = -np.sqrt((moves + eps) / (sums + eps)) * g
                moves = rho * moves + (1 - rho) * d**2
                w = w + d
            close(model.params[name], w, 1e-12, name)


@pytest.mark.parametrize("hyper", ["lr", "max_norm", "eps"])
def test_constants_are_never_negative(hyper: str, lab: Lab) -> None:
    model = lab.model("sgd", "evaluator")
    with pytest.raises(seqc.ModelError, match=f"hyper `SGD.{hyper}`: expected a number from 0"):
        model.hyper[f"SGD.{hyper}"] = -0.1


def test_an_unknown_optimizer_is_a_mistake(lab: Lab) -> None:
    path = lab.folder / "unknown.seq"
    path.write_text(lab.texts["sgd"].replace("SGD,", "").replace("SGD()", "sgd()"), encoding="utf-8")
    with pytest.raises(seqc.SeqError) as found:
        seqc.check(path)
    assert "sgd" in str(found.value)


def test_the_gradient_inside_is_bounded_at_each_gate(engine: str, lab: Lab) -> None:
    """Four gates, each within the bound, so no input gets more than four times as much."""
    model, random = lab.model("lstm", engine), np.random.default_rng(5)
    for name, array in model.params.items():
        model.params[name] = random.normal(size=array.shape)
    call = {"x": random.normal(size=(6, 2, 3)), "goal": 9 * random.normal(size=(6, 2, 2))}
    free = model.gradients(**call).inputs["x"]
    model.hyper["low"] = 1e-3
    bound = model.gradients(**call).inputs["x"]
    assert np.abs(free).max() > 4e-3 and 0 < np.abs(bound).max() <= 4e-3 * (1 + 1e-12)


@pytest.mark.parametrize("real", ["f64", "f32"])
def test_compiled_equals_interpreted(real: str, lab: Lab, tmp_path: Path) -> None:
    program = lower_text(lab.texts["everything"])
    check_all(make(program, real, tmp_path, flags=native(real)), steps=4, batch=3)


def test_gradients_against_differences(lab: Lab) -> None:
    """Everything that has no bound inside; starts that do not learn have none."""
    stopped = ("grad.a.lstm.h0", "grad.c.gru.h0")
    assert check_gradients(lower_text(lab.texts["smooth"]), seed=2, steps=4, stopped=stopped) > 20


def test_step_by_step_is_the_whole_sequence(lab: Lab) -> None:
    check_streaming(lower_text(lab.texts["everything"]))


def test_states_carried_between_calls(engine: str, lab: Lab) -> None:
    model, random = lab.model("lstm", engine), np.random.default_rng(6)
    x, goal = random.normal(size=(6, 2, 3)), np.zeros((6, 2, 2))
    whole, state = model.infer(x=x, goal=goal).y, model.state(2)
    parts = [model.infer(x=x[part], goal=goal[part], state=state).y for part in (slice(2), slice(2, 6))]
    close(np.concatenate(parts), whole, 1e-12)


def test_one_label_at_the_end(engine: str, lab: Lab) -> None:
    """The README's figure: `lengths` 1 from `starts` = last step."""
    model = lab.model("masked", engine)
    labels = np.array([[-1, 0], [-1, 3], [-1, 1], [2, 1]])
    call = masked(labels=labels, lengths=np.array([1, 4]), starts=np.array([3, 0]))
    probs = model.infer(logits=call["logits"], weight=call["weight"])
    wanted = np.log(probs[3, 0, 2]) + np.log(probs[range(4), 1, labels[:, 1]]).sum()
    assert abs(float(model.evaluate(**call)) + wanted) < 1e-12
