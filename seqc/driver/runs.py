"""What the folder of a training run tells about how its model was built, so that whoever comes later builds the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqc.driver.cache import disk_fault, write_atomically
from seqc.driver.fault import UserFault
from seqc.driver.options import REALS, Options

BUILD = "build.json"
"""The file that says it."""

REMEDY = "put back the file that `seqc train` wrote, or train anew in another folder"
"""What to do about one that cannot be read."""

BEST = "best.safetensors"
"""The weights that a run ends with."""


def remember(out: Path, options: Options) -> None:
    """Writes how the model is built into the folder of a run."""
    content = {"model": options.model, "real": options.real, "dims": dict(options.dims)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(out / BUILD, (json.dumps(content, indent=2) + "\n").encode())
    except OSError as error:
        raise disk_fault(error, out) from None


def remembered(folder: Path, options: Options) -> Options:
    """How the model of a run was built, under what the command line says."""
    path = folder / BUILD
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserFault(
            "S0801", f"`{folder}` is not the folder of a run", f"there is no `{BUILD}` in it"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserFault("S0801", f"cannot read `{path}`", str(error), REMEDY) from None
    wrong = _wrong(found)
    if wrong is not None:
        raise UserFault("S0801", f"cannot read `{path}`", wrong, REMEDY)
    chosen = {**found["dims"], **dict(options.dims)}
    model = options.model or found["model"]
    real = options.real if options.real_asked else found["real"]
    return replace(options, real=real, model=model, dims=tuple(sorted(chosen.items())))


def _wrong(found: Any) -> str | None:
    """What in a file is not as `remember` writes it."""
    if not isinstance(found, dict):
        return f"expected `model`, `real` and `dims` by name, found a {type(found).__name__}"
    model, real, dims = found.get("model"), found.get("real"), found.get("dims")
    if not isinstance(model, str | None):
        return f"`model`: expected a name or null, found {model!r}"
    if not isinstance(real, str) or real not in REALS:
        return f"`real`: expected one of {', '.join(REALS)}, found {real!r}"
    if not isinstance(dims, dict):
        return f"`dims`: expected sizes by name, found {dims!r}"
    for name, size in dims.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            return f"`dims`: expected a whole number for `{name}`, found {size!r}"
    return None


def weights_of(folder: Path) -> Path:
    """The weights of a run; UserFault if there are none."""
    file = folder / BEST if folder.is_dir() else folder
    if not file.is_file():
        raise UserFault(
            "S0801",
            f"there is no weights file `{file}`",
            remedy="train the model first: `seqc train MODEL.seq --out RUN`",
        )
    return file


def with_weights(folder: Path, options: Options) -> Options:
    """Options that build the model of a run with its weights inside."""
    return replace(remembered(folder, options), embed=str(weights_of(folder).absolute()))
