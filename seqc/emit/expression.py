"""Statements of a kernel as expressions: precedence-aware, with the spelling table of one backend.

Takes `plan.Statement`s and the texts of what they read; gives short declarations for each scope (once per kernel,
once per row, once per element) and the text of every value. A value that is used once stands where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from seqc.emit import cpp
from seqc.flow.types import Kind
from seqc.plan.buffers import Statement

WIDEST = 76
"""Longest text of one value; beyond it, parts get names, so that every line fits."""

SHORT = 20
"""Values up to this length are not worth a name."""

INSTANT = -1
UNIFORM = -2
"""Ids of terms that every statement may read: the step at hand, and downwards from UNIFORM the uniforms."""


class Scope(IntEnum):
    """Where a value is computed: once per kernel, once per row, or once per element."""

    KERNEL = 0
    ROW = 1
    ELEMENT = 2


@dataclass(frozen=True, slots=True)
class Term:
    """The text of a value, how tightly it binds, its kind and scope; of a product that stands where it is used, `factors`."""

    text: str
    level: int
    kind: Kind
    scope: Scope
    factors: tuple[Term, Term] | None = None

    def at(self, level: int, strict: bool = False) -> str:
        """The text as an operand of an operator of this level."""
        loose = self.level < level or (strict and self.level == level)
        return f"({self.text})" if loose else self.text


@dataclass(frozen=True, slots=True)
class Printed:
    """`lines` of each scope, and the term of every id; `arrays` that the lines of a row put numbers into."""

    lines: Mapping[Scope, tuple[str, ...]]
    terms: Mapping[int, Term]
    arrays: tuple[tuple[str, Kind], ...] = ()


def print_statements(
    statements: Sequence[Statement],
    known: Mapping[int, Term],
    used_outside: Sequence[int],
    real: str,
    prefix: str = "v",
    count: int = 0,
    side: str = "",
) -> Printed:
    """All statements, given the terms of loads, draws and uniforms; `used_outside` are the ids that stores read.
    Names are numbered from `count` + 1 on. With `side` those of a row are arrays, which have it at that index."""
    uses = _count_uses(statements, used_outside)
    writer = _Writer(dict(known), {scope: [] for scope in Scope}, prefix, count, side)
    for statement in statements:
        term = _term(statement, [writer.terms[number] for number in statement.args], writer.terms, real)
        while len(term.text) > WIDEST and writer.shorten(statement.args):
            term = _term(statement, [writer.terms[number] for number in statement.args], writer.terms, real)
        users = uses.get(statement.id, [])
        alone = len(users) == 1 and _same_scope(users[0], term.scope, statements, writer.terms)
        short = term.text.removesuffix(f"[{side}]").isidentifier()
        plain = term.level == cpp.ATOM and (statement.op == "const" or short)
        writer.terms[statement.id] = term if plain or alone else writer.named(term)
    lines = {scope: tuple(found) for scope, found in writer.lines.items()}
    return Printed(lines, writer.terms, tuple(writer.arrays))


@dataclass(slots=True)
class _Writer:
    """Terms so far and the lines that declare the named ones."""

    terms: dict[int, Term]
    lines: dict[Scope, list[str]]
    prefix: str
    count: int
    side: str
    arrays: list[tuple[str, Kind]] = field(default_factory=list)

    def named(self, term: Term) -> Term:
        """The term behind a name of its own."""
        name = f"{self.prefix}{self.count + sum(map(len, self.lines.values())) + 1}"
        if self.side and term.scope is Scope.ROW:
            self.arrays.append((name, term.kind))
            self.lines[term.scope].append(f"{name}[{self.side}] = {term.text};")
            return Term(f"{name}[{self.side}]", cpp.ATOM, term.kind, term.scope)
        self.lines[term.scope].append(f"const auto {name} = {term.text};")
        return Term(name, cpp.ATOM, term.kind, term.scope)

    def shorten(self, arguments: Sequence[int]) -> bool:
        """Names the longest argument that stands there in full; False if all are short."""
        longest = max(arguments, key=lambda number: len(self.terms[number].text), default=None)
        if longest is None or len(self.terms[longest].text) <= SHORT:
            return False
        self.terms[longest] = self.named(self.terms[longest])
        return True


def _count_uses(
    statements: Sequence[Statement], used_outside: Sequence[int]
) -> dict[int, list[Statement | None]]:
    uses: dict[int, list[Statement | None]] = {}
    for statement in statements:
        for number in statement.args:
            uses.setdefault(number, []).append(statement)
    for number in used_outside:
        uses.setdefault(number, []).append(None)
    return uses


def _same_scope(
    user: Statement | None, scope: Scope, statements: Sequence[Statement], terms: Mapping[int, Term]
) -> bool:
    """Whether the only user is computed as often as the value itself; else it is named and stays outside the loop."""
    if user is None or scope is Scope.ELEMENT:
        return user is not None
    by_id = {statement.id: statement for statement in statements}
    reached: Scope = scope
    for number in user.args:
        if number in terms:
            reached = max(reached, terms[number].scope)
        elif number in by_id:
            return False
    return reached == scope


def _term(statement: Statement, arguments: Sequence[Term], terms: Mapping[int, Term], real: str) -> Term:
    scope = max((argument.scope for argument in arguments), default=Scope.KERNEL)
    kind = statement.kind
    if statement.op == "const":
        return Term(cpp.literal(statement.value, kind), cpp.ATOM, kind, scope)
    if statement.op == "uniform":
        return terms[UNIFORM - int(statement.value or 0)]
    if statement.op == "instant":
        return terms[INSTANT]
    if statement.op == "cast":
        text, level = _cast(arguments[0], kind, real)
        return Term(text, level, kind, scope)
    fused = _fused(statement.op, kind, arguments)
    if fused is not None:
        return Term(fused, cpp.ATOM, kind, scope)
    text, level = _spell(statement.op, kind, arguments)
    factors = (arguments[0], arguments[1]) if statement.op == "mul" and kind.is_real else None
    return Term(text, level, kind, scope, factors)


def _fused(op: str, kind: Kind, arguments: Sequence[Term]) -> str | None:
    """`fma(a, b, c)` for a product and a sum. Left to a compiler, they would be rounded once in one copy of a loop and twice
    in another: a row alone and the same row of a batch would differ."""
    if op not in ("add", "sub") or not kind.is_real:
        return None
    left, right = arguments
    minus = op == "sub"
    if left.factors is not None:
        a, b = left.factors
        return f"fma({a.text}, {b.text}, {negated(right) if minus else right.text})"
    if right.factors is not None:
        a, b = right.factors
        return f"fma({negated(a) if minus else a.text}, {b.text}, {left.text})"
    return None


def negated(term: Term) -> str:
    """`-x`."""
    return f"-{term.at(cpp.UNARY, strict=True)}"


def _spell(op: str, kind: Kind, arguments: Sequence[Term]) -> tuple[str, int]:
    if op == "select" and kind is Kind.BOOL:
        condition, yes, no = (argument.text for argument in arguments)
        return f"either(both({condition}, {yes}), both(opposite({condition}), {no}))", cpp.ATOM
    if kind.is_real and op in ("idiv", "mod"):
        quotient = f"floor({arguments[0].at(cpp.TIMES)} / {arguments[1].at(cpp.TIMES, strict=True)})"
        if op == "idiv":
            return quotient, cpp.ATOM
        return (
            f"{arguments[0].at(cpp.PLUS)} - {arguments[1].at(cpp.TIMES, strict=True)} * {quotient}",
            cpp.PLUS,
        )
    if kind.is_integer and op == "pow":
        pair = ", ".join(f"static_cast<double>({argument.text})" for argument in arguments)
        return f"static_cast<int64_t>(pow({pair}))", cpp.ATOM
    spelling = cpp.SPELLINGS[op]
    if isinstance(spelling, cpp.Infix):
        left, right = arguments
        text = f"{left.at(spelling.level)} {spelling.sign} {right.at(spelling.level, strict=True)}"
        return text, spelling.level
    if isinstance(spelling, cpp.Prefix):
        return f"{spelling.sign}{arguments[0].at(cpp.UNARY, strict=True)}", cpp.UNARY
    if isinstance(spelling, cpp.Call):
        return f"{spelling.name}({', '.join(argument.text for argument in arguments)})", cpp.ATOM
    return arguments[0].text, arguments[0].level


def _cast(argument: Term, kind: Kind, real: str) -> tuple[str, int]:
    """From the argument's kind to `kind`; `real` is the C type behind `real` in this build."""
    if element(kind, real) == element(argument.kind, real):
        return argument.text, argument.level
    if kind is Kind.BOOL:
        return f"{argument.at(cpp.EQUAL)} != {cpp.literal(0, argument.kind)}", cpp.EQUAL
    wanted = cpp.TYPES[kind]
    if kind.is_real and argument.kind is Kind.BOOL:
        return f"number<{wanted}>({argument.text})", cpp.ATOM
    return f"static_cast<{wanted}>({argument.text})", cpp.ATOM


def element(kind: Kind, real: str) -> str:
    """The C type of a kind, with `real` resolved."""
    return real if kind is Kind.REAL else cpp.TYPES[kind]
