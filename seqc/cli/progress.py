"""A progress bar for training, on terminals alone; elsewhere plain lines, and nothing where quiet is asked for."""

from __future__ import annotations

from seqc.cli.report import interactive, say
from seqc.run.report import Plain, Quiet, Record, Reporter


def reporter(quiet: bool) -> Reporter:
    """What shows a training run here."""
    if quiet:
        return Quiet()
    return Bar() if interactive() else Plain(say)


class Bar:
    """One bar for each epoch, with the loss, smoothed, and batches per second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", loss="-", speed="", visible=False)
        self._epochs = 0
        self._smooth: float | None = None

    def begin(self, epochs: int, first: int) -> None:
        """Draws the bar."""
        self._epochs = epochs
        self._progress.start()

    def epoch(self, number: int, batches: int, done: int) -> None:
        """The bar begins anew."""
        title = f"epoch {number}/{self._epochs}"
        self._progress.reset(self._task, total=batches, completed=done, visible=True, description=title)

    def batch(self, done: int, loss: float) -> None:
        """Moves the bar."""
        self._smooth = loss if self._smooth is None else 0.95 * self._smooth + 0.05 * loss
        speed = self._progress.tasks[0].speed
        shown = f"{speed:.1f} batches/s" if speed else ""
        self._progress.update(self._task, completed=done, loss=f"{self._smooth:.4f}", speed=shown)

    def record(self, record: Record, seconds: float) -> None:
        """A line above the bar."""
        self._console.print(f"{record.line()}  ({seconds:.1f} s)", markup=False, highlight=False)

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def end(self) -> None:
        """Takes the bar away."""
        self._progress.stop()
