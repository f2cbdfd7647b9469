"""Steps to C11: places in memory, then text from templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.compile.places import border, place
from bridge.compile.program import CProgram
from bridge.compile.steps import Step
from bridge.errors import InputError
from bridge.graph import Graph
from bridge.graph.model import Array
from bridge.text import environment, float32_literal

_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "uint16": "uint16_t", "int16": "int16_t",
            "int32": "int32_t", "uint32": "uint32_t", "float32": "float"}  # fmt: skip


@dataclass(frozen=True)
class _Constant:
    name: str
    ctype: str
    length: int
    text: str


class Constants:
    """The arrays that go into flash; equal ones are kept once."""

    def __init__(self, prefix: str) -> None:
        self.all: list[_Constant] = []
        self.bytes = 0
        self._prefix = prefix
        self._names: dict[tuple[str, bytes], str] = {}

    def add(self, role: str, array: Array) -> str:
        """The C name of an array in a role, for example ``layer3_weights``."""
        key = str(array.dtype), np.ascontiguousarray(array).tobytes()
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"{self._prefix}_{role}"
            self.all.append(constant(name, array))
            self.bytes += int(array.nbytes)
        return name


def emit(graph: Graph, steps: Sequence[Step], *, engine: str, prefix: str) -> CProgram:
    """Write a network as C11.

    Args:
        graph: where shapes and quantization of inputs and outputs come from.
        steps: one an operator.
        engine: ``c-float`` gives float32 activations, the others int8.
        prefix: what every public name starts with; a C identifier.

    Raises:
        InputError: the prefix is no C identifier.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", prefix):
        raise InputError(
            f"{prefix!r} can't start C names", hint="use small letters, digits, underscores"
        )
    places = place(graph, steps, floating=engine == "c-float")
    constants = Constants(prefix)
    calls = []
    for index, step in enumerate(steps):
        if step.alias:
            continue
        calls.append(
            kernel_call(
                index,
                step,
                constants,
                inputs=[places.pointer(i, constant=True) if i >= 0 else "" for i in step.inputs],
                outputs=[places.pointer(i) for i in step.outputs],
                scratch=places.scratch(index),
            )
        )
    context: dict[str, Any] = {
        "prefix": prefix,
        "engine": engine,
        "graph": graph.name,
        "inputs": [border(graph.tensor(i)) for i in graph.inputs],
        "outputs": [border(graph.tensor(i)) for i in graph.outputs],
        "arena": places.arena,
        "constants": constants.all,
        "calls": calls,
        "enter": places.enter,
        "leave": places.leave,
        "libraries": _libraries(steps),
    }
    templates = environment("bridge.compile")
    files = {
        f"{prefix}{suffix}": templates.get_template(template).render(context)
        for suffix, template in (
            (".h", "model.h.j2"),
            (".c", "model.c.j2"),
            ("_weights.h", "weights.h.j2"),
            ("_weights.c", "weights.c.j2"),
        )
    }
    return CProgram(
        prefix=prefix,
        engine=engine,
        files=files,
        library=tuple(context["libraries"]),
        arena_bytes=places.arena,
        scratch_bytes=max((step.scratch for step in steps), default=0),
        weight_bytes=constants.bytes,
        layers=tuple(step.plan for step in steps),
        input_count=len(graph.inputs),
        output_count=len(graph.outputs),
    )


def kernel_call(
    index: int,
    step: Step,
    constants: Constants,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    scratch: str,
) -> dict[str, Any]:
    """What a kernel's template needs to write its call.

    Args:
        index: of the layer.
        step: the call.
        constants: where its arrays are collected.
        inputs: C expressions; those of constant inputs are not looked at.
        outputs: C expressions.
        scratch: C expression.

    Raises:
        ProofError: the constants don't hold the layer's weights.
    """
    if step.prove is not None:
        step.prove()
    names = {
        role: constants.add(f"layer{index}_{role}", array) for role, array in step.constants.items()
    }
    return {
        "index": index,
        "step": step,
        "name": step.plan.name,
        "constants": names,
        "sizes": {role: int(array.size) for role, array in step.constants.items()},
        "inputs": [
            names[f"input{position}"] if i < 0 else inputs[position]
            for position, i in enumerate(step.inputs)
        ],
        "outputs": list(outputs),
        "scratch": scratch,
    }


def _libraries(steps: Sequence[Step]) -> list[str]:
    uses_cmsis = any(step.kernel.startswith("cmsis_") for step in steps)
    return ["sparse_nn", "cmsis_nn"] if uses_cmsis else ["sparse_nn"]


def constant(name: str, array: Array) -> _Constant:
    """An array as the text of a C array."""
    flat = np.asarray(array).reshape(-1)
    if flat.dtype == np.float32:
        values = [float32_literal(value) for value in flat]
    else:
        # INT32_MIN has no literal of its own type in C.
        values = [str(v) if v > -(2**31) else "(-2147483647 - 1)" for v in flat.tolist()]
    lines = []
    line = "   "
    for value in values or ["0"]:
        if len(line) + len(value) + 2 > 98:
            lines.append(line)
            line = "   "
        line += f" {value},"
    lines.append(line)
    return _Constant(name, _C_TYPES[str(flat.dtype)], max(flat.size, 1), "\n".join(lines))
