"""ONNX Runtime with inputs and outputs bound to memory that stays."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from speed.models import data
from speed.peers import Peer, Runner, onnxmodel
from speed.work import Work


def make(work: Work, weights: dict[str, np.ndarray] | None, peer: Peer) -> Runner:
    """A worker."""
    assert weights is not None
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = work.threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    session = runtime.InferenceSession(
        onnxmodel.model(work, weights), options, providers=["CPUExecutionProvider"]
    )
    x = data(work)["x"]
    if work.kind == "step":
        return _step(work, runtime, session, x)
    out = np.zeros((work.steps, work.batch, work.hidden), np.float32)
    binding = session.io_binding()
    held = runtime.OrtValue.ortvalue_from_numpy(x), runtime.OrtValue.ortvalue_from_numpy(out)
    binding.bind_ortvalue_input("x", held[0])
    binding.bind_ortvalue_output("h", held[1])

    def run() -> float:
        session.run_with_iobinding(binding)
        return 0.0

    def outcome() -> np.ndarray:
        run()
        return np.array(held[1].numpy())

    return Runner(run, outcome)


def _step(work: Work, runtime: Any, session: Any, x: np.ndarray) -> Runner:
    """Two bindings that hand the state to each other, so that nothing is copied between steps."""
    names = ["h", "c"] if work.cell == "LSTM" else ["h"]

    def value(shape: tuple[int, ...]) -> Any:
        return runtime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))

    states = [{name: value((1, 1, work.hidden)) for name in names} for _ in range(2)]
    given, y = value((1, 1, 1)), value((1, 1))
    bindings = []
    for turn in range(2):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", given)
        binding.bind_ortvalue_output("y", y)
        for name in names:
            binding.bind_ortvalue_input(f"{name}_in", states[turn][name])
            binding.bind_ortvalue_output(f"{name}_out", states[1 - turn][name])
        bindings.append(binding)
    turn = [0]

    def run() -> float:
        session.run_with_iobinding(bindings[turn[0]])
        turn[0] = 1 - turn[0]
        return 0.0

    def outcome() -> np.ndarray:
        zero = np.zeros((1, 1, work.hidden), np.float32)
        for name in names:
            states[turn[0]][name].update_inplace(zero)
        found = []
        for row in x:
            given.update_inplace(np.ascontiguousarray(row[None]))
            run()
            found.append(np.array(y.numpy())[0])
        return np.array(found)

    return Runner(run, outcome)
