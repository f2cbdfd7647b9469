"""Each operator of plain C against the TFLM interpreter, byte for byte, with sanitizers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.compile.lower import supported
from bridge.firmware.host import run_on_host
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, random_inputs, run_tflm


def _tf():
    import tensorflow as tf

    return tf


def _other(layers, x):
    """A second activation of x's shape with scales of its own."""
    return layers.Conv2D(x.shape[-1], 3, padding="same")(x)


def _excite(layers, x):
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Activation("sigmoid")(layers.Conv2D(x.shape[-1], 1)(gate))
    return layers.Multiply()([x, gate])


def _resized(name, height, width, **options):
    def build(layers, x):
        resize = getattr(_tf().compat.v1.image, f"resize_{name}")
        return resize(x, (height, width), **options)

    return build


def _constant(*shape):
    return np.random.default_rng(5).normal(0.4, 1, shape).astype(np.float32)


def _deconvolution(**options):
    return lambda layers, x: layers.Conv2DTranspose(5, (3, 4), **options)(x)


def _part(layers, parts, which):
    """One part of a split, and all parts joined in another order."""
    rest = [part for i, part in enumerate(parts) if i != which]
    return layers.Concatenate(-1)([layers.Conv2D(3, 1)(parts[which]), *rest])


# Name (the operator, then what is special) → how to build it.
CASES = {
    "CONV_2D groups": lambda layers, x: layers.Conv2D(8, 3, groups=2, padding="same")(x),
    "CONV_2D dilated": lambda layers, x: layers.Conv2D(5, 3, dilation_rate=(2, 1))(x),
    "CONV_2D strided": lambda layers, x: layers.Conv2D(
        5, (4, 2), strides=(3, 2), padding="same", activation="relu6"
    )(x),
    "CONV_2D 1x1": lambda layers, x: layers.Conv2D(7, 1, activation="relu", use_bias=False)(x),
    "DEPTHWISE_CONV_2D multiplier": lambda layers, x: layers.DepthwiseConv2D(
        (3, 2), depth_multiplier=3, padding="same"
    )(x),
    "DEPTHWISE_CONV_2D dilated": lambda layers, x: layers.DepthwiseConv2D(3, dilation_rate=2)(x),
    "DEPTHWISE_CONV_2D strided": lambda layers, x: layers.DepthwiseConv2D(
        3, strides=2, padding="same", activation="relu"
    )(x),
    "TRANSPOSE_CONV same": _deconvolution(strides=2, padding="same"),
    "TRANSPOSE_CONV valid": _deconvolution(strides=(2, 3), activation="relu"),
    "TRANSPOSE_CONV no stride": _deconvolution(padding="same", use_bias=False),
    "FULLY_CONNECTED rows": lambda layers, x: layers.Dense(6)(x),
    "FULLY_CONNECTED": lambda layers, x: layers.Dense(9)(layers.Flatten()(x)),
    "MAX_POOL_2D same": lambda layers, x: layers.MaxPooling2D((3, 2), (2, 1), "same")(x),
    "AVERAGE_POOL_2D same": lambda layers, x: layers.AveragePooling2D((2, 3), (1, 2), "same")(x),
    "MEAN image": lambda layers, x: layers.GlobalAveragePooling2D()(x),
    "MEAN height": lambda layers, x: _tf().reduce_mean(x, 1),
    "MEAN width kept": lambda layers, x: _tf().reduce_mean(x, 2, keepdims=True),
    "MEAN channels": lambda layers, x: _tf().reduce_mean(x, -1),
    "MEAN height and channels": lambda layers, x: _tf().reduce_mean(x, [1, 3]),
    "MEAN everything": lambda layers, x: _tf().reduce_mean(x, [1, 2, 3], keepdims=True),
    "SUM": lambda layers, x: _tf().reduce_sum(x, [1, 2]),
    "REDUCE_MAX": lambda layers, x: layers.GlobalMaxPooling2D()(x),
    "REDUCE_MIN": lambda layers, x: _tf().reduce_min(x, 2),
    "ADD": lambda layers, x: layers.Add()([x, _other(layers, x)]),
    "ADD itself": lambda layers, x: _tf().nn.relu(_tf().add(x, x)),
    "ADD channels": lambda layers, x: x + _constant(8),
    "ADD constant in front": lambda layers, x: _constant(6, 5, 8) + x,
    "ADD scalar": lambda layers, x: x + 0.7,
    "SUB": lambda layers, x: layers.Subtract()([x, _other(layers, x)]),
    "SUB from scalar": lambda layers, x: 1.3 - x,
    "SUB from columns": lambda layers, x: _constant(1, 5, 1) - x,
    "MUL": lambda layers, x: layers.Multiply()([x, _other(layers, x)]),
    "MUL gate": _excite,
    "MUL rows": lambda layers, x: x * _constant(6, 1, 1),
    "MUL scalar": lambda layers, x: x * -0.37,
    "MAXIMUM": lambda layers, x: _tf().maximum(x, _other(layers, x)),
    "MINIMUM": lambda layers, x: _tf().minimum(x, _tf().reduce_mean(x, 1, keepdims=True)),
    "PRELU": lambda layers, x: layers.PReLU(shared_axes=[1, 2])(x),
    "PRELU whole": lambda layers, x: layers.PReLU()(x),
    "LOGISTIC": lambda layers, x: layers.Activation("sigmoid")(x),
    "TANH": lambda layers, x: layers.Activation("tanh")(x),
    "HARD_SWISH": lambda layers, x: x * _tf().nn.relu6(x + 3.0) * (1.0 / 6.0),
    "LEAKY_RELU": lambda layers, x: layers.LeakyReLU(0.3)(x),
    "LEAKY_RELU negative": lambda layers, x: _tf().nn.leaky_relu(x, -0.2),
    "RELU": lambda layers, x: layers.ReLU()(x),
    "RELU6": lambda layers, x: layers.ReLU(6.0)(x),
    "SOFTMAX": lambda layers, x: layers.Softmax()(x),
    "QUANTIZE": lambda layers, x: layers.Concatenate(2)([x, layers.Activation("tanh")(x)]),
    "CONCATENATION": lambda layers, x: layers.Concatenate()(
        [x, layers.MaxPooling2D(3, 1, "same")(x)]
    ),
    "CONCATENATION constant": lambda layers, x: _tf().concat([x, _constant(1, 2, 5, 8)], 1),
    "PAD": lambda layers, x: layers.ZeroPadding2D(((0, 2), (1, 3)))(x),
    "PAD channels": lambda layers, x: _tf().pad(x, [[0, 0], [0, 1], [2, 0], [3, 2]]),
    "PADV2": lambda layers, x: _tf().pad(x, [[0, 0], [1, 1], [0, 2], [0, 0]], constant_values=-1.5),
    "MIRROR_PAD": lambda layers, x: _tf().pad(x, [[0, 0], [2, 1], [1, 3], [0, 0]], "REFLECT"),
    "MIRROR_PAD symmetric": lambda layers, x: _tf().pad(
        x, [[0, 0], [2, 1], [0, 3], [0, 0]], "SYMMETRIC"
    ),
    "RESIZE_NEAREST_NEIGHBOR": lambda layers, x: layers.UpSampling2D((2, 3))(x),
    "RESIZE_NEAREST_NEIGHBOR corners": _resized("nearest_neighbor", 9, 4, align_corners=True),
    "RESIZE_NEAREST_NEIGHBOR half": _resized("nearest_neighbor", 4, 11, half_pixel_centers=True),
    "RESIZE_BILINEAR": _resized("bilinear", 9, 4),
    "RESIZE_BILINEAR corners": _resized("bilinear", 11, 9, align_corners=True),
    "RESIZE_BILINEAR half": _resized("bilinear", 4, 12, half_pixel_centers=True),
    "TRANSPOSE": lambda layers, x: layers.Permute((3, 1, 2))(x),
    "TRANSPOSE shuffle": lambda layers, x: layers.Reshape((6, 5, 8))(
        layers.Permute((1, 2, 4, 3))(layers.Reshape((6, 5, 2, 4))(x))
    ),
    "SLICE": lambda layers, x: _tf().slice(x, [0, 1, 2, 3], [1, 4, -1, 2]),
    "STRIDED_SLICE": lambda layers, x: x[:, 1::2, :-1, ::3],
    "STRIDED_SLICE backwards": lambda layers, x: x[:, ::-1, 4:0:-2, 2],
    "SPLIT": lambda layers, x: _part(layers, _tf().split(x, 4, axis=-1), 2),
    "SPLIT_V": lambda layers, x: _part(layers, _tf().split(x, [1, 4, 3], axis=-1), 1),
    "SPLIT rows": lambda layers, x: layers.Add()(_tf().split(x, 2, axis=1)),
    "UNPACK": lambda layers, x: layers.Add()(_tf().unstack(x[:, :2], axis=1)),
    "PACK": lambda layers, x: _tf().stack([x[:, 0], x[:, 3]], axis=2),
    "GATHER": lambda layers, x: _tf().gather(x, [4, 0, 0, 2], axis=2),
    "RESHAPE": lambda layers, x: layers.Conv2D(4, 3)(layers.Reshape((5, 8, 6))(x)),
    "DEPTH_TO_SPACE": lambda layers, x: _tf().nn.depth_to_space(x, 2),
    "SPACE_TO_DEPTH": lambda layers, x: _tf().nn.space_to_depth(x[:, :, :4], 2),
}
SHAPE = (6, 5, 8)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A network with one operator under test, its inputs and TFLM's answer."""
    name = request.param
    seed = sum(name.encode())
    centre = (seed % 7 - 3) * 0.5
    model = int8_model(CASES[name], SHAPE, seed=seed, centre=centre, spread=1.5)
    inputs = random_inputs(SHAPE, seed=seed)
    return name, read_tflite(model), inputs, run_tflm(model, inputs)


