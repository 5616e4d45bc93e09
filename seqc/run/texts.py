"""A text as training data: its alphabet, and the two streams of a character model.

Takes a text, gives symbol numbers; the alphabet is kept with the model, which then writes in the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .data import Arrays
from .fault import ModelError
from .generate import encode

if TYPE_CHECKING:
    from .model import Model


def symbols_of(text: str) -> list[str]:
    """The distinct characters of a text, in order of their code."""
    return sorted(set(text))


def text_arrays(model: Model, text: str) -> Arrays:
    """A text as the two streams of a character model: each character, and the one that follows it."""
    name = model.name
    streams = [
        n
        for n, each in enumerate(model.manifest["inputs"])
        if each["kind"] == "index" and each["axes"][0] == "time"
    ]
    given = [number for number in streams if not model.manifest["inputs"][number]["target"]]
    wanted = [number for number in streams if model.manifest["inputs"][number]["target"]]
    if len(given) != 1 or len(wanted) != 1 or len(model.manifest["inputs"]) != 2:
        raise ModelError(f"{name} cannot be trained on text: expected one index input and one index target")
    if model.symbols is None:
        symbols = symbols_of(text)
        bound = int(model.manifest["inputs"][given[0]]["bound"])
        if len(symbols) > bound:
            raise ModelError(f"the text has {len(symbols)} distinct characters, {name} has room for {bound}")
        model.symbols = symbols
    if len(text) < 2:
        raise ModelError("the text is too short; expected at least two characters")
    codes = encode(text, model.symbols, "the text")
    return {given[0]: codes[:-1], wanted[0]: codes[1:]}
