"""Random Programs for the tests of passes, from a numpy generator: any seed gives a legal graph.

Values come from a small pool of types; a state may be followed by anything that does not need the whole of time.
"""

from __future__ import annotations

import numpy as np

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.lower.program import Program
from tests.numeric.hand_models import Maker

UNARY = ("neg", "tanh", "sigmoid", "sin", "softplus", "stop")
BINARY = ("add", "add", "sub", "mul", "mul", "maximum")
NUMBERS = (0.0, 1.0, -1.0, 2.0, 0.5)


class Grower:
    """Adds random operations. `whole` holds the values that no state may go on with."""

    def __init__(self, seed: int, smooth: bool) -> None:
        self.rng = np.random.default_rng(seed)
        self.smooth = smooth
        self.m = Maker()
        self.b = self.m.b
        self.whole: set[int] = set()
        self.pool: list[int] = []

    def choose(self, *options: int) -> int:
        return int(self.rng.choice(options if options else self.pool))

    def keep(self, value: int) -> None:
        """Put a value into the pool; it is whole if one of its arguments is."""
        for index in range(max(self.pool, default=-1) + 1, value + 1):
            if any(arg in self.whole for arg in self.b.args(index)):
                self.whole.add(index)
        if self.b.type(value).kind is Kind.REAL:
            self.pool.append(value)

    def leaves(self) -> list[int]:
        """Inputs, parameters, a hyper, and the states, whose numbers it returns."""
        m = self.m
        for value in (
            m.input("x", 2), m.input("y"), m.input("z", 2, once=True), m.param("w", 2), m.param("v"), m.hyper("k", 0.4),
        ):  # fmt: skip
            self.keep(value)
        states = []
        for place in range(int(self.rng.integers(0, 4))):
            state, prev = m.state(f"s{place}", *((2,) if self.rng.random() < 0.7 else ()))
            states.append(state)
            self.keep(prev)
        return states

    def grow(self) -> None:
        """One random operation."""
        b, kind = self.b, int(self.rng.integers(0, 10))
        x = self.choose()
        dims = b.type(x).dims
        if kind < 2:
            self.keep(b.add(str(self.rng.choice(UNARY if not self.smooth else UNARY[:-1])), x))
        elif kind < 6:
            self.binary(x)
        elif kind == 6:
            self.keep(b.select(b.lt(self.choose(), 0.3), x, self.choose()) if not self.smooth else b.sin(x))
        elif kind == 7 and dims:
            if self.rng.random() < 0.5:
                self.keep(b.pick(x, 0, (1,), True))
            else:
                self.keep(b.pick(b.concat(x, self.m.param("w", 2)), 0, (int(self.rng.integers(0, 3)), 3)))
        elif kind == 7:
            self.keep(b.stack(x, self.choose(*(each for each in self.pool if not b.type(each).dims))))
        elif kind == 8 and dims:
            W = self.m.param("M", 2, 2)
            self.keep(b.contract("ab,b->a", W, x) if self.rng.random() < 0.6 else b.contract("a,a->", x, x))
        else:
            self.shape(x)

    def binary(self, x: int) -> None:
        """Two values, or a value and a number on either side."""
        b, op = self.b, str(self.rng.choice(BINARY if not self.smooth else BINARY[:-1]))
        number = float(self.rng.choice(NUMBERS))
        way = int(self.rng.integers(0, 4))
        if way == 0:
            self.keep(b.binary(op, x, number))
        elif way == 1:
            self.keep(b.binary(op, number, x))
        else:
            self.keep(b.binary(op, x, self.choose()))

    def shape(self, x: int) -> None:
        """Broadcast, sum over something, or turn time round."""
        b, type = self.b, self.b.type(x)
        way = int(self.rng.integers(0, 4))
        if way == 0:
            self.keep(b.broadcast(x, Type(Kind.REAL, type.dims or (2,), STREAM)))
        elif way == 1 and type.dims:
            self.keep(b.reduce("sum", x))
        elif type.axes == STREAM:
            axes = (ONCE, NO_AXES)[int(self.rng.integers(0, 2))]
            found = b.mul(b.reduce("sum", x, (), axes), 0.1)
            self.whole.update((found, found - 1, found - 2))
            self.keep(found)
            self.whole.add(found)

    def program(self, size: int) -> Program:
        """A whole model."""
        b = self.b
        states = self.leaves()
        for _ in range(size):
            self.grow()
        for state in states:
            self.define(state)
        y = b.sin(b.plus(self.pool[-1], b.plus(self.pool[-2], self.choose())))
        self.m.roots["output.y"] = y
        every = b.broadcast(y, b.type(y).with_axes(STREAM))
        total = b.reduce("sum", every, axes=NO_AXES)
        self.m.roots["loss"] = b.mul(total, 0.1)
        self.m.roots["metric.mean"] = b.reduce("sum", self.m.mean(every, Axis.TIME, Axis.BATCH))
        return self.m.program()

    def define(self, state: int) -> None:
        """A start and a next of the right size."""
        b, dims = self.b, self.b.states[state].type.dims

        def fits(value: int, axes: frozenset[Axis]) -> bool:
            own = b.type(value)
            return own.dims in ((), dims) and own.axes <= axes and value not in self.whole

        firsts = [each for each in self.pool if fits(each, ONCE)]
        nexts = [each for each in self.pool if fits(each, STREAM)]
        number = b.const(float(self.rng.choice(NUMBERS)))
        first = self.choose(*firsts) if self.rng.random() < 0.6 else number
        next = self.choose(*nexts)
        if self.rng.random() < 0.2 and b.value(next).op != "prev":
            next = number
        b.define(state, first, b.sin(next) if b.value(next).op not in ("prev", "const") else next)


def random_program(seed: int, size: int = 14, smooth: bool = False) -> Program:
    """The Program of a seed. `smooth` leaves out what has kinks and what hides a gradient."""
    return Grower(seed, smooth).program(size)
