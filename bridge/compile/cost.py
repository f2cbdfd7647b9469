"""What a kernel costs: closed form, one number for each thing that it does, fitted per core.

A format says how often its kernel does what costs time (``Stored.work``): entries of a tile,
packed words, channels … :data:`CYCLES` holds the cycles of each, fitted to counts of the emulated
cores by ``python -m bridge.bench.kernel_fit``, which also prints how far off the fit is. Cycles
are modelled (``bridge.emulate.timing``); no silicon.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.compile.cost_table import CYCLES, FIT_ERROR

UNFITTED: Mapping[str, Mapping[str, float]] = {
    "pointwise": {"blocks": 30.0, "chunks": 6.0, "groups": 115.0, "inputs": 20.0, "pairs": 100.0},
    "1x4-vector": {"batches": 12.0, "inputs": 0.5, "outputs": 35.0, "layers": 150.0},
}
"""Estimates for formats that the table does not hold yet, from the kernels' instructions."""


def cycles(name: str, core: str, work: Mapping[str, float]) -> float:
    """Modelled cycles of one inference of a layer.

    Args:
        name: the format.
        core: for example ``cortex-m4``; a core without a fit is judged by the Cortex-M4's.
        work: how often the kernel does what.
    """
    table = CYCLES.get(core, CYCLES["cortex-m4"])
    costs = table.get(name) or CYCLES["cortex-m4"].get(name) or UNFITTED[name]
    return sum(costs.get(what, 0.0) * times for what, times in work.items())


def fit_error(name: str, core: str) -> float | None:
    """The largest relative error of the fit on the layers it was made from, if there is one."""
    return FIT_ERROR.get(core, {}).get(name)
