"""Where training data comes from: the file that was named, or the text that lies on every machine.

Gives what `fit` takes: a text, arrays by name, or a table. Text for everybody is the sources of Python's own standard library.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seqc.driver.fault import UserFault
from seqc.syntax.tree import Dim, File, Input, Model, Reference, Target

if TYPE_CHECKING:
    from seqc.run.read import Found

ENOUGH = 1_000_000
"""Characters of the standard library that are taken: a minute or two of training."""


def read(paths: Sequence[Path]) -> Found:
    """A text, arrays by name or a table: from files, or from a folder of them."""
    for path in paths:
        if not path.exists():
            raise UserFault(
                "S0801",
                f"there is no data file `{path}`",
                remedy="name a text, or files of `.npz`, `.npy`, `.csv` or `.wav`",
            )
    from seqc.run.read import read_several

    return read_several(paths)


def standard_library(limit: int = ENOUGH) -> str:
    """Python's own sources as one text: files in the order of their names, plain ASCII alone."""
    parts: list[str] = []
    total = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        if total >= limit:
            break
        try:
            text = path.read_bytes().decode("ascii")
        except (OSError, UnicodeDecodeError):
            continue
        parts.append(text)
        total += len(text) + 1
    if not parts:
        raise UserFault(
            "S0801",
            "Python's own sources are not on this machine",
            remedy="name a text: `seqc train MODEL.seq book.txt`",
        )
    return "\n".join(parts)[:limit]


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model of text; `dim` names the size of its alphabet, None where that is a number or a constant."""

    dim: str | None


def text_model(tree: File, model: str | None) -> TextModel | None:
    """Whether a file's model takes text: one index input and one index target per step, and no other input."""
    found = [each for each in tree.items if isinstance(each, Model) and model in (None, each.name.text)]
    if len(found) != 1:
        return None
    inputs = [each for each in found[0].body if isinstance(each, Input)]
    targets = [each for each in found[0].body if isinstance(each, Target)]
    if len(inputs) != 1 or len(targets) != 1 or not (_is_symbol(inputs[0]) and _is_symbol(targets[0])):
        return None
    bound = inputs[0].type.bound
    dims = {binding.name.text for each in found[0].body if isinstance(each, Dim) for binding in each.bindings}
    return TextModel(bound.name if isinstance(bound, Reference) and bound.name in dims else None)


def _is_symbol(port: Input | Target) -> bool:
    return port.type.name.text == "index" and not port.once and not port.type.sizes
