"""Cycles and running order: what is a scan, what runs across, which cycles are refused, and how deep a graph may be."""

from __future__ import annotations

from seqc.flow.order import Reason, components, faults, order, reachable
from seqc.flow.types import NO_AXES, STREAM, Flow, Kind, Type, Way
from seqc.ops.build import Builder

SCALAR = Type(Kind.REAL, (), STREAM)


def leaf(builder: Builder, name: str) -> int:
    return builder.add("input", type=SCALAR, name=name)


def shown(flow: Flow) -> list[tuple[str, tuple[int, ...]]]:
    """Each block as its way (`across` where there is none) and its states."""
    return [(block.way.value if block.way else "across", block.states) for block in order(flow)]


def recurrence(builder: Builder, source: int, way: Way = Way.FORWARD) -> int:
    """y = tanh(source + prev y)."""
    state = builder.state(f"s{len(builder.states)}", SCALAR, way)
    following = builder.tanh(builder.plus(source, builder.prev(state)))
    builder.define(state, builder.const(0.0), following)
    return following


def test_two_layers_are_two_scans_with_what_lies_between_across() -> None:
    builder = Builder()
    first = recurrence(builder, leaf(builder, "x"))
    second = recurrence(builder, builder.exp(first))
    flow = builder.finish({"y": builder.neg(second)})
    assert shown(flow) == [
        ("across", ()),
        ("forward", (0,)),
        ("across", ()),
        ("forward", (1,)),
        ("across", ()),
    ]


def test_both_ways_over_one_input_stand_next_to_each_other() -> None:
    builder = Builder()
    x = leaf(builder, "x")
    ahead, behind = recurrence(builder, x), recurrence(builder, x, Way.BACKWARD)
    flow = builder.finish({"y": builder.plus(ahead, behind)})
    assert shown(flow) == [("across", ()), ("forward", (0,)), ("backward", (1,)), ("across", ())]


def test_a_state_in_no_cycle_is_a_shift() -> None:
    builder = Builder()
    state = builder.state("d", SCALAR)
    builder.define(state, builder.const(0.0), leaf(builder, "x"))
    flow = builder.finish({"y": builder.prev(state)})
    assert shown(flow) == [("across", (0,))]


def test_two_states_that_need_each_other_are_one_scan() -> None:
    builder = Builder()
    a, b = builder.state("a", SCALAR), builder.state("b", SCALAR)
    following = builder.plus(builder.prev(a), builder.prev(b))
    builder.define(a, builder.const(0.0), builder.neg(following))
    builder.define(b, builder.const(1.0), builder.exp(following))
    flow = builder.finish({"y": builder.final(a)})
    assert ("forward", (0, 1)) in shown(flow)
    assert faults(flow) == ()


def test_a_second_reader_of_a_state_outside_its_cycle_runs_across() -> None:
    builder = Builder()
    state = builder.state("h", SCALAR)
    following = builder.tanh(builder.prev(state))
    builder.define(state, builder.const(0.5), following)
    late = builder.prev(state)
    flow = builder.finish({"y": late})
    scan = next(block for block in order(flow) if block.cyclic)
    assert late not in scan.values and shown(flow)[-1] == ("across", (0,))


def test_a_finished_sum_may_enter_another_loop_but_not_its_own() -> None:
    builder = Builder()
    first = recurrence(builder, leaf(builder, "x"))
    total = builder.reduce("sum", first, axes=NO_AXES)
    assert faults(builder.finish({"y": recurrence(builder, total)})) == ()

    builder = Builder()
    state = builder.state("h", SCALAR)
    total = builder.reduce("sum", builder.prev(state), axes=NO_AXES)
    builder.define(state, builder.const(0.0), builder.broadcast(total, SCALAR))
    (fault,) = faults(builder.finish({}))
    assert fault.value == total and fault.reason is Reason.WHOLE and fault.states == (0,)


def test_reverse_final_and_both_ways_in_one_cycle_are_refused() -> None:
    builder = Builder()
    state = builder.state("h", SCALAR)
    turned = builder.reverse(builder.prev(state))
    builder.define(state, builder.const(0.0), turned)
    (fault,) = faults(builder.finish({}))
    assert fault.value == turned and fault.reason is Reason.REVERSE

    builder = Builder()
    state = builder.state("h", SCALAR)
    end = builder.final(state)
    builder.define(state, builder.const(0.0), end)
    (fault,) = faults(builder.finish({}))
    assert fault.value == end and fault.reason is Reason.WHOLE

    builder = Builder()
    ahead, behind = builder.state("a", SCALAR), builder.state("b", SCALAR, Way.BACKWARD)
    builder.define(ahead, builder.const(0.0), builder.neg(builder.prev(behind)))
    builder.define(behind, builder.const(0.0), builder.neg(builder.prev(ahead)))
    (fault,) = faults(builder.finish({}))
    assert fault.reason is Reason.WAYS


def test_a_chain_of_twenty_thousand_values_needs_no_recursion() -> None:
    builder = Builder()
    state = builder.state("h", SCALAR)
    value = builder.prev(state)
    for _ in range(20_000):
        value = builder.neg(value)
    builder.define(state, builder.const(0.0), value)
    flow = builder.finish({"y": value})
    assert max(map(len, components(flow))) == 20_001
    assert sum(block.cyclic for block in order(flow)) == 1
    assert all(reachable(flow, [value]))


def test_the_blocks_hold_every_value_once_and_arguments_first() -> None:
    builder = Builder()
    x = leaf(builder, "x")
    y = recurrence(builder, builder.plus(recurrence(builder, x, Way.BACKWARD), recurrence(builder, x)))
    flow = builder.finish({"y": y})
    listed = [index for block in order(flow) for index in block.values]
    assert sorted(listed) == list(range(len(flow.values)))
    place = {index: position for position, index in enumerate(listed)}
    assert all(place[arg] < place[index] for index in listed for arg in flow.values[index].args)
    assert order(flow) == order(flow)
