"""The picture of a training run: loss and validation over epochs, drawn into a file, never into a window."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqc.driver.cache import write_atomically

if TYPE_CHECKING:
    from seqc.run.report import Record


def draw(records: Sequence[Record], title: str, path: Path) -> None:
    """Writes `path`, a PNG file; OSError where that cannot be done."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    epochs = [record.epoch for record in records]
    axes.plot(epochs, [record.loss for record in records], marker="o", label="training")
    tested = [(record.epoch, record.validation) for record in records if record.validation is not None]
    if tested:
        axes.plot(
            [epoch for epoch, _ in tested], [loss for _, loss in tested], marker="o", label="validation"
        )
        axes.legend()
    axes.set(xlabel="epoch", ylabel="loss", title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120, metadata={"Software": None})
    write_atomically(path, data.getvalue())
