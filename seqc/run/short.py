"""The short ways to `infer` and `update`: callables of the engine that take arrays as they are, for calls that need no look.

Takes an engine; gives callables that answer NotImplemented where the long way must be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .arguments import public
from .engine import Engine

ShortWay = Callable[[tuple[Any, ...], Any], Any]


def short_way(engine: Engine, entry: str) -> ShortWay:
    """That of an engine that has one itself; what stands before another engine has a say in every call. It takes the
    arguments in the order of the manifest, and `out` (infer) or the seed (update)."""
    own = getattr(type(engine), "runner", None)
    found: ShortWay | None = (
        own(engine, entry) if own is not None and entry in engine.manifest["entries"] else None
    )
    return found or refuse


class ShortUpdate:
    """The short way to `update`, for arguments by position or by name."""

    def __init__(self, engine: Engine) -> None:
        self.call = short_way(engine, "update")
        self.names = tuple(public(each["name"]) for each in engine.manifest["inputs"])

    def __call__(self, args: tuple[Any, ...], named: Mapping[str, Any], seed: int) -> Any:
        """Loss and metrics as an array, or NotImplemented."""
        if named:
            if args or len(named) != len(self.names):
                return NotImplemented
            args = tuple(map(named.get, self.names))
        return self.call(args, seed)


def refuse(arguments: tuple[Any, ...], option: Any) -> Any:
    """Every call takes the long way."""
    return NotImplemented