def test_operator_equals_tflm(case):
    name, graph, inputs, expected = case
    assert name.split()[0] in {operator.kind for operator in graph.operators}
    assert len(np.unique(expected)) > 8, "outputs must move with the input"
    for core in ("cortex-m4", "cortex-m0"):
        program = compile_graph(graph, engine="c-sparse", core=core)
        outputs = run_on_host(program, inputs, sanitize=True)
        assert np.array_equal(outputs, expected), core


def test_operator_in_float_is_near(case):
    name, graph, inputs, expected = case
    if name == "RELU6":
        pytest.skip("TFLM's own RELU6 forgets to rescale")
    program = compile_graph(graph, engine="c-float")
    outputs = run_on_host(program, inputs, sanitize=True)
    # Random bytes run beyond what was calibrated, where int8 saturates and float does not.
    inside = (expected > -128) & (expected < 127)
    noise = np.abs(outputs.astype(int) - expected)[inside]
    assert np.median(noise) <= 2, np.median(noise)


def test_every_supported_operator_has_a_case():
    tested = {name.split()[0] for name in CASES} | {"DEQUANTIZE", "SQUEEZE", "EXPAND_DIMS"}
    assert tested == set(supported())


@pytest.mark.parametrize("kind", ["SQUEEZE", "EXPAND_DIMS"])
def test_operators_that_only_rename_dimensions(kind):
    # TensorFlow's converter writes RESHAPE for both, others don't.
    model = int8_model(lambda layers, x: layers.Reshape((30, 8))(layers.ReLU()(x)), SHAPE)
    graph = read_tflite(model)
    reshape = next(operator for operator in graph.operators if operator.kind == "RESHAPE")
    renamed = dataclasses.replace(reshape, kind=kind)
    operators = tuple(renamed if o is reshape else o for o in graph.operators)
    inputs = random_inputs(SHAPE)
    program = compile_graph(dataclasses.replace(graph, operators=operators), engine="c-sparse")
    assert np.array_equal(run_on_host(program, inputs), run_tflm(model, inputs))


