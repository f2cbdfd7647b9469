"""Cycles of each kind of instruction, for each core, with the source of every line.

A cost is (low, best, high). Zero wait states throughout. ``per register`` is added for each
register of a multiple load or store; ``taken`` for each branch that was taken (P in Arm's tables).

Sources are Arm's Technical Reference Manuals (TRM), which give cycles for Cortex-M0, M3 and M4.
What no manual gives is an assumption and begins with that word. Nothing here was measured on
silicon; ``docs/benchmarks.md`` holds the model beside published figures of boards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Cost = tuple[float, float, float]


@dataclass(frozen=True)
class Line:
    """One line of a timing table.

    Attributes:
        cost: cycles (low, best, high).
        source: where it stands, or ``assumption`` with its reason.
    """

    cost: Cost
    source: str


@dataclass(frozen=True)
class Timing:
    """The timing table of one core.

    Attributes:
        core: its name.
        lines: by kind of instruction; a missing kind costs what ``alu`` costs.
        per_register: of each register of a multiple load or store.
        taken: what a taken branch adds (refilling the pipeline).
        paired_load: why a load right behind an independent load or store costs one less; empty
            where it does not.
        dual_issue: why two neighbouring independent instructions may start together; empty where
            they may not.
    """

    core: str
    lines: Mapping[str, Line]
    per_register: Line
    taken: Line
    paired_load: str = ""
    dual_issue: str = ""

    def cost(self, kind: str) -> Cost:
        """Cycles of one instruction of a kind."""
        return self.lines.get(kind, self.lines["alu"]).cost


def _flat(value: float, source: str) -> Line:
    return Line((value, value, value), source)


def _same(kinds: str, value: float, source: str) -> dict[str, Line]:
    return {kind: _flat(value, source) for kind in kinds.split()}


# Cortex-M0 TRM, Arm DDI 0432C.
_M0_TABLE = "Cortex-M0 TRM, table 3-1"
_M0: dict[str, Line] = {
    **_same("alu nop branch return", 1, f"{_M0_TABLE}: 1; a taken branch 3, BX 3"),
    **_same("load store", 2, f"{_M0_TABLE}: 2"),
    **_same("load_multiple store_multiple", 1, f"{_M0_TABLE}: 1 + N"),
    "load_multiple_return": Line(
        (1, 2, 2), f"{_M0_TABLE}: POP with PC 4 + N; low where N leaves the PC out"
    ),
    "call": _flat(2, f"{_M0_TABLE}: BL 4"),
    "multiply": Line((1, 1, 32), f"{_M0_TABLE}: 1 or 32 by the vendor's choice; most parts have 1"),
}

# Cortex-M3 TRM, Arm DDI 0337H.
_M3_TABLE = "Cortex-M3 TRM, table 3-1"


def _armv7m(table: str) -> dict[str, Line]:
    """What Cortex-M3 and M4 have in common."""
    early = "ends early by its operands; the best estimate is the middle"
    return {
        **_same("alu nop multiply", 1, f"{table}: 1"),
        "it": Line((0, 1, 1), f"{table}: 1, folded to 0 behind some 16-bit instructions"),
        "divide": Line((2, 7, 12), f"{table}: 2 to 12, {early}"),
        "load": Line((1, 2, 2), f"{table}: 2; 1 where neighbours overlap"),
        "store": Line(
            (1, 1, 2), f"{table}: 2; its load/store timings: 1 while the write buffer has room"
        ),
        **_same("load_double store_double", 3, f"{table}: 1 + N"),
        **_same("load_multiple store_multiple load_multiple_return", 1, f"{table}: 1 + N"),
        **_same("branch compare_branch", 1, f"{table}: 1, or 1 + P when taken"),
        **_same("call return", 1, f"{table}: 1 + P"),
        **_same("table_branch load_pc", 2, f"{table}: 2 + P"),
    }


_M3: dict[str, Line] = {
    **_armv7m(_M3_TABLE),
    "accumulate": _flat(2, f"{_M3_TABLE}: MLA, MLS 2"),
    "multiply_long": Line((3, 4, 5), f"{_M3_TABLE}: 3 to 5, ends early"),
    "accumulate_long": Line((4, 5, 7), f"{_M3_TABLE}: 4 to 7, ends early"),
}

# Cortex-M4 TRM, Arm 100166 (before: DDI 0439).
_M4_TABLE, _FPU = "Cortex-M4 TRM, table 3-1", "Cortex-M4 TRM, table 7-1 (FPU)"
_M4: dict[str, Line] = {
    **_armv7m(_M4_TABLE),
    **_same("accumulate multiply_long dsp_multiply", 1, f"{_M4_TABLE}: 1"),
    "accumulate_long": Line((1, 1, 2), f"{_M4_TABLE}: 1; high asks what 2 would cost"),
    "fp": _flat(1, f"{_FPU}: 1"),
    "fp_accumulate": _flat(3, f"{_FPU}: 3"),
    "fp_divide": _flat(14, f"{_FPU}: 14"),
    **{
        kind: Line((1, 2, 2), f"{_FPU}: 2; low where neighbours overlap")
        for kind in ("fp_load", "fp_store")
    },
    **_same("fp_load_multiple fp_store_multiple", 1, f"{_FPU}: 1 + N"),
}


def _assumed(lines: Mapping[str, Line], why: str) -> dict[str, Line]:
    """Another core's lines, taken over."""
    return {kind: Line(line.cost, f"assumption: {why}") for kind, line in lines.items()}


