"""`seqc`: one verb for each thing that a person does with a model.

Exit codes: 0 done, 1 a mistake in program, data or command line, 2 tool chain or disk, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from seqc.cli import bench, build, check, explain, fmt, generate, new, show, train
from seqc.cli.doctor import doctor
from seqc.cli.report import guarded

app = typer.Typer(
    name="seqc",
    help="A compiler for recurrences: equations in a .seq file become training and inference kernels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("check")(check.check)
app.command("build")(build.build)
app.command("train")(train.train)
app.command("generate")(generate.generate)
app.command("bench")(bench.bench)
app.command("fmt")(fmt.fmt)
app.command("show")(show.show)
app.command("explain")(explain.explain)
app.command("doctor")(doctor)
app.command("new")(new.new)


def _version(asked: bool) -> None:
    if asked:
        from seqc import __version__

        typer.echo(f"seqc {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A compiler for recurrences."""


def main() -> None:
    """The entry point of the `seqc` command."""
    sys.exit(guarded(app))
