"""Programs built by hand, without the language: cells, losses and whole models for the tests of passes.

`Maker` collects parameters, inputs and hypers beside a builder and gives a Program; `MODELS` has one function per model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from seqc.flow.types import NO_AXES, ONCE, STREAM, Axis, Kind, Type
from seqc.lower.program import Clip, Hyper, Input, Parameter, Program, Rule, Train
from seqc.ops.build import Builder


class Maker:
    """A model in the making."""

    def __init__(self) -> None:
        self.b = Builder()
        self.parameters: list[Parameter] = []
        self.inputs: list[Input] = []
        self.hypers: list[Hyper] = []
        self.roots: dict[str, int] = {}
        self.rules: dict[str, Rule] = {}
        self.train: Train | None = None

    def param(self, name: str, *dims: int) -> int:
        """A parameter; each call is another leaf of it."""
        type = Type(Kind.REAL, dims)
        if all(each.name != name for each in self.parameters):
            self.parameters.append(Parameter(name, type, ("zeros",)))
        return self.b.add("param", type=type, name=name)

    def input(
        self,
        name: str,
        *dims: int,
        once: bool = False,
        kind: Kind = Kind.REAL,
        bound: int | None = None,
        target: bool = False,
        length: bool = False,
        default: bool = False,
    ) -> int:
        """An input or a target."""
        type = Type(kind, dims, ONCE if once else STREAM, bound)
        self.inputs.append(Input(name, type, target, length, default))
        return self.b.add("input", type=type, name=name)

    def hyper(self, name: str, value: float) -> int:
        """A hyper."""
        self.hypers.append(Hyper(name, Type(Kind.REAL), value))
        return self.b.add("hyper", type=Type(Kind.REAL), name=name)

    def state(
        self, name: str, *dims: int, kind: Kind = Kind.REAL, bound: int | None = None
    ) -> tuple[int, int]:
        """A state and its `prev`."""
        number = self.b.state(name, Type(kind, dims, STREAM, bound))
        return number, self.b.prev(number)

    def product(self, W: int, x: int) -> int:
        """W @ x."""
        return self.b.contract("hd,d->h", W, x)

    def gate(self, name: str, x: int, h: int, H: int) -> int:
        """W @ x + U @ h + b, as the language writes it."""
        b, D, K = self.b, self.b.type(x).dims[0], self.b.type(h).dims[0]
        first = b.plus(
            self.product(self.param(f"{name}.W", H, D), x), self.product(self.param(f"{name}.U", H, K), h)
        )
        return b.plus(first, self.param(f"{name}.b", H))

    def lstm(self, name: str, x: int, H: int) -> int:
        """An LSTM with learned initial states."""
        b = self.b
        h_state, h = self.state(f"{name}.h", H)
        c_state, c = self.state(f"{name}.c", H)
        i, f, o = (b.sigmoid(self.gate(f"{name}.{gate}", x, h, H)) for gate in "ifo")
        g = b.tanh(self.gate(f"{name}.g", x, h, H))
        c_next = b.plus(b.mul(f, c), b.mul(i, g))
        h_next = b.mul(o, b.tanh(c_next))
        b.define(c_state, self.param(f"{name}.c0", H), c_next)
        b.define(h_state, self.param(f"{name}.h0", H), h_next)
        return h_next

    def gru(self, name: str, x: int, H: int) -> int:
        """A GRU, reset after the product."""
        b = self.b
        state, h = self.state(f"{name}.h", H)
        r, z = (b.sigmoid(self.gate(f"{name}.{gate}", x, h, H)) for gate in "rz")
        inner = b.plus(self.product(self.param(f"{name}.U", H, H), h), self.param(f"{name}.bU", H))
        W = self.param(f"{name}.W", H, b.type(x).dims[0])
        n = b.tanh(b.plus(self.product(W, x), b.mul(r, inner)))
        h_next = b.plus(b.mul(b.sub(1.0, z), n), b.mul(z, h))
        b.define(state, b.const(0.0), h_next)
        return h_next

    def dense(self, name: str, x: int, H: int) -> int:
        """W @ x + b."""
        W = self.param(f"{name}.W", H, self.b.type(x).dims[0])
        return self.b.plus(self.product(W, x), self.param(f"{name}.b", H))

    def mean(self, x: int, *axes: Axis, where: int | None = None) -> int:
        """The mean over axes; with a bool that selects."""
        b, kept = self.b, self.b.type(x).axes - frozenset(axes)
        one = b.broadcast(b.const(1.0), b.type(x).with_axes(b.type(x).axes))
        if where is not None:
            x, one = b.select(where, x, 0.0), b.select(where, one, 0.0)
        total, count = b.reduce("sum", x, axes=kept), b.reduce("sum", one, axes=kept)
        none = b.eq(count, 0.0)
        return b.select(none, 0.0, b.div(total, b.select(none, 1.0, count)))

    def squared_loss(self, y: int) -> None:
        """The mean square of a stream against a target, as the loss; the stream as the output."""
        b = self.b
        goal = self.input("goal", *b.type(y).dims, target=True)
        miss = b.sub(y, goal)
        self.roots["output.y"] = y
        self.roots["loss"] = self.mean(b.mul(miss, miss), Axis.TIME, Axis.BATCH)
        if b.type(self.roots["loss"]).dims:
            self.roots["loss"] = b.reduce("sum", self.roots["loss"])

    def cross_entropy(self, z: int, k: int) -> int:
        """logsumexp(z) - z[k]."""
        b = self.b
        top = b.add("stop", b.reduce("max", z))
        total = b.reduce("sum", b.exp(b.sub(z, top)))
        return b.sub(b.plus(b.log(total), top), b.gather(z, k))

    def program(self) -> Program:
        """The Program, with its roots in the order of the contract."""
        order = ("output.", "loss", "metric.", "until", "default.")
        names = [name for prefix in order for name in self.roots if name.startswith(prefix)]
        flow = self.b.finish({name: self.roots[name] for name in names})
        causal = all(value.op != "reverse" for value in flow.values)
        return Program(
            "hand",
            flow,
            tuple(self.parameters),
            tuple(self.inputs),
            tuple(self.hypers),
            self.rules,
            self.train,
            (),
            causal,
        )


def stacked() -> Program:
    """Two LSTMs and a Dense over symbols, with cross entropy."""
    m = Maker()
    text = m.input("text", kind=Kind.INDEX, bound=5)
    following = m.input("next", kind=Kind.INDEX, bound=5, target=True)
    x = m.b.gather(m.param("table", 5, 3), text)
    z = m.dense("out", m.lstm("two", m.lstm("one", x, 4), 4), 5)
    m.roots["output.z"] = z
    m.roots["loss"] = m.mean(m.cross_entropy(z, following), Axis.TIME, Axis.BATCH)
    m.roots["metric.wrong"] = m.mean(
        m.b.cast(m.b.ne(m.b.add("argmax", z), following), Kind.REAL), Axis.TIME, Axis.BATCH
    )
    return m.program()


def gru() -> Program:
    """A GRU over real inputs."""
    m = Maker()
    m.squared_loss(m.dense("out", m.gru("g", m.input("x", 3), 4), 2))
    return m.program()


def closed_loop() -> Program:
    """An LSTM that pushes a point whose place it sees: one cycle, started from an input."""
    m = Maker()
    b = m.b
    start = m.input("start", 2, once=True)
    goal = m.input("aim", 2, once=True, target=True)
    state, x = m.state("x", 2)
    push = m.dense("out", m.lstm("one", x, 3), 1)
    y = b.plus(x, b.mul(b.stack(b.pick(x, 0, (1,), True), b.pick(b.sin(push), 0, (0,), True)), 0.1))
    b.define(state, start, y)
    m.roots["output.x"] = y
    miss = b.sub(y, goal)
    far = b.add("root", b.reduce("sum", b.mul(miss, miss)))
    over_time = b.add("root", b.reduce("sum", b.mul(far, far), axes=ONCE))
    steps = b.cast(b.add("steps", type=Type(Kind.INT)), Kind.REAL)
    m.roots["loss"] = m.mean(b.div(over_time, steps), Axis.BATCH)
    return m.program()


def ragged(both: bool = False) -> Program:
    """Sequences of different lengths with a masked loss, one-way or both ways."""
    m = Maker()
    b = m.b
    x = m.input("x", 3)
    m.input("n", once=True, kind=Kind.INT, length=True)
    tag = m.input("tag", kind=Kind.INDEX, bound=4, target=True)
    first = m.input("first", once=True, kind=Kind.INT, target=True)
    h = m.gru("ahead", x, 4)
    if both:
        back = b.reverse(m.lstm("back", b.reverse(x), 3))
        h = b.concat(h, back)
    z = m.dense("out", h, 4)
    step = b.add("step", type=Type(Kind.INT, (), STREAM))
    counted = b.le(first, step)
    m.roots["output.z"] = z
    m.roots["loss"] = m.mean(m.cross_entropy(z, tag), Axis.TIME, Axis.BATCH, where=counted)
    top = b.reduce("max", b.reduce("max", z), axes=ONCE)
    m.roots["metric.top"] = m.mean(top, Axis.BATCH)
    m.roots["metric.low"] = b.reduce("min", b.reduce("min", z), axes=NO_AXES)
    return m.program()


def both_ways() -> Program:
    """Ragged and bidirectional."""
    return ragged(both=True)


def last() -> Program:
    """The last step of a Leaky cell against one number per sequence; a state that only `final` reads."""
    m = Maker()
    b = m.b
    state, h = m.state("h", 4)
    g = b.tanh(m.gate("g", m.input("x", 2), h, 4))
    h_next = b.plus(h, b.mul(b.sigmoid(m.param("rate", 4)), b.sub(g, h)))
    b.define(state, m.param("h0", 4), h_next)
    end, _ = m.state("end", 4)
    b.define(end, b.const(0.0), h_next)
    guess = b.pick(m.dense("out", b.final(end), 1), 0, (0,), True)
    miss = b.sub(guess, m.input("y", once=True, target=True))
    m.roots["output.guess"] = guess
    m.roots["loss"] = m.mean(b.mul(miss, miss), Axis.BATCH)
    return m.program()


def odd_states() -> Program:
    """States that share a next, follow each other, hold, start from an input, or go on with a leaf or a sum."""
    m = Maker()
    b = m.b
    x, scale, rate = m.input("x", 2), m.param("scale", 2), m.hyper("rate", 0.3)
    one, p1 = m.state("one", 2)
    two, p2 = m.state("two", 2)
    three, p3 = m.state("three", 2)
    four, p4 = m.state("four", 2)
    five, p5 = m.state("five", 2)
    held, p6 = m.state("held", 2)
    shared = b.tanh(b.plus(b.mul(p1, scale), b.mul(b.mul(p2, x), rate)))
    b.define(one, m.param("start", 2), shared)
    b.define(two, m.input("begin", 2, once=True), shared)
    b.define(three, b.const(0.5), p1)
    b.define(four, scale, scale)
    b.define(five, scale, x)
    b.define(held, b.mul(m.param("start", 2), scale), p6)
    y = b.plus(b.plus(shared, b.mul(p3, p6)), b.plus(b.mul(p4, p5), b.plus(shared, b.mul(scale, rate))))
    m.squared_loss(b.plus(y, b.final(one)))
    return m.program()


def mixed() -> Program:
    """Structure operations, draws and a value over batch alone."""
    m = Maker()
    b = m.b
    x = m.input("x", 4)
    gain = m.input("gain", once=True)
    draw = b.add("draw", type=Type(Kind.REAL, (4,), STREAM), site=1)
    keep = b.cast(b.lt(draw, m.hyper("keep", 0.7)), Kind.REAL)
    training = b.add("training", type=Type(Kind.BOOL))
    x = b.select(training, b.mul(x, keep), x)
    parts = b.concat(b.pick(x, 0, (2, 0)), b.mul(b.pick(x, 0, (1, 3)), gain))
    square = b.reshape(b.concat(parts, m.param("more", 2)), (2, 3))
    turned = b.add("transpose", square, order=(1, 0))
    mixed_ = b.contract("ab,bc->ac", turned, m.param("mix", 2, 2))
    norm = b.add("root", b.reduce("sum", b.mul(mixed_, mixed_), (1,)))
    level = m.mean(norm, Axis.BATCH)
    soft = b.add("softplus", b.sub(norm, level))
    big = b.reduce("max", soft)
    y = b.plus(b.pow(b.plus(soft, 1.0), m.param("power")), b.maximum(big, 0.1))
    m.squared_loss(b.plus(y, b.add("atan", level)))
    return m.program()


def feedback() -> Program:
    """A generator: the input is what was said one step ago where the caller gives none."""
    m = Maker()
    b = m.b
    text = m.input("text", kind=Kind.INDEX, bound=5, default=True)
    following = m.input("next", kind=Kind.INDEX, bound=5, target=True)
    said, spoken = m.state("said", kind=Kind.INDEX, bound=5)
    z = m.dense("out", m.lstm("one", b.gather(m.param("table", 5, 3), text), 4), 5)
    best = b.add("argmax", z)
    b.define(said, b.const(0, Kind.INDEX), best)
    m.roots["output.said"] = best
    m.roots["loss"] = m.mean(m.cross_entropy(z, following), Axis.TIME, Axis.BATCH)
    m.roots["until"] = b.eq(best, b.const(4, Kind.INDEX))
    m.roots["default.text"] = spoken
    return m.program()


def sgd_rule(type: Type) -> Rule:
    """w - rate * m with m = 0.9 m + g, the rate falling with the number of updates."""
    b = Builder()
    w, g, m = (b.add("input", type=type, name=name) for name in ("w", "g", "m"))
    step = b.cast(b.add("step", type=Type(Kind.INT)), Kind.REAL)
    rate = b.div(b.add("hyper", type=Type(Kind.REAL), name="SGD.lr"), b.plus(step, 1.0))
    momentum = b.plus(b.mul(m, 0.9), g)
    start = b.const(0.0, Kind.REAL, type.dims)
    return Rule(
        "SGD", b.finish({"w": b.sub(w, b.mul(rate, momentum)), "m": momentum, "init.m": start}), ("m",)
    )


def trainable(how: str | None = "norm") -> Program:
    """The GRU with SGD, momentum and clipping; one parameter is frozen."""
    program = gru()
    rules = {each.name: sgd_rule(each.type) for each in program.parameters}
    hypers = (*program.hypers, Hyper("SGD.lr", Type(Kind.REAL), 0.1), Hyper("clip", Type(Kind.REAL), 0.5))
    train = Train(clip=None if how is None else Clip(how), freeze=("g.bU",))
    return replace(program, rules=rules, hypers=hypers, train=train)


MODELS: Mapping[str, Callable[[], Program]] = {
    "stacked": stacked,
    "gru": gru,
    "closed_loop": closed_loop,
    "ragged": ragged,
    "both_ways": both_ways,
    "last": last,
    "odd_states": odd_states,
    "mixed": mixed,
    "feedback": feedback,
    "trainable": trainable,
}
