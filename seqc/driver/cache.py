"""The cache of finished builds: folders named by a hash of everything that went into them.

An entry is written under a temporary name and renamed in, so it is there whole or not at all; a lock held by the
operating system keeps two builders of one entry apart and dies with its owner. Checksums are verified before use.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from seqc.driver.fault import ToolFault

CHECKSUMS = "checksums.json"
DIGEST = "digest"
"""Where a note keeps its own."""


def user_folder() -> Path:
    """SEQC_CACHE, else the cache folder of the system's convention."""
    named = os.environ.get("SEQC_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "seqc"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "seqc" / "cache"
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "seqc"


def digest(*parts: str | bytes) -> str:
    """SHA-256 over the parts, each with its length, as hexadecimal text."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(f"{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()


def _own_name() -> str:
    """What our folder is called where others have theirs, too."""
    return f"seqc-cache-{os.getuid()}" if hasattr(os, "getuid") else "seqc-cache"


def _private(folder: Path) -> Path | None:
    """The folder, made for its owner alone; where others may write, one of our own inside of it, and theirs stays as it is.
    None if it cannot be used or belongs to somebody else."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _open_to_others(folder.stat()):
            return _own(folder / _own_name())
        return folder if _is_ours(folder.stat(), folder) else None
    except OSError:
        return None


def _own(folder: Path) -> Path | None:
    """A folder among those of others, who may have been there first: no link, ours, and closed to them."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        closed = stat.S_ISDIR(status.st_mode) and not _open_to_others(status)
        return folder if closed and _is_ours(status, folder) else None
    except OSError:
        return None


def _open_to_others(status: os.stat_result) -> bool:
    """Whether others may write there, as far as the system has such a thing."""
    return hasattr(os, "getuid") and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _is_ours(status: os.stat_result, folder: Path) -> bool:
    """Whether the folder belongs to this user and can be written; OSError if it cannot."""
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        return False
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
    return True


class Cache:
    """Entries under one folder. `note` hears a sentence when the user's own folder could not be used: what takes its place
    lies among the temporary files, the same for all builds of this user."""

    def __init__(self, note: Callable[[str], None] = lambda _: None) -> None:
        wanted = user_folder()
        folder = _private(wanted)
        if folder is None:
            note(
                f"the cache folder {wanted} cannot be written; using a temporary one (set SEQC_CACHE to another)"
            )
            folder = _own(Path(tempfile.gettempdir()) / _own_name())
        self.folder = folder or Path(tempfile.mkdtemp(prefix="seqc-cache-"))

    def find(self, key: str) -> Path | None:
        """The entry if it is there and whole; a damaged one is removed."""
        entry = self.folder / "entries" / key
        try:
            sums = json.loads((entry / CHECKSUMS).read_text(encoding="utf-8"))
            whole = all(_checksum(entry / name) == value for name, value in sums.items())
        except FileNotFoundError:
            return None if not entry.exists() else self._drop(entry)
        except (OSError, ValueError, AttributeError):
            return self._drop(entry)
        return entry if whole else self._drop(entry)

    @staticmethod
    def _drop(entry: Path) -> None:
        """Moves a damaged entry out of the way before deleting, so that no reader sees half of it."""
        with contextlib.suppress(OSError):
            aside = Path(tempfile.mkdtemp(prefix=".dropped-", dir=entry.parent))
            os.replace(entry, aside / "entry")
            shutil.rmtree(aside, ignore_errors=True)

    def obtain(self, key: str, make: Callable[[Path], None]) -> Path:
        """The entry for `key`; where it is missing `make` fills a new folder for it."""
        found = self.find(key)
        if found:
            return found
        with self._locked(key):
            found = self.find(key)
            if found:
                return found
            return self._make(key, make)

    def _make(self, key: str, make: Callable[[Path], None]) -> Path:
        entries = self.folder / "entries"
        try:
            entries.mkdir(mode=0o700, exist_ok=True)
            self._sweep(entries)
            work = Path(tempfile.mkdtemp(prefix=".making-", dir=entries))
        except OSError as error:
            raise disk_fault(error, entries) from None
        try:
            make(work)
            sums = {
                path.relative_to(work).as_posix(): _checksum(path)
                for path in sorted(work.rglob("*"))
                if path.is_file()
            }
            (work / CHECKSUMS).write_text(json.dumps(sums), encoding="utf-8")
            final = entries / key
            os.replace(work, final)
        except OSError as error:
            raise disk_fault(error, entries) from None
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return final

    @staticmethod
    def _sweep(entries: Path) -> None:
        """Removes what killed builds left behind more than an hour ago."""
        import time

        for left in entries.glob(".*-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > 3600:
                    shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Holds the lock of one entry. The operating system frees it when its owner dies."""
        try:
            import fcntl
        except ImportError:  # no such lock on this system: two builders both build, the last rename wins
            yield
            return
        locks = self.folder / "locks"
        try:
            locks.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(locks / key[:16], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise disk_fault(error, locks) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def remember(self, name: str, value: Mapping[str, object]) -> None:
        """Keeps a small note under a name, with its digest; failing to do so only costs time later."""
        folder = self.folder / "index"
        sealed = {**value, DIGEST: digest(json.dumps(value))}
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            write_atomically(folder / f"{name}.json", json.dumps(sealed).encode())

    def recall(self, name: str) -> object | None:
        """The note kept under a name, None if there is none or it is damaged. One of an earlier version has no digest."""
        try:
            value: object = json.loads((self.folder / "index" / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if isinstance(value, dict) and DIGEST in value and value.pop(DIGEST) != digest(json.dumps(value)):
            return None
        return value


def _checksum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def disk_fault(error: OSError, place: Path) -> ToolFault:
    """The sentence for a disk that is full, a folder that cannot be written, and the like."""
    return ToolFault(
        "S0904", f"cannot write {place}", f"{error.strerror or error}", "nothing was changed there"
    )


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Writes a file so that its name holds the old bytes or the new ones, never a part."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
