"""Engine c-compact: one small kernel for every sparse layer, byte for byte like TFLM."""

from __future__ import annotations

import dataclasses
import subprocess

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from bridge.bench.kernel_cases import Case, kernel_input, kernel_program, reference
from bridge.compile import compile_graph
from bridge.compile.direct import direct
from bridge.compile.formats import bytes_of, d8
from bridge.compile.weighted import read_weighted
from bridge.encode.streams import D8Stream, unpack_d8
from bridge.firmware.host import run_on_host
from bridge.graph import read_tflite
from bridge.paths import tflm_project
from bridge.toolchain import require
from tests.c.layers import activations, random_layer
from tests.c.test_kernels import CONVOLUTIONS
from tests.compile.networks import int8_model, lenet, random_inputs, residual, run_tflm


def strides(layers, x):
    """What moves a window: strides, dilation, rows of fewer than four pixels, padding."""
    x = layers.Conv2D(6, (5, 3), strides=(2, 1), padding="same", activation="relu")(x)
    x = layers.Conv2D(5, 3, dilation_rate=2)(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(7, 3, strides=3, activation="relu6")(x)
    return layers.Dense(9)(layers.Flatten()(x))


CASES = {"lenet": (lenet, (20, 17, 1)), "residual": (residual, (11, 14, 3)),
         "strides": (strides, (21, 16, 2))}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def network(request):
    build, shape = CASES[request.param]
    model = int8_model(build, shape, sparsity=0.9)
    inputs = random_inputs(shape)
    return read_tflite(model, name=request.param), inputs, run_tflm(model, inputs)


def layers_of(graph):
    return [read_weighted(graph, operator, "cortex-m4") for operator, _ in graph.weights()]


def test_outputs_equal_tflm_byte_for_byte(network):
    graph, inputs, expected = network
    assert len(np.unique(expected)) > 8, "outputs must move with the input"
    program = compile_graph(graph, engine="c-compact")
    kernels = {plan.kernel for plan in program.layers}
    assert "snn_sparse_direct_s8" in kernels
    assert not any("dual" in kernel or "packed" in kernel for kernel in kernels)
    assert np.array_equal(run_on_host(program, inputs, sanitize=True), expected)


def test_streams_hold_every_weight_at_its_place_in_the_image(network):
    graph, *_ = network
    for layer in layers_of(graph):
        stored = direct(layer)
        if stored is None:
            assert layer.kind == "DEPTHWISE_CONV_2D"
            continue
        w, depth = layer.window, layer.source.c
        width = stored.parameters["image_w"]
        length = ((w.kernel_h - 1) * w.dilation_h + 1) * width * depth
        stream = D8Stream(
            stored.constants["stream"], stored.constants["count"], layer.target.c, length
        )
        found = unpack_d8(stream).reshape(layer.target.c, -1, width, depth)
        rows = np.arange(w.kernel_h) * w.dilation_h
        columns = np.arange(w.kernel_w) * w.dilation_w
        assert np.array_equal(found[:, rows][:, :, columns], layer.weights)
        assert np.count_nonzero(found) == np.count_nonzero(layer.weights)


def test_a_layer_is_dense_where_that_takes_fewer_bytes():
    graph = read_tflite(int8_model(lenet, (20, 17, 1), sparsity=0.0))
    program = compile_graph(graph, engine="c-compact")
    kernels = [plan.kernel for plan in program.layers]
    assert "snn_fully_connected_s8" in kernels
    sparse = read_tflite(int8_model(lenet, (20, 17, 1), sparsity=0.9))
    assert compile_graph(sparse, engine="c-compact").weight_bytes < program.weight_bytes / 3


def test_it_takes_no_more_bytes_than_d8(network):
    graph, *_ = network
    for layer in layers_of(graph):
        stored = direct(layer)
        if stored is not None and layer.one_pixel:
            tables = layer.multiplier.nbytes + layer.shift.nbytes
            assert bytes_of(stored) <= bytes_of(d8(layer)) + tables


def test_a_checked_build_never_leaves_a_corrupted_stream():
    rng = np.random.default_rng(11)
    layer = random_layer(rng, (8, 8, 6), 5, density=0.1)
    stored = direct(layer)
    stream = stored.constants["stream"]
    cases = []
    for place in rng.permutation(stream.size)[:30]:
        for value in (0, 255):
            broken = stream.copy()
            broken[place] = value
            constants = {**stored.constants, "stream": broken}
            changed = dataclasses.replace(stored, constants=constants)
            cases.append(Case(layer, "direct", changed))
    x = activations(rng, layer)
    inputs = [np.frombuffer(kernel_input(cases, i, x), np.int8) for i in range(len(cases))]
    program = kernel_program(cases, defines=("SNN_CHECKED",), tolerant=True)
    statuses = run_on_host(program, np.stack(inputs), sanitize=True)[:, 0]
    assert set(statuses.tolist()) <= {0, 2}
    assert np.count_nonzero(statuses == 2) >= len(cases) // 10


def test_random_layers_agree_with_the_reference():
    rng = np.random.default_rng(12)
    layers = [
        random_layer(rng, source, channels, density=density, **how)
        for source, channels, how in CONVOLUTIONS
        for density in (0.0, 0.05, 1.0)
    ]
    # Half of them quantized per tensor: one requantization for all channels, kept once.
    for index, layer in enumerate(layers[::2]):
        same = [np.full_like(a, a[0]) for a in (layer.multiplier, layer.shift)]
        layers[2 * index] = dataclasses.replace(layer, multiplier=same[0], shift=same[1])
    cases = [Case(layer, "direct", direct(layer)) for layer in layers]
    assert {case.stored.parameters["apart"] for case in cases} == {0, 1}
    assert {case.constants["multiplier"].size == 1 for case in cases} == {True, False}
    inputs = [activations(rng, case.layer) for case in cases]
    given = run_on_host(
        kernel_program(cases, defines=("SNN_CHECKED",)),
        np.stack([np.frombuffer(kernel_input(cases, i, x), np.int8) for i, x in enumerate(inputs)]),
        sanitize=True,
    )
    for case, x, y in zip(cases, inputs, given, strict=True):
        wanted = reference(case, x).ravel()
        np.testing.assert_array_equal(y[: wanted.size], wanted, err_msg=f"{case.layer}")


@pytest.mark.emulated
def test_the_kernel_is_small_whatever_the_rest_of_the_program_is_built_for(tmp_path):
    source = tflm_project() / "sparse_nn" / "src" / "snn_sparse_direct_s8.c"
    flags = ["-mcpu=cortex-m4", "-std=c11", f"-I{source.parents[1] / 'include'}"]
    sizes = {}
    for level in ("-Os", "-O3"):
        out = tmp_path / f"{level}.o"
        compiler = str(require("arm-none-eabi-gcc"))
        subprocess.run([compiler, level, *flags, "-c", str(source), "-o", str(out)], check=True)
        with out.open("rb") as file:
            sizes[level] = sum(
                s.data_size for s in ELFFile(file).iter_sections() if s.name.startswith(".text")
            )
    assert sizes["-O3"] == sizes["-Os"] < 800
