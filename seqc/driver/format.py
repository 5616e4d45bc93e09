"""Formatting files in place: read, format, and replace only when something changed."""

from __future__ import annotations

from pathlib import Path

from seqc.driver.cache import disk_fault, write_atomically
from seqc.driver.fault import UserFault
from seqc.source.decode import from_bytes
from seqc.syntax.format import format as format_source


def format_text(name: str, data: bytes) -> str:
    """The formatted text of a source given as bytes; SeqError if it does not parse."""
    return format_source(from_bytes(name, data))


def format_file(path: Path, *, write: bool) -> bool:
    """Whether the file differs from its formatted text; replaces it then if `write`."""
    try:
        before = path.read_bytes()
    except OSError as error:
        raise UserFault("S0801", f"cannot read `{path}`", error.strerror or str(error)) from None
    after = format_text(path.name, before).encode()
    if after == before:
        return False
    if write:
        try:
            if path.stat().st_nlink > 1:  # a new file in its place would leave its other names the old text
                path.write_bytes(after)
            else:
                write_atomically(path.resolve(), after, path.stat().st_mode & 0o777)
        except OSError as error:
            raise disk_fault(error, path) from None
    return True
