"""Sequences of different lengths: batches of about one length, windows that rows leave, resumption, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqc
from seqc.run import Model, ModelError
from seqc.run.data import Slice
from seqc.run.gather import gather
from seqc.run.lists import Lists
from tests.run.test_fit import Stop

SOURCE = """use std.cells: Dense, Dropout, GRU
use std.optim: Adam

model Rows {
  hyper p = 0.3
  input  x: real[2]
  input  n: length
  target y: real

  guess = (x |> GRU(3) |> Dropout(p) |> Dense(1))[0]

  output guess
  loss = mean((guess - y) ^ 2 over time, batch)
  metric off = mean(abs(guess - y) over time, batch)
}

train Rows { update = Adam(lr = 0.01) }
"""
ONCE = """use std.cells: Dense, GRU
use std.losses: cross_entropy
use std.optim: Adam

model Classes {
  input  word: index(5)
  input  bias: real once
  input  n: length
  target kind: index(3) once

  z = last(word |> Words() over time) |> Dense(3)

  output z
  loss = mean(cross_entropy(z + bias, kind) over batch)
}

cell Words()(k: index(V)) -> h: real[4] {
  param table: real[V, 4] = normal(1.0)
  layer inner = GRU(4)
  h = inner(table[k])
}

train Classes { update = Adam(lr = 0.01) }
"""
RANDOM = np.random.default_rng(5)
LENGTHS = [3, 7, 1, 5, 5, 2, 9, 4, 6, 3]
X = [RANDOM.normal(size=(length, 2)).astype(np.float32) for length in LENGTHS]
Y = [np.tanh(each.sum(1)) for each in X]


def opened(tmp_path: Path, source: str) -> Model:
    path = tmp_path / "rows.seq"
    path.write_text(source)
    return seqc.load(path, engine="evaluator")


@pytest.fixture
def rows(tmp_path: Path) -> Model:
    return opened(tmp_path, SOURCE)


def padded(parts: list[Any]) -> np.ndarray:
    array = np.zeros((max(LENGTHS), len(parts), *parts[0].shape[1:]), np.float32)
    for row, part in enumerate(parts):
        array[: len(part), row] = part
    return array


def test_one_batch_is_the_padded_update(rows: Model) -> None:
    order = np.argsort(-np.array(LENGTHS), kind="stable")
    history = rows.fit(X, Y, epochs=1, batch=10, shuffle=False, quiet=True)
    trained = rows.params["guess.dense.W"].copy()
    rows.initialise(0)
    length = np.array(LENGTHS, np.int32)[order]
    score = rows.update(padded(X)[:, order], padded(Y)[:, order], n=length)
    assert history.losses == [float(score)] and history.records[0].metrics == score.metrics
    np.testing.assert_array_equal(trained, rows.params["guess.dense.W"])


def test_arrays_with_lengths_are_the_same_data(rows: Model) -> None:
    listed = rows.fit(X, Y, epochs=2, batch=3, validation=0.3, quiet=True)
    rows.initialise(0)
    arrays = {"x": padded(X), "y": padded(Y), "n": np.array(LENGTHS)}
    assert rows.fit(**arrays, epochs=2, batch=3, validation=0.3, quiet=True).records == listed.records
    rows.initialise(0)
    by_name = rows.fit({"y": Y, "x": X}, epochs=2, batch=3, validation=0.3, quiet=True)
    assert by_name.records == listed.records
    rows.initialise(0)
    assert rows.fit(X, Y, epochs=2, batch=3, seed=1, quiet=True).losses != listed.losses


def test_windows_carry_state_and_rows_leave(rows: Model) -> None:
    rows.hyper["p"] = 0.0
    history = rows.fit(X, Y, epochs=1, batch=10, window=4, warmup=0, shuffle=False, quiet=True)
    trained = rows.params["guess.dense.W"].copy()
    rows.initialise(0)
    order = np.argsort(-np.array(LENGTHS), kind="stable")
    x, y, length = padded(X)[:, order], padded(Y)[:, order], np.array(LENGTHS, np.int32)[order]
    state, total = rows.state(10), 0.0
    for first in (0, 4, 8):
        alive = int((length > first).sum())
        left = np.minimum(length[:alive] - first, 4)
        state = state.head(alive)
        end = first + int(left.max())
        score = rows.update(x[first:end, :alive], y[first:end, :alive], n=left, state=state)
        total += float(score) * int(left.sum())
    assert history.losses[0] == pytest.approx(total / sum(LENGTHS), rel=1e-12)
    np.testing.assert_array_equal(trained, rows.params["guess.dense.W"])
    with pytest.raises(ModelError, match="sequence 2 has 1 steps, which are not more than the 2 of `warmup`"):
        rows.fit(X, Y, window=4, warmup=2, quiet=True)


def plan_of(model: Model, seed: int, epoch: int, **options: Any) -> tuple[Lists, list[Slice]]:
    lengths = np.random.default_rng(0).integers(1, 200, 1000)
    x = [np.zeros((length, 2), np.float32) for length in lengths]
    y = [np.zeros(length, np.float32) for length in lengths]
    material = gather(model, (x, y))
    assert material.lengths is not None
    data = Lists(model, material.arrays, material.lengths, 8, **options)
    return data, list(data.plan(seed, epoch))


def test_buckets_waste_little_and_depend_on_the_seed(rows: Model) -> None:
    data, plan = plan_of(rows, 0, 1)
    seen = sorted(row for part in plan for row in part.rows or ())
    assert seen == list(range(1000))
    cells = sum(part.end * len(part.rows or ()) for part in plan)
    assert cells < 1.1 * int(data.lengths.sum())
    assert plan == plan_of(rows, 0, 1)[1]
    assert plan != plan_of(rows, 1, 1)[1] and plan != plan_of(rows, 0, 2)[1]
    firsts = [part.end for part in plan]
    assert firsts != sorted(firsts) and firsts != sorted(firsts, reverse=True)
    windows = plan_of(rows, 0, 1, window=50)[1]
    steps = sum(int(np.minimum(data.lengths[list(p.rows or ())] - p.first, 50).sum()) for p in windows)
    assert steps == int(data.lengths.sum())


@pytest.mark.parametrize("trial", range(40))
def test_every_step_counts_once_and_padding_is_empty(rows: Model, trial: int) -> None:
    draw = np.random.default_rng(trial)
    warmup = int(draw.integers(0, 4))
    lengths = draw.integers(warmup + 1, warmup + 25, int(draw.integers(1, 30)))
    x = [np.full((length, 2), 1 + row, np.float32) for row, length in enumerate(lengths)]
    y = [np.arange(length) + 100.0 * row for row, length in enumerate(lengths)]
    material = gather(rows, (x, y))
    assert material.lengths is not None
    window = None if draw.random() < 0.3 else int(draw.integers(1, 9))
    batch, bucket, shuffle = int(draw.integers(1, 9)), int(draw.integers(1, 5)), bool(draw.random() < 0.5)
    data = Lists(rows, material.arrays, material.lengths, batch, window, warmup, bucket, shuffle)
    plan = data.plan(trial, 1)
    if not shuffle:  # the order is that of the data, batch by batch
        batches = [sorted(part.rows or ()) for part in plan if part.begins]
        assert batches == [[*range(len(x))][first : first + batch] for first in range(0, len(x), batch)]
    seen: list[tuple[int, int]] = []
    for part in plan:
        taken = data.take(part)
        left = taken.arrays["n"]
        assert left.min() >= 1 and left.max() == taken.steps and (np.diff(left) <= 0).all()
        for place, (row, count) in enumerate(zip(part.rows or (), left.tolist(), strict=True)):
            assert not taken.arrays["x"][count:, place].any()
            steps = slice(part.first, part.first + count)
            np.testing.assert_array_equal(taken.arrays["y"][:count, place], y[row][steps])
            seen += [(row, part.first + step) for step in range(count)] if part.counts else []
    assert sorted(seen) == [(row, t) for row, length in enumerate(lengths) for t in range(warmup, length)]


@pytest.mark.parametrize("options", [{}, {"window": 3}, {"window": 2, "warmup": 1}])
@pytest.mark.parametrize("after", [2, 4, 7])
def test_resumed_runs_are_equal_to_the_bit(rows: Model, tmp_path: Path, options: dict, after: int) -> None:
    keep = [row for row, length in enumerate(LENGTHS) if length > 1]
    x, y = [X[row] for row in keep], [Y[row] for row in keep]
    options = {**options, "epochs": 3, "batch": 2, "validation": 0.3, "seed": 3}
    whole = rows.fit(x, y, **options, quiet=True)
    weights = {name: array.copy() for name, array in rows.params.items()}
    rows.initialise(0)
    assert rows.fit(x, y, **options, out=tmp_path / "run", report=Stop(after)).ended == "interrupted"
    rows.initialise(9)
    resumed = rows.fit(x, y, **options, out=tmp_path / "run", resume=True, quiet=True)
    assert resumed.records == whole.records
    for name, array in weights.items():
        np.testing.assert_array_equal(array, rows.params[name])


def test_values_for_whole_sequences(tmp_path: Path) -> None:
    model = opened(tmp_path, ONCE)
    word = [[1, 2], [3], [4, 0, 1], [2, 2, 2, 2]]
    history = model.fit(
        word=word, bias=[0.0, 1.0, 0.0, 0.5], kind=[0, 1, 2, 0], epochs=3, batch=2, quiet=True
    )
    assert history.losses[-1] < history.losses[0]
    again = opened(tmp_path, ONCE)
    kinds = np.array([0, 1, 2, 0])
    columns = np.array([np.array(each) for each in word], dtype=object)
    history_again = again.fit(columns, [0.0, 1.0, 0.0, 0.5], kinds, epochs=3, batch=2, quiet=True)
    assert history_again.losses == history.losses


def test_without_a_length_input(tmp_path: Path) -> None:
    model = opened(tmp_path, SOURCE.replace("  input  n: length\n", ""))
    same = [each for each in X if len(each) == 5], [each for each in Y if len(each) == 5]
    assert len(model.fit(*same, epochs=1, quiet=True).losses) == 1
    with pytest.raises(
        ModelError, match="1 to 9 steps, and Rows takes sequences of one length alone; give it `input"
    ):
        model.fit(X, Y, quiet=True)


BROKEN = np.full((2, 2), np.nan, np.float32)
MISTAKES = [
    (([], []), "`x` holds no sequences; expected at least one"),
    ((X, Y[:-1]), "`y` has 9 sequences; expected 10, as `x` has"),
    ((X, [*Y[:-1], Y[-1][:-1]]), "`y`, sequence 9 has 2 steps; expected 3, as `x` has"),
    (([*X[:-1], X[0][:0]], [*Y[:-1], Y[0][:0]]), "`x`, sequence 9 is empty; expected at least one step"),
    (([*X[:-1], X[0][:, :1]], Y), "`x`, sequence 9: expected [T, 2], found [3, 1]"),
    ((X, padded(Y)), "`x` is a list of sequences and `y` is not; expected both alike"),
    (([X[0], BROKEN], [Y[0], Y[5]]), "`x` holds nan at step 0 of sequence 1; expected finite numbers"),
    ((["ab", "cd"], Y), "expected"),
]


@pytest.mark.parametrize(("data", "text"), MISTAKES)
def test_mistakes_are_named(rows: Model, data: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ModelError) as caught:
        rows.fit(*data, quiet=True)
    assert text in str(caught.value)


def test_lengths_are_checked(rows: Model) -> None:
    x, y = padded(X), padded(Y)
    for length, text in [
        ([0, *LENGTHS[1:]], "`n` holds 0 for sequence 0; expected a length from 1 to 9, the number of steps"),
        ([*LENGTHS[:-1], 10], "`n` holds 10 for sequence 9; expected a length from 1 to 9"),
    ]:
        with pytest.raises(ModelError) as caught:
            rows.fit(x=x, y=y, n=length, quiet=True)
        assert text in str(caught.value)
    with pytest.raises(ModelError, match="leave it out: lists say it themselves"):
        rows.fit(x=X, y=Y, n=[1] * 10, quiet=True)


def test_labels_are_checked(tmp_path: Path) -> None:
    model = opened(tmp_path, ONCE)
    data = {"word": [[1, 2], [3]], "bias": [0.0, 0.0], "kind": [0, 1]}
    for change, text in [
        ({"word": [[1, 2], [5]]}, "`word` holds 5 at step 0 of sequence 1; expected an index from 0 to 4"),
        (
            {"kind": [0, 3]},
            "`kind` holds 3 for sequence 1; expected an index from 0 to 2 (or below 0 for no label)",
        ),
        ({"kind": [-1, -1]}, "`kind` holds no label"),
        ({"kind": [0, -1]}, "`kind` holds -1 for sequence 1, which is no label, and the loss counts it"),
        (
            {"validation": {**data, "kind": [0, -1]}, "batch": 1},
            "`kind` holds -1 for sequence 1, which is no label, and the loss counts it",
        ),
        ({"kind": [0]}, "`kind`: expected [2], one for each of `word`; found [1]"),
    ]:
        with pytest.raises(ModelError) as caught:
            model.fit(**{**data, **change}, quiet=True)
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [("p", 1.0), ("p", -0.1), ("p", float("nan")), ("Adam.lr", -1e-3)]
)
def test_hypers_keep_their_range(rows: Model, name: str, value: float) -> None:
    with pytest.raises(ModelError, match=r"expected a number from 0"):
        rows.hyper[name] = value
    assert rows.hyper[name] in (0.3, 0.01)


MASKED = SOURCE.replace("  target y: real\n", "  target y: real\n  target first: int once\n").replace(
    "time, batch)\n  metric", "time, batch where step >= first)\n  metric"
)


def test_a_mask_that_selects_nothing(tmp_path: Path) -> None:
    model = opened(tmp_path, MASKED)
    with pytest.raises(ModelError, match="look for a `where` or a mask that selects nothing"):
        model.fit(x=X, y=Y, first=[50] * 10, quiet=True)
    assert model.fit(x=X, y=Y, first=[2] * 10, epochs=2, quiet=True).ended == "done"


def test_windows_of_a_model_that_turns_time_round_are_refused(tmp_path: Path) -> None:
    model = opened(tmp_path, SOURCE.replace("|> GRU(3)", "|> Both(GRU(3))").replace("Dense,", "Both, Dense,"))
    for option in ("window", "warmup"):
        with pytest.raises(ModelError, match=f"`{option}`: Rows turns time round"):
            model.fit(X, Y, epochs=1, quiet=True, **{option: 1})


def test_a_validation_that_is_not_finite_stops(rows: Model, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"epoch 1, validation: the loss is not finite; the last good weights"
    ):
        rows.fit(X, Y, validation=(X, [1e30 * each for each in Y]), out=tmp_path / "run", quiet=True)
    rows.load(tmp_path / "run" / "best.safetensors")


@pytest.mark.parametrize("window", [None, 3])
def test_a_score_is_the_validation_of_a_run(rows: Model, window: int | None) -> None:
    history = rows.fit(X, Y, validation=(X[:5], Y[:5]), epochs=1, window=window, quiet=True)
    score = rows.score(X[:5], Y[:5], window=window)
    assert float(score) == history.validations[0]
    assert score.metrics == history.records[0].validation_metrics
    assert float(rows.score({"x": X[:5], "y": Y[:5]}, batch=2)) == pytest.approx(float(score), rel=1e-6)


def test_predictions_come_in_the_order_of_the_data(rows: Model, tmp_path: Path) -> None:
    guesses = rows.predict(X, batch=3)
    assert [len(each) for each in guesses] == LENGTHS
    for x, guess in zip(X, guesses, strict=True):
        np.testing.assert_allclose(guess, rows.infer(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(rows.predict(x=padded(X)), rows.infer(padded(X)))
    model = opened(tmp_path, ONCE)
    words = [[1, 2], [3], [4, 0, 1]]
    found = model.predict(words, [0.0, 0.0, 0.0], batch=2)
    assert found.shape == (3, 3)
    one = model.infer(np.array([3], np.int32), np.float32(0))
    np.testing.assert_allclose(found[1], one, rtol=1e-5)
