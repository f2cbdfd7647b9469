"""Where every activation of a network stands: an argument of invoke(), or a place in the arena.

Tensors that share memory have one root: views of a tensor, and outputs that take over the memory
of an input which nobody reads any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.compile.memory import Buffer, MemoryPlan, plan_memory
from bridge.compile.steps import Step
from bridge.graph import Graph, Tensor

# Views must start at a multiple of this many values, so that kernels can read words.
VIEW_ALIGNMENT = 4


@dataclass
class _Sharing:
    """Union of tensors that share memory: each has a root and a distance from it in values."""

    parents: dict[int, tuple[int, int]] = field(default_factory=dict)

    def root(self, tensor: int) -> tuple[int, int]:
        distance = 0
        while tensor in self.parents:
            tensor, step = self.parents[tensor]
            distance += step
        return tensor, distance


@dataclass(frozen=True)
class Places:
    """The memory of a network.

    Attributes:
        enter: inputs that are converted before the first step (float engine).
        leave: outputs that are converted or copied after the last one.
        arena: bytes of the whole arena.
        live: bytes of activations in the arena at each step, scratch left out.
    """

    enter: list[dict[str, Any]]
    leave: list[dict[str, Any]]
    arena: int
    live: tuple[int, ...]
    buffers: tuple[Buffer, ...]
    _graph: Graph
    _floating: bool
    _outside: dict[int, str]
    _sharing: _Sharing
    _plan: MemoryPlan

    def pointer(self, tensor: int, *, constant: bool = False) -> str:
        """A C expression for a tensor's first value."""
        root, distance = self._sharing.root(tensor)
        if root in self._outside:
            base = self._outside[root]
            return f"({base} + {distance})" if distance else base
        width = _width(self._graph.tensor(tensor), self._floating)
        offset = self._plan.offsets[f"tensor {root}"] + distance * width
        qualifier = "const " if constant else ""
        return f"({qualifier}{self.ctype(tensor)} *)(memory + {offset})"

    def ctype(self, tensor: int) -> str:
        """The C type of a tensor's values."""
        return _ctype(self._graph.tensor(tensor), self._floating)

    def scratch(self, step: int) -> str:
        """A C expression for a step's scratch."""
        offset = self._plan.offsets.get(f"scratch {step}")
        return "NULL" if offset is None else f"(memory + {offset})"


def place(graph: Graph, steps: Sequence[Step], *, floating: bool) -> Places:
    """Plan the memory of a network.

    Args:
        graph: the network.
        steps: one an operator.
        floating: activations are float32, inputs and outputs int8 still.
    """
    sharing = _Sharing()
    for step in steps:
        for position, first in step.views.items():
            sharing.parents[step.outputs[position]] = (step.inputs[0], first)
    spans = _spans(graph, steps, sharing)
    outside: dict[int, str] = {}
    for position, tensor in enumerate(graph.inputs):
        if _passes(graph.tensor(tensor), floating):
            ctype = _ctype(graph.tensor(tensor), floating)
            outside[tensor] = f"((const {ctype} *)inputs[{position}])"
    leave = []
    for position, tensor in enumerate(graph.outputs):
        root, distance = sharing.root(tensor)
        whole = distance == 0 and graph.tensor(root).elements == graph.tensor(tensor).elements
        passes = _passes(graph.tensor(tensor), floating)
        if passes and whole and root not in outside and root not in graph.inputs:
            outside[root] = f"(({_ctype(graph.tensor(tensor), floating)} *)outputs[{position}])"
        else:
            leave.append((position, tensor))
    _take_over(graph, steps, sharing, spans, outside, floating)
    activations = [
        Buffer(f"tensor {t}", graph.tensor(t).elements * _width(graph.tensor(t), floating), *span)
        for t, span in spans.items()
        if t not in outside and t not in sharing.parents
    ]
    scratch = [
        Buffer(f"scratch {index}", step.scratch, index, index)
        for index, step in enumerate(steps)
        if step.scratch
    ]
    plan = plan_memory([*activations, *scratch])
    places = Places(
        enter=[],
        leave=[],
        arena=max(plan.size, 16),
        live=tuple(
            sum(b.bytes for b in activations if b.first <= index <= b.last)
            for index in range(len(steps))
        ),
        buffers=(*activations, *scratch),
        _graph=graph,
        _floating=floating,
        _outside=outside,
        _sharing=sharing,
        _plan=plan,
    )
    for position, tensor in enumerate(graph.inputs):
        if tensor not in outside:
            places.enter.append(_transfer(places, graph.tensor(tensor), position))
    for position, tensor in leave:
        places.leave.append(_transfer(places, graph.tensor(tensor), position))
    return places


def _passes(tensor: Tensor, floating: bool) -> bool:
    """Whether the kernels can work on the caller's own buffer."""
    return not floating or tensor.dtype == "float32"


def _width(tensor: Tensor, floating: bool) -> int:
    return 4 if floating or tensor.dtype == "float32" else 1


def _ctype(tensor: Tensor, floating: bool) -> str:
    return "float" if floating or tensor.dtype == "float32" else "int8_t"


def _spans(graph: Graph, steps: Sequence[Step], sharing: _Sharing) -> dict[int, list[int]]:
    """First and last step of every root."""
    spans: dict[int, list[int]] = {}
    for index, step in enumerate(steps):
        for tensor in (*step.inputs, *step.outputs):
            if tensor >= 0:
                spans.setdefault(sharing.root(tensor)[0], [index, index])[1] = index
    for tensor in graph.inputs:
        spans.setdefault(tensor, [0, 0])[0] = 0
    for tensor in graph.outputs:
        spans.setdefault(sharing.root(tensor)[0], [0, 0])[1] = len(steps)
    return spans


def _take_over(
    graph: Graph,
    steps: Sequence[Step],
    sharing: _Sharing,
    spans: dict[int, list[int]],
    outside: dict[int, str],
    floating: bool,
) -> None:
    """Let outputs take over the memory of inputs that die where they are made."""
    for index, step in enumerate(steps):
        if not step.in_place:
            continue
        target = step.outputs[0]
        if target in outside or target in sharing.parents:
            continue
        needed = graph.tensor(target).elements * _width(graph.tensor(target), floating)
        for position in step.in_place:
            source = step.inputs[position]
            if source < 0:
                continue
            root, distance = sharing.root(source)
            others = {
                sharing.root(t) for i, t in enumerate(step.inputs) if i != position and t >= 0
            }
            beside = any(r == root and d != distance for r, d in others)
            room = graph.tensor(root).elements * _width(graph.tensor(root), floating)
            if root in outside or distance or beside or needed > room:
                continue
            if spans[root][1] == index:
                sharing.parents[target] = (root, 0)
                spans[root][1] = spans[target][1]
                break


def _transfer(places: Places, tensor: Tensor, position: int) -> dict[str, Any]:
    return {**border(tensor), "position": position, "pointer": places.pointer(tensor.index)}


def border(tensor: Tensor) -> dict[str, Any]:
    """What the generated header says about an input or output."""
    how = tensor.quantization
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "size": tensor.elements,
        "bytes": tensor.bytes,
        "dtype": tensor.dtype,
        "scale": how.scale if how else 1.0,
        "zero_point": how.zero_point if how else 0,
    }
