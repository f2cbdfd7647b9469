"""What our encoders write, the real interpreter decodes: bit by bit, any shape and value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.compress.choose import encode
from bridge.compress.write import write_decoded
from bridge.encode.decode_header import EncodingError
from bridge.graph import read_tflite
from tests.compress.one_tensor import KINDS, decoded_weights, one_tensor_model


@st.composite
def networks(draw: st.DrawFn, distinct: int = 255) -> tuple[np.ndarray, bytes]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "FULLY_CONNECTED":
        shape = tuple(random.integers(1, 70, 2))
    elif kind == "CONV_2D":
        shape = tuple(random.integers(1, 9, 4))
    else:
        shape = (1, *random.integers(1, 9, 3))
    values = random.integers(-128, 128, draw(st.integers(1, distinct))).astype(np.int8)
    weights = random.choice(values, shape)
    weights[random.random(shape) < draw(st.sampled_from([0.0, 0.3, 0.92, 1.0]))] = 0
    # Convolutions are quantized by channel in every int8 file; a Dense may be either.
    single = kind == "FULLY_CONNECTED" and draw(st.booleans())
    channels = 1 if single else shape[KINDS[kind]]
    scales = random.uniform(0.01, 1, channels).astype(np.float32)
    axis = 0 if channels == 1 else KINDS[kind]
    return weights, one_tensor_model(kind, weights, scales, (0,) * channels, axis)[0]


def decodes(weights, model, encoding):
    encoded = encode(read_tflite(model).tensor(1), encoding)
    again = decoded_weights(write_decoded(model, {1: encoded}))
    np.testing.assert_array_equal(again.reshape(weights.shape), weights)


@pytest.mark.parametrize("encoding", ["bitmask", "huffman"])
@given(network=networks())
@settings(max_examples=60, deadline=None)
def test_the_interpreter_decodes_what_we_encode(encoding, network):
    decodes(*network, encoding)


@given(networks(distinct=100))
@settings(max_examples=80, deadline=None)
def test_the_interpreter_decodes_our_look_up_tables(network):
    decodes(*network, "lut")


def test_a_zero_point_that_is_not_zero():
    weights = np.full((4, 9), 5, np.int8)
    weights[1, 2:4] = (0, -7)
    model, _ = one_tensor_model("FULLY_CONNECTED", weights, zero_points=(5,))
    decodes(weights, model, "bitmask")


def test_many_values_in_a_deep_code():
    counts = [1, 1]
    while len(counts) < 17:
        counts.append(counts[-1] + counts[-2])
    values = np.repeat(np.arange(-8, 9, dtype=np.int8), counts)[: 17 * 380]
    weights = np.random.default_rng(0).permutation(values)[: len(values) // 17 * 17].reshape(17, -1)
    decodes(weights, one_tensor_model("FULLY_CONNECTED", weights)[0], "huffman")


def test_an_axis_that_decode_refuses_is_refused_here():
    weights = np.zeros((1, 2, 3, 4), np.int8)
    model, _ = one_tensor_model("DEPTHWISE_CONV_2D", weights, (0.1,) * 2, (0,) * 2, axis=1)
    with pytest.raises(EncodingError, match="first or last"):
        encode(read_tflite(model).tensor(1), "bitmask")
