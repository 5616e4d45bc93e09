"""Ctrl-C and SIGTERM while training runs: the run ends between two updates, and keeps everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Interrupt:
    """Set by Ctrl-C or SIGTERM; a second Ctrl-C ends the program at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Takes over the signals while training runs, if this is the main thread."""
        import signal
        import threading

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def handle(number: int, frame: object) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True

        for number in old:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