_REFILL = "P is 1 to 3, by the target's width and alignment"
_NO_M33 = "as Cortex-M4; the Cortex-M33 TRM (Arm 100230) gives no cycles"
_NO_M7 = "one cycle as most of Cortex-M4's; the Cortex-M7 TRM (Arm DDI 0489) gives no cycles"
_NO_M55 = "scalar code as on Cortex-M4; the Cortex-M55 TRM (Arm 101051) gives no cycles"
_BEATS = (
    "assumption: two of four beats a cycle, as LLVM's cost model takes for MVE by default "
    "(FeatureMVEVectorCostFactor2)"
)

TIMINGS: dict[str, Timing] = {
    timing.core: timing
    for timing in (
        Timing(
            "cortex-m0",
            _M0,
            per_register=_flat(1, f"{_M0_TABLE}: N registers"),
            taken=_flat(2, f"{_M0_TABLE}: 3 taken, 1 not"),
        ),
        Timing(
            "cortex-m3",
            _M3,
            per_register=_flat(1, f"{_M3_TABLE}: N registers"),
            taken=Line((1, 2, 3), f"{_M3_TABLE}: {_REFILL}"),
            paired_load="Cortex-M3 TRM, load/store timings: neighbours overlap",
        ),
        Timing(
            "cortex-m4",
            _M4,
            per_register=_flat(1, f"{_M4_TABLE}: N registers"),
            taken=Line((1, 2, 3), f"{_M4_TABLE}: {_REFILL}"),
            paired_load="Cortex-M4 TRM, load/store timings: neighbours overlap",
        ),
        Timing(
            "cortex-m33",
            {
                **_assumed(_M4, _NO_M33),
                "divide": Line((2, 7, 11), f"assumption: {_NO_M33}"),
                "fp_accumulate": Line((1, 3, 3), f"assumption: {_NO_M33}"),
            },
            per_register=_flat(1, f"assumption: {_NO_M33}"),
            taken=Line((1, 2, 3), f"assumption: {_NO_M33}"),
            paired_load=f"assumption: {_NO_M33}",
        ),
        Timing(
            "cortex-m7",
            {
                **_assumed(_M4, _NO_M7),
                "load": Line((1, 1, 2), f"assumption: {_NO_M7}; caches hit"),
                "fp_accumulate": Line((1, 1, 3), f"assumption: {_NO_M7}"),
            },
            per_register=Line((0.5, 1, 1), "assumption: a 64-bit data bus moves two at best"),
            taken=Line((0, 1, 3), "assumption: predicted well, as loops are"),
            dual_issue=(
                "assumption: any independent neighbours with one memory access and one multiply; "
                "Cortex-M7 is dual-issue, Arm publishes no rules, some are measured on an "
                "STM32H730 at quinapalus.com/cm7cycles.html"
            ),
        ),
        Timing(
            "cortex-m55",
            {
                **_assumed(_M4, _NO_M55),
                "load": Line((1, 1, 2), f"assumption: {_NO_M55}; tightly coupled memory"),
                "fp_accumulate": Line((1, 1, 2), f"assumption: {_NO_M55}"),
                "loop": Line((0, 1, 1), "assumption: a low-overhead loop's end costs one at most"),
                **{
                    kind: Line((1, 2, 2), _BEATS)
                    for kind in ("vector", "vector_accumulate", "vector_store")
                },
                "vector_load": Line((1, 1, 2), f"{_BEATS}; overlaps the arithmetic behind it"),
            },
            per_register=Line((0.5, 1, 1), "assumption: a 64-bit data bus moves two at best"),
            taken=Line((0, 1, 3), "assumption: a short pipeline, low-overhead loops"),
        ),
    )
}
