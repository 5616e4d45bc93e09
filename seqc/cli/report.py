"""How the command line speaks: messages on standard error, JSON for editors, exit codes, never a traceback for a
mistake of the person who uses it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqc.source.diagnostic import Diagnostic

INTERRUPTED = 130
"""The exit code of what was ended by Ctrl-C, as shells expect it."""

_json = False


def use_json(wanted: bool) -> None:
    """Messages of this run are printed as JSON on standard output."""
    global _json
    _json = wanted


def colours() -> bool:
    """Colours only on a terminal whose owner did not refuse them."""
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ


def interactive() -> bool:
    """Whether a progress bar may be drawn."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """A line for the person, on standard error so that results can be piped."""
    print(text, file=sys.stderr, flush=True)


def show(diagnostics: Iterable[Diagnostic]) -> None:
    """Prints messages, as pictures or as JSON."""
    from seqc.source.render import render, to_json

    several = tuple(diagnostics)
    if _json:
        print(json.dumps(to_json(several), ensure_ascii=False, indent=2))
    elif several:
        say("\n\n".join(render(each, colour=colours()) for each in several))


def guarded(run: Callable[..., Any]) -> int:
    """Runs the command and turns what ends it into an exit code."""
    from seqc.driver.fault import Fault
    from seqc.source.diagnostic import SeqError

    try:
        code = run(standalone_mode=False)
    except SeqError as error:
        show(error.diagnostics)
        return 1
    except Fault as fault:
        show((fault.diagnostic,))
        return fault.exit_code
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _other(error)
    return code if isinstance(code, int) else 0


def _other(error: Exception) -> int:
    """Command line mistakes, mistakes about data, and what nobody foresaw."""
    import typer

    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, typer.Abort):
        say("interrupted")
        return INTERRUPTED
    if _is_usage(error, typer.BadParameter):
        error.show()  # type: ignore[attr-defined]
        return 1
    from seqc.driver.fault import ToolFault, UserFault

    fault: UserFault | ToolFault
    if _is_model_error(error, "DiskError"):
        fault = ToolFault("S0904", str(error))
    elif _is_model_error(error):
        fault = UserFault("S0910", str(error))
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
        fault = ToolFault(
            "S0904", f"cannot use {error.filename}" if error.filename else "the disk said no", reason
        )
    elif isinstance(error, MemoryError):
        fault = ToolFault("S0907", "not enough memory", "try a smaller batch, window or model")
    elif "SEQC_DEBUG" in os.environ:
        raise error
    else:
        fault = ToolFault("S0913", "seqc itself failed", _where(error), "please report it with the model")
    show((fault.diagnostic,))
    return fault.exit_code


def _where(error: Exception) -> str:
    """What happened and where in seqc, in two lines; SEQC_DEBUG=1 shows the whole way there."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f"{'/'.join(frames[-1].filename.split('/')[-3:])}:{frames[-1].lineno}" if frames else "unknown"
    return f"{type(error).__name__}: {error}\nat {place} (SEQC_DEBUG=1 shows more)"


def _is_usage(error: Exception, example: type) -> bool:
    """Whether typer found a mistake in the command line; its base class lies in click, or in typer's own copy of it."""
    bases = [each for each in example.__mro__ if each.__name__ == "ClickException"]
    return isinstance(error, tuple(bases))


def _is_model_error(error: Exception, kind: str = "ModelError") -> bool:
    """ModelError or a kind of it, without importing numpy for commands that never use it."""
    module = sys.modules.get("seqc.run.fault")
    return module is not None and isinstance(error, getattr(module, kind))
