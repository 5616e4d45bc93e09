"""Text to Tree: an LALR(1) automaton over the saved tables that builds records as it reduces.

It never recurses, so no program can exhaust Python's stack; nesting has a stated limit instead. After a mistake it
goes on at the next statement of the same body or the next item of the file, where either begins a line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seqc.source.decode import check_text
from seqc.source.diagnostic import Collector, Diagnostic, SeqError, fail
from seqc.source.span import Span
from seqc.source.text import Source
from seqc.syntax import tree
from seqc.syntax.build import ACTIONS, EXPRESSIONS, Workshop
from seqc.syntax.mistakes import explain
from seqc.syntax.stuck import ITEMS, STATEMENTS, Stuck
from seqc.syntax.tables import Rule, Tables, load
from seqc.syntax.tokens import Token, Tokens, tokenize

MESSAGE_LIMIT = 20
STACK_LIMIT = 10 * tree.DEPTH_LIMIT  # no level of nesting takes ten symbols


class _Run(list[Any]):
    """The children of a repeated part, spliced into the rule that holds it."""


@dataclass(slots=True)
class _Stack:
    """The automaton's stack, one entry of each list for each symbol; `states` has one more, the first."""

    states: list[int] = field(default_factory=lambda: [0])
    values: list[Any] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)

    def push(self, state: int, value: Any, start: int, end: int, depth: int) -> None:
        self.states.append(state)
        self.values.append(value)
        self.starts.append(start)
        self.ends.append(end)
        self.depths.append(depth)

    def copy(self) -> _Stack:
        return _Stack([*self.states], [*self.values], [*self.starts], [*self.ends], [*self.depths])

    def cut(self, size: int) -> None:
        """Leaves the lowest `size` symbols."""
        del self.states[size + 1 :]
        del self.values[size:], self.starts[size:], self.ends[size:], self.depths[size:]


def parse(source: Source) -> tree.File:
    """The Tree of a file; SeqError with all independent syntax errors where it is none."""
    check_text(source)
    tokens = tokenize(source)
    lines = {source.line_of(comment.start): comment for comment in tokens.comments}
    own = {line: _words(comment) for line, comment in lines.items() if _alone(source, line, comment)}
    shop = Workshop(source, own)
    items, problems = _run(load(), tokens, shop)
    _time_indices(shop)
    collector = Collector()
    for problem in [*tokens.problems, *shop.problems, *problems]:
        if len(collector.errors) < MESSAGE_LIMIT:
            collector.add(problem)
    collector.finish()
    return tree.File(Span(source, 0, len(source.text)), items)


def _words(comment: Token) -> str:
    return comment.text[1:].removeprefix(" ").rstrip()


def _alone(source: Source, line: int, comment: Token) -> bool:
    return not source.text[source.line_start(line) : comment.start].strip()


def _run(tables: Tables, tokens: Tokens, shop: Workshop) -> tuple[tuple[tree.Item, ...], list[Diagnostic]]:
    stack, start, problems, begun, position = _Stack(), _Stack(), list[Diagnostic](), 0, 0
    stream = tokens.tokens
    while True:
        stopped = _advance(tables, stream, position, stack, shop)
        if stopped is None:
            return stack.values[0], problems
        stack = _before(tables, stream, begun, stopped, start, shop.source)
        expected = _expected(tables, stack.states)
        if not _follows_lexical(tokens, stream[begun].start, stream[stopped].start):
            problems.append(
                explain(Stuck(shop.source, stream, begun, stopped, expected, tuple(stack.values)))
            )
        begun = position = _resume(tables, shop.source, stream, stopped, begun, stack)
        start = stack.copy()
        if position >= len(stream) - 1 or len(problems) >= MESSAGE_LIMIT:
            return (), problems


def _before(
    tables: Tables, stream: tuple[Token, ...], begun: int, stopped: int, start: _Stack, source: Source
) -> _Stack:
    """The stack as it was before the token that does not fit had made the parser reduce what it could."""
    stack = start.copy()
    _advance(tables, stream[:stopped], begun, stack, Workshop(source, {}))
    return stack


def _follows_lexical(tokens: Tokens, begun: int, stopped: int) -> bool:
    """Whether a token that already has its message may be why the parser stopped here."""
    places = (each.label.span.start for each in tokens.problems if each.label is not None)
    return any(begun <= place <= stopped for place in places)


def _advance(
    tables: Tables, stream: tuple[Token, ...], position: int, stack: _Stack, shop: Workshop
) -> int | None:
    """Reads on from token `position`; the number of the token that does not fit, or None at the end."""
    states, rules = tables.states, tables.rules
    for index in range(position, len(stream)):
        token = stream[index]
        while True:
            action = states[stack.states[-1]].get(token.kind)
            if action is None:
                return None if stack.states[-1] == states[0]["start"] else index
            if action >= 0:
                stack.push(action, token, token.start, token.end, 0)
                if len(stack.values) > STACK_LIMIT:
                    raise _too_deep("nested too deeply", shop.source, token.start, "levels are open here")
                break
            _reduce(tables, rules[-1 - action], stack, shop)
    return None


