"""Fitted costs: cycles of what kernels do, by core and kernel, kept as JSON beside this module.

``python -m bridge.bench.kernel_fit`` and ``python -m bridge.bench.cmsis_fit`` fit them to counts
of the emulated cores and write them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bridge.bundle import write_atomic

KERNELS, CMSIS_NN = "kernels", "cmsis_nn"


@dataclass(frozen=True)
class Fit:
    """What the kernels of one library cost.

    Attributes:
        of: the library and its version.
        cycles: core → kernel or format → what it does → cycles of one.
        errors: core → kernel or format → largest relative error on the layers of the fit.
    """

    of: str
    cycles: Mapping[str, Mapping[str, Mapping[str, float]]]
    errors: Mapping[str, Mapping[str, float]]


def read_fit(name: str) -> Fit:
    """The fit called :data:`KERNELS` or :data:`CMSIS_NN`."""
    return Fit(**json.loads(_file(name).read_text()))


def write_fit(name: str, fit: Fit) -> None:
    """Replace a fit's file; the same fit gives the same bytes."""
    write_atomic(_file(name), json.dumps(asdict(fit), indent=1, sort_keys=True) + "\n")


def _file(name: str) -> Path:
    return Path(__file__).parent / "fits" / f"{name}.json"
