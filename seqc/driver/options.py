"""The options of a build, as one frozen record from which the command line, the Python API and the cache key are made."""

from __future__ import annotations

from dataclasses import dataclass, field

EMITS = ("py", "header", "static", "shared", "exe")
REALS = ("f32", "f64")


@dataclass(frozen=True, slots=True)
class Options:
    """What to build.

    `real` is the precision, `real_asked` whether somebody named it (else it is that of a run, where there is one), `dims`
    overrides of `dim`s, `model` the one of several in a file, `deploy` a profile's name, `march` what the compiler's `-march` gets (another than `native`, or one that was asked for, goes before the `cpu` of a profile), `compiler` a path or name (else CXX, g++, clang++ in this order),
    `embed` a weights file to build in, `name` the name of module and library, `verify` runs the verifiers after each pass,
    `part` is one of the programs of `passes.segment` instead of the whole model,
    `memory` a budget for a loaded model, in bytes, which no build depends on, `tuned` what timing found (see `driver.tuned`).
    """

    real: str = "f32"
    dims: tuple[tuple[str, int], ...] = ()
    model: str | None = None
    deploy: str | None = None
    march: str = "native"
    compiler: str | None = None
    embed: str | None = None
    name: str | None = None
    verify: bool = False
    part: str | None = None
    memory: int | None = None
    tuned: str = ""
    real_asked: bool = field(default=False, repr=False)
    march_asked: bool = False

    def key(self) -> str:
        """The options as text, for the cache."""
        return repr(self)
