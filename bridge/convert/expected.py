"""What pruning may gain at each layer, told before any time goes into fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.convert.blocks import masked
from bridge.convert.lift.builder import Array
from bridge.convert.prune import Target, kernel_of
from bridge.convert.ranges import rectified


@dataclass(frozen=True)
class Gain:
    """Modelled cost of one layer on one core, dense and pruned.

    Attributes:
        name: the layer.
        sparsity: its target.
        dense_cycles: of the fastest dense kernel, one inference.
        sparse_cycles: of the fastest kernel for the pruned weights (dense ones included).
        dense_bytes: weights and tables.
        sparse_bytes: of the chosen format.
        format: which one that is.
    """

    name: str
    sparsity: float
    dense_cycles: float
    sparse_cycles: float
    dense_bytes: int
    sparse_bytes: int
    format: str

    def __str__(self) -> str:
        speed = self.dense_cycles / max(self.sparse_cycles, 1.0)
        return (
            f"{self.name} at {self.sparsity:.2f}: expect {speed:.1f}× the speed "
            f"({self.dense_cycles / 1e3:.0f} → {self.sparse_cycles / 1e3:.0f} thousand cycles), "
            f"{self.dense_bytes:,} → {self.sparse_bytes:,} B ({self.format})"
        )


def expected(model: Any, targets: Sequence[Target], pattern: str, core: str) -> list[Gain]:
    """Modelled gains of every layer that is to be pruned, on plain C's kernels.

    Args:
        pattern: which weights become zero together (see ``ConvertOptions``).
    """
    gains = []
    for target in targets:
        layer = model.get_layer(target.name)
        if not target.sparsity or not _planned(layer):
            continue
        kernel = kernel_of(layer)
        pruned = masked(kernel, target.sparsity, pattern)
        before, after = (_weighted(layer, k, core) for k in (kernel, pruned))
        gains.append(_gain(target.name, target.sparsity, before, after))
    return gains


def expected_smaller(model: Any, smaller: Any, core: str) -> list[Gain]:
    """The same where whole filters were removed: each layer that lost filters or inputs."""
    gains = []
    for layer in smaller.layers:
        if not _planned(layer):
            continue
        old = model.get_layer(layer.name)
        share = 1 - kernel_of(layer).size / kernel_of(old).size
        if share:
            before = _weighted(old, kernel_of(old), core)
            gains.append(_gain(layer.name, share, before, _weighted(layer, kernel_of(layer), core)))
    return gains


def _planned(layer: Any) -> bool:
    """Whether the planner chooses among formats for such a layer."""
    return type(layer).__name__ in ("Conv2D", "Dense")


def _gain(name: str, sparsity: float, before: Any, after: Any) -> Gain:
    from bridge.compile.choose import DENSE, candidates

    dense = min((c for c in candidates(before) if c.format in DENSE), key=lambda c: c.cycles)
    best = min(candidates(after), key=lambda c: c.cycles)
    return Gain(name, sparsity, dense.cycles, best.cycles, dense.bytes, best.bytes, best.format)


def _weighted(layer: Any, kernel: Array, core: str) -> Any:
    """A Keras layer as the planner sees it, with weights rounded to int8."""
    from bridge.compile.formats import Weighted
    from bridge.compile.steps import Shape, Window

    scale = max(float(np.abs(kernel).max()), 1e-9) / 127
    values = np.round(kernel / scale).astype(np.int8)
    out = values.shape[-1]
    table = np.full(out, 1 << 30, np.int32)
    if type(layer).__name__ == "Dense":
        weights = values.T.reshape(out, 1, 1, values.shape[0])
        source, target = Shape(1, 1, values.shape[0]), Shape(1, 1, out)
        window, groups, kind = Window(1, 1, 1, 1, 1, 1, 0, 0), 1, "FULLY_CONNECTED"
    else:
        weights = values.transpose(3, 0, 1, 2)
        source = Shape(*(int(d) for d in layer.input.shape[1:]))
        target = Shape(*(int(d) for d in layer.output.shape[1:]))
        pads = [0, 0]
        if layer.padding == "same":
            for i, (n, m) in enumerate(((source.h, target.h), (source.w, target.w))):
                reach = (layer.kernel_size[i] - 1) * layer.dilation_rate[i] + 1
                pads[i] = max((m - 1) * layer.strides[i] + reach - n, 0) // 2
        kernel_h, kernel_w = layer.kernel_size
        stride_h, stride_w = layer.strides
        dilation_h, dilation_w = layer.dilation_rate
        window = Window(
            kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pads[0], pads[1]
        )
        groups, kind = layer.groups, "CONV_2D"
    return Weighted(
        kind=kind,
        weights=np.ascontiguousarray(weights),
        bias=np.zeros(out, np.int32),
        input_zero_point=-128,
        source=source,
        target=target,
        window=window,
        groups=groups,
        core=core,
        multiplier=table,
        shift=np.full(out, -8, np.int32),
        output_zero_point=-128 if rectified(layer) else 0,
    )
