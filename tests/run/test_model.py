"""Model over a compiled library: arguments, shapes, states, weights that are written from outside, messages."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from seqc.run import Model, ModelError, Score
from seqc.run.engine import Manifest
from seqc.run.state import State
from tests.run.conftest import interrupted_everywhere

T, B = 4, 3
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(T, B, 2)).astype(np.float32)
GAIN = np.array([1.0, 0.5, 2.0], np.float32)
KIND = RANDOM.integers(0, 5, (T, B)).astype(np.int32)
GOAL = np.zeros((B, 2), np.float32)


def expected(w: np.ndarray, h: np.ndarray | None = None) -> np.ndarray:
    h = np.zeros((B, 2), np.float32) if h is None else h
    rows = []
    for t in range(T):
        h = np.tanh(w * h + GAIN[:, None] * X[t])
        rows.append(h.sum(1) + KIND[t])
    return np.array(rows)


def test_runs_whole_sequences(toy: Model) -> None:
    y = toy.infer(X, GAIN, KIND)
    assert y.shape == (T, B) and y.dtype == np.float32
    np.testing.assert_allclose(y, expected(toy.params["net.W"]), rtol=1e-5)


def test_by_name_and_one_sequence(toy: Model) -> None:
    y = toy.infer(X, GAIN, KIND)
    one = toy.infer(X[:, 1], kind=KIND[:, 1], gain=0.5)
    assert one.shape == (T,)
    np.testing.assert_array_equal(one, y[:, 1])


def test_out_is_used(toy: Model) -> None:
    out = np.empty((T, B), np.float32)
    assert toy.infer(X, GAIN, KIND, out=out) is out
    np.testing.assert_array_equal(out, toy.infer(X, GAIN, KIND))


def test_the_short_way_gives_the_same_and_leaves_the_rest_to_the_long_one(toy: Model) -> None:
    long = toy.infer(X, GAIN, kind=KIND)
    short = toy._short.infer((X, GAIN, KIND), None)
    assert short is not NotImplemented and short.shape == (T, B)
    np.testing.assert_array_equal(short, long)
    out = np.empty(T, np.float32)
    one = np.ascontiguousarray(X[:, 1]), GAIN[1:2].reshape(()), np.ascontiguousarray(KIND[:, 1])
    assert toy._short.infer(one, out) is out
    np.testing.assert_array_equal(out, long[:, 1])
    wrong = KIND.copy()
    wrong[1, 2] = 7
    for arguments, given in (
        ((X, GAIN), None),
        ((X, GAIN, KIND.astype(np.int64)), None),
        ((X[:, ::-1], GAIN, KIND), None),
        ((X, GAIN[:2], KIND), None),
        ((X[:2], GAIN, KIND), None),
        ((X, GAIN, wrong), None),
        ((X[:0], GAIN, KIND[:0]), None),
        ((X, GAIN, KIND), np.empty((T, B), np.float64)),
        ((X, GAIN, KIND), X.reshape(-1)[: T * B].reshape(T, B)),
        ((X, GAIN, KIND), np.broadcast_to(np.float32(0), (T, B))),
        ((X, GAIN, KIND), (out, out)),
    ):
        assert toy._short.infer(arguments, given) is NotImplemented
    view = toy.params
    held = view["net.W"]
    held[:] = 0.25
    assert toy._short.infer((X, GAIN, KIND), None) is NotImplemented
    np.testing.assert_allclose(toy.infer(X, GAIN, KIND), expected(np.full(2, 0.25)), rtol=1e-5)


def test_the_short_way_to_update_gives_the_same_and_leaves_the_rest_to_the_long_one(toy: Model) -> None:
    short, start = toy._short.update, toy.engine.arenas.plain.copy()
    toy.infer(X, GAIN, KIND)  # packs the weights
    scores = short((X, GAIN, KIND, GOAL), {}, 0)
    after = toy.engine.arenas.plain.copy()
    toy.initialise(0)
    np.testing.assert_array_equal(toy.engine.arenas.plain, start)
    toy.infer(X, GAIN, KIND)
    named = {"gain": GAIN, "goal": GOAL, "kind": KIND, "x": X}
    np.testing.assert_array_equal(short((), named, 0), scores)
    np.testing.assert_array_equal(toy.engine.arenas.plain, after)
    toy.initialise(0)
    assert toy.update(np.asfortranarray(X), GAIN, KIND, GOAL) == scores[0] and toy.updates == 1
    np.testing.assert_array_equal(toy.engine.arenas.plain, after)
    wrong = KIND.copy()
    wrong[1, 2] = 7
    for args, given in (
        ((X, GAIN, KIND), {}),
        ((X, GAIN, KIND), {"goal": GOAL}),
        ((), {"gain": GAIN, "goal": GOAL, "kind": KIND}),
        ((), {"gain": GAIN, "goal": GOAL, "kind": KIND, "y": X}),
        ((X, GAIN, wrong, GOAL), {}),
        ((X[:2], GAIN, KIND, GOAL), {}),
        ((X, GAIN, KIND, GOAL.astype(np.float64)), {}),
        ((X * np.nan, GAIN, KIND, GOAL), {}),
    ):
        assert short(args, given, 0) is NotImplemented
    assert toy.updates == 1
    np.testing.assert_array_equal(toy.engine.arenas.plain, after)
    held = toy.params["net.W"]
    held[:] = 0.25
    assert short((X, GAIN, KIND, GOAL), {}, 0) is NotImplemented


def test_state_goes_on(toy: Model) -> None:
    whole = toy.infer(X, GAIN, KIND)
    state = toy.state(B)
    parts = [toy.infer(X[i : i + 2], GAIN, KIND[i : i + 2], state=state) for i in (0, 2)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert state.started.tolist() == [4, 4, 4]


def test_steps_equal_the_whole(toy: Model) -> None:
    whole, state = toy.infer(X, GAIN, KIND), toy.state(B)
    out = np.empty(B, np.float32)
    for t in range(T):
        assert toy.step(X[t], GAIN, KIND[t], state=state, out=out) is out
        np.testing.assert_array_equal(out, whole[t])
    other = toy.state(B)
    for t in range(T):
        np.testing.assert_array_equal(toy.step(X[t], gain=GAIN, kind=KIND[t], state=other), whole[t])


def test_step_of_one_sequence_takes_numbers(toy: Model) -> None:
    whole, state = toy.infer(X[:, 1], GAIN[1], KIND[:, 1]), toy.state()
    step = toy.stepper(state)
    found = [step(np.ascontiguousarray(X[t, 1]), 0.5, int(KIND[t, 1])) for t in range(T)]
    np.testing.assert_array_equal(np.array(found), whole)
    assert found[0].shape == ()
    state.reset()
    assert step([*X[0, 1]], 0.5, int(KIND[0, 1])) == whole[0]  # a list: the slow way


def test_rows_reset_and_copy(toy: Model) -> None:
    state = toy.state(B)
    toy.infer(X, GAIN, KIND, state=state)
    copy = state.copy()
    state.reset(rows=[1])
    assert state.fresh("net.h").tolist() == [False, True, False]
    y = toy.infer(X, GAIN, KIND, state=state)
    np.testing.assert_array_equal(y[:, 1], toy.infer(X, GAIN, KIND)[:, 1])
    state.assign(copy)
    np.testing.assert_array_equal(state["net.h"], copy["net.h"])
    state["net.h"] = np.ones((B, 2))
    np.testing.assert_allclose(
        toy.infer(X, GAIN, KIND, state=state),
        expected(toy.params["net.W"], np.ones((B, 2), np.float32)),
        rtol=1e-5,
    )


def test_state_to_disk(toy: Model, tmp_path) -> None:
    state = toy.state(B)
    toy.infer(X, GAIN, KIND, state=state)
    state.save(tmp_path / "state.safetensors")
    again = toy.state(B).load(tmp_path / "state.safetensors")
    np.testing.assert_array_equal(again["net.h"], state["net.h"])
    with pytest.raises(ModelError, match="expected float32 \\[2, 2\\], found float32 \\[3, 2\\]"):
        toy.state(2).load(tmp_path / "state.safetensors")


def test_views_are_leases(toy: Model) -> None:
    view = toy.params["net.W"][:1]
    engine = toy.engine
    for value in (0.25, -0.5):
        view[0] = value
        np.testing.assert_allclose(toy.infer(X, GAIN, KIND), expected(toy.params["net.W"]), rtol=1e-5)
        assert engine.memory.stale  # the view lives: nobody knows when it is written
    del view
    toy.infer(X, GAIN, KIND)
    assert not engine.memory.stale
    toy.params["net.W"] = 0.75
    np.testing.assert_allclose(toy.infer(X, GAIN, KIND), expected(np.float32([0.75, 0.75])), rtol=1e-5)


def test_a_stepper_sees_new_weights(toy: Model) -> None:
    state = toy.state(B)
    step = toy.stepper(state)
    step(X[0], GAIN, KIND[0])
    state.reset()
    step(X[0], GAIN, KIND[0])
    toy.params["net.W"] = [0.1, 0.9]
    found = step(X[1], GAIN, KIND[1])
    np.testing.assert_allclose(found, expected(np.float32([0.1, 0.9]))[1], rtol=1e-5)


def test_scores_and_updates(toy: Model) -> None:
    score = toy.evaluate(X, GAIN, KIND, GOAL)
    assert isinstance(score, Score) and score.metrics["root"] == pytest.approx(float(score) ** 0.5)
    gradients = toy.gradients(X, GAIN, KIND, GOAL)
    twice = toy.gradients(X, GAIN, KIND, GOAL, accumulate=toy.gradients(X, GAIN, KIND, GOAL))
    np.testing.assert_allclose(twice.parameters["net.W"], 2 * gradients.parameters["net.W"])
    before = toy.params["net.W"].copy()
    assert toy.update(X, GAIN, KIND, GOAL) == score and toy.updates == 1
    by_update = toy.params["net.W"].copy()
    np.testing.assert_allclose(by_update, before - 0.1 * gradients.parameters["net.W"], rtol=1e-6)
    toy.params["net.W"] = before
    toy.apply(gradients)
    np.testing.assert_allclose(toy.params["net.W"], by_update, rtol=1e-6)
    assert toy.optimizer["net.W.seen"].tolist() == [2, 2]
    toy.hyper["SGD.lr"] = 0.0
    toy.update(X, GAIN, KIND, GOAL)
    np.testing.assert_allclose(toy.params["net.W"], by_update, rtol=1e-6)


def test_same_seed_same_weights(toy: Model, library) -> None:
    first = toy.params["net.W"].copy()
    toy.initialise(1)
    assert not np.array_equal(first, toy.params["net.W"])
    toy.initialise(0)
    np.testing.assert_array_equal(first, toy.params["net.W"])


class OnlyArray:
    def __array__(self, dtype=None, copy=None):
        return X


class OnlyDlpack:
    def __dlpack__(self, **options):
        return X.__dlpack__(**options)

    def __dlpack_device__(self):
        return X.__dlpack_device__()


@pytest.mark.parametrize(
    "value",
    [
        X.tolist(),
        memoryview(X),
        OnlyArray(),
        OnlyDlpack(),
        np.asfortranarray(X),
        X.astype(">f4"),
        X[::1, ::1],
        np.ma.masked_array(X, np.zeros_like(X)),
    ],
)
def test_takes_what_is_like_an_array(toy: Model, value: object) -> None:
    np.testing.assert_array_equal(toy.infer(value, GAIN, KIND), toy.infer(X, GAIN, KIND))


def test_converts_and_says_so_once(toy: Model) -> None:
    with pytest.warns(UserWarning, match="`x`: float64 is converted to float32") as caught:
        toy.infer(X.astype(np.float64), GAIN, KIND)
    assert caught[0].filename == __file__  # the line of whoever called
    toy.infer(X.astype(np.float64), GAIN, KIND.astype(np.int64))


MISTAKES = [
    (lambda m: m.infer(X, GAIN), "`infer` needs `kind`: expected [T, B], or [T] for one sequence"),
    (lambda m: m.infer(X, GAIN, KIND, KIND), "`infer` takes `x`, `gain`, `kind`; found 4 arguments"),
    (lambda m: m.infer(X, gian=GAIN, kind=KIND), "there is no input `gian`; did you mean `gain`?"),
    (lambda m: m.infer(X, GAIN, KIND, goal=GOAL), "does not take `goal`, which is a target or a length"),
    (lambda m: m.infer(X, GAIN, KIND, x=X), "`x` is given twice"),
    (
        lambda m: m.infer(X[..., :1], GAIN, KIND),
        "`x`: expected [T, B, 2], or [T, 2] for one sequence; found [4, 3, 1]",
    ),
    (lambda m: m.infer(X, GAIN[0], KIND), "`gain` has no batch axis and `x` has one"),
    (lambda m: m.infer(X, GAIN[:2], KIND), "`gain` has 2 rows; expected 3, as `x` has"),
    (lambda m: m.infer(X, GAIN, KIND[:3]), "`kind` has 3 steps; expected 4, as `x` has"),
    (lambda m: m.infer(X[:0], GAIN, KIND[:0]), "`x` has no steps; expected at least one"),
    (lambda m: m.infer(X, GAIN, KIND + 5), "; expected an index from 0 to 4"),
    (lambda m: m.infer(X, GAIN, KIND.astype(np.int64) + 2**32), "expected a whole number of 32 bits"),
    (
        lambda m: m.infer(X, GAIN, KIND.astype(np.float32)),
        "`kind`: expected whole numbers (int32), found float32",
    ),
    (lambda m: m.infer(X, GAIN, KIND * np.nan), "`kind`: expected whole numbers, found float64 with NaN"),
    (lambda m: m.infer(np.ma.masked_greater(X, 0), GAIN, KIND), "`x`: expected an array without gaps"),
    (lambda m: m.step(np.ma.masked_greater(X[0], 0), GAIN, KIND[0], state=m.state(B)), "without gaps"),
    (lambda m: m.infer("abc", GAIN, KIND), "`x`: expected an array, found a str"),
    (lambda m: m.infer(X.astype(complex), GAIN, KIND), "expected numbers (float32), found complex128"),
    (
        lambda m: m.infer([[1.0], [1.0, 2.0]], GAIN, KIND),
        "found a list whose parts differ in shape; `fit`, `score` and `predict` take lists of sequences",
    ),
    (
        lambda m: m.infer(X.swapaxes(0, 1), GAIN, KIND.swapaxes(0, 1)),
        "`gain` has 3 rows; expected 4, as `x` has; what has steps is [T, B, …], time first",
    ),
    (lambda m: m.infer(X, GAIN, KIND, out=np.empty((T, B))), "expected float32 [4, 3], found float64 [4, 3]"),
    (lambda m: m.infer(X, GAIN, KIND, out=X.reshape(-1)[: T * B].reshape(T, B)), "overlaps an input"),
    (lambda m: m.infer(X, GAIN, KIND, out=np.broadcast_to(np.float32(0), (T, B))), "is read-only"),
    (
        lambda m: m.infer(X, GAIN, KIND, state=m.state(2)),
        "the state has 2 rows; expected 3, as the arrays have",
    ),
    (lambda m: m.infer(X, GAIN, KIND, state=1), "expected a State"),
    (lambda m: m.infer(X, GAIN, KIND, seed=-1), "`seed`: expected a whole number from 0"),
    (lambda m: m.step(X[0], GAIN, KIND[0]), "expected `state=`"),
    (lambda m: m.step(X[0], GAIN, KIND[0] + 5, state=m.state(B)), "; expected an index from 0 to 4"),
    (lambda m: m.step(X, GAIN, KIND[0], state=m.state(B)), "`x`: expected [B, 2], or [2] for one sequence"),
    (lambda m: m.generate(steps=3), "toy has no entry point `generate`"),
    (lambda m: m.params["W"], "there is no parameter `W`; did you mean `net.W`?"),
    (lambda m: m.state()["net.c"], "there is no state `net.c`; did you mean `net.h`?"),
    (lambda m: m.state(0), "`batch`: expected a whole number from 1, found 0"),
    (lambda m: m.hyper.update({"SGD.lr": -1}), "expected a number from 0, found -1"),
    (lambda m: m.hyper.update({"SGD.lr": float("nan")}), "hyper `SGD.lr`: expected a number"),
    (lambda m: m.hyper["lr"], "did you mean `SGD.lr`?"),
]


@pytest.mark.parametrize(("call", "text"), MISTAKES)
def test_mistakes_are_named(toy: Model, call, text: str) -> None:
    with pytest.raises(ModelError) as caught:
        call(toy)
    assert text in str(caught.value)


def test_not_finite_changes_nothing(toy: Model) -> None:
    before = toy.params["net.W"].copy()
    with pytest.raises(ModelError, match="not finite; nothing was changed"):
        toy.update(X * np.nan, GAIN, KIND, GOAL)
    np.testing.assert_array_equal(before, toy.params["net.W"])
    assert toy.updates == 0


def test_memory_that_cannot_be_had(toy: Model) -> None:
    with pytest.raises(MemoryError):
        toy.engine.memory.forward(
            0, None, [X, GAIN, KIND, None], [np.empty(B, np.float32)], 1, 2**50, 0, 0, 1
        )


def test_threads_with_states_of_their_own(toy: Model) -> None:
    whole = toy.infer(X, GAIN, KIND)
    failures: list[object] = []

    def work() -> None:
        for _ in range(200):
            state = toy.state(B)
            parts = [toy.step(X[t], GAIN, KIND[t], state=state) for t in range(T)]
            if not np.array_equal(np.array(parts), whole) or not np.array_equal(
                toy.infer(X, GAIN, KIND), whole
            ):
                failures.append(parts)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_one_state_is_for_one_call(toy: Model) -> None:
    state = toy.state(B)
    toy.stepper(state)
    with pytest.raises(ModelError, match="in use by another thread"):
        state.using(lambda: toy.step(X[0], GAIN, KIND[0], state=state))
    toy.step(X[0], GAIN, KIND[0], state=state)


def test_what_is_interrupted_leaves_the_state_free(toy: Model) -> None:
    """Ctrl-C strikes where a function of Python begins, or behind one of C."""
    state = toy.state(B)
    for work in (
        lambda: toy.infer(X, GAIN, KIND, state=state),
        lambda: toy.evaluate(X, GAIN, KIND, GOAL, state=state),
        lambda: state.set("net.h", 0.0),
        lambda: state.copy(),
    ):
        assert interrupted_everywhere(work) > 10
        work()


def test_a_state_stepped_by_another_model_of_its_kind(toy: Model, library: Path) -> None:
    from seqc.run.library import LibraryEngine

    other = Model(LibraryEngine(toy.manifest, library), 5)
    states = [toy.state(B), toy.state(B)]
    for state in states:
        toy.step(X[0], GAIN, KIND[0], state=state)
    fresh = toy.state(B)
    fresh.assign(states[0])
    wanted = other.step(X[1], GAIN, KIND[1], state=fresh)
    np.testing.assert_array_equal(other.step(X[1], GAIN, KIND[1], state=states[0]), wanted)
    assert not np.array_equal(toy.step(X[1], GAIN, KIND[1], state=states[1]), wanted)
    with pytest.raises(ModelError, match="expected a State"):
        toy.stepper(3)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="expected a State"):
        toy.step(X[1], GAIN, KIND[1], state=3)  # type: ignore[arg-type]


def test_gradients_of_another_model_are_refused(toy: Model) -> None:
    own = toy.gradients(X, GAIN, KIND, GOAL)
    views = {"net.W": np.zeros(9, np.float32)}
    other = replace(own, parameters=views, arena=np.zeros(64, np.uint8))
    before = toy.params["net.W"].copy()
    for wrong, reason in ((other, "another model"), (3, "expected Gradients")):
        with pytest.raises(ModelError, match=reason):
            toy.apply(wrong)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match=reason):
            toy.gradients(X, GAIN, KIND, GOAL, accumulate=wrong)  # type: ignore[arg-type]
    np.testing.assert_array_equal(toy.params["net.W"], before)


def test_a_state_and_its_stepper_go_away(toy: Model) -> None:
    import gc

    state = toy.state(B)
    toy.step(X[0], GAIN, KIND[0], state=state)
    gone = weakref.ref(state)
    del state
    gc.collect()
    assert gone() is None


def test_training_shuts_others_out(toy: Model) -> None:
    long = (np.zeros((20_000, B, 2), np.float32), GAIN, np.zeros((20_000, B), np.int32))
    found: list[str] = []

    def train() -> None:
        for _ in range(3):
            try:
                toy.update(*long, GOAL)
            except ModelError as error:  # the other thread was running just then
                found.append(str(error))

    thread = threading.Thread(target=train)
    thread.start()
    while thread.is_alive():
        try:
            toy.infer(X, GAIN, KIND)
        except ModelError as error:
            found.append(str(error))
    thread.join()
    assert set(found) <= {
        "the model is being trained by another thread, or is in use while it should be trained"
    }
    toy.infer(X, GAIN, KIND)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda state: state.head(9), "`rows`: expected a whole number from 1 to 3, found 9"),
        (lambda state: state.head(-1), "`rows`: expected a whole number from 1, found -1"),
        (lambda state: state.head("a"), "`rows`: expected a whole number from 1, found 'a'"),
        (lambda state: state.restore(3), "expected arrays by name, as `state.tensors()` gives, found a int"),
        (
            lambda state: state.restore({"value.net.h": 3}),
            "`value.net.h`: expected float32 [3, 2], found int64 []",
        ),
        (lambda state: state.assign(3), "expected a State, made by `model.state()`, found a int"),
        (lambda state: state.assign(None), "expected a State, made by `model.state()`, found a NoneType"),
    ],
)
def test_mistakes_about_states(toy: Model, call: Callable[[State], object], text: str) -> None:
    state = toy.state(B)
    with pytest.raises(ModelError) as caught:
        call(state)
    assert text in str(caught.value)
    assert len(state.head(2)["net.h"]) == 2


@pytest.mark.parametrize(("dims", "kind"), [([1], "real"), ([2], "f64"), ([3], "real")])
def test_states_of_other_sizes_are_not_taken_over(toy: Model, dims: list[int], kind: str) -> None:
    other = {**toy.manifest, "states": [{**toy.manifest["states"][0], "dims": dims, "kind": kind}]}
    with pytest.raises(
        ModelError, match=r"state `net\.h`: expected float32 \[3, 2\], found .*of the same model"
    ):
        toy.state(B).assign(State(cast(Manifest, other), B))


@pytest.mark.parametrize("wrt", [3, None, "inputs", ["weights"], [3], np.array([1, 2])])
def test_what_to_derive_by_is_named(toy: Model, wrt: object) -> None:
    with pytest.raises(
        ModelError, match="`wrt`: expected a list of some of parameters, inputs, states, hypers, found"
    ):
        toy.gradients(X, GAIN, KIND, GOAL, wrt=cast(list[str], wrt))
    found = toy.gradients(X, GAIN, KIND, GOAL, wrt=(each for each in ("parameters",)))  # type: ignore[arg-type]
    assert found.parameters["net.W"].any() and not found.inputs


@pytest.mark.parametrize("value", [[[1.0], [1.0, 2.0]], [1.0, 2.0, 3.0], "a", None, {}, [None, 1.0]])
def test_values_that_are_no_parameter_are_refused_with_its_shape(toy: Model, value: object) -> None:
    for views, name in ((toy.params, "net.W"), (toy.optimizer, "net.W.seen")):
        before = views[name].copy()
        with pytest.raises(ModelError, match=rf"`{name}`: expected numbers of shape \[2\], found"):
            views[name] = value
        np.testing.assert_array_equal(before, views[name])
