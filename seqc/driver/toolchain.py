"""The C++ compiler: finding it, asking what it compiles for, and running it without a shell.

Gives a `Toolchain` and a `Target` record for `plan`. A compiler that is missing or fails ends in a `ToolFault`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from seqc.driver.fault import ToolFault, UserFault

# No exception, RTTI or libstdc++ in a model; errno and traps are not observed by generated code.
FLAGS = (
    "-std=c++17",
    "-O2",  # the kernels are written in vectors: -O3 is no faster and a third slower to compile
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fno-ident",
    "-fno-semantic-interposition",
)

CXX_ONLY = ("-std=c++17", "-fno-rtti", "-fno-exceptions")
"""Flags that a C compilation does not take."""

LINK = (
    ("-Wl,--as-needed", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-lm")
    if sys.platform != "darwin"
    else ("-lm",)
)
"""Only what is really used is linked: the C library and its mathematics, never libstdc++."""

ARCHIVE = ("rcsD",) if sys.platform != "darwin" else ("rcs",)
"""Archives without dates and owners."""

_FEATURES = (
    "__AVX512F__",
    "__AVX512BW__",
    "__AVX512DQ__",
    "__AVX512VL__",
    "__AVX512VNNI__",
    "__AVX512BF16__",
    "__AVX512FP16__",
    "__AMX_TILE__",
    "__AMX_BF16__",
    "__AMX_INT8__",
    "__AVX2__",
    "__AVX__",
    "__FMA__",
    "__SSE4_2__",
    "__SSE2__",
    "__ARM_NEON",
    "__ARM_FEATURE_SVE",
    "__aarch64__",
    "__x86_64__",
    "__znver3__",
    "__znver4__",
)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A C++ compiler, the `-march` given to it and the CPU features that it then compiles for. `words` are those that stand
    behind its name in every call."""

    compiler: str
    version: str
    march: str
    features: tuple[str, ...]
    words: tuple[str, ...] = ()

    @property
    def vector_bytes(self) -> int:
        """Width of one vector as `runtime/vector.hpp` chooses it."""
        if "__AVX512F__" in self.features:
            return 64
        return 32 if "__AVX__" in self.features else 16

    @property
    def has_tiles(self) -> bool:
        """Whether bfloat16 matrix tiles may be used."""
        return {"__AMX_TILE__", "__AMX_BF16__", "__AVX512F__"} <= set(self.features)

    @property
    def has_dots(self) -> bool:
        """Whether an instruction multiplies pairs of bfloat16 numbers on vectors."""
        return {"__AVX512BF16__", "__AVX512F__"} <= set(self.features)

    @property
    def splits_vectors(self) -> bool:
        """Whether the widest vectors go through multipliers of half their width, as on Zen 4, which older compilers call Zen 3."""
        return "__AVX512F__" in self.features and bool({"__znver3__", "__znver4__"} & set(self.features))

    def command(self) -> list[str]:
        """What every call of the compiler begins with."""
        return [self.compiler, *self.words]

    def arguments(self) -> list[str]:
        """Compiler and flags that every compilation of a model uses."""
        march = [f"-march={self.march}"] if self.march else []
        return [*self.command(), *FLAGS, *march]


FAT = "fat"
"""As `march`: one library for all of `LEVELS`, which chooses when it is called."""

LEVELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("x86-64-v2", ()),
    ("x86-64-v3", ("avx2", "fma", "bmi", "bmi2")),
    ("x86-64-v4", ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")),
)
"""The instruction sets of a fat build, with what a CPU must have beyond the first."""


def soname(name: str) -> tuple[str, ...]:
    """The linker's argument for the name by which a shared library is found again."""
    return (f"-Wl,-install_name,@rpath/{name}",) if sys.platform == "darwin" else (f"-Wl,-soname,{name}",)


def candidates(wanted: str | None) -> list[str]:
    """Names to try, in order: the one asked for, or CXX, or the usual ones."""
    if wanted:
        return [wanted]
    named = os.environ.get("CXX", "").strip()
    return [named] if named else ["g++", "clang++", "c++"]


def _words(name: str) -> list[str]:
    """A command line taken apart as a shell does; nothing if a quote is left open."""
    try:
        return shlex.split(name)
    except ValueError:
        return []


def locate(wanted: str | None = None) -> tuple[str, ...]:
    """The absolute path of the compiler and the words that stand behind it, as in `CXX="ccache g++"` or where a kit for
    another machine gives its flags so; ToolFault S0901 if there is none."""
    names = candidates(wanted)
    for name in names:
        for words in ([name], _words(name)):  # a path may have blanks
            path = shutil.which(words[0]) if words else None
            if path:
                return os.path.abspath(path), *words[1:]
    listed = ", ".join(f"`{name}`" for name in names)
    raise ToolFault(
        "S0901",
        "no C++ compiler found",
        f"looked for {listed} on the search path{'' if wanted or len(names) > 1 else ', as CXX says'}",
        "install one (Debian, Ubuntu: `apt install g++`; Fedora: `dnf install gcc-c++`; macOS: `xcode-select --install`),\n"
        'or run the model without one: `seqc.load(..., engine="evaluator")`; `seqc doctor` shows what is found',
    )


@cache
def identity(wanted: str | None = None) -> str:
    """A cheap fingerprint of compiler and CPU, for the cache: no process is started."""
    words = locate(wanted)
    programs = [found for each in words if (found := shutil.which(each))]  # `ccache` and `g++`
    marks = [_mark(Path(each).resolve()) for each in programs]
    text = f"{marks} {words[1:]} {platform.machine()} {_cpu()}"
    return hashlib.sha256(text.encode()).hexdigest()


