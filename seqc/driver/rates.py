"""The rates of this machine, measured once and remembered in the cache: multiply-adds, reads of each level, functions.

`known` gives what is remembered, `of_build` what a build may use of it, `measured` measures where nothing is, `Meter` reads single rates in turn with other work.
The code is runtime/bench/rates.cpp, compiled with the flags of models.
"""

from __future__ import annotations

import ctypes
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from seqc.driver import resources, toolchain
from seqc.driver.cache import Cache, digest
from seqc.driver.fault import ToolFault

if TYPE_CHECKING:
    from seqc.plan.rates import Rates

_TYPICAL = (32 * 1024, 1024 * 1024, 16 * 1024 * 1024)
LIBRARY = "rates.so"


class Meter:
    """Reads rates of the core that calls. Raises ToolFault without a C++ compiler."""

    def __init__(self, compiler: str | None = None, march: str = "native") -> None:
        path = _library(compiler, march)
        try:
            self._library = ctypes.CDLL(str(path))
        except OSError as error:
            raise ToolFault("S0902", "the measuring library cannot be loaded", str(error)) from None
        double, long = ctypes.c_double, ctypes.c_int64
        signatures = {
            "multiply_adds": [ctypes.c_int, double],
            "reads": [long, double],
            "functions": [ctypes.c_int, double],
            "tiles": [double],
            "dots": [double],
        }
        for name, arguments in signatures.items():
            function = getattr(self._library, f"seqc_rate_{name}")
            function.restype, function.argtypes = double, arguments

    def multiply_adds(self, real_bytes: int = 4, seconds: float = 0.01) -> float:
        """Floating-point operations a second, a multiply-add being two."""
        return float(self._library.seqc_rate_multiply_adds(real_bytes, seconds))

    def reads(self, bytes: int, seconds: float = 0.02) -> float:
        """Bytes a second, from a buffer of so many bytes."""
        return float(self._library.seqc_rate_reads(bytes, seconds))

    def functions(self, which: int, seconds: float = 0.01) -> float:
        """Values a second: 0 exp, 1 tanh, 2 sigmoid, 3 a multiply-add from memory to memory."""
        return float(self._library.seqc_rate_functions(which, seconds))

    def tiles(self, seconds: float = 0.01) -> float:
        """Operations a second of bfloat16 matrix tiles, 0 where the machine has none."""
        return float(self._library.seqc_rate_tiles(seconds))

    def dots(self, seconds: float = 0.01) -> float:
        """Operations a second of vectors of bfloat16 pairs, 0 where the machine has no such instruction."""
        return float(self._library.seqc_rate_dots(seconds))


def known(compiler: str | None = None, march: str = "native") -> Rates | None:
    """The remembered rates of this machine, None if it was not measured. Raises ToolFault without a C++ compiler."""
    return _known(Cache(), _key(compiler, march))


def remembered(compiler: str | None = None, march: str = "native") -> object:
    """What the cache holds of them, as it lies there: for keys of builds, which do not wait for the planner to load."""
    return Cache().recall(_key(compiler, march))


def of_build(compiler: str | None, march: str) -> Rates | None:
    """The rates that a build reckons with: those of this machine, if it was measured and the build is for it alone."""
    return known(compiler, march) if march == "native" else None


def measured(compiler: str | None = None, march: str = "native", again: bool = False) -> Rates:
    """The rates of this machine, measured (about two seconds) unless they are remembered and `again` is False."""
    store, key = Cache(), _key(compiler, march)
    before = None if again else _known(store, key)
    if before is not None:
        return before
    found = _measure(Meter(compiler, march))
    store.remember(key, asdict(found))
    return found


def _measure(meter: Meter) -> Rates:
    from seqc.plan.rates import Rates

    sizes = cache_sizes()
    first, second, third = sizes
    probes = (first * 3 // 5, second * 3 // 5, min(third // 2, 4 * second), max(2 * third, 64 << 20))
    reads = [meter.reads(min(each, 512 << 20), 0.15) for each in probes]
    return Rates(
        operations=meter.multiply_adds(4, 0.1),
        operations_double=meter.multiply_adds(8, 0.1),
        tiles=meter.tiles(0.05),
        dots=meter.dots(0.05),
        reads=(reads[0], reads[1], reads[2], reads[3]),
        sizes=sizes,
        exp=meter.functions(0, 0.05),
        tanh=meter.functions(1, 0.05),
        sigmoid=meter.functions(2, 0.05),
        simple=meter.functions(3, 0.05),
        measured=True,
    )


def cache_sizes() -> tuple[int, int, int]:
    """Bytes of the data caches of the first core, or usual ones where the system does not tell."""
    found = list(_TYPICAL)
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind = (folder / "type").read_text(encoding="ascii").strip()
            level = int((folder / "level").read_text(encoding="ascii"))
            text = (folder / "size").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if kind in ("Data", "Unified") and 1 <= level <= 3 and text.endswith("K") and text[:-1].isdecimal():
            found[level - 1] = int(text[:-1]) * 1024
    return found[0], found[1], found[2]


def _source() -> Path:
    return resources.runtime() / "bench" / "rates.cpp"


def _key(compiler: str | None, march: str) -> str:
    return "rates-" + digest(toolchain.identity(compiler), march, _source().read_bytes())[:32]


def _known(store: Cache, key: str) -> Rates | None:
    from seqc.plan.rates import Rates

    value = store.recall(key)
    if not isinstance(value, dict):
        return None
    try:
        return Rates(**{**value, "reads": tuple(value["reads"]), "sizes": tuple(value["sizes"])})
    except (KeyError, TypeError):
        return None  # written by another version: measured anew


def _library(compiler: str | None, march: str) -> Path:
    """The compiled library, from the cache if it is there."""
    tools = toolchain.probe(compiler, march)
    headers = [path.read_bytes() for path in sorted(resources.runtime().glob("*.hpp"))]
    arguments = [*tools.arguments(), "-shared", str(_source()), *toolchain.LINK]
    key = digest("rates", toolchain.identity(compiler), repr(arguments[1:]), _source().read_bytes(), *headers)

    def make(folder: Path) -> None:
        toolchain.run([*arguments, "-o", str(folder / LIBRARY)], "compiling what measures this machine")

    return Cache().obtain(key, make) / LIBRARY
