"""Views that cost nothing: where each element of an ONNX tensor lies in a Keras tensor.

ONNX tensors are channels-first, Keras tensors channels-last. Instead of transposing, every
ONNX tensor (its *logical* shape, batch included and fixed to 1) carries an integer array of that
shape which names, for each element, its flat position in the *physical* Keras tensor (batch
left out). A reshape, transpose, flatten, slice or channel shuffle is then numpy on that array
and no operator at all. Only when an operator needs its input in a certain order is the array
looked at: mostly the order is there already, or the next layer's weights can be permuted
instead; what remains becomes slices or, last of all, a gather or transpose, which is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Value:
    """An ONNX tensor that lives in a Keras tensor.

    Attributes:
        tensor: the Keras tensor, [batch, physical shape].
        index: flat physical position of each logical element; shape is the ONNX shape.
    """

    tensor: Any
    index: Index

    @property
    def shape(self) -> tuple[int, ...]:
        """The ONNX shape, batch 1 included."""
        return self.index.shape

    @property
    def physical(self) -> tuple[int, ...]:
        """The Keras tensor's shape without the batch."""
        return tuple(int(d) for d in self.tensor.shape[1:])

    @property
    def whole(self) -> bool:
        """Whether every physical element appears exactly once."""
        size = int(np.prod(self.physical))
        return self.index.size == size and np.array_equal(
            np.sort(self.index, axis=None), np.arange(size)
        )


def straight(shape: tuple[int, ...], order: tuple[int, ...]) -> Index:
    """The index of a tensor whose physical axes are the logical ``shape`` taken in ``order``."""
    physical = tuple(shape[a] for a in order)
    return np.arange(int(np.prod(shape))).reshape(physical).transpose(np.argsort(order))


def channels_last(rank: int) -> tuple[int, ...]:
    """The order of logical axes that puts channels last: 4 → (0, 2, 3, 1)."""
    return (0, *range(2, rank), 1) if rank > 2 else tuple(range(rank))


def axis_order(index: Index) -> tuple[int, ...]:
    """The order of logical axes that follows the physical order; channels last where free."""
    default = channels_last(index.ndim)
    steps = {
        axis: abs(int(np.take(index, 1, axis).flat[0]) - int(index.flat[0]))
        for axis in range(index.ndim)
        if index.shape[axis] > 1
    }
    along = [axis for axis in default if axis in steps]
    if along == sorted(along, key=lambda a: -steps[a]):
        return default
    ranked = sorted(steps, key=lambda a: -steps[a])
    single = [a for a in range(index.ndim) if a not in steps]
    return tuple(single + ranked)


def is_free(target: Index, size: int) -> bool:
    """Whether a target needs nothing but a reshape of ``size`` physical elements."""
    return target.size == size and np.array_equal(target.ravel(), np.arange(size))


def last_axis_permutation(target: Index, size: int) -> npt.NDArray[np.int64] | None:
    """The permutation p with ``target[..., p]`` free, or None.

    Physical position j along the last axis then holds logical element ``p[j]``.
    """
    if target.size != size or target.size == 0:
        return None
    order = np.argsort(target.reshape(-1, target.shape[-1])[0], kind="stable")
    return order if is_free(target[..., order], size) else None


@dataclass(frozen=True)
class Box:
    """A grid of positions along each physical axis: what slices or gathers can take out."""

    axes: tuple[npt.NDArray[np.int64], ...]


def as_box(target: Index, physical: tuple[int, ...]) -> Box | None:
    """Take a target as a grid over the physical axes, or None if it is none."""
    coordinates = np.unravel_index(target.ravel(), physical)
    axes = []
    for position, c in enumerate(coordinates):
        if target.ndim == len(physical):  # axis by axis, so that positions may repeat
            corner = [slice(0, 1)] * target.ndim
            corner[position] = slice(None)
            axes.append(c.reshape(target.shape)[tuple(corner)].ravel())
        else:
            _, first = np.unique(c, return_index=True)
            axes.append(c[np.sort(first)])
    if int(np.prod([len(a) for a in axes])) != target.size:
        return None
    grid = np.arange(int(np.prod(physical))).reshape(physical)[np.ix_(*axes)]
    return Box(tuple(axes)) if np.array_equal(grid.ravel(), target.ravel()) else None


def strided(positions: npt.NDArray[np.int64]) -> tuple[int, int, int] | None:
    """``(begin, end, step)`` of an evenly rising list of positions, or None."""
    if len(positions) == 1:
        return int(positions[0]), int(positions[0]) + 1, 1
    step = int(positions[1] - positions[0])
    if step <= 0 or not np.all(np.diff(positions) == step):
        return None
    return int(positions[0]), int(positions[-1]) + 1, step


def as_transpose(target: Index, size: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """A reshape and then a permutation of axes that give the target, or None.

    Returns:
        the shape to give the physical tensor, and the permutation to apply to it.
    """
    if target.size != size:
        return None
    steps = []
    for axis in range(target.ndim):
        if target.shape[axis] == 1:
            steps.append(size)
        else:
            steps.append(int(np.take(target, 1, axis).flat[0]) - int(target.flat[0]))
    if any(s <= 0 for s in steps):
        return None
    order = sorted(range(target.ndim), key=lambda a: -steps[a])
    shape = tuple(target.shape[a] for a in order)
    permutation = tuple(int(p) for p in np.argsort(order))
    built = np.arange(size).reshape(shape).transpose(permutation)
    return (shape, permutation) if np.array_equal(built, target) else None
