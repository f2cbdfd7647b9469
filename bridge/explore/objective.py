"""From a point to its four figures: network, build, one emulated run. Hopeless points end early."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from bridge.bench import measure
from bridge.bench.row import Row
from bridge.bench.subject import Samples, Subject
from bridge.errors import BridgeError, ProofError
from bridge.explore.networks import Network, Workshop
from bridge.explore.recommend import Limits
from bridge.explore.space import UNPRUNED, Point
from bridge.graph import read_tflite

SLACK = 0.1
"""How much an estimate may be over a limit before the point is given up."""

LOST_FOR_GOOD = 0.05
"""Accuracy beyond the allowed drop that quantized training can't be expected to win back."""


class Hopeless(Exception):  # noqa: N818 - a verdict, not an error
    """A point that can't keep the limits.

    Args:
        reason: in words.
        estimate: what it was judged by: ``lost``, ``flash`` and ``ram`` as far as known.
    """

    def __init__(self, reason: str, **estimate: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.estimate = estimate


def verdict(limits: Limits, estimate: dict[str, float]) -> str:
    """Why an estimate is hopeless under limits; empty where it isn't."""
    lost = estimate.get("lost", 0.0)
    allowed = limits.max_accuracy_drop + LOST_FOR_GOOD
    if lost > allowed:
        most = f"{100 * limits.max_accuracy_drop:g} %"
        return f"pruned, it loses {100 * lost:.1f} % before it is quantized; {most} is allowed"
    for name, limit in (("flash", limits.flash), ("ram", limits.ram)):
        size = estimate.get(name, 0.0)
        if limit is not None and size > limit * (1 + SLACK):
            return f"it needs about {size:,.0f} B of {name}, the limit is {limit:,} B"
    return ""


@dataclass
class Bench:
    """Builds and runs networks, in folders that keep what was compiled.

    Attributes:
        workshop: where networks come from.
        folder: for builds; one a process.
    """

    workshop: Workshop
    folder: Path

    @classmethod
    def temporary(cls, workshop: Workshop) -> tuple[Bench, tempfile.TemporaryDirectory[str]]:
        """A bench in a temporary folder, and that folder."""
        folder = tempfile.TemporaryDirectory(prefix="tflm-bridge-explore-")
        return cls(workshop, Path(folder.name)), folder

    def evaluate(self, point: Point) -> tuple[Network, Row]:
        """Train, build and run a point.

        Raises:
            Hopeless: it can't keep the limits.
            BridgeError: it can't be built or run on this core.
        """
        limits = self.workshop.settings.limits
        bounded = limits.flash is not None or limits.ram is not None
        trained = (self.workshop.settings.networks / f"{point.network}.npz").is_file()
        if bounded and not trained and point.pattern != UNPRUNED and self.workshop.base.epochs:
            row = self._run(point, self.workshop.rough(point))
            self._judge(flash=float(row.flash_total or 0), ram=float(row.ram_total or 0))
        network = self.workshop.network(point, lambda lost: self._judge(lost=lost))
        row = self._run(point, network)
        if row.bit_exact is False:
            raise ProofError(f"{point.engine} = TFLM on the host", f"outputs differ for {point}")
        return network, row

    def _judge(self, **estimate: float) -> None:
        reason = verdict(self.workshop.settings.limits, estimate)
        if reason:
            raise Hopeless(reason, **estimate)

    def _run(self, point: Point, network: Network) -> Row:
        model = network.model
        if point.encodings:
            from bridge.compress import compress_model

            made = compress_model(model, encodings=point.encodings)
            if not made.encoded:
                raise BridgeError(f"no weight tensor gets smaller through {point.coding}")
            model = made.model
        what = Subject(
            "model", model, read_tflite(model), Samples(network.inputs, None, network.expected)
        )
        folder = self.folder / point.core / point.coding
        root = self.workshop.settings.tflm_root
        if point.engine.startswith("c-"):
            row = measure.plain_c(point.engine, point.core, what, folder, measure.Limits(), root)
        elif point.engine == "tflm-sparse":
            row = measure.tflm_sparse(point.core, what, folder, root, measure.Limits())
        else:
            row = measure.tflm(point.core, what, folder, root, measure.Limits())
        if row.cycles_modelled is None or row.instructions is None:
            raise BridgeError(f"{point.engine} on {point.core} was not counted")
        return row
