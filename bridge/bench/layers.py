"""Layer by layer: what the planner chose, what it costs against dense, where sparsity pays.

Cycles here are the planner's own closed form (``bridge.compile.cost``), which is fitted to
counts of the emulated cores; instructions, where a bench ran, are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bridge.bench.row import Row
from bridge.graph import Graph
from bridge.graph.model import Array, Operator

if TYPE_CHECKING:
    from bridge.compile.choose import Candidate
    from bridge.compile.formats import Weighted

SWEEP = (0.0, 0.25, 0.5, 0.625, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
SWEPT_LAYERS = 6
SWEPT_SCRATCH = 16 * 1024
SWEPT_WEIGHTS = 70_000
"""Larger layers are left out of the sweep: packing them in every format takes too long."""


@dataclass(frozen=True)
class LayerLine:
    """One operator that takes time.

    Attributes:
        name: in the network.
        kind: TFLite's operator name.
        kernel: the C function of ``c-sparse``.
        format: how its weights are stored; empty without weights.
        reason: why.
        sparsity: share of zero weights; None without weights.
        macs: dense multiply-accumulates.
        bytes: constants as stored.
        dense_bytes: those of the fastest dense kernel, ours or CMSIS-NN's.
        cycles: modelled, of the chosen kernel; None without weights.
        dense_cycles: of the fastest dense kernel.
        instructions: counted, engine → instructions, as far as the bench ran.
    """

    name: str
    kind: str
    kernel: str
    format: str
    reason: str
    sparsity: float | None
    macs: int
    bytes: int
    dense_bytes: int
    cycles: float | None
    dense_cycles: float | None
    instructions: dict[str, int]


def layer_lines(graph: Graph, core: str, rows: Sequence[Row]) -> list[LayerLine]:
    """Every operator that runs code, in execution order.

    Raises:
        BridgeError: plain C does not cover the network.
    """
    from bridge.compile.budget import lower_within
    from bridge.compile.choose import candidates
    from bridge.compile.formats import COMFORTABLE_SCRATCH
    from bridge.compile.lower import lower
    from bridge.compile.target import Target
    from bridge.compile.weighted import CHOOSABLE

    steps = lower_within(graph, Target("c-sparse", core))
    dense = lower(graph, Target("c-dense", core))
    scratch = max([COMFORTABLE_SCRATCH, *(step.scratch for step in steps)])
    lines = []
    for operator, ours, theirs in zip(graph.operators, steps, dense, strict=True):
        plan = ours.plan
        if not plan.kernel:
            continue
        weighted = operator.kind in CHOOSABLE
        best = plain = None
        dense_bytes = theirs.plan.weight_bytes
        if weighted:
            layer = _layer(graph, operator, core)
            best = plan.cycles
            plain, dense_bytes = fastest_dense(layer, candidates(layer, scratch), dense_bytes)
        lines.append(
            LayerLine(
                plan.name,
                plan.kind,
                plan.kernel,
                plan.format if weighted else "",
                plan.reason if weighted else "",
                plan.sparsity if weighted else None,
                plan.macs,
                plan.weight_bytes,
                dense_bytes,
                best,
                plain,
                _instructions(plan.name, core, rows),
            )
        )
    return lines


def _layer(graph: Graph, operator: Operator, core: str) -> Weighted:
    """A weighted operator as ``c-sparse`` compiles it."""
    from bridge.compile.dead import settle_dead_channels
    from bridge.compile.weighted import read_weighted

    return settle_dead_channels(read_weighted(graph, operator, core))


def fastest_dense(
    layer: Weighted, found: Sequence[Candidate], cmsis_bytes: int = 0
) -> tuple[float, int]:
    """The fastest dense kernel for a layer, ours or CMSIS-NN's: its modelled cycles, its bytes.

    Args:
        layer: the layer.
        found: the formats that can run it.
        cmsis_bytes: what CMSIS-NN's kernel reads.
    """
    from bridge.compile.choose import DENSE
    from bridge.compile.cmsis_cost import cmsis_cycles

    ours = [(candidate.cycles, candidate.bytes) for candidate in found if candidate.format in DENSE]
    return min([*ours, (cmsis_cycles(layer), cmsis_bytes)])


def _instructions(name: str, core: str, rows: Sequence[Row]) -> dict[str, int]:
    found = {}
    for row in rows:
        if row.core == core:
            for count in row.layer_instructions:
                if count.layer == name:
                    found[row.engine] = count.instructions
    return found


@dataclass(frozen=True)
class Crossover:
    """One layer at other sparsities.

    Attributes:
        name: the layer.
        kind: TFLite's operator name.
        sparsity: its own share of zeros.
        speedup: (sparsity, cycles of the best dense kernel over those of the best sparse one).
        pays_from: the sparsity from which a sparse kernel is faster; None where it never is.
        speedup_here: at the layer's own sparsity.
    """

    name: str
    kind: str
    sparsity: float
    speedup: tuple[tuple[float, float], ...]
    pays_from: float | None
    speedup_here: float


def crossovers(graph: Graph, core: str) -> list[Crossover]:
    """The layers with most multiply-accumulates, swept over sparsity with their own weights.

    Above its own sparsity a layer loses its smallest weights; below, zeros are filled with
    random values: what counts for speed is where the zeros are, not what the others hold.

    Raises:
        BridgeError: a layer's weights can't be read.
    """
    from bridge.compile.weighted import CHOOSABLE

    layers = [
        (operator, _layer(graph, operator, core))
        for operator in graph.operators
        if operator.kind in CHOOSABLE and operator.kind != "DEPTHWISE_CONV_2D"
    ]
    small = [pair for pair in layers if pair[1].weights.size <= SWEPT_WEIGHTS]
    chosen = sorted(small, key=lambda pair: -pair[1].macs)[:SWEPT_LAYERS]
    result = []
    for operator, layer in sorted(chosen, key=lambda pair: pair[0].index):
        draw = np.random.default_rng(operator.index)
        order = _order(layer.weights, draw)
        filled = np.where(layer.weights == 0, draw.integers(1, 3, layer.weights.shape), 0)
        full = layer.weights + filled.astype(np.int8)
        points = []
        for share in sorted({*SWEEP, round(layer.sparsity, 4)}):
            weights = full.copy()
            weights.ravel()[order[: round(share * full.size)]] = 0
            points.append((share, _speedup(replace(layer, weights=weights))))
        known = [(share, speed) for share, speed in points if speed is not None]
        if known:
            here = min(known, key=lambda p: abs(p[0] - layer.sparsity))[1]
            pays_from = crossing([(share, speed - 1) for share, speed in known])
            result.append(
                Crossover(
                    operator.name, operator.kind, layer.sparsity, tuple(known), pays_from,
                    here,
                )
            )  # fmt: skip
    return result


def _order(weights: Array, draw: np.random.Generator) -> Array:
    """Indices from the weight to lose first to the last; the zeros that are there come first."""
    noise = draw.random(weights.size)
    order: Array = np.lexsort((noise, np.abs(weights.astype(np.int16)).ravel()))
    return order


def _speedup(layer: Weighted) -> float | None:
    from bridge.compile.choose import DENSE, candidates

    found = candidates(layer, SWEPT_SCRATCH)
    dense, _ = fastest_dense(layer, found)
    sparse = min((c.cycles for c in found if c.format not in DENSE), default=0.0)
    return dense / sparse if dense and sparse else None


def crossing(points: Sequence[tuple[float, float]]) -> float | None:
    """Where a gain that grows with sparsity is first no loss, linear between the points.

    Args:
        points: (sparsity, gain), by sparsity; a gain is above 0, a loss below.

    Returns:
        The sparsity, or None where it is a loss everywhere.
    """
    before: tuple[float, float] | None = None
    for share, gain in points:
        if gain >= 0:
            if before is None:
                return share
            part = before[1] / (before[1] - gain)
            return before[0] + part * (share - before[0])
        before = share, gain
    return None
