"""Requantization in one multiplication and one shift, where it is proved to give TFLite's bytes.

TFLite rounds twice: ``x = round(sum * m / 2**31)``, ties upwards, then ``round(x / 2**e)``, ties
away from zero. Above the output's zero point an output is a step function of the sum, so all of it
is where its steps are. The kernels compute

    (offset + (sum * 2**room * multiplier >> 32)) >> unit

with ``multiplier = m >> (e - 5)``. Its steps are those of TFLite for nearly every ``m``, and for
the others one may choose a neighbour; here every step is compared, channel by channel. What the
sum gains between the two roundings is in the offset, see :func:`more_offset`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bridge.encode.streams import frozen

Integers = npt.NDArray[np.int64]

ROOM, POINTWISE_ROOM = 9, 8
"""Bits below a sum: of dual-pixel accumulators, and of the pointwise kernel's."""
ABOVE_ROOM = 4
"""``unit - room``; it makes the multiplier the same whatever the room."""
LEAST_SHIFT, MOST_SHIFT = 5, 22
"""A smaller right shift leaves no room for the multiplier's bits."""
NEIGHBOURS = (0, 1, -1, 2, -2)


@dataclass(frozen=True, eq=False)
class Finish:
    """How the outputs of a layer are requantized.

    Attributes:
        multiplier: int32, Q31; where ``proved``, one whose upper bits give TFLite's outputs.
        proved: bool, which channels may be requantized the fast way.
    """

    multiplier: npt.NDArray[np.int32]
    proved: npt.NDArray[np.bool_]

    def cut(self, shift: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The multipliers as they are multiplied with, where proved."""
        return self.multiplier >> np.clip(-shift - LEAST_SHIFT, 0, MOST_SHIFT)


def prove_finish(
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.int32],
    lowest: Integers,
    highest: Integers,
    zero_point: int,
    *,
    room: int = ROOM,
) -> Finish:
    """Find the channels that the fast way gives TFLite's outputs for.

    Args:
        multiplier: Q31, at least 2^30.
        shift: TFLite's; negative is to the right.
        lowest: the least sum of each channel that any input gives, bias included.
        highest: the largest.
        zero_point: of the output; outputs below it are clamped to it, whatever is computed.
        room: of the kernel.
    """
    exact = multiplier.astype(np.int64)[:, None]
    right = -shift.astype(np.int64)[:, None]
    fits = (right[:, 0] >= LEAST_SHIFT) & (right[:, 0] <= MOST_SHIFT)
    fits &= (lowest >= -(2 ** (31 - room))) & (highest < 2 ** (31 - room) - 2)
    right = np.clip(right, LEAST_SHIFT, MOST_SHIFT)
    steps = np.arange(1, 128 - zero_point, dtype=np.int64)[None, :]
    wanted = _reachable(_tflite_steps(steps, exact, right), lowest, highest)
    cut = right - LEAST_SHIFT
    nearest = (exact + (1 << cut >> 1)) >> cut
    found, proved = exact[:, 0].copy(), np.zeros(len(exact), dtype=np.bool_)
    for neighbour in NEIGHBOURS:
        tried = np.maximum(nearest + neighbour, 1)
        stored = (tried << cut)[:, 0]
        given = _reachable(_fast_steps(steps, tried, right, room), lowest, highest)
        good = fits & ~proved & np.all(given == wanted, axis=1)
        good &= (stored >= 2**30) & (stored < 2**31)
        found[good] = stored[good]
        proved |= good
    return Finish(frozen(found.astype(np.int32)), frozen(proved))


def more_offset(right: Integers, room: int) -> Integers:
    """What the fast way's offset has beside half a unit and the zero point: half a bit of ``x``."""
    return np.int64(1 << (room + ABOVE_ROOM - 1)) >> right


def _tflite_steps(steps: Integers, multiplier: Integers, right: Integers) -> Integers:
    """The least sum whose output is each number of steps above the zero point."""
    high = (steps << right) - (1 << right >> 1)
    return _divide_up((high << 31) - (1 << 30), multiplier)


def _fast_steps(steps: Integers, multiplier: Integers, right: Integers, room: int) -> Integers:
    """The same for the fast way; ``multiplier`` as it is multiplied with."""
    unit = room + ABOVE_ROOM
    value = (steps << unit) - (1 << (unit - 1)) - more_offset(right, room)
    return _divide_up(value << (32 - room), multiplier)


def _divide_up(value: Integers, by: Integers) -> Integers:
    return -(-value // by)


def _reachable(steps: Integers, lowest: Integers, highest: Integers) -> Integers:
    """Steps that no input reaches are all one: always or never passed."""
    return np.clip(steps, lowest[:, None], highest[:, None] + 1)
