"""What the dual-pixel formats prove of a layer, and what their kernels are told of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bridge.compile.formats import Weighted
from bridge.encode.bounds import extreme_sums
from bridge.encode.dual import EXACT, why_not_dual
from bridge.encode.finish import Finish, prove_finish
from bridge.encode.geometry import DualGeometry
from bridge.encode.streams import StreamError, fold_zero_point
from bridge.graph.model import Array


def provable_bias(
    matrix: npt.NDArray[np.int8], layer: Weighted, geometry: DualGeometry
) -> npt.NDArray[np.int32] | None:
    """The folded bias if every bound of the dual-pixel kernels is proved, else None."""
    try:
        bias = fold_zero_point(matrix, layer.bias, layer.input_zero_point)
    except StreamError:
        return None
    why = why_not_dual(matrix, bias, layer.multiplier, layer.shift, geometry)
    return None if why else bias


def finish_of(matrix: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], layer: Weighted) -> Finish:
    """How each channel of a layer is requantized."""
    lowest, highest = extreme_sums(matrix, bias)
    return prove_finish(layer.multiplier, layer.shift, lowest, highest, layer.output_zero_point)


def exact_channels(finish: Finish, layer: Weighted) -> int:
    """Channels that the kernels requantize the exact way.

    All where outputs may lie below the zero point: what is proved holds above it.
    """
    if not layer.rectified:
        return layer.target.c
    return int(np.count_nonzero(~finish.proved))


def dense_tables(bias: npt.NDArray[np.int32], finish: Finish, layer: Weighted) -> dict[str, Array]:
    """Bias and requantization as the dense kernels read them."""
    exact = np.where(finish.proved, 0, EXACT)
    return {
        "bias": bias,
        "multiplier": finish.multiplier,
        "shift": (-layer.shift + exact).astype(np.uint8),
    }
