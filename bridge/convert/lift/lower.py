"""ONNX → trainable Keras: walk the nodes once, let each kind's handler build its layers."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.convert.lift import elementwise, spatial, views, weighted
from bridge.convert.lift.builder import Array, Builder, Node
from bridge.convert.lift.fold import fold
from bridge.convert.lift.values import Value, axis_order, channels_last, straight
from bridge.convert.quiet import quiet, tensorflow
from bridge.errors import ModelError, UnsupportedOperator

HANDLERS = {
    **weighted.HANDLERS,
    **spatial.HANDLERS,
    **elementwise.HANDLERS,
    **views.HANDLERS,
}

ADVICE = {
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN"),
        "recurrent layers have no full int8 path in TFLite Micro that can be pruned; "
        "use a 1-D convolutional network, which does the same work on sensor and audio windows",
    ),
    "Erf": "this is GELU; use ReLU, SiLU or Hardswish instead",
    "Gelu": "use ReLU, SiLU or Hardswish instead",
    "LayerNormalization": "use BatchNorm, which is folded into the layer before it",
    "InstanceNormalization": "use BatchNorm, which is folded into the layer before it",
    "Elu": "TensorFlow leaves it float; use ReLU or LeakyReLU instead",
    "Abs": "use max(x, 0) + max(-x, 0), written with ReLU",
    "ArgMax": "leave it out and take the largest output on the device",
    "Einsum": "write it as a convolution or Linear layer",
    "Softplus": "use ReLU instead",
    "Exp": "TFLite Micro has it in float only",
    "Pow": "TFLite Micro has no int8 power",
    "Sqrt": "TFLite Micro has it in float only",
}


@dataclass(frozen=True)
class Lifted:
    """A network as trainable Keras layers.

    Attributes:
        model: ``tf_keras.Model`` over real layers.
        inputs: the network's inputs by ONNX name, with where each element lies.
        outputs: the outputs by ONNX name, likewise.
        made: layer name → ONNX value, with its :class:`Value`, for layers that compute one.
        notes: sentences for the user.
        transposes: layers before which a real transpose survives.
        log_outputs: outputs that are softmax where the network has log-softmax.
    """

    model: Any
    inputs: dict[str, Value]
    outputs: dict[str, Value]
    made: dict[str, tuple[str, Value]]
    notes: tuple[str, ...]
    transposes: tuple[str, ...]
    log_outputs: tuple[str, ...]

    def to_physical(self, arrays: Sequence[Array]) -> list[Array]:
        """Inputs as the network takes them ([N, …] logical) → as the Keras model takes them."""
        result = []
        for array, value in zip(arrays, self.inputs.values(), strict=True):
            flat = np.empty((len(array), value.index.size), array.dtype)
            flat[:, value.index.ravel()] = array.reshape(len(array), -1)
            result.append(flat.reshape(len(array), *value.physical))
        return result


def to_logical(value: Value, physical: Array) -> Array:
    """A Keras tensor's values [N, physical] → ONNX's order, [N, logical without the batch]."""
    flat = physical.reshape(len(physical), -1)
    shape = value.shape[1:] if value.shape and value.shape[0] == 1 else value.shape
    return flat[:, value.index.ravel()].reshape(len(physical), *shape)


def lift(onnx_model: Any, *, network_layout: str = "channels-first") -> Lifted:
    """Lower an ONNX model with a free batch to trainable Keras layers.

    Args:
        onnx_model: ``onnx.ModelProto``; the batch is the first axis of every input.
        network_layout: whether its inputs are channels-first (PyTorch) or channels-last.

    Raises:
        UnsupportedOperator: an operator has no counterpart.
        ModelError: its inputs or outputs can't be brought over.
    """
    _, keras = tensorflow()
    from bridge.convert.lift import layers

    graph = onnx_model.graph
    b = Builder(keras, layers)
    with quiet():
        inputs = _inputs(b, graph, network_layout)
        for node in _nodes(b, graph):
            handler = HANDLERS.get(node.kind)
            if handler is None:
                raise UnsupportedOperator(
                    node.kind,
                    node.name,
                    hint=ADVICE.get(node.kind, "replace it by one of the supported layers"),
                )
            try:
                handler(b, node)
            except (ValueError, IndexError, AssertionError, KeyError) as error:
                raise ModelError(
                    f"{node.kind} at {node.name!r} can't be brought over: {error}",
                    hint="this form of the operator is not supported",
                ) from error
        outputs = _outputs(b, graph)
        model = keras.Model(
            [value.tensor for value in inputs.values()],
            [value.tensor for value in outputs.values()],
            name=re.sub(r"[^A-Za-z0-9_]", "_", graph.name or "network"),
        )
    made = {}
    for layer, name in b.made.items():
        value = b.env[name]
        if isinstance(value, Value):
            made[layer] = (name, value)
    kinds = {o: n.op_type for n in graph.node for o in n.output}
    logs = tuple(name for name in outputs if kinds.get(name) == "LogSoftmax")
    if any(kinds.get(n.input[0]) == "LogSoftmax" for n in graph.node if n.input):
        raise ModelError(
            "log-softmax stands in the middle of the network",
            hint="it is supported as the last layer only",
        )
    return Lifted(model, inputs, outputs, made, tuple(b.notes), tuple(b.transposes), logs)


def _inputs(b: Builder, graph: Any, layout: str) -> dict[str, Value]:
    constants = {i.name for i in graph.initializer}
    result = {}
    for item in graph.input:
        if item.name in constants:
            continue
        dims = [d.dim_value for d in item.type.tensor_type.shape.dim]
        if len(dims) < 2 or any(d <= 0 for d in dims[1:]):
            raise ModelError(
                f"input {item.name!r} has shape {dims}; all but the batch must be fixed",
                hint="state the shape with --input-shape",
            )
        shape = (1, *dims[1:])
        rank = len(shape)
        last = layout == "channels-last"
        order = tuple(range(rank)) if last else channels_last(rank)
        physical = [shape[a] for a in order[1:]]
        if rank == 3:
            physical = [1, *physical]
        name = re.sub(r"[^A-Za-z0-9_.]", "_", item.name)
        tensor = b.keras.Input(physical, name=b.unique(name))
        value = Value(tensor, straight(shape, order))
        b.env[item.name] = result[item.name] = value
    if not result:
        raise ModelError(
            "the network has no inputs", hint="its forward must take at least one tensor"
        )
    return result


def _outputs(b: Builder, graph: Any) -> dict[str, Value]:
    """The outputs; vectors in their own order, images as they lie."""
    result = {}
    for position, item in enumerate(graph.output):
        value = b.env.get(item.name)
        if not isinstance(value, Value):
            raise ModelError(
                f"output {item.name!r} doesn't depend on the input",
                hint="return only what the network computes from its inputs",
            )
        name = f"output{position}"
        history = getattr(value.tensor, "_keras_history", None)
        # An input handed out untouched still needs a layer of its own to have a name.
        if history is not None and isinstance(history.layer, b.keras.layers.InputLayer):
            same = b.apply(b.keras.layers.Activation, name, value.tensor, "linear")
            value = Value(same, value.index)
        order = axis_order(value.index) if value.whole else channels_last(value.index.ndim)
        if sum(d > 1 for d in value.shape) <= 1:
            order = tuple(range(value.index.ndim))
        shape = [value.shape[a] for a in order]
        index = np.arange(value.index.size).reshape(shape).transpose(np.argsort(order))
        if not value.whole or not np.array_equal(index, value.index):
            value = Value(b.ordered(value, order, name), index)
        elif len(value.physical) != len([d for d in shape[1:]]) and sum(d > 1 for d in shape) <= 1:
            tensor = b.reshape(value.tensor, tuple(shape[1:]) or (1,), name)
            value = Value(tensor, index)
        result[item.name] = value
    return result


def _nodes(b: Builder, graph: Any) -> list[Node]:
    """The nodes with constants taken up, BatchNorm folded and our names."""
    import onnx

    for item in graph.initializer:
        b.env[item.name] = onnx.numpy_helper.to_array(item)
    nodes = []
    for item in graph.node:
        attributes = {a.name: _plain(onnx.helper.get_attribute_value(a)) for a in item.attribute}
        if item.op_type == "Constant":
            b.env[item.output[0]] = _constant(attributes)
            continue
        nodes.append(
            Node(
                item.op_type,
                name_of(item, b.env),
                tuple(item.input),
                tuple(item.output),
                attributes,
            )
        )
    return fold(b, nodes, {o.name for o in graph.output})


def _plain(value: Any) -> Any:
    import onnx

    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return value


def _constant(attributes: dict[str, Any]) -> Array:
    value = next(iter(attributes.values()))
    return np.asarray(value, np.float32) if isinstance(value, float) else np.asarray(value)


def name_of(item: Any, constants: Container[str]) -> str:
    """An ONNX node's module path in PyTorch: from its weight's name, else the exporter's scopes.

    Args:
        constants: the names of constant values.
    """
    for source in item.input[1:]:
        if source in constants and source.endswith((".weight", ".bias")):
            return _clean(source.rpartition(".")[0])
    scopes = {p.key: p.value for p in item.metadata_props}.get("pkg.torch.onnx.name_scopes", "")
    paths = re.findall(r"'([^']*)'", scopes)
    if len(paths) > 2:
        return _clean(paths[-2])
    if paths and paths[-1]:
        return _clean(paths[-1])
    return _clean(item.name or item.output[0])


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", name).strip("._") or "layer"
