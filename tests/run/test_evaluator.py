"""Model over the numpy evaluator: entry points agree with each other, states carry, generation feeds back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqc.emit.manifest import manifest
from seqc.emit.model import EmitOptions, describe
from seqc.flow.types import Kind, Type
from seqc.lower.program import Hyper, Program
from seqc.passes.pipeline import flow_for
from seqc.passes.update import initial_optimizer, trained_parameters
from seqc.plan.target import Target
from seqc.run import Model, ModelError
from seqc.run.engine import EngineFault
from seqc.run.evaluator import EvaluatorEngine
from seqc.run.guard import Guard, reads, trains
from tests.numeric import hand_models
from tests.run.conftest import interrupted_everywhere

RANDOM = np.random.default_rng(0)
T, B = 5, 3


def entries(program: Program) -> list[str]:
    names = ["infer", *(["evaluate", "gradients"] if "loss" in program.flow.roots else [])]
    names += ["apply", "update"] if program.rules else []
    names += ["step"] if program.causal else []
    return names + (["generate"] if any(each.default for each in program.inputs) else [])


def model_of(program: Program, real: str = "f64") -> Model:
    names = entries(program)
    flows = {entry: flow_for(program, entry) for entry in names}
    apply = flows.pop("apply", None)
    trained = [each.name for each in trained_parameters(program)]
    record = manifest(describe(program, names, trained, Target("x", 32, 8), EmitOptions("hand", real)))
    model = Model(EvaluatorEngine(record, flows, apply, initial_optimizer(program)))
    for name in model.params:
        shape = model.params[name].shape
        model.params[name] = np.random.default_rng(len(name)).normal(size=shape) * 0.5
    return model


def gru_data() -> tuple[np.ndarray, np.ndarray]:
    return RANDOM.normal(size=(T, B, 3)), RANDOM.normal(size=(T, B, 2))


def test_rows_do_not_see_each_other_and_state_goes_on() -> None:
    model = model_of(hand_models.gru())
    x, _ = gru_data()
    whole = model.infer(x)
    np.testing.assert_allclose(model.infer(x[:, 1]), whole[:, 1], rtol=1e-12)
    state = model.state(B)
    parts = [model.infer(x[:2], state=state), model.infer(x[2:], state=state)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-12)
    state = model.state(B)
    steps = np.array([model.step(x[t], state=state) for t in range(T)])
    np.testing.assert_allclose(steps, whole, rtol=1e-12)
    assert state.started.tolist() == [T] * B


def test_gradients_agree_with_differences() -> None:
    model = model_of(hand_models.gru())
    x, goal = gru_data()
    state = model.state(B)
    for name in state:
        state[name] = RANDOM.normal(size=state[name].shape)
    found = model.gradients(x, goal, state=state.copy())
    assert float(found.score) == model.evaluate(x, goal, state=state.copy())
    eps = 1e-6

    def slope(change: Callable[[float], Any]) -> float:
        return (change(eps) - change(-eps)) / (2 * eps)

    def by_weight(size: float) -> float:
        before = model.params["out.W"][0, 1]
        model.params["out.W"][0, 1] = before + size
        loss = float(model.evaluate(x, goal, state=state.copy()))
        model.params["out.W"][0, 1] = before
        return loss

    def by_input(size: float) -> float:
        moved = x.copy()
        moved[2, 1, 0] += size
        return float(model.evaluate(moved, goal, state=state.copy()))

    def by_state(size: float) -> float:
        moved, values = state.copy(), state["g.h"].copy()
        values[1, 2] += size
        moved["g.h"] = values
        return float(model.evaluate(x, goal, state=moved))

    assert found.parameters["out.W"][0, 1] == pytest.approx(slope(by_weight), rel=1e-6)
    assert found.inputs["x"][2, 1, 0] == pytest.approx(slope(by_input), rel=1e-6)
    assert found.states["g.h"][1, 2] == pytest.approx(slope(by_state), rel=1e-6)


def test_update_is_gradients_and_apply() -> None:
    left, right = model_of(hand_models.trainable()), model_of(hand_models.trainable())
    x, goal = gru_data()
    for _ in range(3):
        score = left.update(x, goal)
        gradients = right.gradients(x, goal)
        assert score == gradients.score
        right.apply(gradients)
    for name in left.params:
        np.testing.assert_array_equal(left.params[name], right.params[name])
    assert left.updates == 3
    with pytest.raises(ModelError, match="not finite"):
        left.update(x * np.nan, goal)
    assert left.updates == 3


class Idle:
    """An engine of which nobody wants anything."""

    def __init__(self) -> None:
        self._guard = Guard()

    @trains
    def update(self) -> int:
        return len("none")

    @reads
    def infer(self, beside: Callable[[], object]) -> None:
        beside()


def test_what_is_interrupted_leaves_the_engine_free() -> None:
    engine = Idle()
    assert interrupted_everywhere(engine.update) > 4
    assert interrupted_everywhere(lambda: engine.infer(lambda: engine.infer(list))) > 8
    assert engine.update() == 4
    with pytest.raises(EngineFault):
        engine.infer(engine.update)


def test_lengths_give_each_row_what_it_gives_alone() -> None:
    model = model_of(hand_models.ragged())
    x, n = RANDOM.normal(size=(T, B, 3)), np.array([5, 2, 3])
    x[2:, 1] = np.nan
    z = model.infer(x, n)
    for row in range(B):
        alone = model.infer(x[: n[row], row])
        np.testing.assert_allclose(z[: n[row], row], alone, rtol=1e-12)
        assert not z[n[row] :, row].any()
    tag = np.zeros((T, B), np.int32)
    tag[4, 1] = 99  # in the padding
    model.evaluate(x, n, tag, np.zeros(B, np.int32))
    tag[1, 1] = 4
    with pytest.raises(ModelError, match="`tag` holds 4 at step 1, row 1; expected an index from 0 to 3"):
        model.evaluate(x, n, tag, np.zeros(B, np.int32))
    tag[1, 1] = -1
    with pytest.raises(
        ModelError, match=r"the loss counts a step whose label is missing .* at step 1, row 1"
    ):
        model.evaluate(x, n, tag, np.zeros(B, np.int32))
    model.evaluate(x, n, tag, np.full(B, 2, np.int32))
    with pytest.raises(ModelError, match="`n` holds 6 at row 2; expected a length"):
        model.infer(x, [1, 2, 6])
    with pytest.raises(ModelError, match="`n`: expected whole numbers, found float64 with NaN"):
        model.infer(x, np.array([1.0, 2.0, np.nan]))


def test_closed_loop_asks_for_steps() -> None:
    model = model_of(hand_models.closed_loop())
    start = RANDOM.normal(size=(B, 2))
    assert model.infer(start, steps=7).shape == (7, B, 2)
    with pytest.raises(ModelError, match="expected the option `steps=`"):
        model.infer(start)


def test_generates_what_stepping_gives() -> None:
    model = model_of(hand_models.feedback())
    prompt = np.array([1, 3, 2])
    made = model.generate(text=prompt, steps=6)
    state, said = model.state(), []
    for t in range(8):
        given = [prompt[t]] if t < 3 else []
        said.append(int(model.step(*given, state=state)))
    expected = said[2:]
    if 4 in expected:
        expected = expected[: expected.index(4) + 1]
    assert made.said[: made.lengths].tolist() == expected
    assert not made.said[made.lengths :].any() and made.said.shape == (6,)
    both = model.generate(np.stack([prompt, prompt], 1), steps=6)
    np.testing.assert_array_equal(both.said[:, 1], made.said)
    from_nothing = model.generate(steps=4, batch=2)
    assert from_nothing.said.shape == (4, 2) and from_nothing.lengths.shape == (2,)
    state = model.state(2)
    np.testing.assert_array_equal(model.generate(steps=4, state=state).said, from_nothing.said)
    with pytest.raises(ModelError, match="`text` holds 5 at step 1"):
        model.generate(text=[0, 5], steps=3)
    with pytest.raises(ModelError, match="`steps`: expected a whole number from 1"):
        model.generate(text=[0], steps=0)


def test_text_goes_in_and_comes_out() -> None:
    from seqc.run.generate import generate_text

    model = model_of(hand_models.feedback())
    model.symbols = list("abcde")
    text = generate_text(model, "bdc", 6)
    numbers = model.generate(text=[1, 3, 2], steps=6)
    assert text == "".join("abcde"[k] for k in numbers.said[: numbers.lengths])
    with pytest.raises(ModelError, match="no symbol 'z' \\(at 1 of the prompt\\)"):
        generate_text(model, "az", 6)
    with pytest.raises(ModelError, match="no hyper `temperature`"):
        generate_text(model, "a", 6, temperature=0.5)


def test_fits_sequences() -> None:
    model = model_of(hand_models.trainable())
    x = RANDOM.normal(size=(T, 12, 3))
    history = model.fit(x, np.tanh(x[..., :2]), epochs=5, batch=4, validation=0.25, quiet=True)
    assert history.losses[-1] < history.losses[0] and len(history.validations) == 5


def test_fits_text_and_speaks(tmp_path: Path) -> None:
    from seqc.run.generate import generate_text

    program = hand_models.feedback()
    rules = {each.name: hand_models.sgd_rule(each.type) for each in program.parameters}
    hypers = (*program.hypers, Hyper("SGD.lr", Type(Kind.REAL), 0.5))
    model = model_of(replace(program, rules=rules, hypers=hypers))
    text = "abcd" * 60
    history = model.fit(text, epochs=6, batch=4, window=10, validation=0.2, out=tmp_path / "run", quiet=True)
    assert history.losses[-1] < history.losses[0] and model.symbols == list("abcd")
    model.symbols = None
    model.load(tmp_path / "run" / "best.safetensors")
    assert model.symbols == list("abcd")
    assert set(generate_text(model, "ab", 8)) <= set("abcd\ufffd")
    with pytest.raises(ModelError, match="no symbol 'e'"):
        model.fit("abcde" * 9, epochs=1, quiet=True)
    model.symbols = None
    with pytest.raises(ModelError, match="7 distinct characters, hand has room for 5"):
        model.fit("abcdefg", epochs=1, quiet=True)
    for short in ("a", "abcdefg"):  # what fails before it has learned anything leaves no alphabet behind
        with pytest.raises(ModelError):
            model.fit(short, epochs=1, quiet=True)
        assert model.symbols is None
    # As editors on Windows begin a text; what is tested with gives its characters, too.
    (tmp_path / "more.txt").write_text("\ufeff" + text, encoding="utf-8")
    model.fit(tmp_path / "more.txt", validation="abe" * 9, epochs=1, quiet=True)
    assert model.symbols == list("abcde")
    # A run that began with more symbols than its text holds goes on with them.
    known: dict[str, Any] = {"batch": 4, "window": 10, "out": tmp_path / "known", "quiet": True}
    model.fit("bcd" * 60, epochs=1, **known)
    model.symbols = None
    model.fit("bcd" * 60, epochs=2, resume=True, **known)
    assert model.symbols == list("abcde")
