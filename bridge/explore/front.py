"""What was measured of a point, and which points nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bridge.explore.space import Point


@dataclass(frozen=True)
class Measured:
    """One point with what came out of it.

    Attributes:
        number: of the trial.
        point: what was tried.
        lost: accuracy below the float network's, 0.01 for one point; for an error metric the
            relative increase.
        score: the task's metric of the int8 network.
        flash: code and weights, bytes.
        ram: arena, scratch, stack and static data, bytes.
        cycles: modelled, one inference.
        instructions: exact, one inference.
        weights: bytes of weights and tables, a part of ``flash``.
        model: sha256 of the int8 .tflite.
    """

    number: int
    point: Point
    lost: float
    score: float
    flash: int
    ram: int
    cycles: int
    instructions: int
    weights: int
    model: str

    @property
    def values(self) -> tuple[float, float, float, float]:
        """The four objectives, each the smaller the better."""
        return self.lost, self.flash, self.ram, self.cycles

    def as_json(self) -> dict[str, Any]:
        """Everything, with the engine's name."""
        return {**asdict(self), "engine": self.point.engine}


def dominates(one: Measured, other: Measured) -> bool:
    """Whether one point is nowhere worse than another and somewhere better."""
    return one.values != other.values and all(
        a <= b for a, b in zip(one.values, other.values, strict=True)
    )


def pareto_front(measured: Sequence[Measured]) -> list[Measured]:
    """The points that no other dominates, most accurate first; equals count once."""
    unique = {m.values: m for m in reversed(measured)}.values()
    kept = [m for m in unique if not any(dominates(other, m) for other in unique)]
    return sorted(kept, key=lambda m: (m.values, m.number))
