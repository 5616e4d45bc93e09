"""One body of equations being read: its names, and their values on demand.

`labels` names the anonymous instances of an equation by their node, `waiting` holds what the first call will bring,
`callers` leads from a layer to the definitions that call it.

A body is made for a file's constants, a model, a call of a function or cell, or an optimizer. A definition is
evaluated when somebody asks for it, once; asking for one that is being evaluated is a cycle within one step.
`run` asks for all of them in an order in which nobody has to wait for others long.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from seqc.flow.types import STREAM, Axis, Type
from seqc.lower.cycles import cycle_error
from seqc.lower.meaning import Dynamic, Meaning, NotYet, Poisoned
from seqc.lower.names import Module
from seqc.lower.shop import Frame, Shop
from seqc.source.diagnostic import Label, SeqError, fail
from seqc.source.span import Span
from seqc.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from seqc.lower.cells import Instance


class Status(Enum):
    NEW = "new"
    BUSY = "busy"
    DONE = "done"
    POISON = "poison"


@dataclass(slots=True)
class Slot:
    """A state in the graph: `value` reads it one step ago, `number` is its place among the states (None in a rule)."""

    type: Type
    value: int
    number: int | None
    init: int
    defined: bool = False


@dataclass(slots=True, eq=False)
class Definition:
    """Something that defines one or several names at once; `compute` gives a meaning for each."""

    names: tuple[str, ...]
    kind: str
    span: Span
    node: object
    compute: Callable[[Definition], tuple[Meaning, ...]]
    after: Callable[[], None] | None = None
    status: Status = Status.NEW
    meanings: tuple[Meaning, ...] = ()


@dataclass(slots=True, eq=False)
class Entry:
    """A name of a body: what kind of declaration it has, and where its value comes from.

    A state has its declaration (`state`) beside its equation (`definition`, None where it holds).
    """

    name: str
    kind: str
    span: Span
    definition: Definition | None = None
    state: tree.State | None = None
    slot: Slot | None = None
    read: bool = False
    past: bool = False
    opening: bool = False
    making: bool = False
    loose: bool | None = None
    first: Meaning | None = None


@dataclass(slots=True, eq=False)
class Body:
    """See the head of the file. `path` is the dotted name in front of all names made here."""

    shop: Shop
    module: Module
    kind: str
    title: str
    path: str = ""
    parent: Body | None = None
    call: Span | None = None
    depth: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    instance: Instance | None = None
    ports: tuple[tree.Port, ...] = ()
    results: tuple[tree.Port, ...] = ()
    lifted: bool = False
    lifted_ports: bool = False
    place: frozenset[Axis] = STREAM
    labels: dict[int, str] = field(default_factory=dict)
    anonymous: dict[str, Instance] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    callers: dict[str, list[Definition]] = field(default_factory=dict)

    def dotted(self, name: str) -> str:
        """The full name of something in this body."""
        return f"{self.path}.{name}" if self.path else name

    def define(self, entry: Entry) -> None:
        """Enters a name; an error if the body has it already."""
        first = self.entries.get(entry.name)
        if first is not None:
            raise twice(entry, first)
        self.entries[entry.name] = entry

    def bind(self, name: str, kind: str, span: Span, meaning: Meaning) -> None:
        """Enters a name whose meaning is known."""
        definition = Definition((name,), kind, span, None, lambda _: (), None, Status.DONE, (meaning,))
        self.define(Entry(name, kind, span, definition))

    def ask(self, entry: Entry, span: Span | None) -> Meaning:
        """The meaning of a name; `span` is where it is read."""
        definition = entry.definition
        assert definition is not None
        if definition.status is not Status.DONE:
            self.settle(definition, span)
        return definition.meanings[definition.names.index(entry.name)]

    def settle(self, definition: Definition, span: Span | None) -> None:
        """Evaluates a definition, unless it is done. Its mistakes are collected; who asked gets `Poisoned`."""
        if definition.status is Status.DONE:
            return
        if definition.status is Status.POISON:
            raise Poisoned
        if definition.status is Status.BUSY:
            if self.shop.probing:
                raise NotYet
            raise cycle_error(self.shop, self, definition, span)
        shop = self.shop
        definition.status = Status.BUSY
        shop.frames.append(Frame(definition, self, span))
        before, shop.place = shop.place, self.place
        mark = len(shop.called)
        try:
            with shop.at(self, definition.span, self.dotted(definition.names[0])):
                definition.meanings = definition.compute(definition)
            definition.status = Status.DONE
            if definition.after is not None:
                definition.after()
        except SeqError as error:
            definition.status = Status.POISON
            shop.problems.add(self.with_calls(error))
            raise Poisoned from None
        except Poisoned:
            definition.status = Status.POISON
            raise
        except NotYet:
            definition.status = Status.NEW
            for instance in shop.called[mark:]:
                instance.forget()
            del shop.called[mark:]
            raise
        finally:
            shop.place = before
            shop.frames.pop()

    def with_calls(self, error: SeqError) -> SeqError:
        """The error with a label at each place that led into a body of the library."""
        labels: list[Label] = []
        body: Body | None = self
        while body is not None and body.call is not None and body.module.name.startswith("std/"):
            labels.append(Label(body.call, f"in this use of `{body.title}`"))
            body = body.parent
        if not labels:
            return error
        return SeqError(
            replace(each, others=(*each.others, *labels[-1:]))
            if each.code.startswith("S03")
            and each.label is not None
            and each.label.span.source.name.startswith("std/")
            else each
            for each in error.diagnostics
        )

    def user_span(self, span: Span) -> Span:
        """The place that led here in a file of the user's own, for text of the library."""
        body: Body | None = self
        while body is not None and span.source.name.startswith("std/") and body.call is not None:
            span, body = body.call, body.parent
        return span

    def find_local(self, name: str) -> Entry | None:
        """The entry of a name in this body."""
        return self.entries.get(name)


def twice(entry: Entry, first: Entry) -> SeqError:
    """The error for a name that is defined a second time."""
    hint = "each name is defined once; rename one of them"
    if entry.kind == "equation" and first.kind in ("equation", "state"):
        hint = f"each name has one equation; for the value of the last step write `prev {entry.name}`"
    elif entry.kind == "equation" and first.kind in ("output", "metric"):
        hint = f"`{first.kind} {entry.name} = …` is its equation already; choose another name for one of them"
    elif entry.kind == "equation":
        hint = f"`{entry.name}` is {article(first.kind)} and has no equation; choose another name"
    elif first.kind == "port":
        hint = f"`{entry.name}` is already a port; choose another name"
    return fail(
        "S0202",
        f"`{entry.name}` is defined twice",
        entry.span,
        "defined again",
        others=(Label(first.span, "first here"),),
        hint=hint,
    )


def article(kind: str) -> str:
    """`an input`, `a state`."""
    word = {"static": "static argument", "size": "size", "param": "parameter"}.get(kind, kind)
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def dynamic(meaning: Meaning) -> int | None:
    """The index of a value of the graph; None for anything else."""
    return meaning.index if isinstance(meaning, Dynamic) else None
