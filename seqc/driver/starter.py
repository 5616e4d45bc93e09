"""Starter models: `starters/*.seq`, copied to where a person begins."""

from __future__ import annotations

from pathlib import Path

from seqc.driver.cache import disk_fault
from seqc.driver.fault import UserFault
from seqc.source.suggest import nearest

FOLDER = Path(__file__).parent / "starters"


def kinds() -> list[str]:
    """The starters that exist."""
    return sorted(path.stem for path in FOLDER.glob("*.seq"))


def write(path: Path, kind: str) -> None:
    """Writes the starter `kind` to a new file; UserFault if there is no such kind or the file exists."""
    if kind not in kinds():
        close = nearest(kind, kinds())
        listed = ", ".join(f"`{each}`" for each in kinds())
        raise UserFault(
            "S0906",
            f"there is no starter `{kind}`",
            f"there are {listed}",
            f"did you mean `{close}`?" if close else None,
        )
    text = (FOLDER / f"{kind}.seq").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UserFault("S0911", f"`{path}` exists", "it was not changed", "choose another name") from None
    except OSError as error:
        raise disk_fault(error, path) from None
