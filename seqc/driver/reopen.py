"""The sources that a model was loaded from, kept: they go into its pickle, and whatever is built later is built from them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqc.driver.options import Options

if TYPE_CHECKING:
    from seqc.run.model import Model
    from seqc.run.pickled import Origin


def origin(path: Path, sources: dict[str, str], options: Options, engine: str) -> Origin:
    """What a pickle holds: the sources of a model, and how it was built."""
    settings: dict[str, Any] = {
        "real": options.real,
        "dims": dict(options.dims),
        "model": options.model,
        "march": options.march,
        "memory": options.memory,
        "engine": engine,
    }
    return reopen, (path.name, sources, settings)


def sources_of(path: Path, files: Iterable[str]) -> dict[str, str]:
    """The text of every source of the author, by its place beside the first."""
    root = path.resolve().parent
    own = [Path(file) for file in files if Path(file).is_relative_to(root) and Path(file).suffix == ".seq"]
    sources = {file.relative_to(root).as_posix(): _text(file) for file in sorted(own)}
    sources.setdefault(path.name, _text(path))
    return sources


def _text(path: Path) -> str:
    """All characters as they are: an end of a line that was changed would make another source."""
    return path.read_bytes().decode()


@contextmanager
def written(first: str, sources: Mapping[str, str]) -> Iterator[Path]:
    """The path of the first source in a folder that holds these ones for a while."""
    with tempfile.TemporaryDirectory(prefix="seqc-") as folder:
        for name, text in sources.items():
            place = (Path(folder) / name).resolve()
            if not place.is_relative_to(Path(folder).resolve()):
                raise ValueError(f"a pickle names a source outside its folder: {name}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text.encode())
        yield Path(folder) / first


@contextmanager
def as_loaded(path: Path, sources: Mapping[str, str]) -> Iterator[Path]:
    """The first source as it was when its model was loaded: where it lies, unless somebody has changed anything since."""
    root = path.resolve().parent
    try:
        same = all(_text(root / name) == text for name, text in sources.items())
    except (OSError, ValueError):
        same = False
    if same:
        yield path
        return
    with written(path.name, sources) as copy:
        yield copy


def reopen(first: str, sources: dict[str, str], settings: dict[str, Any]) -> Model:
    """The model of these sources; the cache knows whether it was built before."""
    from seqc.driver.load import load

    with written(first, sources) as path:
        return load(path, **settings)
