"""Reading .tflite files: values as TensorFlow sees them, and clear refusals."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.errors import InputError, ModelError
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, residual


@pytest.fixture(scope="module")
def model():
    return int8_model(residual, (11, 14, 3))


def test_tensors_agree_with_tensorflows_interpreter(model):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_content=model)
    graph = read_tflite(model, name="residual")
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    compared = 0
    for tensor in graph.tensors:
        detail = details[tensor.index]
        assert tuple(detail["shape"]) == tensor.shape
        assert np.dtype(detail["dtype"]) == np.dtype(tensor.dtype)
        if tensor.quantization is not None:
            theirs = detail["quantization_parameters"]["scales"]
            assert np.array_equal(np.float32(tensor.quantization.scales), theirs)
        if tensor.data is not None and tensor.dtype == "int8":
            assert np.array_equal(tensor.data, interpreter.get_tensor(tensor.index))
            compared += 1
    assert compared >= 4
    assert [o.kind for o in graph.operators][:2] == ["CONV_2D", "DEPTHWISE_CONV_2D"]
    assert graph.operators[0].options["padding"] == "SAME"


def test_what_is_no_flatbuffer_is_refused(tmp_path):
    file = tmp_path / "x.tflite"
    with pytest.raises(InputError, match="can't read"):
        read_tflite(file)
    file.write_bytes(b"not a model at all")
    with pytest.raises(InputError, match="is not a TFLite flatbuffer"):
        read_tflite(file)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_cut_file_is_refused(model, share):
    with pytest.raises((InputError, ModelError)):
        read_tflite(model[: int(len(model) * share)])


def test_a_damaged_file_is_refused_or_sound(model):
    """Bytes changed at random: an error of ours, or a graph whose tensors are all there."""
    draw = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        content = np.frombuffer(model, np.uint8).copy()
        places = draw.integers(8, len(content), 12)
        content[places] = draw.integers(0, 256, len(places))
        try:
            graph = read_tflite(content.tobytes())
        except (InputError, ModelError):
            refused += 1
            continue
        assert graph.inputs
        assert graph.outputs
        for operator in graph.operators:
            assert all(-1 <= i < len(graph.tensors) for i in (*operator.inputs, *operator.outputs))
    assert refused > 10


def test_dynamic_shapes_are_refused():
    import tensorflow as tf
    import tf_keras

    network = tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=(4,))])
    converted = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    with pytest.raises(ModelError, match="dynamic shape"):
        read_tflite(converted)
