"""How large the sums of real weights can get, whatever the input: what kernels rely on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def extreme_sums(
    weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The least and the largest ``bias + sum of x * w`` of each row over all int8 inputs."""
    w = weights.astype(np.int64)
    positive = np.where(w > 0, w, 0).sum(axis=1)
    negative = -np.where(w < 0, w, 0).sum(axis=1)
    start = np.zeros(len(w), dtype=np.int64) if bias is None else bias.astype(np.int64)
    return start - 128 * positive - 127 * negative, start + 127 * positive + 128 * negative


def largest_sum(
    weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None = None
) -> npt.NDArray[np.int64]:
    """The largest ``|bias + sum of x * w|`` of each row over all int8 inputs."""
    lowest, highest = extreme_sums(weights, bias)
    worst: npt.NDArray[np.int64] = np.maximum(np.abs(lowest), np.abs(highest))
    return worst
