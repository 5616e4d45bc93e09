"""A text as training data: its alphabet, and the two streams of a character model.

Takes a text, gives symbol numbers; the alphabet is kept with the model, which then writes in the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .data import Arrays
from .fault import ModelError
from .generate import encode

if TYPE_CHECKING:
    from .model import Model


def symbols_of(text: str) -> list[str]:
    """The distinct characters of a text, in order of their code."""
    return sorted(set(text))


def alphabet(model: Model, text: str) -> list[str]:
    """The model's symbols, or those of a text where it has none yet; ModelError if they are more than it has room for."""
    if model.symbols is not None:
        return model.symbols
    symbols, given = symbols_of(text), _streams(model)[0]
    bound = int(model.manifest["inputs"][given]["bound"])
    if len(symbols) > bound:
        raise ModelError(
            f"the text has {len(symbols)} distinct characters, {model.name} has room for {bound}"
        )
    return symbols


@contextmanager
def alphabet_kept(model: Model) -> Iterator[None]:
    """Gives the model back the symbols that it had, if what is done fails before it has learned anything."""
    symbols, updates = model.symbols, model.updates
    try:
        yield
    except BaseException:
        if model.updates == updates:
            model.symbols = symbols
        raise


def text_arrays(model: Model, text: str) -> Arrays:
    """A text as the two streams of a character model: each character, and the one that follows it."""
    given, wanted = _streams(model)
    symbols = alphabet(model, text)
    if len(text) < 2:
        raise ModelError("the text is too short; expected at least two characters")
    codes = encode(text, symbols, "the text")
    return {given: codes[:-1], wanted: codes[1:]}


def _streams(model: Model) -> tuple[int, int]:
    """The numbers of the input that takes characters and of the target that tells the next ones."""
    inputs = model.manifest["inputs"]
    streams = [n for n, each in enumerate(inputs) if each["kind"] == "index" and each["axes"][0] == "time"]
    given = [number for number in streams if not inputs[number]["target"]]
    wanted = [number for number in streams if inputs[number]["target"]]
    if len(given) != 1 or len(wanted) != 1 or len(inputs) != 2:
        raise ModelError(
            f"{model.name} cannot be trained on text: expected one index input and one index target"
        )
    return given[0], wanted[0]
