"""Steps to C11: places in memory, then text from templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.compile.memory import Buffer, plan_memory
from bridge.compile.program import CProgram
from bridge.compile.steps import Step
from bridge.errors import InputError
from bridge.graph import Graph, Tensor
from bridge.graph.model import Array

_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "uint16": "uint16_t", "int16": "int16_t",
            "int32": "int32_t", "uint32": "uint32_t", "float32": "float"}  # fmt: skip


@dataclass(frozen=True)
class _Constant:
    name: str
    ctype: str
    length: int
    text: str


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
    width = 4 if engine == "c-float" else 1
    places, size = _places(graph, steps, width)
    constants: list[_Constant] = []
    calls = []
    for index, step in enumerate(steps):
        if step.alias:
            continue
        names = {}
        for role, array in step.constants.items():
            names[role] = f"{prefix}_layer{index}_{role}"
            constants.append(constant(names[role], array))
        calls.append(
            {
                "index": index,
                "step": step,
                "name": step.plan.name,
                "constants": names,
                "sizes": {role: int(array.size) for role, array in step.constants.items()},
                "inputs": [places.pointer(i, constant=True) for i in step.inputs],
                "outputs": [places.pointer(i) for i in step.outputs],
                "scratch": places.scratch(index),
            }
        )
    context: dict[str, Any] = {
        "prefix": prefix,
        "engine": engine,
        "graph": graph.name,
        "inputs": [_border(graph.tensor(i)) for i in graph.inputs],
        "outputs": [_border(graph.tensor(i)) for i in graph.outputs],
        "arena": size,
        "constants": constants,
        "calls": calls,
        "enter": places.enter,
        "leave": places.leave,
        "libraries": _libraries(steps),
    }
    templates = environment()
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
        arena_bytes=size,
        scratch_bytes=max((step.scratch for step in steps), default=0),
        weight_bytes=sum(step.plan.weight_bytes for step in steps),
        layers=tuple(step.plan for step in steps),
        input_count=len(graph.inputs),
        output_count=len(graph.outputs),
    )


@dataclass(frozen=True)
class _Places:
    """Where each tensor stands: an argument of invoke(), or an offset into the arena."""

    outside: dict[int, str]
    roots: dict[int, int]
    offsets: dict[str, int]
    ctype: str
    enter: list[dict[str, Any]]
    leave: list[dict[str, Any]]

    def pointer(self, tensor: int, *, constant: bool = False) -> str:
        root = self.roots.get(tensor, tensor)
        if root in self.outside:
            return self.outside[root]
        qualifier = "const " if constant else ""
        return f"({qualifier}{self.ctype} *)(memory + {self.offsets[f'tensor {root}']})"

    def scratch(self, step: int) -> str:
        offset = self.offsets.get(f"scratch {step}")
        return "NULL" if offset is None else f"(memory + {offset})"


def _places(graph: Graph, steps: Sequence[Step], width: int) -> tuple[_Places, int]:
    roots: dict[int, int] = {}
    for step in steps:
        if step.alias:
            roots[step.outputs[0]] = roots.get(step.inputs[0], step.inputs[0])
    spans: dict[int, list[int]] = {}
    for index, step in enumerate(steps):
        for tensor in (*step.inputs, *step.outputs):
            root = roots.get(tensor, tensor)
            first = spans.setdefault(root, [index, index])
            first[1] = index
    outside: dict[int, str] = {}
    floating = width == 4
    enter: list[dict[str, Any]] = []
    leave: list[dict[str, Any]] = []
    for position, tensor in enumerate(graph.inputs):
        if not floating:
            outside[tensor] = f"(const int8_t *)inputs[{position}]"
        spans.setdefault(tensor, [0, 0])[0] = 0
    for position, tensor in enumerate(graph.outputs):
        root = roots.get(tensor, tensor)
        if not floating and root not in outside:
            outside[root] = f"(int8_t *)outputs[{position}]"
        else:
            leave.append({"position": position, "tensor": tensor})
        spans.setdefault(root, [0, len(steps)])[1] = len(steps)
    buffers = [
        Buffer(f"tensor {tensor}", graph.tensor(tensor).elements * width, *span)
        for tensor, span in spans.items()
        if tensor not in outside and graph.tensor(tensor).data is None
    ]
    buffers += [
        Buffer(f"scratch {index}", step.scratch, index, index)
        for index, step in enumerate(steps)
        if step.scratch
    ]
    plan = plan_memory(buffers)
    ctype = "float" if floating else "int8_t"
    places = _Places(outside, roots, plan.offsets, ctype, enter, leave)
    if floating:
        for position, tensor in enumerate(graph.inputs):
            enter.append(_transfer(graph, places, tensor, position))
    for entry in leave:
        entry.update(_transfer(graph, places, entry["tensor"], entry["position"]))
    return places, max(plan.size, 16)


def _transfer(graph: Graph, places: _Places, index: int, position: int) -> dict[str, Any]:
    return {
        **_border(graph.tensor(index)),
        "position": position,
        "pointer": places.pointer(index),
    }


def _border(tensor: Tensor) -> dict[str, Any]:
    how = tensor.quantization
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "size": tensor.elements,
        "scale": _float(how.scale) if how else "1.0f",
        "zero_point": how.zero_point if how else 0,
    }


def _libraries(steps: Sequence[Step]) -> list[str]:
    uses_cmsis = any(step.kernel.startswith("cmsis_") for step in steps)
    return ["sparse_nn", "cmsis_nn"] if uses_cmsis else ["sparse_nn"]


def _float(value: float) -> str:
    """A float32 literal that reads back as the same value."""
    text = np.format_float_scientific(np.float32(value), unique=True, trim="0")
    return f"{text}f"


def constant(name: str, array: Array) -> _Constant:
    """An array as the text of a C array."""
    flat = np.asarray(array).reshape(-1)
    if flat.dtype == np.float32:
        values = [_float(value) for value in flat]
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


def environment() -> Any:
    """The templates, with the filters that they use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bridge.compile", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C, not HTML
    )
    environment.filters["f32"] = _float
    environment.filters["comment"] = lambda text: str(text).replace("*/", "* /")
    return environment
