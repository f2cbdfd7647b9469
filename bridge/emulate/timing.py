"""Modelled cycles: exactly counted blocks times a timing table. No silicon."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.emulate.instructions import Instruction, disassemble
from bridge.emulate.plugin import Block
from bridge.emulate.timing_tables import TIMINGS, Cost, Timing

# Those that refill the pipeline when taken; a low-overhead loop's end is made not to.
_BRANCHES = frozenset(
    {
        "branch",
        "compare_branch",
        "table_branch",
        "call",
        "return",
        "load_multiple_return",
        "load_pc",
    }
)
_LOADS = frozenset({"load", "store", "load_double", "store_double", "fp_load", "fp_store"})


@dataclass(frozen=True)
class Cycles:
    """An estimate of one inference's cycles with zero wait states.

    Attributes:
        best: the best estimate.
        low: every doubt resolved in the core's favour.
        high: every doubt resolved against it.
    """

    best: int
    low: int
    high: int


def model_cycles(elf: Path, core: str, blocks: Sequence[Block]) -> Cycles:
    """Estimate cycles from executed blocks.

    Args:
        elf: the firmware that ran.
        core: whose table is used.
        blocks: from the counting plugin.
    """
    timing = TIMINGS[core]
    code = disassemble(elf)
    places = sorted(code)
    following = dict(itertools.pairwise(places))
    totals = [0.0, 0.0, 0.0]
    for block in blocks:
        body = _body(code, following, block)
        once = block_cost(body, timing)
        taken = block.times - block.followed
        ends_in_branch = bool(body) and body[-1].kind in _BRANCHES
        for i in range(3):
            totals[i] += once[i] * block.times
            if ends_in_branch:
                totals[i] += timing.taken.cost[i] * taken
    low, best, high = (round(total) for total in totals)
    return Cycles(best, low, high)


def _body(
    code: Mapping[int, Instruction], following: Mapping[int, int], block: Block
) -> list[Instruction]:
    body: list[Instruction] = []
    at: int | None = block.start
    for _ in range(block.instructions):
        if at is None or at not in code:
            # Not in .text, or disassembled out of step: count it as plain arithmetic.
            body.append(Instruction("alu"))
            continue
        body.append(code[at])
        at = following.get(at)
    return body


def block_cost(body: Sequence[Instruction], timing: Timing) -> Cost:
    """Cycles of one pass through a block, taken branches left out.

    Returns:
        (low, best, high).
    """
    totals = [0.0, 0.0, 0.0]
    before: Instruction | None = None
    slot_open = False
    for instruction in body:
        cost = list(timing.cost(instruction.kind))
        if "_multiple" in instruction.kind:
            each = timing.per_register.cost
            cost = [c + each[i] * instruction.registers for i, c in enumerate(cost)]
        independent = before is not None and before.writes not in instruction.reads
        if (
            timing.paired_load
            and before is not None
            and before.kind in _LOADS
            and instruction.kind in {"load", "fp_load"}
            and independent
        ):
            cost[1] = max(cost[1] - 1, 1)
        if timing.dual_issue:
            if slot_open and independent and not _rivals(before, instruction):
                cost[0], cost[1] = 0.0, max(cost[1] - 1, 0.0)
                slot_open = False
            else:
                slot_open = True
        for i in range(3):
            totals[i] += cost[i]
        before = instruction
    return totals[0], totals[1], totals[2]


def _rivals(first: Instruction | None, second: Instruction) -> bool:
    """Whether two instructions need the same unit: one memory port here, one multiplier."""
    if first is None:
        return True
    memory = first.kind in _LOADS and second.kind in _LOADS
    multiplies = ("multipl" in first.kind or "accumulate" in first.kind) and (
        "multipl" in second.kind or "accumulate" in second.kind
    )
    return memory or multiplies
