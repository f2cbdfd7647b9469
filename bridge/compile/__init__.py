"""From the int8 graph to C: a kernel and a format for every layer, memory, then sources."""

from __future__ import annotations

from bridge.compile.emit import emit
from bridge.compile.lower import Target, lower, supported
from bridge.compile.lower_float import lower_float
from bridge.compile.program import CProgram, LayerPlan
from bridge.errors import InputError
from bridge.graph import Graph

ENGINES = ("c-sparse", "c-dense", "c-float")


def compile_graph(
    graph: Graph, *, engine: str, core: str = "cortex-m4", prefix: str = "model"
) -> CProgram:
    """Write an int8 network as plain C.

    Args:
        graph: full int8, batch 1.
        engine: ``c-sparse`` (our kernels), ``c-dense`` (CMSIS-NN) or ``c-float`` (float32).
        core: what it is compiled for.
        prefix: what every generated public name starts with.

    Raises:
        InputError: an unknown engine, or a prefix that is no C identifier.
        UnsupportedOperator: an operator that plain C does not cover, named with its layer.
    """
    if engine not in ENGINES:
        raise InputError(f"unknown engine {engine!r}", hint=f"one of: {', '.join(ENGINES)}")
    floating = engine == "c-float"
    steps = lower_float(graph, core) if floating else lower(graph, Target(engine, core))
    return emit(graph, steps, engine=engine, prefix=prefix)


__all__ = ["ENGINES", "CProgram", "LayerPlan", "compile_graph", "supported"]
