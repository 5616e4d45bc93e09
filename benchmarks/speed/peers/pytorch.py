"""PyTorch: its own LSTM and GRU where the row has these, loops over steps for other cells; eager, bfloat16, or compiled.

bfloat16 is the whole module in inference and autocast in training. The recommended settings: no gradients in inference, one
fused pass for the optimizer, no second bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from speed.cells import CELLS, Functions, ahead, stacked
from speed.models import RATE, data
from speed.peers import BUILT_IN, Peer, Runner, Skip
from speed.work import Work

TORCH = Functions(
    torch.sigmoid,
    torch.tanh,
    torch.relu,
    torch.sqrt,
    lambda x, n: x.chunk(n, -1),
    lambda x: x.mean(-1, keepdim=True),
    torch.exp,
    torch.nn.functional.softplus,
    torch.einsum,
)


class Layer(torch.nn.Module):
    """One recurrent layer with learned initial states: a built-in module, or a loop over steps."""

    def __init__(self, work: Work, weights: dict[str, np.ndarray], number: int) -> None:
        super().__init__()
        self.cell = work.cell
        arrays = {
            name: torch.nn.Parameter(torch.from_numpy(value.copy()))
            for name, value in stacked(work.cell, weights, f"cell{number}").items()
        }
        self.built_in = work.cell in BUILT_IN
        self.own = torch.nn.ParameterDict(
            {name: value for name, value in arrays.items() if not self.built_in or name.endswith("0")}
        )
        if self.built_in:
            self.module = self._module(work, arrays)

    def _module(self, work: Work, p: dict[str, Any]) -> Any:
        kind = torch.nn.LSTM if work.cell == "LSTM" else torch.nn.GRU
        module = kind(p["W"].shape[0], work.hidden)
        with torch.no_grad():
            if work.cell == "LSTM":
                parts = (p["W"].T, p["U"].T, p["b"], torch.zeros_like(p["b"]))
            else:
                W = torch.cat([p["W"].T, p["own_W"].T])
                U = torch.cat([p["U"].T, p["own_U"].T])
                parts = (
                    W,
                    U,
                    torch.cat([p["b"], p["own_b"]]),
                    torch.cat([torch.zeros_like(p["b"]), p["bU"]]),
                )
            names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
            for name, part in zip(names, parts, strict=True):
                getattr(module, name).copy_(part)
        if work.cell == "LSTM":
            module.bias_hh_l0.requires_grad_(False)
        return module

    def forward(self, x: Any) -> Any:
        """All hidden states."""
        states = CELLS[self.cell].states
        firsts = (self.own[f"{name}0"].to(x.dtype) for name in states)
        start = tuple(each.expand(x.shape[1], *each.shape).contiguous() for each in firsts)
        if self.built_in:
            first = tuple(each.unsqueeze(0) for each in start)
            return self.module(x, first if len(first) > 1 else first[0])[0]
        parameters = CELLS[self.cell].settled(TORCH, dict(self.own))
        given = ahead(TORCH, self.cell, parameters, x)
        found, step = [], CELLS[self.cell].step
        for t in range(x.shape[0]):
            now = tuple(each[t] for each in given) if isinstance(given, tuple) else given[t]
            start = step(TORCH, parameters, now, start)
            found.append(CELLS[self.cell].shown(TORCH, parameters, now, start))
        return torch.stack(found)

    def settle(self) -> None:
        """The second bias of the gates is not a parameter of ours: its gradient is dropped."""
        if self.cell == "GRU":
            bias = self.module.bias_hh_l0
            bias.grad[: bias.shape[0] * 2 // 3] = 0


class Network(torch.nn.Module):
    """Table, layers and dense layer of a row, as far as it has them."""

    def __init__(self, work: Work, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        tensors = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
        self.table = None
        if "table.table" in tensors:
            self.table = torch.nn.Embedding.from_pretrained(tensors["table.table"], freeze=False)
        self.layers = torch.nn.ModuleList([Layer(work, weights, number) for number in range(work.layers)])
        self.out = None
        if "out.W" in tensors:
            self.out = torch.nn.Linear(*reversed(tensors["out.W"].shape))
            with torch.no_grad():
                self.out.weight.copy_(tensors["out.W"])
                self.out.bias.copy_(tensors["out.b"])

    def forward(self, x: Any) -> Any:
        """Sums of the dense layer, or hidden states."""
        if self.table is not None:
            x = self.table(x)
        for layer in self.layers:
            x = layer(x)
        return x if self.out is None else self.out(x)


def make(work: Work, weights: dict[str, np.ndarray] | None, peer: Peer) -> Runner:
    """A worker."""
    assert weights is not None
    if work.kind == "pendulum":
        raise Skip("PyTorch has no loop that learns through the dynamics but one of single calls")
    torch.set_num_threads(work.threads)
    given = {name: torch.from_numpy(value) for name, value in data(work).items()}
    network = Network(work, weights)
    if work.kind == "training":
        return _training(work, network, given, weights, peer)
    low = peer.precision == "bf16"
    if low:
        network = network.to(torch.bfloat16)
        given = {name: value.to(torch.bfloat16) for name, value in given.items()}
    network.eval()
    if work.kind == "step":
        return _step(work, network, given["x"])

    def infer() -> float:
        with torch.inference_mode():
            return float(network(given["x"])[-1, 0, 0])

    def outcome() -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(network(given["x"]).float().numpy())

    return Runner(infer, outcome)


def _step(work: Work, network: Network, x: Any) -> Runner:
    """One step of the built-in module from Python, its state kept."""
    if work.cell not in BUILT_IN:
        raise Skip("no module")
    module, out = network.layers[0].module, network.out
    own = network.layers[0].own

    def first() -> Any:
        start = tuple(own[f"{name}0"].expand(1, 1, -1).contiguous() for name in CELLS[work.cell].states)
        return start if len(start) > 1 else start[0]

    memory = [first()]

    def one(number: int) -> Any:
        with torch.inference_mode():
            hidden, memory[0] = module(x[number : number + 1], memory[0])
            return out(hidden)

    def outcome() -> np.ndarray:
        memory[0] = first()
        return np.array([one(t).reshape(1).numpy() for t in range(len(x))])

    return Runner(lambda: float(one(0)), outcome)


def _training(
    work: Work, network: Network, given: dict[str, Any], weights: dict[str, np.ndarray], peer: Peer
) -> Runner:
    parameters = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=RATE, foreach=True)
    targets = given["t"].long().reshape(-1)
    x = given["x"].long() if work.given == "index" else given["x"]
    low = peer.precision == "bf16"

    def forward() -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            z = network(x)
        return torch.nn.functional.cross_entropy(z.float().reshape(-1, z.shape[-1]), targets)

    loss_of: Callable[[], Any] = torch.compile(forward) if peer.form == "compile" else forward

    def update() -> float:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        for layer in network.layers:
            layer.settle()
        if work.clip:
            torch.nn.utils.clip_grad_norm_(parameters, work.clip, foreach=True)
        optimizer.step()
        return float(loss.detach())

    def losses() -> np.ndarray:
        before = [each.detach().clone() for each in parameters]
        found = [update() for _ in range(3)]
        with torch.no_grad():
            for each, old in zip(parameters, before, strict=True):
                each.copy_(old)
        return np.array(found)

    return Runner(update, losses)
