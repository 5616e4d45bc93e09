"""Files and the names in them: imports followed, each file read once, one namespace for each file.

Takes the first file's Tree and a way to read others by name; gives a `Library` of modules. `std.x` is the file
`std/x.seq`; other files are named relative to the one that imports them, inside the root folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from seqc.lower.meaning import CellName, Meaning, OptimizerName, UserFunction
from seqc.source.diagnostic import Collector, Label, SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.source.text import Source
from seqc.syntax import tree
from seqc.syntax.parse import parse

Read = Callable[[str], Source]
FILE_LIMIT = 100
PRELUDE = "std/prelude.seq"
SHELVES = ("cells", "losses", "optim", "schedules", "theano")


@dataclass(slots=True, eq=False)
class Module:
    """One file: what it defines and what it imports. `consts` leads to the bindings, evaluated on demand."""

    name: str
    file: tree.File
    meanings: dict[str, Meaning] = field(default_factory=dict)
    consts: dict[str, tree.Binding] = field(default_factory=dict)
    imports: dict[str, tuple[Module, str]] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    models: dict[str, tree.Model] = field(default_factory=dict)

    def public(self) -> Iterator[str]:
        """Names that another file may import."""
        yield from self.meanings
        yield from self.consts


@dataclass(frozen=True, slots=True)
class Library:
    """The first file, the prelude that every file sees, and the way to files that nobody has asked for yet."""

    main: Module
    prelude: Module
    read: Read

    def shelf(self, name: str) -> str | None:
        """The file of the standard library that defines a name, without `std.`; for messages."""
        return shelf_of(self.read, name)


def shelf_of(read: Read, name: str) -> str | None:
    """The file of the standard library that defines a name, without `std.`."""
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) is None:
        return None
    pattern = re.compile(rf"^(?:fn|cell|optimizer) {name}\(", re.MULTILINE)
    for shelf in SHELVES:
        try:
            text = read(standard_path(("std", shelf))).text
        except OSError:
            continue
        if pattern.search(text):
            return shelf
    return None


def standard_path(parts: Iterable[str]) -> str:
    """The file of `std.cells` and the like: `std/cells.seq`."""
    return "/".join(parts) + ".seq"


def load(
    file: tree.File, source: Source, read: Read, problems: Collector, known: Container[str] = ()
) -> Library:
    """All files that the first one needs; problems with them are collected. `known` is what needs no import."""
    loader = _Loader(read, problems, known)
    prelude = loader.module(parse(read(PRELUDE)), PRELUDE)
    if source.name == PRELUDE:
        return Library(prelude, prelude, read)
    return Library(loader.module(file, source.name), prelude, read)


@dataclass(slots=True)
class _Loader:
    read: Read
    problems: Collector
    known: Container[str]
    done: dict[str, Module | None] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def module(self, file: tree.File, name: str) -> Module:
        module = Module(name, file)
        self.open.append(name)
        for item in file.items:
            try:
                if isinstance(item, tree.Use):
                    self.use(module, item)
                else:
                    define(module, item)
            except SeqError as error:
                self.problems.add(error)
        self.open.pop()
        self.done[name] = module
        return module

    def use(self, module: Module, item: tree.Use) -> None:
        found: Module | None = None
        try:
            name, place = target(module.name, item)
            found = self.file(name, place)
        except SeqError as error:
            self.problems.add(error)
        for wanted in item.names:
            claim(module, wanted)
            if found is None:
                module.imports[wanted.text] = (module, "")
                continue
            if wanted.text not in set(found.public()):
                self.problems.add(self.missing(found, wanted))
                module.imports[wanted.text] = (module, "")
                continue
            module.imports[wanted.text] = (found, wanted.text)

    def file(self, name: str, place: Span) -> Module | None:
        """The module of an import; None where its own reading failed, which has been said."""
        if name in self.open:
            loop = [*self.open[self.open.index(name) :], name]
            raise fail(
                "S0703",
                "these files import each other",
                place,
                "leads back to where it began",
                notes=("the loop is " + " → ".join(f"`{each}`" for each in loop),),
                hint="put what they share into a third file",
            )
        if name in self.done:
            return self.done[name]
        if len(self.done) + len(self.open) > FILE_LIMIT:
            raise fail(
                "S0701",
                f"more than {FILE_LIMIT} files",
                place,
                "one file too many",
                hint="put small files together",
            )
        self.done[name] = None
        try:
            source = self.read(name)
            return self.module(parse(source), name)
        except OSError as error:
            reason = (
                "there is no such file"
                if isinstance(error, FileNotFoundError)
                else error.strerror or str(error)
            )
            raise fail(
                "S0701",
                f"cannot read `{name}`",
                place,
                "asked for here",
                notes=(f"{reason}",),
                hint=_file_hint(name),
            ) from None
        except SeqError as error:
            self.problems.add(error)
            return None

    def missing(self, found: Module, wanted: tree.Name) -> SeqError:
        """The error where a file lacks a name."""
        names, hint, notes = list(found.public()), None, ("it defines nothing that can be imported",)
        prelude, near = self.done.get(PRELUDE), nearest(wanted.text, names)
        shelf = shelf_of(self.read, wanted.text) if found.name.startswith("std/") else None
        if wanted.text in self.known or (prelude is not None and wanted.text in prelude.meanings):
            hint = f"leave it out: `{wanted.text}` needs no `use`"
        elif shelf is not None:
            hint = f"write `use std.{shelf}: {wanted.text}`"
        elif near:
            hint = f"did you mean `{near}`?"
        elif names:
            more = f" and {len(names) - 20} more" if len(names) > 20 else ""
            notes = ("it defines " + ", ".join(f"`{name}`" for name in names[:20]) + more,)
        return fail(
            "S0702",
            f"`{found.name}` does not define `{wanted.text}`",
            wanted.span,
            "not in that file",
            notes=() if hint else notes,
            hint=hint,
        )


def _file_hint(name: str) -> str:
    if name.startswith("std/"):
        return "the library has `std.cells`, `std.losses`, `std.optim`, `std.schedules` and `std.theano`"
    return "the path is relative to the file that imports it"


def target(importing: str, item: tree.Use) -> tuple[str, Span]:
    """The name of the file that a `use` asks for, relative to the root folder."""
    if item.file is None:
        place = item.path[0].span.to(item.path[-1].span)
        if item.path[0].text != "std" or len(item.path) < 2:
            dotted = ".".join(part.text for part in item.path)
            raise fail(
                "S0701",
                f"there is no library `{dotted}`",
                place,
                "only `std` has a dotted name",
                hint=f'a file of your own is named by its path: `use "{item.path[-1].text}.seq": …`',
            )
        return standard_path(part.text for part in item.path), place
    path, place = item.file.value, item.file.span
    if path.startswith(("/", "~")) or "\\" in path or ":" in path or "\0" in path:
        raise fail(
            "S0704",
            "an import is named relative to its file",
            place,
            "not a relative path",
            hint='like `use "cells/mine.seq": Fast`',
        )
    name = posixpath.normpath(posixpath.join(posixpath.dirname(importing), path))
    if name.startswith("../") or name == "..":
        raise fail(
            "S0704",
            "this import leads out of the folder of the model",
            place,
            f"is `{name}` seen from there",
            hint="keep imported files beside the model or below it",
        )
    if not name.endswith(".seq"):
        raise fail(
            "S0704",
            "an imported file ends in `.seq`",
            place,
            "this does not",
            hint=f'write `"{path}.seq"`' if path and "." not in path else None,
        )
    if name.startswith("std/") and not importing.startswith("std/"):
        raise fail(
            "S0704",
            "a folder `std` would hide the library",
            place,
            "lies in `std`",
            hint="rename the folder; the library is `use std.cells: …`",
        )
    return name, place


def claim(module: Module, name: tree.Name) -> None:
    """Takes a name for a file; an error if it has it already."""
    first = module.places.get(name.text)
    if first is not None:
        raise fail(
            "S0202",
            f"`{name.text}` is defined twice",
            name.span,
            "defined again",
            others=(Label(first, "first here"),),
            hint="rename one of them",
        )
    module.places[name.text] = name.span


def define(module: Module, item: tree.Item) -> None:
    """Enters what an item defines."""
    if isinstance(item, tree.Const):
        for binding in item.bindings:
            claim(module, binding.name)
            module.consts[binding.name.text] = binding
    elif isinstance(item, tree.Fn | tree.Cell | tree.Optimizer):
        claim(module, item.name)
        if isinstance(item, tree.Fn):
            module.meanings[item.name.text] = UserFunction(item, module)
        elif isinstance(item, tree.Cell):
            module.meanings[item.name.text] = CellName(item, module)
        else:
            module.meanings[item.name.text] = OptimizerName(item, module)
    elif isinstance(item, tree.Model):
        claim(module, item.name)
        module.models[item.name.text] = item
