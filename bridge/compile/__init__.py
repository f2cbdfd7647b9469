"""From the int8 graph to C: a kernel and a format for every layer, memory, then sources."""

from __future__ import annotations

from collections.abc import Collection

from bridge.compile.budget import lower_within
from bridge.compile.cmsis import BASIC
from bridge.compile.emit import emit
from bridge.compile.lower import lower, supported
from bridge.compile.lower_float import lower_float
from bridge.compile.program import CProgram, LayerPlan
from bridge.compile.target import Target
from bridge.errors import InputError
from bridge.graph import Graph

ENGINES = ("c-sparse", "c-compact", "c-dense", "c-float")


def compile_graph(
    graph: Graph,
    *,
    engine: str,
    core: str = "cortex-m4",
    prefix: str = "model",
    flash: int | None = None,
    ram: int | None = None,
    cmsis: Collection[str] = BASIC,
) -> CProgram:
    """Write an int8 network as plain C.

    Args:
        graph: full int8, batch 1.
        engine: ``c-sparse`` (our kernels, the fewest cycles), ``c-compact`` (one small kernel for
            all sparse layers: the least code and weights), ``c-dense`` (CMSIS-NN) or ``c-float``
            (float32).
        core: what it is compiled for.
        prefix: what every generated public name starts with.
        flash: bytes that weights and tables may take, the kernels' code left out (``c-sparse``).
        ram: bytes that the arena may take (``c-sparse``).
        cmsis: the functions that the CMSIS-NN to be linked offers (``c-dense``); see
            ``bridge.firmware.cmsis_nn``.

    Raises:
        InputError: an unknown engine, a prefix that is no C identifier, or a budget that can't
            be kept.
        UnsupportedOperator: an operator that plain C does not cover, named with its layer.
        ProofError: weights don't come out of their format as they went in; names the layer.
    """
    if engine not in ENGINES:
        raise InputError(f"unknown engine {engine!r}", hint=f"one of: {', '.join(ENGINES)}")
    if engine == "c-float":
        steps = lower_float(graph, core)
    elif engine == "c-sparse":
        steps = lower_within(graph, Target(engine, core), flash=flash, ram=ram)
    else:
        steps = lower(graph, Target(engine, core, cmsis=cmsis))
    program = emit(graph, steps, engine=engine, prefix=prefix)
    for what, size, limit in (
        ("the arena", program.arena_bytes, ram),
        ("weights and tables", program.weight_bytes, flash),
    ):
        if limit is not None and size > limit:
            raise InputError(
                f"{what} of {engine} need {size} bytes, more than the {limit} given",
                hint="c-sparse fits its formats to budgets; other engines can't",
            )
    return program


__all__ = ["ENGINES", "CProgram", "LayerPlan", "compile_graph", "supported"]