@pytest.mark.parametrize("engine", ["c-sparse", "c-float"])
def test_float_border(engine):
    model = int8_model(
        lambda layers, x: layers.Conv2D(3, 3)(x), (7, 6, 2), border="float32", centre=-1.0
    )
    graph = read_tflite(model)
    assert {"QUANTIZE", "DEQUANTIZE"} <= {operator.kind for operator in graph.operators}
    inputs = np.random.default_rng(2).normal(0, 2, (12, 7, 6, 2)).astype(np.float32)
    given = inputs.reshape(12, -1).view(np.int8)
    expected = run_tflm(model, given, graph)
    outputs = run_on_host(compile_graph(graph, engine=engine), given, sanitize=True)
    if engine == "c-sparse":
        assert np.array_equal(outputs, expected)
    else:
        near = np.median(np.abs(outputs.view(np.float32) - expected.view(np.float32)))
        assert 0 < near < 0.1


def _two_by_three(layers, x, y):
    both = layers.Concatenate()([layers.Conv2D(4, 3, padding="same")(x), y])
    first = layers.ReLU()(layers.Conv2D(5, 3)(both))
    gate = layers.Activation("sigmoid")(y)
    return [first, gate, layers.Dense(4)(layers.Flatten()(first))]


@pytest.mark.parametrize("engine", ["c-sparse", "c-float"])
def test_several_inputs_and_outputs(engine):
    shapes = (7, 5, 3), (7, 5, 2)
    model = int8_model(_two_by_three, *shapes)
    graph = read_tflite(model)
    assert (len(graph.inputs), len(graph.outputs)) == (2, 3)
    inputs = random_inputs((7 * 5 * 5,)) // 2
    expected = run_tflm(model, inputs, graph)
    outputs = run_on_host(compile_graph(graph, engine=engine), inputs, sanitize=True)
    if engine == "c-sparse":
        assert np.array_equal(outputs, expected)
    else:
        assert np.median(np.abs(outputs.astype(int) - expected)) <= 1
