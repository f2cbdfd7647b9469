"""Cycles of each kind of instruction, for each core, with the source of every line.

A cost is (low, best, high). Zero wait states throughout. ``per register`` is added for each
register of a multiple load or store; ``taken`` for each branch that was taken.

"TRM" is Arm's Technical Reference Manual of the core, section "Processor instructions" or
"Instruction timing"; an assumption is marked as one. Nothing here was measured on silicon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Cost = tuple[float, float, float]


@dataclass(frozen=True)
class Timing:
    """The timing table of one core.

    Attributes:
        core: its name.
        source: where the lines come from.
        costs: cycles by kind; a missing kind costs what ``alu`` costs.
        per_register: cycles of each register of a multiple load or store.
        taken: what a taken branch adds (refilling the pipeline).
        paired_load: a load right behind an independent load or store costs one less.
        dual_issue: two neighbouring independent instructions may start together.
        notes: the source of each line that is not the TRM's.
    """

    core: str
    source: str
    costs: Mapping[str, Cost]
    per_register: Cost
    taken: Cost
    paired_load: bool = False
    dual_issue: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)


def _flat(value: float) -> Cost:
    return (value, value, value)


_ARMV7M: dict[str, Cost] = {
    "alu": _flat(1),
    "nop": _flat(1),
    "it": (0, 1, 1),
    "multiply": _flat(1),
    "divide": (2, 7, 12),
    "load": (1, 2, 2),
    "store": (1, 1, 2),
    "load_double": _flat(3),
    "store_double": _flat(3),
    "load_multiple": _flat(1),
    "store_multiple": _flat(1),
    "branch": _flat(1),
    "compare_branch": _flat(1),
    "call": _flat(1),
    "return": _flat(1),
}

_M4: dict[str, Cost] = {
    **_ARMV7M,
    "accumulate": _flat(1),
    "multiply_long": _flat(1),
    "accumulate_long": (1, 1, 2),
    "dsp_multiply": _flat(1),
    "fp": _flat(1),
    "fp_accumulate": _flat(3),
    "fp_divide": _flat(14),
    "fp_load": (1, 2, 2),
    "fp_store": (1, 2, 2),
    "fp_load_multiple": _flat(1),
    "fp_store_multiple": _flat(1),
}

TIMINGS: dict[str, Timing] = {
    timing.core: timing
    for timing in (
        Timing(
            "cortex-m0",
            "Cortex-M0 TRM (DDI 0432C), table 3-1",
            {
                **_ARMV7M,
                "multiply": (1, 1, 32),
                "load": _flat(2),
                "store": _flat(2),
                "call": _flat(2),
            },
            per_register=_flat(1),
            taken=_flat(2),
            notes={"multiply": "1 or 32 cycles by the vendor's choice; most parts have 1"},
        ),
        Timing(
            "cortex-m3",
            "Cortex-M3 TRM (DDI 0337H), table 3-1",
            {
                **_ARMV7M,
                "accumulate": _flat(2),
                "multiply_long": (3, 4, 5),
                "accumulate_long": (4, 5, 7),
            },
            per_register=_flat(1),
            taken=(1, 2, 3),
            paired_load=True,
        ),
        Timing(
            "cortex-m4",
            "Cortex-M4 TRM (DDI 0439B), tables 3-1 and 7-1",
            _M4,
            per_register=_flat(1),
            taken=(1, 2, 3),
            paired_load=True,
            notes={
                "accumulate_long": "the TRM gives 1; the high bound asks what 2 would cost",
                "store": "a store buffer hides the second cycle unless stores follow densely",
                "divide": "ends early; the best estimate is the middle",
            },
        ),
        Timing(
            "cortex-m33",
            "assumption: the Cortex-M4's table; Cortex-M33 TRM (100230) gives no cycle counts",
            {**_M4, "load": (1, 2, 2), "divide": (2, 7, 11), "fp_accumulate": (1, 3, 3)},
            per_register=_flat(1),
            taken=(1, 2, 3),
            paired_load=True,
        ),
        Timing(
            "cortex-m7",
            "assumption: one cycle an instruction, two at once where neighbours are independent "
            "(dual issue, branch prediction); Arm publishes no cycle counts for Cortex-M7",
            {**_M4, "load": (1, 1, 2), "accumulate_long": (1, 1, 2), "fp_accumulate": (1, 1, 3)},
            per_register=(0.5, 1, 1),
            taken=(0, 1, 3),
            dual_issue=True,
        ),
        Timing(
            "cortex-m55",
            "assumption: scalar instructions one cycle, MVE two beats a cycle with loads "
            "overlapping arithmetic; Arm publishes no cycle counts for Cortex-M55",
            {
                **_M4,
                "load": (1, 1, 2),
                "loop": (0, 1, 1),
                "vector": (1, 2, 2),
                "vector_accumulate": (1, 2, 2),
                "vector_load": (1, 1, 2),
                "vector_store": (1, 2, 2),
                "fp_accumulate": (1, 1, 2),
            },
            per_register=(0.5, 1, 1),
            taken=(0, 1, 3),
        ),
    )
}
