"""The order in which a pass rebuilds values when it adds dependencies that the old order does not respect.

Takes functions that give what a value needs before it; gives the values that are wanted, each behind its needs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

from seqc.ops.op import FlowError

Sources = Callable[[int], tuple[int, ...]]


def running_order(
    count: int, wanted: Sequence[int], needs: Sources, behind: Sources = lambda index: ()
) -> list[int]:
    """All values that the wanted ones depend on, each after what it `needs`; otherwise in the old order."""
    found = [False] * count
    todo = list(wanted)
    while todo:
        index = todo.pop()
        if not found[index]:
            found[index] = True
            todo.extend((*needs(index), *behind(index)))
    waiting = [0] * count
    users: list[list[int]] = [[] for _ in range(count)]
    for index in (index for index in range(count) if found[index]):
        before = set(needs(index))
        waiting[index] = len(before)
        for other in sorted(before):
            users[other].append(index)
    ready = [index for index in range(count) if found[index] and not waiting[index]]
    heapq.heapify(ready)
    result = []
    while ready:
        index = heapq.heappop(ready)
        result.append(index)
        for user in users[index]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, user)
    if len(result) != sum(found):
        raise FlowError("a default or a held state needs itself within one step")
    return result
