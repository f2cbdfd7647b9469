"""int8: every family of layers quantizes both ways, runs in TFLM and stays near float."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bridge.convert import check, names, qat, quantize, ranges, tflm
from bridge.convert.export import export
from bridge.convert.lift.lower import lift
from bridge.convert.operators import check_operators
from bridge.convert.prove import run_keras
from bridge.convert.prune import kernel_of, weighted_layers
from bridge.graph import read_tflite
from tests.convert.network_parts import samples
from tests.convert.networks import NAMES, networks

LOWEST_DB = 25.0
# What moves elements on the device, where the network itself asks for it.
MOVES_ELEMENTS = {"borders", "pixel_shuffle"}
LITTER = {"TRANSPOSE", "GATHER", "GATHER_ND", "EXPAND_DIMS", "SQUEEZE", "PACK", "UNPACK", "SHAPE"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_int8_runs_in_tflm(name: str) -> None:
    torch.manual_seed(1)
    network, shapes = networks()[name]
    layout = "channels-last" if name == "permute_that_vanishes" else "channels-first"
    lifted = lift(export(network, shapes), network_layout=layout)
    inputs = lifted.to_physical(samples(shapes, 48))
    wanted = run_keras(lifted.model, inputs)
    model = lifted.model
    if not qat.refusal(model):
        model = qat.simulate(model, ranges.measure(model, inputs, clip=ranges.extremes))
    content, fused = names.with_our_names(
        quantize.to_tflite(model, inputs),
        [layer.name for layer in lifted.model.layers],
        {layer.name: kernel_of(layer).size for layer in weighted_layers(lifted.model)},
        lifted.model.output_names,
        list(lifted.inputs),
        list(lifted.outputs),
    )
    graph = read_tflite(content)
    check.check_structure(graph, 0)
    check_operators(graph)
    litter = LITTER & {op.kind for op in graph.operators}
    assert litter <= ({"GATHER"} if name in MOVES_ELEMENTS else set())
    if name.startswith("conv1d"):  # a clean 1×k convolution: nothing between but the flatten
        assert sum(op.kind == "RESHAPE" for op in graph.operators) <= 1
    assert fused
    weights = {t.name for _, t in graph.weights()}
    assert {f"{layer.name}/weight" for layer in weighted_layers(lifted.model)} == weights
    outputs = tflm.dequantize_outputs(graph, tflm.run(content, tflm.quantize_inputs(graph, inputs)))
    for index, got, want in zip(graph.outputs, outputs, wanted, strict=True):
        noise = np.square(got.reshape(want.shape) - want)
        signal = np.square(want - want.mean()).sum()
        step = graph.tensor(index).quantization.scale  # a flat softmax may be finer than a step
        assert 10 * np.log10(signal / noise.sum()) > LOWEST_DB or noise.mean() < step * step


def test_a_dead_filter_keeps_its_bias() -> None:
    """All its weights pruned, a filter has no range; its bias must survive all the same."""
    from bridge.convert.quiet import tensorflow

    _, keras = tensorflow()
    x = keras.Input((6, 7, 2), name="x")
    y = keras.layers.ReLU(name="relu")(keras.layers.Conv2D(3, 3, name="conv")(x))
    model = keras.Model(x, y)
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., 1] = 0.0
    model.get_layer("conv").set_weights([kernel, bias + np.array([0.1, 0.9, 0.2])])
    inputs = [np.random.default_rng(0).normal(size=(32, 6, 7, 2)).astype(np.float32)]
    simulated = qat.simulate(model, ranges.measure(model, inputs, clip=ranges.extremes))
    content = quantize.to_tflite(simulated, inputs)
    graph = read_tflite(content)
    outputs = tflm.run(content, tflm.quantize_inputs(graph, inputs))
    got = tflm.dequantize_outputs(graph, outputs)[0]
    assert np.allclose(got[..., 1], 0.9, atol=0.02)


def test_quantized_after_training_a_dead_row_stays_in_int32() -> None:
    from bridge.convert.quiet import tensorflow

    _, keras = tensorflow()
    x = keras.Input((12,), name="x")
    model = keras.Model(x, keras.layers.Dense(5, name="dense")(x))
    kernel, bias = model.get_layer("dense").get_weights()
    kernel[:, 3] = 0.0
    model.get_layer("dense").set_weights([kernel, bias + np.array([0.1, 0.2, 0.3, 1.5, 0.4])])
    inputs = [np.random.default_rng(0).normal(size=(32, 12)).astype(np.float32)]
    for candidate in quantize.candidates(model, inputs, trained=False):
        graph = read_tflite(candidate.model)
        (op,) = graph.operators
        assert np.abs(graph.input(op, 2).data).max() < 1 << 20
        outputs = tflm.run(candidate.model, tflm.quantize_inputs(graph, inputs))
        assert np.allclose(tflm.dequantize_outputs(graph, outputs)[0][:, 3], 1.5, atol=0.05)
