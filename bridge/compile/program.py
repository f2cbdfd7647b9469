"""What the compile room hands to the firmware room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerPlan:
    """One layer as it was compiled.

    Attributes:
        name: the layer's name in the network.
        kind: TFLite's operator name.
        kernel: the C function that runs it.
        format: how its weights are stored (``dense``, or a sparse format's name).
        macs: dense multiply-accumulates of one inference.
        sparsity: share of zero weights, 0 to 1.
        weight_bytes: weights, biases and per-channel tables as stored.
        cycles: modelled by the planner, of one inference; None where no format was chosen.
        reason: why this kernel was chosen.
    """

    name: str
    kind: str
    kernel: str
    format: str = "dense"
    macs: int = 0
    sparsity: float = 0.0
    weight_bytes: int = 0
    cycles: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class CProgram:
    """A network in C.

    Attributes:
        prefix: what every generated name starts with; the header is ``<prefix>.h``.
        engine: ``c-sparse``, ``c-compact``, ``c-dense`` or ``c-float``.
        files: generated C11, by file name.
        defines: further compile definitions.
        library: which libraries it links: ``sparse_nn``, ``cmsis_nn``.
        arena_bytes: activations and scratch.
        scratch_bytes: the part of the arena that kernels use as scratch.
        weight_bytes: weights, biases and per-channel tables.
        layers: one entry an operator, in execution order.
    """

    prefix: str
    engine: str
    files: Mapping[str, str]
    defines: tuple[str, ...] = ()
    library: tuple[str, ...] = ("sparse_nn",)
    arena_bytes: int = 0
    scratch_bytes: int = 0
    weight_bytes: int = 0
    layers: tuple[LayerPlan, ...] = ()
    input_count: int = 1
    output_count: int = 1
