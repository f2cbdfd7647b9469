"""What a kernel costs: closed form, one number for each thing that it does, fitted per core.

A format says how often its kernel does what costs time (``Stored.work``): entries of a tile,
packed words, channels … :data:`FIT` holds the cycles of each, fitted to counts of the emulated
cores by ``python -m bridge.bench.kernel_fit``, which also prints how far off the fit is. Cycles
are modelled (``bridge.emulate.timing``); no silicon.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.compile.fits import KERNELS, read_fit

FIT = read_fit(KERNELS)


def cycles(name: str, core: str, work: Mapping[str, float]) -> float:
    """Modelled cycles of one inference of a layer.

    Args:
        name: the format.
        core: for example ``cortex-m4``; a core without a fit is judged by the Cortex-M4's.
        work: how often the kernel does what.
    """
    plain = FIT.cycles["cortex-m4"]
    costs = FIT.cycles.get(core, plain).get(name) or plain[name]
    return sum(costs.get(what, 0.0) * times for what, times in work.items())


def fit_error(name: str, core: str) -> float | None:
    """The largest relative error of the fit on the layers it was made from, if there is one."""
    return FIT.errors.get(core, {}).get(name)
