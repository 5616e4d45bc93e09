"""A small C client in ctypes: compiles the text of a model and calls its entry points with numpy arrays.

It knows the binary interface and the manifest only, nothing of the room `run`.
"""

from __future__ import annotations

import ctypes as C
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"
STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wsign-conversion", "-Werror")
FLAGS = (
    "-std=c++17",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
)


UNOPTIMISED = ("-O0", "-march=native", *STRICT)
"""Compiled in half of the time."""


def native(real: str) -> tuple[str, ...]:
    """Flags of tests that hold in both precisions: single precision is optimised, double not, which compiles in half the time."""
    return ("-O1", *UNOPTIMISED[1:]) if real == "f32" else UNOPTIMISED


SHARE_ALL = 1
"""The flag that shares a call among a team however little work it is."""

ENTRIES = ("infer", "evaluate", "gradients", "apply", "update", "step", "generate")


class Call(C.Structure):
    _fields_ = (
        ("size", C.c_uint32),
        ("flags", C.c_uint32),
        ("steps", C.c_int64),
        ("batch", C.c_int64),
        ("seed", C.c_uint64),
        ("call", C.c_uint64),
        ("given", C.c_int64),
        ("first_row", C.c_int64),
        ("workspace", C.c_void_p),
        ("team", C.c_void_p),
        ("where", C.c_void_p),
    )


class Where(C.Structure):
    _fields_ = (("input", C.c_int32), ("step", C.c_int64), ("row", C.c_int64), ("value", C.c_int64))


class Weights(C.Structure):
    _fields_ = (("plain", C.c_void_p), ("packed", C.c_void_p))


class Trainer(C.Structure):
    _fields_ = (
        ("plain", C.c_void_p),
        ("packed", C.c_void_p),
        ("optimizer", C.c_void_p),
        ("hyper", C.c_void_p),
        ("updates", C.c_void_p),
    )


class ModelRecord(C.Structure):
    _fields_ = (
        ("abi", C.c_uint32),
        ("size", C.c_uint32),
        ("name", C.c_char_p),
        ("source_hash", C.c_char_p),
        ("real_bytes", C.c_uint32),
        *(
            (name, C.c_uint32)
            for name in ("parameters", "inputs", "outputs", "states", "hypers", "metrics", "optimizer_states")
        ),
        ("plain_bytes", C.c_uint64),
        ("packed_bytes", C.c_uint64),
        ("optimizer_bytes", C.c_uint64),
        ("hyper_values", C.c_void_p),
        ("pack", C.c_void_p),
        ("workspace_bytes", C.CFUNCTYPE(C.c_int64, C.c_int, C.c_int64, C.c_int64)),
        ("initial_optimizer", C.c_void_p),
        *(
            (name, C.c_void_p)
            for name in ("infer", "step", "generate", "evaluate", "gradients", "apply", "update")
        ),
        ("embedded_plain", C.c_void_p),
    )