def _reduce(tables: Tables, rule: Rule, stack: _Stack, shop: Workshop) -> None:
    size = len(stack.values) - rule.size
    start, end = (stack.starts[size], stack.ends[-1]) if rule.size else (0, 0)
    depth = max(stack.depths[size:], default=0)
    kids = [None if place < 0 else stack.values[size + place] for place in rule.layout]
    stack.cut(size)
    value: Any
    if rule.action == "":
        value = kids[0]
    elif rule.action == "*":
        value = kids[0] if isinstance(kids[0], _Run) else _Run(kids[:1])
        value.extend(kids[1:])
    else:
        if rule.action in EXPRESSIONS:
            depth = _deeper(depth, rule.action, Span(shop.source, start, end))
        value = ACTIONS[rule.action](shop, _spliced(kids), Span(shop.source, start, end))
    target = tables.states[stack.states[-1]][rule.name]
    stack.push(target, value, start, end, depth)


def _spliced(kids: list[Any]) -> list[Any]:
    flat: list[Any] = []
    for kid in kids:
        if isinstance(kid, _Run):
            flat.extend(kid)
        else:
            flat.append(kid)
    return flat


def _deeper(depth: int, action: str, span: Span) -> int:
    if depth < tree.DEPTH_LIMIT:
        return depth + 1
    title = "this chain of operators is too long" if action == "binary" else "nested too deeply"
    raise _too_deep(title, span.source, span.start, "levels begin here")


def _too_deep(title: str, source: Source, start: int, text: str) -> SeqError:
    hint = "give parts of it names of their own"
    place = Span(source, start, start + 1)
    return fail("S0108", title, place, f"more than {tree.DEPTH_LIMIT} {text}", hint=hint)


def _expected(tables: Tables, states: list[int]) -> frozenset[str]:
    """The kinds of token that could stand next."""
    candidates = [kind for kind in tables.states[states[-1]] if kind.isupper() or kind == "$END"]
    return frozenset(kind for kind in candidates if _fits(tables, states, kind))


def _fits(tables: Tables, states: list[int], kind: str) -> bool:
    trial = list(states)
    while True:
        action = tables.states[trial[-1]].get(kind)
        if action is None or action >= 0:
            return action is not None or (kind == "$END" and trial[-1] == tables.states[0]["start"])
        rule = tables.rules[-1 - action]
        del trial[len(trial) - rule.size :]
        trial.append(tables.states[trial[-1]][rule.name])


def _resume(
    tables: Tables, source: Source, stream: tuple[Token, ...], stopped: int, begun: int, stack: _Stack
) -> int:
    """The token to go on from, with the stack cut back to fit it; the last one where nothing is reliable."""
    body = _body(tables, stack)
    column = source.column_of(stack.starts[body]) if 0 < body < len(stack.starts) else 0
    for index in range(max(stopped, begun + 1), len(stream) - 1):
        token = stream[index]
        start = source.line_start(source.line_of(token.start))
        if source.text[start : token.start].strip():
            continue
        if token.kind in ITEMS and start == token.start:
            stack.cut(0)
            return index
        begins = token.kind in STATEMENTS or (token.kind == "NAME" and stream[index + 1].kind == "EQUAL")
        if body and begins and source.column_of(token.start) == column:
            stack.cut(body)
            return index
    return len(stream) - 1


def _body(tables: Tables, stack: _Stack) -> int:
    """How many symbols lie below the statement being read; 0 outside the bodies of models, cells and optimizers."""
    for size in range(len(stack.values), 0, -1):
        row = tables.states[stack.states[size]]
        if "INPUT" in row and "RBRACE" in row:
            return size
    return 0


def _time_indices(shop: Workshop) -> None:
    """`h[t-1]`: there are no time indices, unless somebody has defined a `t`."""
    if "t" in shop.defined:
        return
    for pick in shop.time_picks:
        index, value = pick.indices[0], pick.value.span.text
        hint = f"`{value}` is already the value of this step"
        if isinstance(index, tree.Binary) and index.operator == "-":
            hint = (
                f"the value of the last step is `prev {value}`; longer delays are `Delay(n)` in `std.cells`"
            )
        elif isinstance(index, tree.Binary):
            hint = "no step can read a later one; `reverse` turns a whole sequence round"
        place = Span(shop.source, index.span.start, index.span.end)
        shop.problem("S0115", "a value has no time index", place, "equations describe one instant", hint)


__all__ = ["SeqError", "parse"]
