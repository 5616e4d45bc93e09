"""The Silverbox oscillator (Wigren and Schoukens 2013): simulation from the input alone, root mean square error in mV.

    python benchmarks/tasks/silverbox.py SNLS80mV.csv

The first 40,000 samples, the arrow whose amplitude grows beyond what training sees, are the test. Of the rest, samples
41,000 to 112,000 train and 112,000 to 127,000 choose the settings. Beside it stands a linear ARX
model, whose order is chosen on the same samples; it also is where training starts. Both are simulated in free run: they
see no measured output. Errors of the first 200 samples of each part, in which both swing in, do not count.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, need

import seqc

WHERE = (
    "The file has the columns V1 (input) and V2 (output), in volts, and comes with the Silverbox benchmark at \
nonlinearbenchmark.org as SNLS80mV"
)
TEST, TRAIN, CHOOSE = slice(0, 40_000), slice(41_000, 112_000), slice(112_000, 127_000)
ROWS, EPOCHS, SETTLED = 32, 400, 200


def read(path: Path) -> np.ndarray:
    """Volts of input and output, [samples, 2], both around their mean over the training part."""
    volts: np.ndarray = np.loadtxt(need(path, WHERE), delimiter=",", skiprows=1, usecols=(0, 1))
    volts -= volts[TRAIN].mean(axis=0)
    return volts


def arx(volts: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of y[t] on the last `order` outputs and inputs, u[t] among them: their factors."""
    u, y = volts[TRAIN].T
    count = len(u) - order
    past = [y[order - lag : order - lag + count] for lag in range(1, order + 1)]
    driven = [u[order - lag : order - lag + count] for lag in range(order)]
    factors = np.linalg.lstsq(np.stack(past + driven, axis=1), y[order:], rcond=None)[0]
    return factors[:order], factors[order:]


def simulate(a: np.ndarray, b: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The linear model in free run: it only sees its own outputs."""
    order, y = len(a), np.zeros(len(u) + len(a))
    driven = np.convolve(u, b)[: len(u)]
    for t in range(len(u)):
        y[t + order] = driven[t] + a @ y[t : t + order][::-1]
    return y[order:]


def error(guess: np.ndarray, y: np.ndarray) -> float:
    """Root mean square in mV."""
    return 1e3 * float(np.sqrt(np.mean((guess - y)[SETTLED:] ** 2)))


def learn(volts: np.ndarray, order: int, epochs: int, quiet: bool) -> Any:
    """The oscillator, trained in free run from the linear model on."""
    scale = volts[TRAIN].std(axis=0)
    a, b = arx(volts, order)
    model = seqc.load(HERE / "silverbox.seq", dims={"n": order}, engine="library")
    model.params["y.oscillator.a"][:] = a
    model.params["y.oscillator.b"][:] = b * scale[0] / scale[1]
    peak = model.hyper["Adam.lr"]

    def after(model: Any, record: Any) -> None:
        model.hyper["Adam.lr"] = peak * 0.5 * (1 + math.cos(math.pi * record.epoch / epochs))
        if not quiet and record.epoch % 50 == 0:
            loss = 1e3 * scale[1] * math.sqrt(record.loss)
            chosen = error(run(model, volts, CHOOSE), volts[CHOOSE, 1])
            print(f"  epoch {record.epoch:3}: training {loss:.3f} mV, validation {chosen:.3f} mV", flush=True)

    given = (volts[TRAIN] / scale).astype(np.float32)
    begin = time.perf_counter()
    model.fit(given[:, 0], given[:, 1], epochs=epochs, batch=ROWS, quiet=True, callbacks=[after])
    spent = time.perf_counter() - begin
    print(f"  {model.updates} updates, {spent * 1e3 / model.updates:.1f} ms each with validation")
    return model


def run(model: Any, volts: np.ndarray, part: slice) -> np.ndarray:
    """Volts of the output that the trained model gives to the input of a part."""
    scale = volts[TRAIN].std(axis=0)
    given = (volts[part, 0] / scale[0]).astype(np.float32)
    guess: np.ndarray = scale[1] * model.infer(given).astype(np.float64)
    return guess


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--order", type=int, default=5, help="steps that the oscillator looks back")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--no-test", action="store_true", help="to choose settings: leave the arrow alone")
    chosen = parser.parse_args()
    volts = read(chosen.data)
    u, y = volts.T
    errors = {
        order: error(simulate(*arx(volts, order), u[CHOOSE]), y[CHOOSE]) for order in (2, 3, 4, 6, 8, 12)
    }
    order = min(errors, key=lambda each: errors[each])
    print(f"linear ARX, validation: {', '.join(f'{o} steps {e:.2f} mV' for o, e in errors.items())}")
    model = learn(volts, chosen.order, chosen.epochs, quiet=False)
    print(
        f"oscillator of {chosen.order} steps, validation: {error(run(model, volts, CHOOSE), y[CHOOSE]):.3f} mV"
    )
    if chosen.no_test:
        return
    line, bent = simulate(*arx(volts, order), u[TEST]), run(model, volts, TEST)
    inside = int(
        np.argmax(np.abs(y[TEST]) > np.abs(y[TRAIN]).max())
    )  # where the arrow leaves what training saw
    for name, guess in (
        (f"linear ARX of {order} steps", line),
        (f"oscillator of {chosen.order} steps", bent),
    ):
        print(
            f"{name}, test: {error(guess, y[TEST]):.3f} mV on all 40,000 samples; "
            f"{error(guess[:inside], y[TEST][:inside]):.3f} mV on the first {inside:,}"
        )


if __name__ == "__main__":
    main()
