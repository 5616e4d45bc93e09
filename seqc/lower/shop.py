"""The state of one round of lowering: the graph under construction, what was declared, and who is being evaluated.

A round evaluates the whole program once. States whose type only their equation tells are assumed first and corrected
from round to round; everything else is thrown away between rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from seqc.flow.types import STREAM, Attribute, Axis, Origin, Type
from seqc.lower.meaning import Meaning
from seqc.lower.names import Library, Module
from seqc.lower.program import Hyper, Input, Parameter
from seqc.ops.build import Builder
from seqc.source.diagnostic import Collector, Diagnostic, SeqError
from seqc.source.span import Span
from seqc.syntax import tree

MESSAGE_LIMIT = 60

if TYPE_CHECKING:
    from seqc.lower.body import Body, Definition
    from seqc.lower.cells import Instance


class Problems(Collector):
    """A collector that has had enough after some messages; `count` says how many it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def add(self, problem: Diagnostic | SeqError) -> None:
        self.count += 1
        if self.count <= MESSAGE_LIMIT:
            super().add(problem)


@dataclass(frozen=True, slots=True)
class Site:
    """Where a value was made: its place in the text and the body in which the text was read."""

    span: Span
    body: Body


@dataclass(slots=True)
class Frame:
    """Somebody being evaluated: a definition, or (without one) a reader of the whole sequence."""

    definition: Definition | None
    body: Body
    asked: Span | None
    whole: str = ""


class Recorder(Builder):
    """A builder that remembers for each value where in the program it comes from."""

    def __init__(self) -> None:
        super().__init__()
        self.sites: list[Site] = []
        self.span: Span | None = None
        self.body: Body | None = None
        self.name = ""

    def put(
        self,
        op: str,
        args: tuple[int, ...],
        attrs: Mapping[str, Attribute],
        type: Type | None = None,
        origin: Origin | None = None,
    ) -> int:
        assert self.span is not None and self.body is not None
        index = super().put(op, args, attrs, type, origin or Origin(self.span.place, self.name))
        self.sites.append(Site(self.span, self.body))
        return index


@dataclass(slots=True, eq=False)
class Shop:
    """See the head of the file. `evaluate` is `expression.evaluate`."""

    library: Library
    problems: Problems
    evaluate: Callable[[Body, tree.Expression], Meaning]
    assumed: Mapping[str, Type] = field(default_factory=dict)
    found: dict[str, Type] = field(default_factory=dict)
    builder: Recorder = field(default_factory=Recorder)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    inputs: dict[str, Input] = field(default_factory=dict)
    hypers: dict[str, Hyper] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    unsettled: set[str] = field(default_factory=set)
    files: dict[str, Body] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    place: frozenset[Axis] = STREAM
    sites: int = 0
    rule: bool = False
    length: int | None = None
    instances: int = 0
    stopped: bool = False
    probing: int = 0
    called: list[Instance] = field(default_factory=list)

    def fresh_site(self) -> int:
        """The number of the next draw."""
        self.sites += 1
        return self.sites - 1

    def bound(self, value: int, low: float, high: float | None) -> Hyper | None:
        """Notes the range of a hyper that is used where others make no sense, and gives the hyper; None for others."""
        leaf = self.builder.value(value)
        if leaf.op != "hyper":
            return None
        known = self.hypers[str(leaf.attr("name"))]
        self.hypers[known.name] = replace(known, low=low, high=high)
        return known

    def unique(self, name: str) -> str:
        """The name, or with a number behind it where it is taken."""
        candidate, number = name, 1
        while candidate in self.names:
            number += 1
            candidate = f"{name}{number}"
        self.names.add(candidate)
        return candidate

    @contextmanager
    def at(self, body: Body, span: Span, name: str) -> Iterator[None]:
        """Within this context, values carry this place and name."""
        builder = self.builder
        before = builder.body, builder.span, builder.name
        builder.body, builder.span, builder.name = body, span, name
        try:
            yield
        finally:
            builder.body, builder.span, builder.name = before

    @contextmanager
    def reading_whole(self, body: Body, span: Span, what: str) -> Iterator[None]:
        """Within this context, a value of the whole sequence is asked for by `what`."""
        self.frames.append(Frame(None, body, span, what))
        try:
            yield
        finally:
            self.frames.pop()

    def file_body(self, module: Module, make: Callable[[Module], Body]) -> Body:
        """The body that holds the constants of a file."""
        if module.name not in self.files:
            self.files[module.name] = make(module)
        return self.files[module.name]
