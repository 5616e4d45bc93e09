"""What `seqc build --tune` found out about a model, kept in the cache: for each entry point how it is planned.

A record is found by path, options, compiler and seqc's own files, as finished builds are, and believed only while every
source has its digest. `Options.tuned` carries it as text, so that it is part of every key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqc.driver import resources, toolchain
from seqc.driver.cache import Cache, digest
from seqc.driver.options import Options

if TYPE_CHECKING:
    from seqc.plan import PlanOptions

Choices = Mapping[str, "PlanOptions"]
NONE = "{}"
"""The text of a record without a change."""


def as_text(choices: Choices) -> str:
    """The record of some entry points."""
    found = {
        entry: {
            "products": each.products,
            "epilogues": each.epilogues,
            "chains": each.chains,
            "stretch": each.stretch,
        }
        for entry, each in sorted(choices.items())
    }
    return json.dumps(found)


def choices_of(options: Options) -> Choices:
    """What the options tell of each entry point."""
    if not options.tuned:
        return {}
    from seqc.plan import PlanOptions  # loads the planner: a finished build is found without it

    record: dict[str, dict[str, Any]] = json.loads(options.tuned)
    return {
        entry: PlanOptions(
            products=tuple((int(number), str(name)) for number, name in each["products"]),
            epilogues=each["epilogues"],
            chains=each["chains"],
            stretch=each["stretch"],
        )
        for entry, each in record.items()
    }


def with_tuned(path: Path, options: Options, store: Cache | None = None) -> Options:
    """The options with what is remembered of this model, unless they bring a record of their own."""
    if options.tuned or options.part is not None:
        return options
    known = (store or Cache()).recall(_name(path, options))
    if not isinstance(known, dict) or not unchanged(known.get("files")):
        return options
    chosen = replace(options, tuned=str(known.get("choices", "")))
    try:
        choices_of(chosen)
    except (ValueError, KeyError, TypeError, AttributeError):
        return options  # damaged: as if it were not there
    return chosen


def remember(path: Path, options: Options, files: Mapping[str, str], choices: Choices) -> None:
    """Keeps a record for later builds of the same sources."""
    Cache().remember(_name(path, options), {"files": dict(files), "choices": as_text(choices)})


def _name(path: Path, options: Options) -> str:
    alone = replace(options, tuned="", embed=None, name=None, memory=None)
    parts = (str(path.absolute()), alone.key(), resources.stamp(), toolchain.identity(options.compiler))
    return "tuned-" + digest(*parts)[:32]


def unchanged(files: object) -> bool:
    """Whether every file still has its digest."""
    if not isinstance(files, dict):
        return False
    try:
        return all(
            hashlib.sha256(Path(name).read_bytes()).hexdigest() == value for name, value in files.items()
        )
    except OSError:
        return False
