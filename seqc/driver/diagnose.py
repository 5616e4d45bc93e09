"""What `seqc doctor` finds out about this machine: one finding for each thing that a build needs."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass

from seqc.driver import cache, toolchain
from seqc.driver.fault import ToolFault


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `needed` says whether compiling models depends on it."""

    subject: str
    found: str
    good: bool = True
    needed: bool = False
    remedy: str = ""


def diagnose(measure: bool = False) -> tuple[Finding, ...]:
    """All findings, in the order in which a build meets them; `measure` reads the rates of this machine anew."""
    from seqc import __version__

    python = f"{platform.python_version()} at {sys.executable}"
    first = Finding("seqc", __version__), Finding("Python", python)
    return (*first, *_compilers(), _archiver(), _host(), _cache(), _rates(measure))


def _compilers() -> list[Finding]:
    """The compiler that builds use, and others that could be chosen."""
    chosen = None
    try:
        chosen = toolchain.probe()
        toolchain.attempt(chosen)
        named = " ".join(chosen.command())
        findings = [Finding("C++ compiler", f"{named}: {chosen.version}", needed=True)]
    except ToolFault as fault:
        said = fault.diagnostic
        remedy = "\n".join([*said.notes, said.hint or ""]).strip()
        findings = [Finding("C++ compiler", said.title, False, True, remedy)]
    if chosen is not None:
        features = " ".join(name.strip("_") for name in chosen.features)
        findings.append(
            Finding("CPU features", f"{features or 'none known'}; vectors of {chosen.vector_bytes} bytes")
        )
    for name in ("g++", "clang++", "nvcc"):
        path = shutil.which(name)
        if path and (chosen is None or path != chosen.compiler):
            findings.append(Finding(f"also {name}", path))
    return findings


def _archiver() -> Finding:
    path = shutil.which("ar")
    remedy = "" if path else "needed for `--emit static`; Debian, Ubuntu: `apt install binutils`"
    return Finding("ar", path or "not found", path is not None, True, remedy)


def _host() -> Finding:
    from importlib import import_module

    try:
        host = import_module("seqc.run._host")
    except ImportError as error:
        return Finding("host extension", str(error), False, True, "install seqc again: `pip install .`")
    return Finding("host extension", f"binary interface {getattr(host, 'ABI_VERSION', 1)}", needed=True)


def _cache() -> Finding:
    notes: list[str] = []
    folder = cache.Cache(notes.append).folder
    return Finding("cache", str(folder), not notes, remedy=notes[0] if notes else "")


def _rates(measure: bool) -> Finding:
    """What one core does, as `seqc show plan` and `seqc bench` reckon with it."""
    from seqc.driver import rates

    try:
        found = rates.measured(again=True) if measure else rates.known()
    except ToolFault as fault:
        return Finding("rates", fault.diagnostic.title, False)
    if found is None:
        return Finding("rates", "not measured yet; `seqc doctor --measure` takes about two seconds")
    reads = ", ".join(f"{rate / 1e9:.0f}" for rate in found.reads)
    tiles = f"bfloat16 tiles {found.tiles / 1e9:.0f} GFLOP/s; " if found.tiles else ""
    tiles += f"bfloat16 pairs {found.dots / 1e9:.0f} GFLOP/s; " if found.dots else ""
    text = f"{found.operations / 1e9:.0f} GFLOP/s; {tiles}reads {reads} GB/s (L1, L2, L3, memory)"
    return Finding("rates", text)
