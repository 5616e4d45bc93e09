"""Generation: feeding a model's own guesses back, and text in and out through its symbol table.

The loop runs in the engine; here prompts become arrays and arrays become text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import Binder, Call, count_of, public
from .engine import Array
from .fault import ModelError, nearest

if TYPE_CHECKING:
    from .model import Model
    from .state import State


def bind_generate(
    binder: Binder, args: Sequence[Any], named: Mapping[str, Any], count: Any, batch: int | None
) -> tuple[Call, int]:
    """The call of `count` results and how many steps were given.

    Inputs that are fed back may have any common number of steps P (or be left out: 0); the others need them all,
    max(P, 1) - 1 + count. Arrays are handed on with all steps, zeros where nothing was given.
    """
    count = count_of(count, "steps")
    arrays = binder.gather(args, named)
    single = binder.rank(arrays, batch)
    fed = [number for number in binder.wanted if binder.streams(number) and binder.inputs[number]["default"]]
    given = _given(binder, arrays, fed)
    total = max(given, 1) - 1 + count
    padded = [_padded(array, total) if number in fed else array for number, array in enumerate(arrays)]
    steps, rows = binder.sizes(padded, single, total, batch)
    inputs = binder.complete(padded, single, steps, rows)
    return Call(
        [None if each is None else np.ascontiguousarray(each) for each in inputs], steps, rows, single
    ), given


def _given(binder: Binder, arrays: Sequence[Array | None], fed: Sequence[int]) -> int:
    counts = {
        binder.inputs[number]["name"]: len(array) for number in fed if (array := arrays[number]) is not None
    }
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"`{name}` has {count}" for name, count in counts.items())
        raise ModelError(f"all inputs that are fed back need the same number of given steps: {shown}")
    return next(iter(counts.values()), 0)


def _padded(array: Array | None, total: int) -> Array | None:
    if array is None:
        return None
    padding = np.zeros((total - len(array), *array.shape[1:]), array.dtype)
    return np.concatenate([array, padding]) if len(padding) else array


def encode(text: str, symbols: Sequence[str], what: str = "the prompt") -> Array:
    """The numbers of a text's characters; a character that the model has not seen is named."""
    known = {ord(symbol): number for number, symbol in enumerate(symbols) if len(symbol) == 1}
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    distinct, places = np.unique(points, return_inverse=True)
    numbers = np.array([known.get(int(point), -1) for point in distinct], np.int32)
    codes: Array = numbers[places.reshape(-1)]
    if len(codes) and int(codes.min()) < 0:
        place = int(np.argmin(codes))
        raise ModelError(f"the model has no symbol {text[place]!r} (at {place} of {what})")
    return codes


def decode(numbers: Array, symbols: Sequence[str]) -> str:
    """The text of symbol numbers."""
    return "".join(symbols[number] if 0 <= number < len(symbols) else "\ufffd" for number in numbers)


def generate_text(
    model: Model,
    prompt: str = "",
    count: int = 500,
    temperature: float | None = None,
    seed: int = 0,
    state: State | None = None,
) -> str:
    """A text of `count` characters that goes on from the prompt; temperature 0 takes the likeliest one each time."""
    symbols = model.symbols
    if symbols is None:
        raise ModelError(f"{model.name} has no symbol table; train it on text, or load weights that hold one")
    name, output = text_ports(model)
    before = None
    if temperature is not None:
        if "temperature" not in model.hyper:
            guess = nearest("temperature", model.hyper)
            hint = f"; did you mean `{guess}`?" if guess else ""
            raise ModelError(f"{model.name} has no hyper `temperature`, so it cannot be set{hint}")
        before, model.hyper["temperature"] = model.hyper["temperature"], temperature
    given: dict[str, Any] = {public(name): encode(prompt, symbols)} if prompt else {}
    try:
        made = model.generate(steps=count, seed=seed, state=state, **given)
    finally:
        if before is not None:
            model.hyper["temperature"] = before
    return decode(made[output][: made.lengths], symbols)


def text_ports(model: Model) -> tuple[str, int]:
    """The input that takes symbols and is fed back, and the number of the output that gives them."""
    model._need("generate")
    fed = [each for each in model.manifest["inputs"] if each["default"] and each["kind"] == "index"]
    said = [
        n for n, each in enumerate(model.manifest["outputs"]) if each["kind"] == "index" and not each["dims"]
    ]
    if len(fed) != 1 or not said:
        raise ModelError(
            f"{model.name} does not generate text: expected one index input that is fed back and an index output"
        )
    return str(fed[0]["name"]), said[0]
