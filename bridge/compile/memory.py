"""Where each activation lives: one arena, places reused once their values are dead.

Greedy by size (Pisarchyk and Lee, arXiv 2001.03288): the largest buffer first, each at the
lowest offset where nothing that lives at the same time overlaps it. TFLM's own planner is the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    Args:
        buffers: what needs a place; keys are unique.
        alignment: of every offset, in bytes.
    """
    placed: list[tuple[int, Buffer]] = []
    for buffer in sorted(buffers, key=lambda b: (-b.bytes, b.first, b.key)):
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
