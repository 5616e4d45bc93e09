"""Guard: who may use a model at the same time, several threads that read it or one that trains it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .engine import EngineFault
from .fault import BUSY


class Guard:
    """Lets several calls read at once, or one write; anything else is a fault."""

    def __init__(self) -> None:
        self._lock, self._readers, self._writing = threading.Lock(), 0, False

    @contextmanager
    def hold(self, writes: bool) -> Iterator[None]:
        with self._lock:
            if self._writing or (writes and self._readers):
                raise EngineFault(BUSY)
            self._writing, self._readers = writes, self._readers + (not writes)
        try:
            yield
        finally:
            with self._lock:
                self._writing, self._readers = False, self._readers - (not writes)
