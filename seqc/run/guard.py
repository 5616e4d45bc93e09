"""Guard: who may use a model at the same time, several threads that read it or one that trains it.

An engine has one as `_guard`; `reads` and `trains` mark its methods.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from .engine import EngineFault
from .fault import BUSY

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Guard:
    """Lets several calls read at once, or one write; anything else is a fault."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.holders: dict[object, bool] = {}
        """Calls that run, and whether each writes."""

    def admit(self, holder: object, writes: bool) -> None:
        """Takes a call in, which leaves by `holders.pop`."""
        with self._lock:
            if any(self.holders.values()) or (writes and self.holders):
                raise EngineFault(BUSY)
            self.holders[holder] = writes


def _guarded(method: Callable[Given, Result], writes: bool) -> Callable[Given, Result]:
    @wraps(method)
    def held(*args: Given.args, **named: Given.kwargs) -> Result:
        engine: Any = args[0]
        guard: Guard = engine._guard
        holder = object()
        try:
            guard.admit(holder, writes)
            return method(*args, **named)
        finally:  # by one call into C: Ctrl-C may strike behind every call, and in `__exit__` of a context manager
            guard.holders.pop(holder, None)

    return held


def reads(method: Callable[Given, Result]) -> Callable[Given, Result]:
    """A method that may run beside others like it."""
    return _guarded(method, False)


def trains(method: Callable[Given, Result]) -> Callable[Given, Result]:
    """A method that shuts all others out."""
    return _guarded(method, True)
