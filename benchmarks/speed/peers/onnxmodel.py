"""The rows of inference as ONNX models, with the operators LSTM and GRU, for the two peers that read them."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from speed.cells import stacked
from speed.peers import BUILT_IN, Skip
from speed.work import Work


def model(work: Work, weights: dict[str, np.ndarray]) -> bytes:
    """x [T, B, D] to h [T, B, H]; for "step" also the states in and out, and y [1, 1]."""
    if work.kind not in ("sequence", "step") or work.cell not in BUILT_IN:
        raise Skip("inference with LSTM and GRU only")
    H, step = work.hidden, work.kind == "step"
    p = stacked(work.cell, weights, "cell0")
    states = ["h", "c"] if work.cell == "LSTM" else ["h"]
    constants = [numpy_helper.from_array(value, name) for name, value in _gates(work, p).items()]
    steps, batch = (1, 1) if step else (work.steps, work.batch)
    width = 1 if step else H
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, batch, width])]
    outputs = []
    if step:
        inputs += [_state(f"{name}_in", batch, H) for name in states]
    given = ["x", "W", "R", "B", "", *(f"{name}_in" if step else "" for name in states)]
    while not given[-1]:
        given.pop()
    made = ["all", *(f"{name}_out" if step else "" for name in states)]
    while not made[-1]:
        made.pop()
    extra = {} if work.cell == "LSTM" else {"linear_before_reset": 1}
    nodes = [helper.make_node(work.cell, given, made, hidden_size=H, **extra)]
    if step:
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(weights["out.W"].T), "outW"),
            numpy_helper.from_array(weights["out.b"], "outb"),
            numpy_helper.from_array(np.array([1, H], np.int64), "shape"),
        ]
        nodes.append(helper.make_node("Reshape", ["all", "shape"], ["flat"]))
        nodes.append(helper.make_node("Gemm", ["flat", "outW", "outb"], ["y"]))
        outputs.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1]))
        outputs += [_state(f"{name}_out", batch, H) for name in states]
    else:
        constants.append(numpy_helper.from_array(np.array([1], np.int64), "axes"))
        nodes.append(helper.make_node("Squeeze", ["all", "axes"], ["h"]))
        outputs.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [steps, batch, H]))
    graph = helper.make_graph(nodes, "grid", inputs, outputs, constants)
    made_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made_model.ir_version = 8
    onnx.checker.check_model(made_model)
    return bytes(made_model.SerializeToString())


def _state(name: str, batch: int, hidden: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, batch, hidden])


def _gates(work: Work, p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """W, R, B in the order of ONNX: i, o, f, c or z, r, h."""
    if work.cell == "LSTM":
        order = (0, 3, 1, 2)
        W, U = (np.split(p[name].T, 4) for name in ("W", "U"))
        b = np.split(p["b"], 4)
        second = np.zeros_like(p["b"])
        parts = [np.concatenate([each[k] for k in order]) for each in (W, U, b)]
    else:
        (Wr, Wz), (Ur, Uz), (br, bz) = (np.split(p[name].T, 2) for name in ("W", "U", "b"))
        parts = [
            np.concatenate([Wz, Wr, p["own_W"].T]),
            np.concatenate([Uz, Ur, p["own_U"].T]),
            np.concatenate([bz, br, p["own_b"]]),
        ]
        second = np.concatenate([np.zeros_like(p["b"]), p["bU"]])
    return {
        "W": np.ascontiguousarray(parts[0])[None],
        "R": np.ascontiguousarray(parts[1])[None],
        "B": np.concatenate([parts[2], second])[None],
    }
