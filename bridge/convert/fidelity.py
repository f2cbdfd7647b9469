"""Float against int8, layer by layer, on the real TFLM interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge.convert import tflm
from bridge.convert.lift.builder import Array
from bridge.convert.options import Fidelity
from bridge.convert.prove import run_keras
from bridge.convert.quiet import quiet, tensorflow
from bridge.graph import Graph

SAMPLES = 16


def compare(
    model: bytes, graph: Graph, keras_model: Any, fused: Mapping[str, str], floats: Sequence[Array]
) -> tuple[Fidelity, ...]:
    """Each layer's int8 output on TFLM against the float network's, on a few samples.

    Args:
        fused: the last Keras layer in each of the file's tensors, by the tensor's name.

    Layers that TFLite fused into another have no tensor of their own and don't appear.
    """
    _, keras = tensorflow()
    pairs = {
        layer: index
        for op in graph.operators
        for index in op.outputs
        if (layer := fused.get(graph.tensor(index).name)) and graph.tensor(index).dtype == "int8"
    }
    if not pairs:
        return ()
    chosen = [a[:SAMPLES] for a in floats]
    with quiet():
        probe = keras.Model(keras_model.inputs, [keras_model.get_layer(n).output for n in pairs])
        wanted = run_keras(probe, chosen)
    engine = tflm.interpreter(model, preserve=True)
    inputs = tflm.quantize_inputs(graph, chosen)
    got: dict[str, list[Array]] = {n: [] for n in pairs}
    for i in range(len(chosen[0])):
        for position, array in enumerate(inputs):
            engine.set_input(np.ascontiguousarray(array[i : i + 1]), position)
        engine.invoke()
        for name, index in pairs.items():
            got[name].append(np.array(engine.GetTensor(index, 0)["tensor_data"]))
    return tuple(
        _one(name, wanted[k], np.stack(got[name]), graph, index)
        for k, (name, index) in enumerate(pairs.items())
        if wanted[k].size == np.stack(got[name]).size
    )


def _one(name: str, wanted: Array, quantized: Array, graph: Graph, index: int) -> Fidelity:
    q = graph.tensor(index).quantization
    assert q is not None
    real = ((quantized.astype(np.float64) - q.zero_point) * q.scale).reshape(wanted.shape)
    noise = float(np.square(real - wanted).sum())
    signal = float(np.square(wanted.astype(np.float64)).sum())
    ends = (quantized == 127) | ((quantized == -128) & (q.zero_point != -128))
    return Fidelity(
        name,
        round(10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30))), 2),
        float(wanted.min()),
        float(wanted.max()),
        round(float(ends.mean()), 4),
        bool(len(quantized) > 1 and np.all(quantized == quantized[:1])),
    )
