"""What lowerings share: what they are for, and how they read an operator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bridge.compile.cmsis import BASIC
from bridge.compile.program import LayerPlan
from bridge.errors import ModelError, UnsupportedOperator
from bridge.graph import Graph, Operator, Tensor
from bridge.graph.model import Array


@dataclass(frozen=True)
class Target:
    """What the steps are for.

    Attributes:
        engine: ``c-sparse``, ``c-compact``, ``c-dense`` or ``c-float``.
        core: for example ``cortex-m4``.
        scratch: bytes that a layer's kernel should stay within, by the operator's index; without
            an entry what is comfortable.
        price: cycles that a byte of flash is worth.
        without: C functions that ``c-sparse`` does without, to save their code.
        cmsis: the functions of CMSIS-NN that ``c-dense`` can call.
    """

    engine: str
    core: str
    scratch: Mapping[int, int] = field(default_factory=dict)
    price: float = 0.0
    without: Collection[str] = ()
    cmsis: Collection[str] = BASIC


def required(graph: Graph, operator: Operator, position: int = 0) -> Tensor:
    """An input that must be there.

    Raises:
        ModelError: it is absent.
    """
    tensor = graph.input(operator, position)
    if tensor is None:
        raise ModelError(f"layer {operator.name!r} has no input {position}")
    return tensor


def constant_input(graph: Graph, operator: Operator, position: int) -> Array:
    """The values of an input that must be constant.

    Raises:
        UnsupportedOperator: it is computed at run time.
    """
    data = required(graph, operator, position).data
    if data is None:
        raise UnsupportedOperator(
            f"{operator.kind} with a computed {'size' if position else 'input'}",
            operator.name,
            hint="use a network whose shapes don't depend on its input",
        )
    return data


def plain_plan(operator: Operator, function: str, constants: Mapping[str, Array]) -> LayerPlan:
    """How an operator without weights appears in tables."""
    size = sum(int(array.nbytes) for array in constants.values())
    reason = "" if function else "moves no data"
    return LayerPlan(operator.name, operator.kind, function, weight_bytes=size, reason=reason)
