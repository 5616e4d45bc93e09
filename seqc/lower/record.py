"""Records: `key = value` from a closed table, with words of their own that are no values of the language.

`Reading` looks after keys, doubles and the nearest name; `train` and `deploy` say what each key holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from seqc.lower.body import Body
from seqc.lower.meaning import Number, Poisoned
from seqc.source.diagnostic import Collector, Label, SeqError, fail
from seqc.source.span import Span
from seqc.source.suggest import nearest
from seqc.syntax import tree

HABITS: Mapping[str, tuple[str, str]] = {
    "target": ("cpu", "the key is `cpu`"),
    "arch": ("cpu", "the key is `cpu`"),
    "march": ("cpu", "the key is `cpu`"),
    "precision": ("math", "the key is `math`"),
    "dtype": ("math", "the key is `math`"),
    "lr": ("update", "an optimizer takes it: `update = Adam(lr = 1e-3)`"),
    "optimizer": ("update", "the key is `update`"),
    "optimiser": ("update", "the key is `update`"),
    "bptt": ("window", "the key is `window`"),
    "frozen": ("freeze", "the key is `freeze`"),
    "epochs": ("update", "how long to train is said at the call"),
}
"""What people write who come from elsewhere: the key of the record where it may stand, and what to do."""


@dataclass(slots=True)
class Reading:
    """The bindings of one record by key; `title` names the record in messages."""

    title: str
    body: Body
    problems: Collector
    found: dict[str, tree.Binding] = field(default_factory=dict)

    def keys(self, bindings: Iterable[tree.Binding], known: tuple[str, ...]) -> None:
        """Sorts the bindings; what is not known is refused."""
        for binding in bindings:
            key = binding.name.text
            if key not in known:
                near = nearest(key, known)
                habit = HABITS.get(key)
                listed = ", ".join(f"`{each}`" for each in known)
                self.problems.add(
                    fail(
                        "S0601",
                        f"{self.title} has no key `{key}`",
                        binding.name.span,
                        "not a key",
                        notes=(f"its keys are {listed}",),
                        hint=f"did you mean `{near}`?"
                        if near
                        else habit[1]
                        if habit is not None and habit[0] in known
                        else None,
                    )
                )
            elif key in self.found:
                self.problems.add(
                    fail(
                        "S0202",
                        f"`{key}` is given twice",
                        binding.name.span,
                        "again here",
                        others=(Label(self.found[key].name.span, "first here"),),
                        hint="leave one of them out",
                    )
                )
            else:
                self.found[key] = binding

    def read(self, key: str, how: Callable[[tree.Expression], object], default: object) -> object:
        """The value of a key as `how` reads it; mistakes are collected."""
        binding = self.found.get(key)
        if binding is None:
            return default
        try:
            return how(binding.value)
        except SeqError as error:
            self.problems.add(error)
            return default
        except Poisoned:
            return default

    def integer(self, node: tree.Expression, what: str, least: int = 1) -> int:
        """A whole number."""
        meaning = self.body.shop.evaluate(self.body, node)
        value = meaning.value if isinstance(meaning, Number) else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise bad(what, node.span, "a whole number", hint=None)
        if not least <= value < 2**63:
            raise bad(what, node.span, f"at least {least}", text=f"is {value}")
        return value

    def word(self, node: tree.Expression, key: str, known: tuple[str, ...]) -> str:
        """One of a few words."""
        text = (
            node.name
            if isinstance(node, tree.Reference)
            else node.value
            if isinstance(node, tree.String)
            else None
        )
        listed = ", ".join(f"`{each}`" for each in known)
        if text is None:
            raise bad(f"`{key}`", node.span, f"one of {listed}")
        if text not in known:
            near = nearest(text, known) or next((each for each in known if each.startswith(text)), None)
            raise bad(
                f"`{key}`",
                node.span,
                f"one of {listed}",
                text=f"`{text}` is not",
                hint=f"did you mean `{near}`?" if near else None,
            )
        return text


def bad(
    what: str, span: Span, wanted: str, text: str = "found something else", hint: str | None = None
) -> SeqError:
    """S0602"""
    return fail("S0602", f"{what} takes {wanted}", span, text, hint=hint)


def several(node: tree.Expression) -> tuple[tree.Expression, ...]:
    """One thing, or the elements of a vector."""
    return node.items if isinstance(node, tree.Vector) else (node,)
