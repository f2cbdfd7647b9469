"""Where each activation lives: one arena, places reused once their values are dead.

Greedy by size (Pisarchyk and Lee, arXiv 2001.03288) as TFLM's own planner: the largest buffer
first, each at the lowest offset where nothing that lives at the same time overlaps it. Where that
leaves gaps, other orders are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

ALIGNMENT = 16


@dataclass(frozen=True)
class Buffer:
    """Memory that is needed during some steps.

    Attributes:
        key: what it is, for the caller.
        bytes: its size.
        first: the first step that uses it.
        last: the last step that uses it.
    """

    key: str
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets into the arena.

    Attributes:
        offsets: bytes from the arena's start, by the buffers' keys.
        size: bytes of the whole arena.
    """

    offsets: dict[str, int]
    size: int


def plan_memory(buffers: Sequence[Buffer], *, alignment: int = ALIGNMENT) -> MemoryPlan:
    """Place buffers so that no two that live at the same time overlap.

    Several orders are tried, then exchanges of neighbours in the best one, until the arena is as
    small as what lives at once or nothing helps. The result depends on the buffers alone.

    Args:
        buffers: what needs a place; keys are unique.
        alignment: of every offset, in bytes.
    """
    least = peak(buffers, alignment)
    orders = [sorted(buffers, key=key) for key in _ORDERS]
    best, order = min(
        ((_place(order, alignment), order) for order in orders), key=lambda found: found[0].size
    )
    random = Random(0)
    for _ in range(_EXCHANGES if len(buffers) > 2 else 0):
        if best.size <= least:
            break
        trial = list(order)
        first, second = random.sample(range(len(trial)), 2)
        trial.insert(second, trial.pop(first))
        plan = _place(trial, alignment)
        if plan.size <= best.size:
            best, order = plan, trial
    return best


def peak(buffers: Sequence[Buffer], alignment: int = ALIGNMENT) -> int:
    """The most bytes that live at once: no arena can be smaller."""
    return max(
        (
            sum(_align(b.bytes, alignment) for b in buffers if b.first <= at.first <= b.last)
            for at in buffers
        ),
        default=0,
    )


_EXCHANGES = 400

# The first is that of Pisarchyk and Lee; none is best for every network.
_ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda b: (-b.bytes, b.first, b.last),
    lambda b: (b.first - b.last, -b.bytes, b.first),
    lambda b: (b.first, -b.bytes, b.last),
    lambda b: (-b.last, -b.bytes, b.first),
)


def _place(order: Sequence[Buffer], alignment: int) -> MemoryPlan:
    """Each buffer in turn at the lowest offset where no rival stands."""
    placed: list[tuple[int, Buffer]] = []
    for buffer in order:
        rivals = sorted(
            (offset, offset + other.bytes)
            for offset, other in placed
            if other.first <= buffer.last and buffer.first <= other.last
        )
        offset = 0
        for start, stop in rivals:
            if offset + buffer.bytes <= start:
                break
            offset = max(offset, _align(stop, alignment))
        placed.append((offset, buffer))
    size = max((offset + buffer.bytes for offset, buffer in placed), default=0)
    offsets = {buffer.key: offset for offset, buffer in placed}
    return MemoryPlan(offsets, _align(size, alignment))


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
