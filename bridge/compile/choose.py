"""The planner: which format each weighted layer is stored and run in.

Every format that can run a layer is a candidate with its modelled cycles and its bytes. Without
budgets the fastest wins; a flash budget puts a price in cycles on every byte, a RAM budget limits
what a kernel may take as scratch. The dense candidates stay in the race, so that a sparse format
is never chosen that is slower than dense at equal budget.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from bridge.compile.connected import (
    block1x4,
    block1x4_vector,
    block4x1,
    block4x1_vector,
    gather_vector,
    octet,
    wide,
)
from bridge.compile.cost import cycles
from bridge.compile.depthwise import dual_depthwise
from bridge.compile.dual import dual, dual_dense
from bridge.compile.formats import COMFORTABLE_SCRATCH, Stored, Weighted, d8, dense
from bridge.compile.planar import planar, planar_depthwise
from bridge.compile.pointwise import pointwise
from bridge.cores import core as find_core

Format = Callable[[Weighted, int], Stored | None]

FORMATS: Mapping[str, Format] = {
    "dense": lambda layer, scratch: dense(layer),
    "dual-dense": dual_dense,
    "pointwise": lambda layer, scratch: pointwise(layer),
    "depthwise-dual": dual_depthwise,
    "depthwise-vector": planar_depthwise,
    "d8": lambda layer, scratch: d8(layer),
    "dual": dual,
    "planar-vector": planar,
    "wide": lambda layer, scratch: wide(layer),
    "octet": lambda layer, scratch: octet(layer),
    "4x1": lambda layer, scratch: block4x1(layer),
    "1x4": lambda layer, scratch: block1x4(layer),
    "gather-vector": lambda layer, scratch: gather_vector(layer),
    "4x1-vector": lambda layer, scratch: block4x1_vector(layer),
    "1x4-vector": lambda layer, scratch: block1x4_vector(layer),
}
"""Every format by name: a layer and the bytes of scratch it should stay within, to its storage."""

DENSE = frozenset({"dense", "dual-dense", "pointwise", "depthwise-dual", "wide"})
NEEDS_DSP = frozenset(
    {"dual-dense", "pointwise", "depthwise-dual", "dual", "octet", "wide", "4x1", "1x4"}
)
NEEDS_MVE = frozenset(
    {"1x4-vector", "4x1-vector", "gather-vector", "planar-vector", "depthwise-vector"}
)


def made_for(name: str, core: str) -> bool:
    """Whether a format's kernel has fast code for a core; every core can run every format."""
    if name in NEEDS_MVE:
        return find_core(core).mve
    return name not in NEEDS_DSP or find_core(core).dsp


TIE = 1.02
"""A sparse format that takes no fewer bytes has to be faster by more than this. Costs are fitted:
most differ from the counts by less, though the largest error of a format is more."""


@dataclass(frozen=True)
class Budget:
    """What the planner may spend.

    Attributes:
        scratch: bytes of scratch that one layer should stay within.
        price: cycles that one byte of flash is worth.
        without: C functions that the network does without.
    """

    scratch: int = COMFORTABLE_SCRATCH
    price: float = 0.0
    without: Collection[str] = ()


@dataclass(frozen=True)
class Candidate:
    """A layer in one format.

    Attributes:
        format: its name.
        stored: the layer in it.
        cycles: modelled, one inference.
        bytes: weights and per-channel tables.
    """

    format: str
    stored: Stored
    cycles: float
    bytes: int


def candidates(layer: Weighted, scratch: int = COMFORTABLE_SCRATCH) -> list[Candidate]:
    """Every format that can run the layer on its core.

    A format with more scratch than asked for stays out unless nothing else is left.
    """
    found = []
    for name, store in FORMATS.items():
        if not made_for(name, layer.core):
            continue
        stored = store(layer, scratch)
        if stored is None or (stored.scratch > scratch and name != "dense"):
            continue
        size = sum(int(array.nbytes) for array in stored.with_requantization(layer).values())
        found.append(Candidate(name, stored, cycles(name, layer.core, stored.work), size))
    return found


def best_of(found: Sequence[Candidate], price: float) -> Candidate:
    """The candidate with the fewest cycles, bytes at their price counted in; see :data:`TIE`."""

    def worth(candidate: Candidate) -> float:
        return candidate.cycles + price * candidate.bytes

    best = min(found, key=worth)
    plain = min((c for c in found if c.format in DENSE), key=worth, default=best)
    tie = plain.bytes <= best.bytes and worth(plain) < worth(best) * TIE
    return plain if tie else best


def choose(layer: Weighted, budget: Budget | None = None) -> tuple[str, Stored, str]:
    """The format for one layer.

    Returns:
        Its name, the stored layer, and the reason in words.
    """
    budget = budget or Budget()
    every = candidates(layer, budget.scratch)
    found = [c for c in every if c.stored.function not in budget.without]
    best = best_of(found, budget.price)
    plain = best_of([c for c in found if c.format in DENSE], budget.price)
    if best is plain:
        others = [c for c in found if c.format not in DENSE]
        if not others:
            return best.format, best.stored, "no sparse format can run it"
        rival = best_of(others, budget.price)
        reason = f"{rival.format} would take {rival.cycles / best.cycles:.2f}x the cycles"
    else:
        reason = (
            f"{plain.cycles / best.cycles:.1f}x faster than {plain.format}, "
            f"{best.bytes} B instead of {plain.bytes} B"
        )
    fastest = best_of(every, budget.price)
    if fastest.stored.function in budget.without:
        reason += f"; {fastest.format} alone would save less than its kernel costs"
    return best.format, best.stored, reason
