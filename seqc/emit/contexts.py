"""What each template may know: one frozen record per template, its fields are the template's names.

The file name of a template is that of its record in lower case, see `render.TEMPLATES`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EntryText:
    """One entry point: `lines` are its function, `linkage` is what stands before it."""

    name: str
    about: str
    linkage: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """`cpp/unit.cpp.jinja`: the translation unit of a model. Blocks of lines are formatted already.

    `opening`: what it includes. With `divided` most kernels stand in files of their own, in the namespace `space`.
    """

    heading: tuple[str, ...]
    opening: tuple[str, ...]
    real: str
    lanes: int
    divided: bool
    space: str
    kernels: tuple[tuple[str, ...], ...]
    entries: tuple[EntryText, ...]
    tables: tuple[tuple[str, ...], ...]
    packing: tuple[str, ...]
    first_states: tuple[str, ...]
    interface: tuple[str, ...]
    exported: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """`cpp/parts.hpp.jinja`: what the files of a divided unit have in common. `kernels` are inlined, others are declared."""

    heading: tuple[str, ...]
    opening: tuple[str, ...]
    real: str
    lanes: int
    space: str
    kernels: tuple[tuple[str, ...], ...]
    declarations: tuple[tuple[str, ...], ...]
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """`cpp/part.cpp.jinja`: some of the functions of a divided unit."""

    heading: tuple[str, ...]
    header: str
    space: str
    kernels: tuple[tuple[str, ...], ...]
    entries: tuple[EntryText, ...]


@dataclass(frozen=True, slots=True)
class ChooserVariant:
    """A variant that a CPU runs which passes `condition`, the lines of an `if`."""

    march: str
    condition: tuple[str, ...]
    getter: str


@dataclass(frozen=True, slots=True)
class Chooser:
    """`cpp/chooser.cpp.jinja`: chooses among variants of a model, the best first; `anywhere` runs on every CPU."""

    heading: tuple[str, ...]
    header: str
    symbol: str
    getters: tuple[str, ...]
    better: tuple[ChooserVariant, ...]
    anywhere: str
    functions: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A member of a struct, with the comment that says its shape."""

    declaration: str
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeaderStruct:
    """A struct of the C header."""

    name: str
    about: tuple[str, ...]
    fields: tuple[HeaderField, ...]


@dataclass(frozen=True, slots=True)
class HeaderFunction:
    """A function of the C header; `lines` are its declaration."""

    about: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """`cpp/header.h.jinja`: the C99 header of a model."""

    about: tuple[str, ...]
    guard: str
    prefix: str
    macros: tuple[str, ...]
    structs: tuple[HeaderStruct, ...]
    functions: tuple[HeaderFunction, ...]


@dataclass(frozen=True, slots=True)
class PythonArgument:
    """An argument of a method: its annotation and what it holds."""

    name: str
    annotation: str
    about: str


@dataclass(frozen=True, slots=True)
class Package:
    """`python/init.py.jinja`: the importable package."""

    name: str
    module: str
    doc: str
    inputs: tuple[PythonArgument, ...]
    targets: tuple[PythonArgument, ...]
    outputs: tuple[PythonArgument, ...]
    parameters: tuple[PythonArgument, ...]
    hypers: tuple[PythonArgument, ...]


@dataclass(frozen=True, slots=True)
class StubResult:
    """A named tuple that a method gives."""

    name: str
    fields: tuple[PythonArgument, ...]


@dataclass(frozen=True, slots=True)
class StubMethod:
    """A method of the model: `arguments` as they stand in its signature, `lines` of its docstring."""

    name: str
    arguments: tuple[str, ...]
    result: str
    about: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stub:
    """`python/init.pyi.jinja`: the types of the package."""

    name: str
    doc: str
    real: str
    results: tuple[StubResult, ...]
    methods: tuple[StubMethod, ...]
    trains: bool
    steps: bool


@dataclass(frozen=True, slots=True)
class Executable:
    """`aot/main.cpp.jinja`: the program that streams from standard input to standard output.

    `present` names the tables that exist, which are members of `seqc_aot::Program` as well; `steps` is how many a sequence
    must have, 0 for any.
    """

    title: str
    header: str
    symbol: str
    tables: tuple[tuple[str, ...], ...]
    present: tuple[str, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class CMakePackage:
    """`aot/config.cmake.jinja`: what a consumer finds by find_package."""

    name: str
    library: str
    folder: str
