"""Whole networks through ``compress_model``: same bytes out, smaller files, honest budgets."""

from __future__ import annotations

import os

import numpy as np
import pytest

from bridge.compress import ENCODINGS, compress_model, prove_equal
from bridge.compress.choose import OVERHEAD
from bridge.errors import InputError, ModelError, ProofError
from bridge.firmware.arena import host_arena_bytes
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet, residual
from tests.compress.one_tensor import one_tensor_model

SHAPE = (28, 26, 1)


def wide(layers, x):
    """LeNet-5's layers with its own numbers of channels."""
    x = layers.MaxPooling2D()(layers.Conv2D(6, 5, padding="same", activation="relu")(x))
    x = layers.AveragePooling2D()(layers.Conv2D(16, 5, activation="relu")(x))
    x = layers.Dense(120, activation="relu")(layers.Flatten()(x))
    return layers.Dense(10)(layers.Dense(84, activation="relu")(x))


@pytest.fixture(scope="module")
def sparse():
    return int8_model(wide, SHAPE, sparsity=0.92)


def test_smaller_and_byte_equal(sparse):
    done = compress_model(sparse)
    assert len(done.model) < 0.30 * len(sparse) < 0.5 * done.rewritten_bytes
    assert prove_equal(sparse, done.model) == 100
    coded = {t.encoding for t in done.tensors}
    assert done.encoded
    assert coded <= {*ENCODINGS, "none"}
    assert compress_model(sparse) == done, "the same input gives the same file"


@pytest.mark.parametrize("encoding", ["bitmask", "huffman"])
@pytest.mark.parametrize("build", [lenet, residual])
def test_each_encoding_alone(encoding, build):
    model = int8_model(build, (20, 18, 3), sparsity=0.8)
    done = compress_model(model, encodings=(encoding,))
    assert {t.encoding for t in done.tensors} == {encoding, "none"}
    assert len(done.model) < len(model)
    prove_equal(model, done.model)


def test_look_up_tables_where_values_are_few():
    random = np.random.default_rng(0)
    weights = random.choice(np.array([-90, -20, 5, 60], np.int8), (64, 100))
    model, _ = one_tensor_model("FULLY_CONNECTED", weights)
    done = compress_model(model, encodings=("lut", "bitmask"))
    assert [t.encoding for t in done.tensors] == ["lut"]
    assert done.tensors[0].bytes_after == 6400 // 4 + 16 + 4
    prove_equal(model, done.model)


def test_a_tensor_is_encoded_only_if_the_file_gets_smaller(sparse):
    """The assumed overhead is no less than what a further encoded tensor really costs."""
    done = compress_model(sparse)
    gained = sum(t.bytes_before - t.bytes_after for t in done.tensors)
    count = sum(t.encoding != "none" for t in done.tensors)
    real = (len(done.model) - done.rewritten_bytes + gained) / count
    assert 0 < real <= OVERHEAD


def test_no_encoding_leaves_the_model_whole(sparse):
    done = compress_model(sparse, encodings=())
    assert done.model is sparse
    assert not done.encoded
    assert done.decompression_bytes == 0
    assert all(t.reason for t in done.tensors)


def test_a_model_without_encodable_tensors_is_left_whole_and_says_so():
    def flat(layers, x):
        return layers.Reshape((4, 15))(layers.MaxPooling2D()(x))

    model = int8_model(flat, (8, 10, 3))
    done = compress_model(model)
    assert done.model is model
    assert [t.encoding for t in done.tensors] == ["none"]
    assert "RESHAPE reads it before" in done.tensors[0].reason


def test_dense_random_weights_gain_nothing():
    weights = np.random.default_rng(0).integers(-128, 128, (40, 50)).astype(np.int8)
    model, _ = one_tensor_model("FULLY_CONNECTED", weights)
    done = compress_model(model)
    assert done.model is model
    assert "would take" in done.tensors[0].reason


def test_ram_budget(sparse):
    plain, free = host_arena_bytes(sparse), compress_model(sparse)
    whole = host_arena_bytes(free.model)
    assert whole > plain + 20_000
    tight = compress_model(sparse, ram=plain + 12_000)
    assert host_arena_bytes(tight.model) <= plain + 12_000
    assert len(free.model) < len(tight.model) < len(sparse)
    dropped = {t.name for t in tight.tensors if "above" in t.reason}
    assert len(dropped) == 1
    assert "120" not in dropped
    prove_equal(sparse, tight.model)
    assert compress_model(sparse, ram=whole) == free
    with pytest.raises(InputError, match="more than --ram"):
        compress_model(sparse, ram=plain - 2000)


def test_alternate_decompression_memory(sparse):
    """With memory of the size we tell, the arena is about the plain network's; with less, not."""
    from tflite_micro.python.tflite_micro import runtime

    done = compress_model(sparse)
    arena = host_arena_bytes(sparse) + 2048  # DECODE's own records
    assert runs(lambda: runtime.Interpreter.from_bytes(
        done.model, arena_size=arena, alt_decompression_memory_size=done.decompression_bytes
    ))  # fmt: skip
    assert not runs(lambda: runtime.Interpreter.from_bytes(
        done.model, arena_size=arena, alt_decompression_memory_size=done.decompression_bytes - 16
    ))  # fmt: skip


def runs(make):
    """Whether it ends well in a process of its own: TFLM may crash where memory ends."""
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            make()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_names_and_shapes_stay(sparse):
    plain, done = read_tflite(sparse), read_tflite(compress_model(sparse).model)
    kept = [op for op in done.operators if not op.kind.startswith("CUSTOM")]
    assert [(op.kind, op.name, op.options) for op in kept] == [
        (op.kind, op.name, op.options) for op in plain.operators
    ]
    for before, after in zip(plain.operators, kept, strict=True):
        a, b = plain.input(before, 1), done.input(after, 1)
        if a is not None and b is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            assert a.quantization is None or a.quantization.scales == b.quantization.scales


def test_every_tensor_starts_at_a_multiple_of_sixteen(sparse):
    import flatbuffers
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    made = compress_model(sparse).model
    model = schema.Model.GetRootAsModel(made, 0)
    for i in range(model.BuffersLength()):
        table = model.Buffers(i)._tab
        place = flatbuffers.number_types.UOffsetTFlags.py_type(table.Offset(4))
        assert not place or table.Vector(place) % 16 == 0


def test_encoded_twice_is_refused(sparse):
    with pytest.raises(ModelError, match="already"):
        compress_model(compress_model(sparse).model)


def test_an_unknown_encoding_is_refused(sparse):
    with pytest.raises(InputError, match="zip"):
        compress_model(sparse, encodings=("zip",))


def test_the_proof_can_fail(sparse):
    other = int8_model(wide, SHAPE, sparsity=0.92, seed=1)
    with pytest.raises(ProofError, match="differ"):
        prove_equal(sparse, compress_model(other).model)
