"""`seqc build`: from a `.seq` file to libraries, header, executable and importable package.

Everything is made inside a cache entry first and then copied to where it was asked for, each file by a rename, so that
neither a killed build nor a full disk leaves half a file.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seqc.driver import cache as cache_room
from seqc.driver import rates, resources, toolchain
from seqc.driver.cache import Cache, digest
from seqc.driver.fault import UserFault
from seqc.driver.options import EMITS, Options
from seqc.driver.tuned import unchanged, with_tuned

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Built:
    """A finished entry: its folder, the name of library and module, and the files that went into it; `low` says that this
    call built it, for this very machine, with weights of fewer bits."""

    folder: Path
    name: str
    files: tuple[str, ...]
    fresh: bool
    low: bool = False


def build(
    path: str | Path,
    out: str | Path = ".",
    *,
    emit: tuple[str, ...] | list[str] | None = None,
    options: Options = Options(),  # noqa: B008 - frozen
    note: Note = lambda _: None,
    depfile: str | Path | None = None,
) -> list[Path]:
    """Builds a model and writes what `emit` lists (py, header, static, shared, exe) into the folder `out`.

    `depfile` is a file to write in the form that make, ninja and CMake read: what was written, the header first, and from what.

    Raises SeqError for mistakes in the program, UserFault for impossible wishes, ToolFault for compiler and disk.
    """
    wanted = emit if emit is not None else emits_of_profile(Path(path), options)
    unknown = [each for each in wanted if each not in EMITS]
    if unknown:
        raise UserFault("S0905", f"`{unknown[0]}` cannot be emitted", f"what can: {', '.join(EMITS)}")
    built = prepare(Path(path), options, tuple(each for each in EMITS if each in wanted), note)
    written = install(built.folder, Path(out))
    _freshen(written, built.files)
    if built.low:
        from seqc.driver.rounding import report

        report(Path(path), options, note)
    if depfile is not None:
        taken = {Path(str(each)).resolve() for each in (*written, *built.files)}
        if Path(depfile).resolve() in taken:
            raise UserFault(
                "S0911",
                f"`{depfile}` is a source or a result of this build",
                "it was not changed",
                "choose another name with `--depfile`",
            )
        written = sorted(written, key=lambda each: each != Path(out) / f"{built.name}.h")
        _write_depfile(Path(depfile), written, built.files)
    return written


def _freshen(written: list[Path], sources: tuple[str, ...]) -> None:
    """Gives the date of today to what has not changed and is older than its sources: make would ask for it again and again."""
    try:
        newest = max((os.stat(each).st_mtime_ns for each in sources), default=0)
        for each in written:
            if each.stat().st_mtime_ns <= newest:
                os.utime(each)
    except OSError:
        return  # a source that is gone by now, or a file of somebody else: what was written is good all the same


def _write_depfile(path: Path, targets: list[Path], sources: tuple[str, ...]) -> None:
    def word(name: str) -> str:
        return name.replace("\\", "/").replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ")

    left = " ".join(word(str(each)) for each in targets)
    right = " ".join(word(each) for each in sources)
    try:
        cache_room.write_atomically(path, f"{left}: {right}\n".encode())
    except OSError as error:
        raise cache_room.disk_fault(error, path) from None


def emits_of_profile(path: Path, options: Options) -> tuple[str, ...]:
    """The `emit` list of the chosen deploy profile, else the importable package."""
    if options.deploy is None:
        return ("py",)
    from seqc.driver import pipeline
    from seqc.driver.sources import Reader

    profile = pipeline.profile(pipeline.program(Reader(path), options), options)
    return profile.emit if profile and profile.emit else ("py",)


def prepare(path: Path, options: Options, emit: tuple[str, ...], note: Note = lambda _: None) -> Built:
    """The cache entry of this build, made if it is not there."""
    store = Cache(note)
    options = with_tuned(path, options, store)
    fast = digest(
        "fast",
        str(path.absolute()),
        options.key(),
        repr(emit),
        resources.stamp(),
        _compiler_identity(options),
        repr(rates.remembered(options.compiler)),
    )
    known = store.recall(fast)
    if isinstance(known, dict) and unchanged(known.get("files")):
        entry = store.find(str(known.get("key")))
        if entry is not None:
            return Built(entry, str(known["name"]), tuple(known["files"]), fresh=False)
    from seqc.driver.translate import translate

    translation = translate(path, options, emit, note)
    key = digest("entry", translation.key, resources.stamp())
    entry = store.obtain(key, translation.make)
    store.remember(fast, {"key": key, "name": translation.name, "files": translation.files})
    return Built(entry, translation.name, tuple(translation.files), fresh=True, low=translation.low)


def _compiler_identity(options: Options) -> str:
    return toolchain.identity(options.compiler)


def install(entry: Path, out: Path) -> list[Path]:
    """Copies an entry's files below `out`: all under temporary names first, then renamed one after another."""
    sums: Mapping[str, str] = json.loads((entry / cache_room.CHECKSUMS).read_text(encoding="utf-8"))
    staged: list[tuple[Path, Path]] = []
    written: list[Path] = []
    try:
        for name in sums:
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            written.append(target)
            if target.is_dir():  # no rename would take its place, after others had
                raise IsADirectoryError(errno.EISDIR, f"{os.strerror(errno.EISDIR)}: {target}")
            data = (entry / name).read_bytes()
            if target.is_file() and target.read_bytes() == data:
                continue
            staged.append((_stage(target, data, (entry / name).stat().st_mode & 0o777), target))
        for temporary, target in staged:
            os.replace(temporary, target)
    except OSError as error:
        raise cache_room.disk_fault(error, out) from None
    finally:  # those that were renamed are gone already; an interruption leaves nothing either
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
    return written


def _stage(target: Path, data: bytes, mode: int) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, mode | 0o600)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
