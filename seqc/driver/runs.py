"""What the folder of a training run tells about how its model was built, so that whoever comes later builds the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seqc.driver.cache import disk_fault, write_atomically
from seqc.driver.fault import UserFault
from seqc.driver.options import Options

BUILD = "build.json"
"""The file that says it."""

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
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        dims = {str(name): int(size) for name, size in found["dims"].items()}
        real, model = str(found["real"]), found["model"]
    except FileNotFoundError:
        raise UserFault(
            "S0801", f"`{folder}` is not the folder of a run", f"there is no `{BUILD}` in it"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserFault("S0801", f"cannot read `{path}`", str(error)) from None
    chosen = {**dims, **dict(options.dims)}
    return replace(options, real=real, model=options.model or model, dims=tuple(sorted(chosen.items())))


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
