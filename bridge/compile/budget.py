"""Formats under budgets: how much scratch each layer may take, what a byte of flash is worth.

RAM: a layer's scratch may fill what the activations that live beside it leave of the budget.
Without one, the arena is what the layer in most need wants, and the others may fill it.
Flash: bytes get a price in cycles, the same in every layer, raised until the constants fit. That
is a Lagrange multiplier: no other choice of formats with as few bytes takes fewer modelled cycles,
up to the step from one format to the next.
Code: a kernel that gains next to nothing stays out, where the network's other kernels can run its
layers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bridge.compile.choose import DENSE, Candidate, best_of, candidates
from bridge.compile.lower import lower
from bridge.compile.memory import ALIGNMENT
from bridge.compile.places import Places, place
from bridge.compile.steps import Step
from bridge.compile.target import Target
from bridge.compile.weighted import CHOOSABLE, read_weighted
from bridge.errors import InputError
from bridge.graph import Graph

_ROUNDS = 12
SPARED = 0.01
"""Share of the network's modelled cycles that a kernel less may cost."""
KERNEL_CODE = 600
"""Bytes that a kernel less saves at least: ours take 0.6 to 3 kB on Cortex-M4."""

Found = Mapping[int, Sequence[Candidate]]
"""By operator, the formats that can run it."""


def lower_within(
    graph: Graph, target: Target, *, flash: int | None = None, ram: int | None = None
) -> list[Step]:
    """Steps whose constants and arena stay within budgets.

    Args:
        graph: the network.
        target: the engine must be one that chooses formats.
        flash: bytes for weights and tables; the kernels' code comes on top.
        ram: bytes for the arena.

    Raises:
        InputError: no choice of formats fits; says what is needed at least.
    """
    steps = lower(graph, target)
    places = place(graph, steps, floating=False)
    most = places.arena if ram is None else ram
    room = _room(graph, places, most)
    if places.arena <= most:  # no layer needs less than what it has where everything fits
        room = {index: max(free, steps[index].scratch) for index, free in room.items()}
    for _ in range(_ROUNDS):
        found = {
            operator.index: candidates(
                read_weighted(graph, operator, target.core), room[operator.index]
            )
            for operator in graph.operators
            if operator.kind in CHOOSABLE
        }
        price = target.price if flash is None else _price(found, steps, flash)
        spared = _spared(found, price, growth=KERNEL_CODE if flash is None else 0)
        within = replace(target, scratch=room, price=price, without=spared)
        made = lower(graph, within)
        arena = place(graph, made, floating=False).arena
        if arena <= most or (ram is None and flash is not None):
            return made
        if ram is None:
            return steps
        # Buffers don't pack without gaps; leave room for those.
        places = replace(places, live=tuple(live + max(arena - ram, 1) for live in places.live))
        room = _room(graph, places, most)
    raise InputError(
        f"the arena needs {arena} bytes, more than the {ram} given",
        hint=f"allow at least {arena} bytes of RAM, or take a smaller network",
    )


def _room(graph: Graph, places: Places, most: int) -> dict[int, int]:
    """Bytes of scratch for each weighted operator."""
    return {
        operator.index: max(most - places.live[operator.index] - ALIGNMENT, 0)
        for operator in graph.operators
        if operator.kind in CHOOSABLE
    }


def _price(found: Found, steps: Sequence[Step], flash: int) -> float:
    """The smallest price of a byte at which everything fits."""
    fixed = sum(step.plan.weight_bytes for index, step in enumerate(steps) if index not in found)

    def size(price: float) -> int:
        return fixed + sum(best_of(layer, price).bytes for layer in found.values())

    if size(0.0) <= flash:
        return 0.0
    low, high = 0.0, 1.0
    while size(high) > flash:
        low, high = high, high * 4
        if high > 1e9:
            raise InputError(
                f"weights and tables need {size(high)} bytes, more than the {flash} given",
                hint=f"allow at least {size(high)} bytes of flash, or prune further",
            )
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (low, middle) if size(middle) <= flash else (middle, high)
    return high


def _spared(found: Found, price: float, growth: int) -> frozenset[str]:
    """The sparse kernels to do without: C functions.

    One after the other, the one whose layers lose least in other kernels that are there anyway.
    Dense kernels are kept, so that no layer falls behind its best dense one.

    Args:
        found: the layers.
        price: of a byte, in cycles.
        growth: bytes that weights and tables may grow by for a kernel less.
    """

    def picked(without: Collection[str]) -> list[Candidate]:
        return [
            best_of([c for c in layer if c.stored.function not in without], price)
            for layer in found.values()
        ]

    spared: frozenset[str] = frozenset()
    chosen = picked(spared)
    most = _cycles(chosen) * (1 + SPARED)
    while True:
        here, size = _functions(chosen), _bytes(chosen)
        tries = {}
        for name in sorted({c.stored.function for c in chosen if c.format not in DENSE}):
            other = picked(spared | {name})
            fits = _cycles(other) <= most and _bytes(other) <= size + growth
            if fits and _functions(other) < here:
                tries[name] = other
        if not tries:
            return spared
        least = min(tries, key=lambda name: _cycles(tries[name]))
        spared, chosen = spared | {least}, tries[least]


def _functions(chosen: Sequence[Candidate]) -> set[str]:
    return {c.stored.function for c in chosen}


def _cycles(chosen: Sequence[Candidate]) -> float:
    return sum(c.cycles for c in chosen)


def _bytes(chosen: Sequence[Candidate]) -> int:
    return sum(c.bytes for c in chosen)
