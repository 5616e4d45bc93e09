"""OpenVINO on the CPU: latency hint, precision pinned (its own default may be bfloat16), outputs read where they lie."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from speed.models import data
from speed.peers import Peer, Runner, Skip, onnxmodel
from speed.work import Work


def make(work: Work, weights: dict[str, np.ndarray] | None, peer: Peer) -> Runner:
    """A worker."""
    assert weights is not None
    if work.kind == "step":
        raise Skip("one call per step is dominated by its request")
    vino: Any = importlib.import_module("openvino")
    core = vino.Core()
    graph = core.read_model(onnxmodel.model(work, weights))
    low = peer.precision == "bf16"
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": work.threads,
        "INFERENCE_PRECISION_HINT": "bf16" if low else "f32",
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(graph, "CPU", settings)
    request = compiled.create_infer_request()
    x = data(work)["x"]
    request.set_input_tensor(vino.Tensor(x, shared_memory=True))

    def run() -> float:
        assert x.size  # the request reads this memory: it has to live as long as `run`
        request.infer()
        return float(request.get_output_tensor(0).data[-1, 0, 0])

    def outcome() -> np.ndarray:
        run()
        return np.array(request.get_output_tensor(0).data, np.float32)

    return Runner(run, outcome)
