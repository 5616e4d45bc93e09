"""Pickles of a model: how it was made, and all that it holds since: weights, optimizer, hypers, symbols, threads.

Takes a model whose `origin` says how to make another; gives what `pickle` and `copy.deepcopy` need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .fault import ModelError

if TYPE_CHECKING:
    from .model import Model

Origin = tuple[Callable[..., "Model"], tuple[Any, ...]]
"""A function of a module and its arguments, which make the model anew."""


def reduced(model: Model) -> tuple[Any, ...]:
    """For `__reduce__`. Raises ModelError for a model that was put together by hand."""
    if model.origin is None:
        raise ModelError(
            f"{model.name} was not opened by `seqc.load` or as a package, so it cannot be pickled; save its weights"
        )
    arenas = model.engine.arenas
    held = {
        "plain": arenas.plain.tobytes(),
        "optimizer": arenas.optimizer.tobytes(),
        "hyper": arenas.hyper.copy(),
        "updates": model.updates,
        "symbols": model.symbols,
        "threads": model.threads,
        "source_hash": model.manifest["source_hash"],
    }
    return revived, (*model.origin, held)


def revived(make: Callable[..., Model], arguments: tuple[Any, ...], held: dict[str, Any]) -> Model:
    """The model that was pickled."""
    model = make(*arguments)
    arenas = model.engine.arenas
    if model.manifest["source_hash"] != held["source_hash"] or arenas.plain.nbytes != len(held["plain"]):
        raise ModelError(f"the pickle belongs to another {model.name} than the one that is found here now")
    arenas.plain[...] = bytearray(held["plain"])
    arenas.optimizer[...] = bytearray(held["optimizer"])
    arenas.hyper[...] = held["hyper"]
    arenas.updates[0] = held["updates"]
    model.symbols = held["symbols"]
    model.threads = held.get("threads", 1)
    model._changed()
    return model
