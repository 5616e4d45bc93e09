"""The character model on real text: how well it learns, and how long an epoch takes beside PyTorch's.

    python benchmarks/charlm.py learn TEXT      ten epochs with the recipe of `charlm.seq`, validation after each
    python benchmarks/charlm.py race TEXT       training steps of both, in turn, on one core, from the same weights

First 90 % of the characters train, the rest validates; 32 parallel streams, windows of 64, state carried on.
`--math bf16` makes the products of training from rounded operands. `race` needs torch. It compares the losses of both sides before it times anything.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import seqc

STREAMS, WINDOW = 32, 64
HERE = Path(__file__).parent


def read(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Symbols of the training and the validation part, and how many there are."""
    text = path.read_text(encoding="utf-8")
    alphabet = {symbol: number for number, symbol in enumerate(sorted(set(text)))}
    codes = np.array([alphabet[symbol] for symbol in text], np.int32)
    cut = len(codes) * 9 // 10
    return codes[:cut], codes[cut:], len(alphabet)


def streams(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[steps, STREAMS] of symbols and of the symbols that follow."""
    steps = (len(codes) - 1) // STREAMS
    used = codes[: steps * STREAMS + 1]
    given = used[:-1].reshape(STREAMS, steps).T
    following = used[1:].reshape(STREAMS, steps).T
    return np.ascontiguousarray(given), np.ascontiguousarray(following)


def windows(steps: int) -> list[slice]:
    return [slice(first, first + WINDOW) for first in range(0, steps - WINDOW + 1, WINDOW)]


def validate(model: Any, given: np.ndarray, following: np.ndarray) -> float:
    """Mean nats per character over the validation part, state carried on."""
    state, total, weight = model.state(STREAMS), 0.0, 0
    for first in range(0, len(given), WINDOW):
        part = slice(first, first + WINDOW)
        total += float(model.evaluate(given[part], following[part], state=state)) * len(given[part])
        weight += len(given[part])
    return total / weight


def loaded(math: str, symbols: int, seed: int) -> Any:
    """The model, with products of training in float32 or bfloat16."""
    if math == "f32":
        return seqc.load(HERE / "charlm.seq", dims={"V": symbols}, seed=seed, engine="library")
    text = (HERE / "charlm.seq").read_text(encoding="utf-8")
    head, record, tail = text.partition("train CharLM {")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "charlm.seq"
        source.write_text(f"{head}{record} math = {math} {tail}", encoding="utf-8")
        return seqc.load(source, dims={"V": symbols}, seed=seed, engine="library")


def learn(path: Path, epochs: int, seed: int, math: str) -> None:
    train, held_out, symbols = read(path)
    given, following = streams(train)
    model = loaded(math, symbols, seed)
    for epoch in range(1, epochs + 1):
        start, state, total = time.perf_counter(), model.state(STREAMS), 0.0
        parts = windows(len(given))
        for part in parts:
            total += float(model.update(given[part], following[part], state=state))
        spent = time.perf_counter() - start
        valid = validate(model, *streams(held_out))
        print(
            f"epoch {epoch:2}  train {total / len(parts):.4f}  validation {valid:.4f} nats  {spent:.1f} s",
            flush=True,
        )


def race(path: Path, rounds: int) -> None:
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    train, _, symbols = read(path)
    given, following = streams(train)
    model = seqc.load(HERE / "charlm.seq", dims={"V": symbols}, engine="library")
    peer = Peer(torch, symbols)
    peer.take_weights(model)
    ours, theirs, state = [], [], model.state(STREAMS)
    parts = windows(len(given))[: rounds + 5]
    for number, part in enumerate(parts):
        start = time.perf_counter()
        mine = float(model.update(given[part], following[part], state=state))
        middle = time.perf_counter()
        other = peer.step(given[part], following[part])
        end = time.perf_counter()
        if number == 0 and abs(mine - other) > 1e-4:
            raise SystemExit(f"the sides disagree: {mine} against {other}")
        if number >= 5:
            ours.append(middle - start)
            theirs.append(end - middle)
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    count = len(windows(len(given)))
    print(f"one core, {len(ours)} steps in turn; losses of the last step {mine:.4f} and {other:.4f}")
    for name, times in (("seqc", ours), ("PyTorch", theirs)):
        middle = statistics.median(times)
        print(
            f"{name:8} {middle * 1e3:6.2f} ms a step (median), {middle * count:5.1f} s an epoch of {count} steps"
        )
    print(
        f"ratio {statistics.median(ratios):.2f} (middle half {ratios[len(ratios) // 4]:.2f} … {ratios[len(ratios) * 3 // 4]:.2f})"
    )


class Peer:
    """The same model, loss, clipping and optimizer in PyTorch."""

    def __init__(self, torch: Any, symbols: int) -> None:
        self.torch = torch
        self.embedding = torch.nn.Embedding(symbols, 64)
        self.lstm = torch.nn.LSTM(64, 128, num_layers=2)
        self.dense = torch.nn.Linear(128, symbols)
        self.parts = torch.nn.ModuleList([self.embedding, self.lstm, self.dense])
        self.optimizer = torch.optim.Adam(self.parts.parameters(), lr=2e-3)
        self.state: Any = None

    def take_weights(self, model: Any) -> None:
        """Our initial weights, in PyTorch's order of gates: i, f, g, o."""
        torch = self.torch
        params = {name: torch.from_numpy(np.array(value)) for name, value in model.params.items()}
        with torch.no_grad():
            self.embedding.weight.copy_(params["logits.embedding.table"])
            self.dense.weight.copy_(params["logits.dense.W"])
            self.dense.bias.copy_(params["logits.dense.b"])
            for layer in (0, 1):
                for theirs, ours in (("weight_ih", "W"), ("weight_hh", "U"), ("bias_ih", "b")):
                    gates = [params[f"logits.lstm{layer + 1}.{gate}.{ours}"] for gate in "ifgo"]
                    getattr(self.lstm, f"{theirs}_l{layer}").copy_(torch.cat(gates))
                getattr(self.lstm, f"bias_hh_l{layer}").zero_()

    def step(self, given: np.ndarray, following: np.ndarray) -> float:
        torch = self.torch
        self.optimizer.zero_grad()
        hidden, state = self.lstm(self.embedding(torch.from_numpy(given).long()), self.state)
        logits = self.dense(hidden)
        targets = torch.from_numpy(following).long().reshape(-1)
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parts.parameters(), 5.0)
        self.optimizer.step()
        self.state = tuple(each.detach() for each in state)
        return float(loss.detach())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("learn", "race"))
    parser.add_argument("text", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--math", choices=("f32", "bf16"), default="f32", help="for `learn`")
    chosen = parser.parse_args()
    if chosen.what == "learn":
        learn(chosen.text, chosen.epochs, chosen.seed, chosen.math)
    else:
        race(chosen.text, chosen.rounds)


if __name__ == "__main__":
    main()