def build(
    files: Mapping[str, str],
    folder: Path,
    name: str,
    flags: Sequence[str] = ("-O1", "-march=native"),
    compiler: str = "g++",
) -> Path:
    """Writes the text and compiles it to a shared library."""
    for file, text in files.items():
        (folder / file).write_text(text)
    library = folder / f"lib{name}.so"
    command = [
        compiler,
        *FLAGS,
        *flags,
        "-I",
        str(RUNTIME),
        "-shared",
        "-o",
        str(library),
        str(folder / f"{name}.cpp"),
        "-lm",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    return library


def aligned(size: int) -> Any:
    """Bytes aligned to 64, zeroed."""
    block = np.zeros(size + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + size]


def pointers(arrays: Sequence[Any]) -> Any:
    """An array of pointers; None becomes NULL."""
    found = [None if each is None else each.ctypes.data for each in arrays]
    return (C.c_void_p * max(1, len(found)))(*found)


class Client:
    """One loaded model with weights, packed weights and optimizer states of its own."""

    def __init__(self, library: Path, manifest: str) -> None:
        self.manifest = json.loads(manifest)
        self.library = C.CDLL(str(library))
        getter = getattr(self.library, f"{self.manifest['symbol']}_get")
        getter.restype = C.POINTER(ModelRecord)
        self.model = getter().contents
        self.real = {"f32": np.float32, "f64": np.float64}[self.manifest["real"]]
        self.plain = aligned(self.manifest["plain_bytes"])
        self.packed = aligned(self.manifest["packed_bytes"])
        self.optimizer = aligned(self.manifest["optimizer_bytes"])
        self.hyper = np.array([each["value"] for each in self.manifest["hypers"]], np.float64)
        self.updates = np.zeros(1, np.int64)
        self.team: int | None = None
        if self.model.initial_optimizer:
            assert (
                C.CFUNCTYPE(C.c_int, C.c_void_p)(self.model.initial_optimizer)(self.optimizer.ctypes.data)
                == 0
            )

    def view(self, arena: Any, entry: Mapping[str, Any]) -> Any:
        """A named array inside an arena."""
        count = int(np.prod(entry["dims"], dtype=int))
        size = count * np.dtype(self.real).itemsize
        return arena[entry["offset"] : entry["offset"] + size].view(self.real).reshape(entry["dims"])

    def parameters(self, arena: Any = None) -> dict[str, Any]:
        arena = self.plain if arena is None else arena
        return {each["name"]: self.view(arena, each) for each in self.manifest["parameters"]}

    def moments(self) -> dict[str, Any]:
        return {each["name"]: self.view(self.optimizer, each) for each in self.manifest["optimizer"]}

    def dtype(self, kind: str) -> Any:
        return {"real": self.real, "f32": np.float32, "f64": np.float64, "bool": np.uint8}.get(kind, np.int32)

    def state(self, batch: int) -> list[Any]:
        """Values and fresh bytes of each state, then the steps seen."""
        found: list[Any] = []
        for each in self.manifest["states"]:
            found += [np.zeros((batch, *each["dims"]), self.dtype(each["kind"])), np.ones(batch, np.uint8)]
        return [*found, np.zeros(batch, np.int64)]

    def outputs(self, steps: int, batch: int) -> list[Any]:
        sizes = {"time": steps, "batch": batch}
        return [
            np.full((*(sizes[axis] for axis in each["axes"]), *each["dims"]), 77, self.dtype(each["kind"]))
            for each in self.manifest["outputs"]
        ]

    def pack(self) -> None:
        assert (
            C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_void_p)(self.model.pack)(
                self.plain.ctypes.data, self.packed.ctypes.data
            )
            == 0
        )

    def record(self, entry: str, steps: int, batch: int, **more: int) -> Call:
        """A call record with a workspace full of rubbish."""
        size = self.model.workspace_bytes(ENTRIES.index(entry), steps, batch)
        self.workspace = aligned(size + 64)
        self.workspace[:] = 0xA5
        self.where = Where()
        call = Call(
            C.sizeof(Call), 0, steps, batch, more.get("seed", 0), more.get("call", 0), more.get("given", 0)
        )
        call.first_row = more.get("first_row", 0)
        if self.team is not None:
            call.team, call.flags = self.team, SHARE_ALL
        call.workspace = self.workspace.ctypes.data
        call.where = C.addressof(self.where)
        self._guarded = size
        return call

    def _run(self, entry: str, call: Call, *arguments: Any) -> int:
        function = C.CFUNCTYPE(C.c_int, *([C.c_void_p] * (1 + len(arguments))))(getattr(self.model, entry))
        given = [None if a is None else a if isinstance(a, int) else C.cast(a, C.c_void_p) for a in arguments]
        code = function(C.addressof(call), *given)
        assert (self.workspace[self._guarded :] == 0xA5).all(), "wrote past the workspace"
        return int(code)

    def forward(
        self,
        entry: str,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        state: Any,
        steps: int,
        batch: int,
        **more: int,
    ) -> int:
        """infer, step and generate."""
        self.pack()
        weights = Weights(self.plain.ctypes.data, self.packed.ctypes.data)
        call = self.record(entry, steps, batch, **more)
        states = None if state is None else pointers(state)
        return self._run(
            entry, call, C.addressof(weights), self._hyper(), states, pointers(inputs), pointers(outputs)
        )

    def evaluate(
        self, inputs: Sequence[Any], state: Any, steps: int, batch: int, **more: int
    ) -> tuple[int, Any]:
        self.pack()
        weights = Weights(self.plain.ctypes.data, self.packed.ctypes.data)
        scores = np.zeros(1 + len(self.manifest["metrics"]))
        call = self.record("evaluate", steps, batch, **more)
        states = None if state is None else pointers(state)
        code = self._run(
            "evaluate",
            call,
            C.addressof(weights),
            self._hyper(),
            states,
            pointers(inputs),
            scores.ctypes.data,
        )
        return code, scores

    def gradients(
        self,
        inputs: Sequence[Any],
        grads: Sequence[Any],
        state: Any,
        steps: int,
        batch: int,
        accumulate: int = 0,
        **more: int,
    ) -> tuple[int, Any]:
        """`grads`: parameter arena, hypers, then one array for each input and each state."""
        self.pack()
        weights = Weights(self.plain.ctypes.data, self.packed.ctypes.data)
        scores = np.zeros(1 + len(self.manifest["metrics"]))
        call = self.record("gradients", steps, batch, **more)
        states = None if state is None else pointers(state)
        code = self._gradients(call, weights, states, inputs, grads, accumulate, scores)
        return code, scores

    def _gradients(
        self, call: Call, weights: Weights, states: Any, inputs: Any, grads: Any, accumulate: int, scores: Any
    ) -> int:
        function = C.CFUNCTYPE(C.c_int, *([C.c_void_p] * 6), C.c_int, C.c_void_p)(self.model.gradients)
        held = [pointers(inputs), pointers(grads)]
        code = function(
            C.addressof(call),
            C.addressof(weights),
            self._hyper(),
            None if states is None else C.cast(states, C.c_void_p),
            *(C.cast(each, C.c_void_p) for each in held),
            accumulate,
            scores.ctypes.data,
        )
        assert (self.workspace[self._guarded :] == 0xA5).all(), "wrote past the workspace"
        return int(code)

    def trainer(self) -> Trainer:
        return Trainer(
            self.plain.ctypes.data,
            self.packed.ctypes.data,
            self.optimizer.ctypes.data,
            self._hyper(),
            self.updates.ctypes.data,
        )

    def update(
        self, inputs: Sequence[Any], state: Any, steps: int, batch: int, **more: int
    ) -> tuple[int, Any]:
        self.pack()
        scores = np.zeros(1 + len(self.manifest["metrics"]))
        call = self.record("update", steps, batch, **more)
        states = None if state is None else pointers(state)
        trainer = self.trainer()
        code = self._run("update", call, C.addressof(trainer), states, pointers(inputs), scores.ctypes.data)
        return code, scores

    def apply(self, grads: Any) -> int:
        self.pack()
        call = self.record("apply", 1, 1)
        trainer = self.trainer()
        return self._run("apply", call, C.addressof(trainer), grads.ctypes.data)

    def _hyper(self) -> int:
        return int(self.hyper.ctypes.data)
