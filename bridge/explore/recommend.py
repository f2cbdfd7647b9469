"""One point under the user's limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import InputError

if TYPE_CHECKING:
    from bridge.explore.front import Measured

WISHES = ("cycles", "flash", "ram", "accuracy")


@dataclass(frozen=True)
class Limits:
    """What a point has to keep.

    Attributes:
        flash: bytes of code and weights; None for no limit.
        ram: bytes; None for no limit.
        max_accuracy_drop: share of accuracy below the float network, 0.01 for one point.
        prefer: what to have least of (or, for accuracy, most) among the points within limits.
    """

    flash: int | None = None
    ram: int | None = None
    max_accuracy_drop: float = 0.01
    prefer: str = "cycles"

    def __post_init__(self) -> None:
        if self.prefer not in WISHES:
            raise InputError(
                f"can't prefer {self.prefer!r}", hint=f"prefer one of {', '.join(WISHES)}"
            )
        if not 0 <= self.max_accuracy_drop < 1:
            raise InputError("--max-accuracy-drop is a share between 0 and 1, for example 0.01")

    def excess(self, *, lost: float = 0.0, flash: int = 0, ram: int = 0) -> dict[str, float]:
        """By how much each limit is broken, as a share of it; at most 0 where it is kept."""
        found = {"accuracy": (lost - self.max_accuracy_drop) / max(self.max_accuracy_drop, 0.001)}
        if abs(lost - self.max_accuracy_drop) < 1e-9:
            found["accuracy"] = 0.0
        if self.flash is not None:
            found["flash"] = flash / max(self.flash, 1) - 1
        if self.ram is not None:
            found["ram"] = ram / max(self.ram, 1) - 1
        return found

    def broken(self, measured: Measured) -> dict[str, float]:
        """The limits that a point breaks, with the share that it is over."""
        found = self.excess(lost=measured.lost, flash=measured.flash, ram=measured.ram)
        return {name: share for name, share in found.items() if share > 0}

    def __str__(self) -> str:
        parts = [f"lost against float ≤ {100 * self.max_accuracy_drop:g} %"]
        parts += [f"flash ≤ {self.flash:,} B"] if self.flash is not None else []
        parts += [f"RAM ≤ {self.ram:,} B"] if self.ram is not None else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Recommendation:
    """The point to take.

    Attributes:
        best: within all limits and best by the user's preference; None where nothing keeps them.
        by_core: the same for each core.
        nearest: where nothing keeps the limits, the point that breaks them least.
    """

    best: Measured | None
    by_core: tuple[Measured, ...]
    nearest: Measured | None


def recommend(measured: Sequence[Measured], limits: Limits) -> Recommendation:
    """Choose under limits; ties go to the next wish in the order cycles, flash, RAM, accuracy."""
    kept = sorted((m for m in measured if not limits.broken(m)), key=lambda m: _worth(m, limits))
    by_core: dict[str, Measured] = {}
    for found in kept:
        by_core.setdefault(found.point.core, found)
    nearest = None
    if not kept and measured:
        nearest = min(measured, key=lambda m: (sum(limits.broken(m).values()), m.number))
    return Recommendation(
        kept[0] if kept else None,
        tuple(by_core[core] for core in sorted(by_core)),
        nearest,
    )


def _worth(measured: Measured, limits: Limits) -> tuple[float, ...]:
    figures = {
        "cycles": float(measured.cycles),
        "flash": float(measured.flash),
        "ram": float(measured.ram),
        "accuracy": measured.lost,
    }
    order = [limits.prefer, *(name for name in WISHES if name != limits.prefer)]
    return (*(figures[name] for name in order), measured.number)
