"""Reading `.seq` files: the one asked for, what it imports, and the standard library.

Names in messages and outputs are relative to the folder of the first file, so they are the same on every machine.
Nothing outside that folder is read, symbolic links included.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from seqc.driver import resources
from seqc.driver.fault import UserFault
from seqc.source.decode import SIZE_LIMIT, from_bytes
from seqc.source.text import Source


class Reader:
    """Reads sources below one root folder and remembers every file with its digest.

    `files` leads from absolute path to digest, for the cache and for dependency files.
    """

    def __init__(self, path: Path) -> None:
        try:
            there = path.exists()
        except OSError as error:  # a name that no file can have, a folder that nobody may enter
            raise UserFault("S0801", f"cannot read `{path}`", error.strerror or str(error)) from None
        if not there:
            raise UserFault(
                "S0801",
                f"there is no file `{path}`",
                remedy="check the path; `seqc new` writes a starter model",
            )
        if path.is_dir():
            raise UserFault("S0801", f"`{path}` is a folder", remedy="name the `.seq` file in it")
        if not path.is_file():
            raise UserFault("S0801", f"`{path}` is not a file", "a device or pipe is never read")
        self.path = path.resolve()
        self.root = self.path.parent
        self.files: dict[str, str] = {}

    def first(self) -> Source:
        """The file that the command named."""
        try:
            return self._load(self.path, self.path.name)
        except OSError as error:
            raise UserFault(
                "S0801", f"cannot read `{self.path.name}`", error.strerror or str(error)
            ) from None

    def exists(self, name: str) -> bool:
        """Whether an import of `name` (relative to the root) could be read."""
        return (self.root / name).is_file()

    def __call__(self, name: str) -> Source:
        """The source called `name`: `std/….seq` of the library, else a file below the root; OSError if unreadable."""
        if name.startswith("std/"):
            return self._load(resources.standard_library() / name.removeprefix("std/"), name)
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root):
            raise PermissionError(f"`{name}` leads out of the folder of the model")
        return self._load(path, name)

    def _load(self, path: Path, name: str) -> Source:
        if not path.is_file():
            raise FileNotFoundError(f"there is no file `{name}`")
        if (size := path.stat().st_size) > SIZE_LIMIT:
            raise OSError(f"`{name}` has {size:,} bytes; a file has at most {SIZE_LIMIT:,}")
        data = path.read_bytes()
        self.files[str(path)] = hashlib.sha256(data).hexdigest()
        return from_bytes(name, data)
