"""Models that come out of a pickle: the sources that they were built from, written down and loaded once more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqc.driver.options import Options

if TYPE_CHECKING:
    from seqc.run.model import Model
    from seqc.run.pickled import Origin


def origin(path: Path, files: Iterable[str], options: Options, engine: str) -> Origin:
    """What a pickle holds: the text of every source of the author, and how it was built."""
    root = path.resolve().parent
    own = [Path(file) for file in files if Path(file).is_relative_to(root) and Path(file).suffix == ".seq"]
    sources = {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in sorted(own)}
    sources.setdefault(path.name, path.read_text(encoding="utf-8"))
    settings: dict[str, Any] = {
        "real": options.real,
        "dims": dict(options.dims),
        "model": options.model,
        "march": options.march,
        "engine": engine,
    }
    return reopen, (path.name, sources, settings)


def reopen(first: str, sources: dict[str, str], settings: dict[str, Any]) -> Model:
    """The model of these sources; the cache knows whether it was built before."""
    from seqc.driver.load import load

    with tempfile.TemporaryDirectory(prefix="seqc-") as folder:
        for name, text in sources.items():
            place = (Path(folder) / name).resolve()
            if not place.is_relative_to(Path(folder).resolve()):
                raise ValueError(f"a pickle names a source outside its folder: {name}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        return load(Path(folder) / first, **settings)
