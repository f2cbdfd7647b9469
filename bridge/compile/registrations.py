"""Layers for TFLM's own interpreter: the same flatbuffer, weights in our streams.

Every layer that a format of ours runs faster than CMSIS-NN becomes a C function, and a table tells
the registrations of ``tflm_project/wrappers`` where its weights lie in the flatbuffer. Those
weights leave the flatbuffer, so that they take flash once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.compile.cmsis_cost import cmsis_cycles
from bridge.compile.emit import Constants, kernel_call
from bridge.compile.program import LayerPlan
from bridge.compile.steps import Step
from bridge.compile.target import Target
from bridge.compile.weighted import CHOOSABLE, read_weighted, weighted
from bridge.errors import ModelError
from bridge.graph import Graph, Operator
from bridge.graph.rewrite import buffer_offsets, pack, unpack
from bridge.text import environment

UINT8 = 3
"""TensorType.UINT8 of the schema: TFLM's kernels refuse such weights beside int8 activations."""

_LABEL_BYTES = 16
"""What stands in the place of a layer's weights: a text that says whose they were."""


@dataclass(frozen=True)
class Registrations:
    """What firmware with TFLM needs to run some layers through our kernels.

    Attributes:
        prefix: what every generated name starts with; the table is ``<prefix>_sparse``.
        files: generated C11: the layers, their weights, the header with the table.
        model: the flatbuffer to give to the interpreter; the layers' weights are gone from it.
        layers: one entry a layer that our kernels run.
        others: kinds of operators of which some layer is left to TFLM's own registration.
        scratch_bytes: the most that one layer requests from the arena.
        weight_bytes: weights, biases and tables of all layers.
    """

    prefix: str
    files: Mapping[str, str]
    model: bytes
    layers: tuple[LayerPlan, ...]
    others: frozenset[str]
    scratch_bytes: int
    weight_bytes: int

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of operators that need a registration of ours."""
        return frozenset(plan.kind for plan in self.layers)


def register_layers(
    model: bytes, graph: Graph, *, core: str = "cortex-m4", prefix: str = "model"
) -> Registrations:
    """Choose the layers that our kernels run inside TFLM, and write them.

    Args:
        model: the int8 flatbuffer.
        graph: the same, read.
        core: what formats are chosen for.
        prefix: of every generated name.

    Raises:
        ModelError: no layer gains.
    """
    chosen = _choose(graph, core)
    if not chosen:
        raise ModelError(
            f"no layer of {graph.name or 'the network'} runs faster in a format of ours on {core}",
            hint="prune it (convert --sparsity 0.9), or use the model as it is",
        )
    stripped, offsets = _strip(model, [operator for operator, _ in chosen])
    constants = Constants(f"{prefix}_sparse")
    calls = []
    for operator, step in chosen:
        call = kernel_call(
            operator.index,
            step,
            constants,
            inputs=["input"],
            outputs=["output"],
            scratch="scratch",
        )
        calls.append(
            {
                **call,
                "weights": offsets[operator.index],
                "input_bytes": graph.tensor(step.inputs[0]).bytes,
                "output_bytes": graph.tensor(step.outputs[0]).bytes,
            }
        )
    context = {
        "prefix": f"{prefix}_sparse",
        "model": prefix,
        "graph": graph.name,
        "calls": calls,
        "constants": constants.all,
        "model_bytes": len(stripped),
    }
    templates = environment("bridge.compile")
    ours = {operator.index for operator, _ in chosen}
    return Registrations(
        prefix=prefix,
        files={
            f"{prefix}_sparse{suffix}": templates.get_template(name).render(context)
            for suffix, name in (
                (".h", "registrations.h.j2"),
                (".c", "registrations.c.j2"),
                ("_weights.h", "weights.h.j2"),
                ("_weights.c", "weights.c.j2"),
            )
        },
        model=stripped,
        layers=tuple(step.plan for _, step in chosen),
        others=frozenset(o.kind for o in graph.operators if o.index not in ours),
        scratch_bytes=max(step.scratch for _, step in chosen),
        weight_bytes=constants.bytes,
    )


def _choose(graph: Graph, core: str) -> list[tuple[Operator, Step]]:
    """The layers whose weights are theirs alone and that run faster than in CMSIS-NN."""
    uses = Counter(i for operator in graph.operators for i in operator.inputs)
    target = Target("c-sparse", core)
    chosen = []
    for operator, weights in graph.weights():
        if operator.kind not in CHOOSABLE or uses[weights.index] > 1:
            continue
        step = weighted(graph, operator, target)
        dense = cmsis_cycles(read_weighted(graph, operator, core))
        if step.plan.cycles is not None and step.plan.cycles < dense:
            chosen.append((operator, step))
    return chosen


def _strip(model: bytes, operators: Sequence[Operator]) -> tuple[bytes, dict[int, int]]:
    """The flatbuffer without those operators' weights, and where what is left of them lies.

    A weight tensor keeps its shape and 16 bytes of text, gets a type that TFLM's own kernels
    refuse, and loses its scales; the operator loses its bias, which our tables hold.
    """
    loose = unpack(model)
    subgraph = loose.subgraphs[0]
    buffers = {}
    for operator in operators:
        node = subgraph.operators[operator.index]
        bias = list(node.inputs)[2:]
        node.inputs = [*list(node.inputs)[:2], *([-1] * len(bias))]
        # A buffer of its own: layers with equal weights may have shared one.
        label = type(loose.buffers[0])()
        label.data = list(f"see snn {operator.index}".encode().ljust(_LABEL_BYTES, b"\0"))
        buffers[operator.index] = len(loose.buffers)
        loose.buffers.append(label)
        tensor = subgraph.tensors[operator.inputs[1]]
        tensor.type, tensor.quantization = UINT8, None
        tensor.buffer = buffers[operator.index]
        for index in bias:
            if index >= 0 and not _used(subgraph, index):
                # Without data it would get room in the arena, though nothing reads it.
                dead = subgraph.tensors[index]
                dead.shape, dead.type, dead.quantization = [_LABEL_BYTES], UINT8, None
                dead.buffer = buffers[operator.index]
    kept = {tensor.buffer for tensor in subgraph.tensors}
    kept |= {entry.buffer for entry in loose.metadata or []}
    for index, buffer in enumerate(loose.buffers):
        if index not in kept:
            buffer.data = None
    packed = pack(loose)
    offsets = buffer_offsets(packed)
    return packed, {index: offsets[buffer] for index, buffer in buffers.items()}


def _used(subgraph: object, tensor: int) -> bool:
    operators = getattr(subgraph, "operators", None) or []
    return any(tensor in list(operator.inputs) for operator in operators)
