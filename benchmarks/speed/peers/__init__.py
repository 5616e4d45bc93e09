"""Who takes part: for each name the module that makes its workers, and what it can do.

A module has `make(work, weights) -> Runner`; it raises `Skip` with a reason where a peer has nothing to offer for a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from speed.work import Work


class Skip(Exception):
    """Why a peer does not take part in a row."""


@dataclass(frozen=True, slots=True)
class Runner:
    """`run` does the work once and gives a number made from its output; `outcome` gives arrays to compare with others';
    `weights` are the parameters that others shall start from (ours only). `inside` is how many units (samples) a run is."""

    run: Callable[[], float]
    outcome: Callable[[], np.ndarray]
    weights: dict[str, np.ndarray] | None = None
    inside: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """A column of the table; `needs` are the packages without which it stays away."""

    name: str
    module: str
    needs: tuple[str, ...]
    precision: str = "f32"
    form: str = ""

    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [each for each in self.needs if find_spec(each) is None]


OURS = Peer("seqc", "speed.peers.ours", ())
PEERS = (
    Peer("PyTorch", "speed.peers.pytorch", ("torch",)),
    Peer("PyTorch bf16", "speed.peers.pytorch", ("torch",), "bf16"),
    Peer("torch.compile", "speed.peers.pytorch", ("torch",), "f32", "compile"),
    Peer("JAX scan", "speed.peers.jaxscan", ("jax",)),
    Peer("ONNX Runtime", "speed.peers.onnxruntime", ("onnx", "onnxruntime")),
    Peer("OpenVINO", "speed.peers.openvino", ("onnx", "openvino")),
    Peer("OpenVINO bf16", "speed.peers.openvino", ("onnx", "openvino"), "bf16"),
)


def partners(work: Work, long: bool) -> tuple[Peer, ...]:
    """Those who could take part in a row. torch.compile unrolls a loop and compiles for minutes: long runs only."""
    if work.kind in ("samples", "block", "build"):
        return ()
    if work.kind in ("ragged",) or work.threads > 1:
        return (OURS,)
    found = []
    for each in PEERS:
        if not offers(each, work):
            continue
        if each.form == "compile" and not (long and work.kind == "training" and work.cell not in BUILT_IN):
            continue
        if each.precision == "bf16" and (work.precision == "f32" or work.batch == 1):
            continue
        if (
            each.precision == "f32"
            and work.precision == "bf16"
            and (work.kind == "training" or work.batch > 1)
        ):
            continue
        found.append(each)
    return tuple(found)


def offers(peer: Peer, work: Work) -> bool:
    """Whether a library has what a row needs: the readers of ONNX infer with LSTM and GRU, and only ONNX Runtime step by
    step (a request of OpenVINO costs more than a step); PyTorch would run the pendulum as single calls."""
    if "onnx" in peer.needs:
        kinds = ("sequence", "step") if peer.name == "ONNX Runtime" else ("sequence",)
        return work.kind in kinds and work.cell in BUILT_IN
    return peer.needs != ("torch",) or work.kind != "pendulum"


BUILT_IN = ("LSTM", "GRU")
"""Cells for which the other libraries have kernels."""


def make(peer: Peer, work: Work, weights: dict[str, np.ndarray] | None) -> Runner:
    """The worker of a peer for a row."""
    from importlib import import_module

    runner: Any = import_module(peer.module).make(work, weights, peer)
    assert isinstance(runner, Runner)
    return runner
