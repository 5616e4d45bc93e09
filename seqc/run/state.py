"""State: what a model remembers between calls, as a value that can be read, set, copied, reset and saved.

A row that is *fresh* takes its initial values at its next step. Reading gives live read-only views; setting goes
through the state, which then knows that the row is no longer fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .arguments import count_of
from .arrays import convert, raw
from .engine import Array, Manifest, StateArrays
from .fault import BUSY, ModelError, unknown
from .layout import make_state
from .tensors import read_tensors, write_tensors

Result = TypeVar("Result")


class State:
    """Memory of `batch` rows; `single` means one sequence whose arrays have no batch axis."""

    def __init__(self, manifest: Manifest, batch: int | None = None) -> None:
        self._manifest = manifest
        self.single = batch is None
        self.batch = 1 if batch is None else batch
        self.arrays: StateArrays = make_state(manifest, self.batch)
        # One token, taken while a call runs: taking it is one atomic operation, also from C.
        self.gate: list[None] = [None]
        self.stepper: Callable[..., Any] | None = None
        self.owner: Any = None  # the model that made the stepper

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each["name"] for each in self._manifest["states"])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def _index(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            raise unknown("state", name, self.names) from None

    def __getitem__(self, name: str) -> Array:
        """A live view of one state's values; rows that are fresh hold nothing of meaning yet."""
        values = self.arrays.values[self._index(name)]
        view = values[0].view() if self.single and values.ndim > 1 else values.view()
        view.flags.writeable = False
        return view.reshape(()) if self.single and values.ndim == 1 else view

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def set(self, name: str, value: Any, rows: Sequence[int] | None = None) -> None:
        """Gives a state its values (all rows, or some); these rows are no longer fresh."""
        index = self._index(name)
        target = self.arrays.values[index]
        which = self._rows(rows)
        given = convert(value, name, target.dtype)
        shape = target.shape[1:] if self.single and rows is None else (len(which), *target.shape[1:])
        if given.shape != shape and given.ndim != 0:
            raise ModelError(f"state `{name}`: expected {list(shape)}, found {list(given.shape)}")

        def put() -> None:
            target[which] = given
            self.arrays.fresh[index][which] = 0

        self.using(put)

    def _rows(self, rows: Sequence[int] | None) -> Array:
        if rows is None:
            return np.arange(self.batch)
        which = convert(rows, "rows", np.dtype(np.int32)).reshape(-1)
        if which.size and (which.min() < 0 or which.max() >= self.batch):
            raise ModelError(f"rows: expected numbers from 0 to {self.batch - 1}, found {which.tolist()}")
        return which

    def reset(self, rows: Sequence[int] | None = None) -> None:
        """Makes rows fresh: they start anew, at step 0."""
        which = self._rows(rows)

        def clear() -> None:
            for fresh in self.arrays.fresh:
                fresh[which] = 1
            self.arrays.started[which] = 0

        self.using(clear)

    @property
    def started(self) -> Array:
        """How many steps each row has seen, read-only."""
        view = self.arrays.started.view()
        view.flags.writeable = False
        return view

    def fresh(self, name: str) -> Array:
        """Which rows will take their initial value of this state at the next step."""
        return self.arrays.fresh[self._index(name)].astype(np.bool_)

    def copy(self) -> State:
        """A state of its own with the same values."""
        other = State(self._manifest, None if self.single else self.batch)
        other.assign(self)
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> State:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        """For `pickle`: sizes and values, nothing of the library that steps it."""
        values = self.using(lambda: [each.copy() for each in self.flat()])
        return _revived, (self._manifest, None if self.single else self.batch, values)

    def head(self, rows: int) -> State:
        """A state of its own with the values of the first `rows` rows."""
        count = count_of(rows, "rows")
        if count > self.batch:
            raise ModelError(f"`rows`: expected a whole number from 1 to {self.batch}, found {count}")
        other = State(self._manifest, count)
        self.using(lambda: _fill(other.flat(), [own[:count] for own in self.flat()]))
        return other

    def assign(self, source: State) -> None:
        """Takes over the values of a state of the same model and batch."""
        if not isinstance(source, State):
            raise ModelError(f"expected a State, made by `model.state()`, found a {type(source).__name__}")
        if source.batch != self.batch or source.names != self.names:
            raise ModelError(f"expected a state of {self.batch} rows of the same model, found {source!r}")
        for name, mine, other in zip(self.names, self.arrays.values, source.arrays.values, strict=True):
            if mine.shape != other.shape or mine.dtype != other.dtype:
                expected, found = f"{mine.dtype} {list(mine.shape)}", f"{other.dtype} {list(other.shape)}"
                raise ModelError(
                    f"state `{name}`: expected {expected}, found {found}; expected a state of the same model"
                )
        self.using(lambda: source.using(lambda: _fill(self.flat(), source.flat())))

    def flat(self) -> list[Array]:
        """All arrays: values, fresh, started."""
        return [*self.arrays.values, *self.arrays.fresh, self.arrays.started]

    def using(self, work: Callable[[], Result]) -> Result:
        """What `work` gives, which has this state for itself: a second call at the same time is an error, not a race.

        Ctrl-C may strike behind every call, and in `__exit__` of a context manager: so the token moves within calls into
        C, and what was taken goes back in the first one behind the work.
        """
        held: list[None] = []
        try:
            try:
                held.extend(map(self.gate.pop, (0,)))
            except IndexError:
                text = "this state is in use by another thread; expected one call at a time"
                raise ModelError(text, BUSY) from None
            return work()
        finally:
            self.gate.extend(held)

    def tensors(self) -> dict[str, Array]:
        """Named arrays for a file."""
        named = {f"value.{name}": each for name, each in zip(self.names, self.arrays.values, strict=True)}
        named |= {f"fresh.{name}": each for name, each in zip(self.names, self.arrays.fresh, strict=True)}
        return named | {"started": self.arrays.started}

    def restore(self, tensors: dict[str, Array]) -> None:
        """Takes arrays as `tensors` gave them; all or nothing."""
        if not isinstance(tensors, Mapping):
            found_type = type(tensors).__name__
            raise ModelError(f"expected arrays by name, as `state.tensors()` gives, found a {found_type}")
        own = self.tensors()
        for name, array in own.items():
            value = tensors.get(name)
            found = None if value is None else raw(value, name)
            if found is None or found.shape != array.shape or found.dtype != array.dtype:
                shown = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
                raise ModelError(
                    f"saved state, `{name}`: expected {array.dtype} {list(array.shape)}, found {shown}"
                )
        if len(tensors) != len(own):
            raise unknown("state", next(name for name in tensors if name not in own), own)
        self.using(lambda: _fill(own.values(), [tensors[name] for name in own]))

    def save(self, path: str | Path) -> None:
        write_tensors(path, self.tensors(), {"kind": "state", "model": str(self._manifest["name"])})

    def load(self, path: str | Path) -> State:
        """Takes the values of a file that `save` wrote, and gives this state back."""
        self.restore(read_tensors(path)[0])
        return self

    def __repr__(self) -> str:
        rows = "one sequence" if self.single else f"{self.batch} rows"
        return f"State({self._manifest['name']}, {rows}, {', '.join(self.names) or 'nothing carried'})"


def _revived(manifest: Manifest, batch: int | None, values: list[Array]) -> State:
    """The state that was pickled."""
    state = State(manifest, batch)
    _fill(state.flat(), values)
    return state


def _fill(arrays: Iterable[Array], values: Iterable[Array]) -> None:
    for array, value in zip(arrays, values, strict=True):
        array[...] = value


def arrays_of(state: State | None) -> StateArrays | None:
    """What an engine takes."""
    return None if state is None else state.arrays
