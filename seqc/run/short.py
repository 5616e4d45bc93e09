"""The short ways to `infer` and `update`: callables of the engine that take arrays as they are, for calls that need no look.

Takes an engine; gives callables that answer NotImplemented where the long way must be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .arguments import public
from .engine import Engine

ShortWay = Callable[[tuple[Any, ...], Any], Any]


class ShortWays:
    """Those of an engine that has them itself; what stands before another engine has a say in every call."""

    def __init__(self, engine: Engine) -> None:
        self.infer = runner(engine, "infer")
        """Takes the arguments in the order of the manifest, and `out`."""
        self._update = runner(engine, "update")
        self._names = tuple(public(each["name"]) for each in engine.manifest["inputs"])

    def update(self, args: tuple[Any, ...], named: Mapping[str, Any], seed: Any) -> Any:
        """Loss and metrics as an array, for arguments by position or by name."""
        if type(seed) is not int or seed >> 64 != 0:
            return NotImplemented
        if named:
            if args or len(named) != len(self._names):
                return NotImplemented
            args = tuple(map(named.get, self._names))
        return self._update(args, seed)


def runner(engine: Engine, entry: str) -> ShortWay:
    """The callable of an engine for one entry point."""
    own = getattr(type(engine), "runner", None)
    found: ShortWay | None = (
        own(engine, entry) if own is not None and entry in engine.manifest["entries"] else None
    )
    return found or refuse


def refuse(arguments: tuple[Any, ...], option: Any) -> Any:
    """Every call takes the long way."""
    return NotImplemented
