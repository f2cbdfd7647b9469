"""Index patterns as loops of at most four dimensions.

An operator that only moves values is given as two arrays of indices, from and to; a loop is
derived from them and holds exactly where the indices do, whatever the operator was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
RANK = 4
MOST_COPIES = 32


@dataclass(frozen=True)
class Loop:
    """Nested loops over two sides.

    Attributes:
        size: four dimensions.
        strides: for each side the steps along them, in values.
        firsts: for each side its first index.
    """

    size: tuple[int, ...]
    strides: tuple[tuple[int, ...], tuple[int, ...]]
    firsts: tuple[int, int] = (0, 0)

    @property
    def contiguous(self) -> bool:
        """Whether one block is copied as it is."""
        flat = self.size[:-1] == (1,) * (RANK - 1)
        return flat and all(s[-1] == 1 or self.size[-1] == 1 for s in self.strides)


def indices(shape: Sequence[int]) -> Indices:
    """Every value's place in memory, under a tensor's shape."""
    return np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64).reshape(shape)


def copies(source: Indices, target: Indices) -> list[Loop] | None:
    """Loops that copy ``memory[source[i]]`` to ``memory[target[i]]`` for every i.

    Args:
        source: where values come from.
        target: where they go, of the same shape.

    Returns:
        One loop, or a few where there are too many dimensions; None where the indices don't
        follow strides.
    """
    if source.size == 0:
        return []
    loop = _loop(source, target)
    if loop is not None:
        return [loop]
    # Too many dimensions, or no strides along the first: one loop for each of its indices.
    while source.shape and source.shape[0] == 1:
        source, target = source[0], target[0]
    if not source.shape or source.shape[0] > MOST_COPIES:
        return None
    result: list[Loop] = []
    for part in range(source.shape[0]):
        found = copies(source[part], target[part])
        if found is None or len(result) + len(found) > MOST_COPIES:
            return None
        result += found
    return result


def broadcast(shape: Sequence[int], inputs: Sequence[Sequence[int]]) -> Loop | None:
    """The loop of an elementwise operator with two inputs; None beyond four dimensions."""
    sides = [
        np.broadcast_to(indices(s).reshape((1,) * (len(shape) - len(s)) + tuple(s)), shape)
        for s in inputs
    ]
    # The output is written in order, so that its own indices must merge as well.
    merged = _merge([*(_strides(side) for side in sides), _strides(indices(shape))], shape)
    if merged is None:
        return None
    size, strides = merged
    return Loop(size, (strides[0], strides[1]))


def _loop(source: Indices, target: Indices) -> Loop | None:
    strides = [_strides(source), _strides(target)]
    merged = _merge(strides, source.shape)
    if merged is None:
        return None
    size, (a, b) = merged
    loop = Loop(size, (a, b), (int(source.flat[0]), int(target.flat[0])))
    return loop if _covers(loop, source, target) else None


def _covers(loop: Loop, source: Indices, target: Indices) -> bool:
    grids = np.ogrid[tuple(slice(n) for n in loop.size)]
    return all(
        np.array_equal(
            np.broadcast_to(
                sum((g * s for g, s in zip(grids, strides, strict=True)), np.int64(first)),
                loop.size,
            ).reshape(-1),
            side.reshape(-1),
        )
        for side, strides, first in zip((source, target), loop.strides, loop.firsts, strict=True)
    )


def _strides(side: Indices) -> list[int]:
    """The step along each dimension, read off its first two values."""
    result = []
    for axis, size in enumerate(side.shape):
        second = [0] * side.ndim
        second[axis] = 1
        result.append(int(side[tuple(second)]) - int(side.flat[0]) if size > 1 else 0)
    return result


def _merge(
    strides: Sequence[Sequence[int]], shape: Sequence[int]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]] | None:
    """Join neighbouring dimensions that every side walks as one; None beyond four."""
    size: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, count in enumerate(shape):
        if count == 1:
            continue
        here = [s[axis] for s in strides]
        if size and all(step[-1] == s * count for step, s in zip(steps, here, strict=True)):
            size[-1] *= count
            for step, s in zip(steps, here, strict=True):
                step[-1] = s
        else:
            size.append(count)
            for step, s in zip(steps, here, strict=True):
                step.append(s)
    if len(size) > RANK:
        return None
    lead = RANK - len(size)
    return (1,) * lead + tuple(size), [(0,) * lead + tuple(s) for s in steps]
