"""Where the standard library, the templates and the runtime lie: inside an installed package, or beside it in a checkout.

This is the only place that knows. Everything is given as an absolute path.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def _shared(name: str) -> Path:
    """`seqc/<name>` where it was installed, else the sibling folder of a checkout."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def standard_library() -> Path:
    """The folder of `std/*.seq`."""
    return PACKAGE / "std"


def templates() -> Path:
    """The folder of the Jinja templates."""
    return _shared("templates")


def runtime() -> Path:
    """The folder of C and C++ headers that generated code includes."""
    return _shared("runtime")


def run_room() -> Path:
    """The folder whose files a written package carries along, the host extension among them."""
    return PACKAGE / "run"


@cache
def stamp() -> str:
    """A digest that changes when any file of the compiler changes: name, size and time of each.

    It only guards the cache of this machine and never reaches an output, so times are good enough and fast.
    """
    digest = hashlib.sha256()
    for folder in (PACKAGE, templates(), runtime()):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".pyc"} or "__pycache__" in path.parts or not path.is_file():
                continue
            status = path.stat()
            digest.update(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