def _mark(path: Path) -> str:
    status = path.stat()
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _cpu() -> str:
    """Model and feature flags of the first CPU, where the system tells them cheaply."""
    try:
        head = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")[:8192]
    except OSError:
        return platform.processor()
    lines = [line for line in head.splitlines() if re.match(r"(model name|flags|Features|CPU part)\b", line)]
    return "\n".join(lines[:3])


_PROCESSORS = (
    "give `--march` a name that `g++ --help=target` or `clang++ -print-supported-cpus` lists, or `--march=` for a portable build;\n"
    "for another machine name its compiler, too: `--compiler aarch64-linux-gnu-g++ --march armv8-a`"
)


def probe(wanted: str | None = None, march: str = "native") -> Toolchain:
    """Asks the compiler for its version and for the features of `march`."""
    path, *words = locate(wanted)
    if march == "native" and platform.system() == "Darwin" and platform.machine() == "arm64":
        march = ""
    version = ask([path, *words, "--version"], "asking the compiler for its version").splitlines()
    chosen = [f"-march={march}"] if march else []
    arguments = [path, *words, *chosen, "-dM", "-E", "-x", "c++", os.devnull]
    try:
        macros = ask(arguments, f"asking the compiler about `-march={march}`")
    except ToolFault as fault:
        if fault.diagnostic.code != "S0903" or not march:
            raise
        reason = "\n".join(fault.diagnostic.notes)
        title = f"the C++ compiler knows no processor `{march}`"
        raise ToolFault("S0903", title, reason, _PROCESSORS) from None
    defined = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
    features = tuple(each for each in _FEATURES if each in defined)
    return Toolchain(path, version[0] if version else "unknown", march, features, tuple(words))


def levels(wanted: str | None = None) -> tuple[Toolchain, ...]:
    """A toolchain for each instruction set of a fat build; ToolFault S0914 where the CPU is not of that family."""
    tools = probe(wanted, "")
    if "__x86_64__" not in tools.features:
        raise ToolFault(
            "S0914",
            "a fat build is for x86-64",
            f"the compiler builds for {machine_of(tools)}, where one build runs everywhere",
            "leave `fat` out, or name a CPU",
        )
    return tuple(probe(wanted, march) for march, _ in LEVELS)


def check_package(tools: Toolchain) -> None:
    """UserFault S0905 for a package with a library for another machine: the host extension beside it is of this one."""
    family = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    known = family in ("x86_64", "aarch64") and sys.maxsize > 2**32
    if known and f"__{family}__" not in tools.features:
        raise UserFault(
            "S0905",
            "a package for Python cannot be built for another machine",
            f"it carries a part of this Python, and the compiler builds for {machine_of(tools)}",
            "write `--emit header,static` or whatever that machine needs of `header`, `static`, `shared`, `exe`;\n"
            "for Python build it there",
        )


def machine_of(tools: Toolchain) -> str:
    """What the compiler builds for: `aarch64-linux-gnu`."""
    return ask([*tools.command(), "-dumpmachine"], "asking the compiler what it builds for").strip()


_ANOTHER = "it is no C++ compiler, or it is broken: name another with `--compiler` or in CXX"

_ATTEMPT = """#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
extern "C" double attempt(double x) { return pow(x, 0.5); }
"""


def attempt(tools: Toolchain) -> None:
    """Makes a small library as models are made; ToolFault where that fails: without the headers of C, say."""
    with tempfile.TemporaryDirectory(prefix="seqc-") as folder:
        source, library = Path(folder) / "attempt.cpp", Path(folder) / "attempt.so"
        source.write_text(_ATTEMPT, encoding="utf-8")
        ask(
            [*tools.arguments(), "-shared", str(source), "-o", str(library), *LINK],
            "compiling a few lines of C++",
        )
        if not library.is_file():
            reason = (
                f"`{tools.compiler}` ends as if it had compiled a few lines of C++, and has written nothing"
            )
            raise ToolFault("S0903", "the C++ compiler failed", reason, _ANOTHER)


def ask(arguments: list[str], doing: str) -> str:
    """Runs the compiler without a model: if it fails nothing that we wrote is to blame."""
    try:
        return run(arguments, doing)
    except ToolFault as fault:
        said = fault.diagnostic
        if said.code != "S0903":
            raise
        raise ToolFault("S0903", said.title, "\n".join(said.notes), _ANOTHER) from None


def run(arguments: list[str], doing: str, cwd: Path | None = None) -> str:
    """Runs a tool to its end and gives its standard output; ToolFault S0902 or S0903 if it cannot or fails."""
    environment = {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": "0", "ZERO_AR_DATE": "1"}
    try:
        done = subprocess.run(
            arguments, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise ToolFault(
            "S0902",
            f"`{arguments[0]}` cannot be run",
            f"{doing}: {error.strerror or error}",
            "see `seqc doctor`",
        ) from None
    if done.returncode == 0:
        return done.stdout
    if done.returncode < 0:
        reason = f"{doing}: the compiler was stopped by signal {-done.returncode} (often: not enough memory)"
        raise ToolFault("S0903", "the C++ compiler was stopped", reason, "free some memory and try again")
    lines = (done.stderr or done.stdout).strip().splitlines()
    shown = "\n".join(lines[:12]) + ("\n…" if len(lines) > 12 else "")
    raise ToolFault(
        "S0903",
        "the C++ compiler failed",
        f"{doing}, exit code {done.returncode}:\n{shown}",
        "generated code should always compile: please report this with the model, "
        "or check the compiler with `seqc doctor` if it complains about itself",
    )
