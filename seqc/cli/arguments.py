"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seqc.driver.fault import UserFault
from seqc.driver.options import REALS, Options

ModelFile = Annotated[Path, typer.Argument(help="The .seq file.", show_default=False, metavar="MODEL.seq")]
Dims = Annotated[
    list[str] | None, typer.Option("--dim", help="Override a dim: --dim H=256.", metavar="NAME=SIZE")
]
Real = Annotated[str | None, typer.Option("--real", help="Precision: f32 (or that of a run) or f64.")]
ModelName = Annotated[str | None, typer.Option("--model", help="Which model, where a file holds several.")]
Deploy = Annotated[str | None, typer.Option("--deploy", help="Build a deploy profile of the file.")]
March = Annotated[
    str | None,
    typer.Option(
        "--march",
        help="What the compiler's -march gets; empty for a portable build, `fat` for several at once "
        "(default: native, or the profile's).",
    ),
]
Compiler = Annotated[
    str | None, typer.Option("--compiler", help="C++ compiler (default: $CXX, g++, clang++).")
]
Json = Annotated[bool, typer.Option("--json", help="Messages as JSON on standard output, for editors.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]


def options(
    dims: list[str] | None = None,
    real: str | None = None,
    model: str | None = None,
    deploy: str | None = None,
    march: str | None = None,
    compiler: str | None = None,
    name: str | None = None,
    embed: Path | None = None,
) -> Options:
    """The record of a build from the texts of a command line; UserFault S0906 for a text that means nothing."""
    if real is not None and real not in REALS:
        raise UserFault("S0906", f"`--real {real}` is not a precision", f"expected one of {', '.join(REALS)}")
    return Options(
        real=real or REALS[0],
        real_asked=real is not None,
        dims=tuple(sorted(_dim(text) for text in dims or [])),
        model=model,
        deploy=deploy,
        march="native" if march is None else march,
        march_asked=march is not None and deploy is not None,
        compiler=compiler,
        name=name,
        embed=None if embed is None else str(embed.absolute()),
    )


def _dim(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    digits = value.strip().replace("_", "")
    if not equals or not name.strip() or not (digits.isascii() and digits.isdecimal()) or len(digits) > 12:
        raise UserFault(
            "S0906",
            f"`--dim {text}` is not a size",
            "expected a name and a whole number, as in `--dim H=256`",
        )
    return name.strip(), int(digits)


def hypers(texts: list[str] | None) -> tuple[tuple[str, float], ...]:
    """Names and numbers of `--set NAME=VALUE`."""
    return tuple(_hyper(text) for text in texts or [])


def _hyper(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise UserFault(
            "S0906",
            f"`--set {text}` is not a number",
            "expected a name and a number, as in `--set Adam.lr=1e-3`",
        ) from None


def names(text: str | None, flag: str) -> tuple[str, ...]:
    """The names of `--inputs A,B`, none where the flag is left out; UserFault S0906 for a flag that names nothing."""
    found = () if text is None else _split(text)
    if text is not None and not found:
        raise UserFault("S0906", f"`{flag} {text}` names nothing", "expected names with commas between them")
    return found


def _split(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def scales(texts: list[str] | None) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Layers and their inputs of `--scale LAYER=INPUT,INPUT`."""
    found = []
    for text in texts or []:
        layer, equals, several = text.partition("=")
        if not equals or not layer.strip() or not _split(several):
            raise UserFault(
                "S0906",
                f"`--scale {text}` does not say what scales what",
                "expected a layer and an input, as in `--scale small=u`",
            )
        found.append((layer.strip(), _split(several)))
    return tuple(found)
