"""Layers for TFLM's interpreter: same outputs as TFLM's own, weights once, never run by mistake."""

from __future__ import annotations

import ctypes
import subprocess

import numpy as np
import pytest

from bridge.compile.registrations import register_layers
from bridge.convert.tflm import interpreter
from bridge.errors import ModelError
from bridge.graph import read_tflite
from bridge.graph.rewrite import buffer_offsets, pack, unpack
from bridge.paths import tflm_project
from tests.compile.networks import int8_model, lenet, random_inputs, residual, run_tflm

RUN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Layer(ctypes.Structure):
    _fields_ = (
        ("weights", ctypes.c_uint32),
        ("input_bytes", ctypes.c_int32),
        ("output_bytes", ctypes.c_int32),
        ("scratch_bytes", ctypes.c_int32),
        ("run", RUN),
    )


class Network(ctypes.Structure):
    _fields_ = (
        ("model", ctypes.c_void_p),
        ("layers", ctypes.POINTER(Layer)),
        ("count", ctypes.c_int32),
    )


@pytest.fixture(scope="module", params=["lenet", "residual"])
def case(request):
    network, shape = {"lenet": (lenet, (14, 12, 1)), "residual": (residual, (11, 9, 3))}[
        request.param
    ]
    model = int8_model(network, shape, sparsity=0.85, seed=3)
    return model, read_tflite(model, name=request.param), shape


def compiled(found, folder):
    """The generated table as a host library."""
    project = tflm_project()
    for name, text in found.files.items():
        (folder / name).write_text(text)
    (folder / "model_model_data.h").write_text("extern const unsigned char model_model_data[];\n")
    (folder / "data.c").write_text("const unsigned char model_model_data[1] = { 0 };\n")
    library = folder / "layers.so"
    subprocess.run(
        [
            "gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic",
            "-shared", "-fPIC",
            f"-I{folder}", f"-I{project}/sparse_nn/include", f"-I{project}/wrappers",
            *map(str, sorted(folder.glob("*.c"))),
            *map(str, sorted((project / "sparse_nn/src").glob("*.c"))),
            "-lm", "-o", str(library),
        ],
        check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(library))


def test_every_layer_gives_tflms_outputs(case, tmp_path):
    model, graph, shape = case
    found = register_layers(model, graph)
    library = compiled(found, tmp_path)
    network = Network.in_dll(library, "model_sparse")
    assert network.count == len(found.layers) > 0
    offsets = buffer_offsets(found.model)
    by_offset = {network.layers[i].weights: network.layers[i] for i in range(network.count)}
    stripped = unpack(found.model).subgraphs[0]
    runtime = interpreter(model, preserve=True)
    runtime.set_input(random_inputs(shape, count=3)[2].reshape(1, *shape), 0)
    runtime.invoke()
    done = 0
    for operator, _ in graph.weights():
        place = offsets[stripped.tensors[operator.inputs[1]].buffer]
        layer = by_offset.get(place)
        if layer is None:
            continue
        source = runtime.GetTensor(operator.inputs[0], 0)["tensor_data"].astype(np.int8)
        expected = runtime.GetTensor(operator.outputs[0], 0)["tensor_data"].astype(np.int8)
        assert (layer.input_bytes, layer.output_bytes) == (source.size, expected.size)
        made = np.empty(expected.size, np.int8)
        scratch = np.empty(layer.scratch_bytes // 8 + 1, np.int64)
        source = np.ascontiguousarray(source)
        status = layer.run(source.ctypes.data, made.ctypes.data, scratch.ctypes.data)
        assert status == 0
        assert np.array_equal(made, expected.reshape(-1)), operator.name
        done += 1
    assert done == network.count


def test_weights_leave_the_flatbuffer(case):
    model, graph, _ = case
    found = register_layers(model, graph)
    weights = sum(t.bytes for o, t in graph.weights() if o.name in {p.name for p in found.layers})
    assert len(found.model) <= len(model) - weights + 16 * len(found.layers) + 64


def test_what_is_left_of_a_layer_takes_no_arena(case):
    """TFLM gives room to every tensor without data, used or not."""
    model, graph, _ = case
    left = unpack(register_layers(model, graph).model)
    tensors = left.subgraphs[0].tensors
    full = {index for index, buffer in enumerate(left.buffers) if buffer.data is not None}
    empty = {index for index, tensor in enumerate(tensors) if tensor.buffer not in full}
    made = {index for operator in graph.operators for index in operator.outputs}
    assert empty == made | set(graph.inputs)


def test_layers_that_shared_a_buffer_are_told_apart():
    def twins(layers, x):
        first = layers.Dense(120, use_bias=False)(layers.Flatten()(x))
        return layers.Dense(120, use_bias=False)(first)

    model = int8_model(twins, (8, 15, 1), sparsity=0.9)
    loose = unpack(model)
    tensors, (first, second) = loose.subgraphs[0].tensors, loose.subgraphs[0].operators[-2:]
    tensors[second.inputs[1]].buffer = tensors[first.inputs[1]].buffer
    shared = pack(loose)
    found = register_layers(shared, read_tflite(shared, name="twins"))
    left = unpack(found.model).subgraphs[0]
    used = [left.tensors[operator.inputs[1]].buffer for operator in left.operators[-2:]]
    assert len(found.layers) == len(set(used)) == 2


def test_tflm_refuses_what_it_would_misread(case):
    model, graph, _ = case
    with pytest.raises(ModelError, match="refuses"):
        interpreter(register_layers(model, graph).model)


def test_the_same_input_gives_the_same_files(case):
    model, graph, _ = case
    assert register_layers(model, graph) == register_layers(model, graph)


def test_a_network_that_gains_nothing_is_refused():
    model = int8_model(lambda layers, x: layers.ReLU()(layers.MaxPooling2D()(x)), (8, 8, 2))
    with pytest.raises(ModelError, match="no layer"):
        register_layers(model, read_tflite(model))


def test_a_layer_that_is_faster_dense_is_left_to_cmsis_nn():
    """Unpruned 1×1: our dual multiply beats CMSIS-NN's on Cortex-M4, not the vectors of M55."""

    def network(layers, x):
        x = layers.Conv2D(32, 1, activation="relu")(x)
        return layers.Dense(10)(layers.Flatten()(x))

    def prune_last(layer, values):
        if values.ndim == 2:
            values.reshape(-1)[::10] *= 10
            values[abs(values) < abs(values).max() / 4] = 0

    model = int8_model(network, (8, 7, 32), change=prune_last)
    graph = read_tflite(model)
    taken = {
        core: [plan.kind for plan in register_layers(model, graph, core=core).layers]
        for core in ("cortex-m4", "cortex-m55")
    }
    assert taken == {
        "cortex-m4": ["CONV_2D", "FULLY_CONNECTED"],
        "cortex-m55": ["FULLY_CONNECTED"],
    }
    assert "CONV_2D" in register_layers(model, graph, core="cortex-m55").others


def test_packing_keeps_the_network(case):
    model, _, shape = case
    inputs = random_inputs(shape, count=5)
    again = pack(unpack(model))
    assert np.array_equal(run_tflm(again, inputs), run_tflm(model, inputs))
    assert all(offset % 16 == 0 for offset in buffer_offsets(again))
