"""Small int8 networks made by TensorFlow's own converter, for tests of what reads them."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def int8_model(
    build, *shapes, seed=0, sparsity=0.0, spread=2.0, centre=0.3, border="int8", change=None
):
    """Quantize ``build(layers, *inputs)`` and return the .tflite's bytes.

    Args:
        build: takes ``tf_keras.layers`` and input tensors, returns the output tensor or a list.
        shapes: of each input, channels last.
        seed: of weights and calibration data.
        sparsity: share of each weight tensor that is set to zero.
        spread: standard deviation of the calibration data.
        centre: their mean, which moves the zero points.
        border: type of inputs and outputs.
        change: called with each layer and its weights, to be changed in place.
    """
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(seed)
    random = np.random.default_rng(seed)
    # The converter orders inputs by name.
    sources = [tf_keras.Input(s, batch_size=1, name=f"in{i}") for i, s in enumerate(shapes)]
    model = tf_keras.Model(sources, build(tf_keras.layers, *sources))
    for layer in model.layers:
        values = layer.get_weights()
        if values:
            fan_in = max(values[0].size // values[0].shape[-1], 1)
            width = 1.2 / np.sqrt(fan_in * (1 - sparsity))
            values = [random.normal(0.02, width, value.shape) for value in values]
            values[0] *= random.random(values[0].shape) >= sparsity
            if change is not None:
                change(layer, values[0])
            layer.set_weights(values)

    def calibration():
        for _ in range(16):
            yield [
                random.normal(centre, spread, (1, *shape)).astype(np.float32) for shape in shapes
            ]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, border)
    return converter.convert()


def lenet(layers, x):
    """LeNet-5's layers on a small image."""
    x = layers.Conv2D(6, 5, padding="same", activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(16, 5, activation="relu")(x)
    x = layers.AveragePooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(24, activation="relu")(x)
    return layers.Softmax()(layers.Dense(10)(x))


def residual(layers, x):
    """A depthwise-separable residual block with stride, on H ≠ W ≠ C."""
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu6")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    y = layers.Conv2D(8, 1)(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(5, (3, 2), dilation_rate=(1, 2))(x)
    return layers.Dense(7)(layers.Flatten()(x))


def run_tflm(model, inputs, graph=None):
    """Every input through the real TFLM interpreter: ``[N, output bytes]`` as int8.

    Args:
        model: the .tflite's bytes.
        inputs: ``[N, …]``, or ``[N, bytes]`` of all inputs back to back where a graph is given.
        graph: the model's graph, for networks with several inputs or outputs.
    """
    from bridge.convert.tflm import interpreter as tflm

    interpreter = tflm(model)
    outputs = []
    for value in inputs:
        given = value.tobytes()
        for position, index in enumerate(graph.inputs if graph else ()):
            tensor = graph.tensor(index)
            part, given = given[: tensor.bytes], given[tensor.bytes :]
            values = np.frombuffer(part, tensor.dtype).reshape(tensor.shape)
            interpreter.set_input(values, position)
        if graph is None:
            interpreter.set_input(value[None], 0)
        interpreter.invoke()
        count = len(graph.outputs) if graph else 1
        parts = [interpreter.get_output(i).tobytes() for i in range(count)]
        outputs.append(np.frombuffer(b"".join(parts), np.int8))
    return np.stack(outputs)


def random_inputs(shape, count=24, seed=1):
    """Random int8 inputs, the extremes −128 and 127 among them."""
    random = np.random.default_rng(seed)
    values = random.integers(-128, 128, (count, *shape), dtype=np.int8)
    values[0], values[1] = -128, 127
    return values
