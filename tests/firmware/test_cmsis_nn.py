"""Which CMSIS-NN the dense engine is linked with, and that it calls what is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from bridge.bench.kernel_layers import CONV, DEPTHWISE, LayerShape, bench_layer
from bridge.compile import compile_graph
from bridge.compile.cmsis import BASIC, store
from bridge.emulate import run
from bridge.errors import ToolchainError
from bridge.firmware.build import _library, build_c, build_files
from bridge.firmware.cmsis_nn import find_cmsis_nn
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet, random_inputs, residual, run_tflm

NEWER = frozenset(
    {
        "arm_elementwise_add_s8",
        "arm_elementwise_mul_s8",
        "arm_fully_connected_per_channel_s8",
        "arm_softmax_s8",
        "arm_vector_sum_s8",
    }
)
"""What the wheel's package has no sources of."""

HEADER = """/* $Revision:    V.19.1.0 */
/* arm_named_in_a_comment(int a); */
arm_cmsis_nn_status arm_declared(const int *a,
                                 int b);
arm_cmsis_nn_status arm_declared_alone(void);
"""
SOURCE = """arm_cmsis_nn_status arm_declared(const int *a,
                                 int b)
{
    return arm_called(a, b);
}
arm_cmsis_nn_status arm_hidden(void)
{
}
"""


@pytest.fixture(autouse=True)
def no_root(monkeypatch):
    monkeypatch.delenv("CMSIS_NN_ROOT", raising=False)
    monkeypatch.delenv("CMSIS_CORE_ROOT", raising=False)


@pytest.fixture
def own_tree(tmp_path, monkeypatch):
    """A tree of a newer CMSIS-NN, as far as it is read in Python."""
    include, source = tmp_path / "nn" / "Include", tmp_path / "nn" / "Source" / "Functions"
    for folder in (include, source):
        folder.mkdir(parents=True)
    (include / "arm_nnfunctions.h").write_text(HEADER)
    (source / "arm_declared.c").write_text(SOURCE)
    monkeypatch.setenv("CMSIS_NN_ROOT", str(include.parent))
    return include.parent


def tflm_root(core: str) -> Path:
    """The user's TFLM tree; skips where it has no kernels of CMSIS-NN for the core."""
    root = os.environ.get("TFLM_ROOT")
    if not root:
        pytest.skip("TFLM_ROOT is not set")
    if find_cmsis_nn(core, Path(root)).library is None:
        pytest.skip(f"TFLM_ROOT has no CMSIS-NN for {core}, or lacks its headers")
    return Path(root)


def test_the_wheels_sources_are_the_default():
    found = find_cmsis_nn()
    assert found.label == "CMSIS-NN 4.0.0 (bakenn wheel)"
    assert found.functions >= BASIC
    assert not found.functions & NEWER, "declared in its header, but not in the package"


def test_a_tree_of_ones_own_comes_first(own_tree):
    found = find_cmsis_nn("cortex-m4", own_tree)
    assert found.source == own_tree
    assert found.label == "CMSIS-NN header 19.1.0 (CMSIS_NN_ROOT)"
    assert found.functions == {"arm_declared"}


def test_a_checkout_of_ones_own_is_named_by_its_commit(own_tree):
    git = ["git", "-C", str(own_tree), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout
    assert find_cmsis_nn().version == head[:10]


def test_a_root_without_headers_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("CMSIS_NN_ROOT", str(tmp_path))
    with pytest.raises(ToolchainError, match=r"arm_nnfunctions\.h is missing"):
        find_cmsis_nn()


def archive(folder: Path, core: str, functions: Iterable[str], name: str) -> Path:
    """A library that defines functions, compiled for a core."""
    folder.mkdir(parents=True, exist_ok=True)
    source = "".join(f"void {function}(void) {{}}\n" for function in sorted(functions))
    (folder / "one.c").write_text(source + "float f(float x) { return x; }\n")
    command = ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", "-mfloat-abi=hard", "-c"]
    subprocess.run([*command, folder / "one.c", "-o", folder / "one.o"], check=True)
    subprocess.run(["arm-none-eabi-ar", "rcs", folder / name, folder / "one.o"], check=True)
    return folder / name


def test_a_library_of_ones_own_comes_before_the_sources_beside_it(own_tree):
    declared = {"arm_declared", "arm_declared_alone", "arm_hidden"}
    small = archive(own_tree / "lib/m4", "cortex-m4", declared, "libcmsis-nn.a")
    large = archive(own_tree / "lib/m55", "cortex-m55", {"arm_declared"}, "libcmsis-nn.a")
    found = {core: find_cmsis_nn(core) for core in ("cortex-m4", "cortex-m55", "cortex-m0")}
    assert [found[core].library for core in found] == [small, large, None]
    assert found["cortex-m4"].functions == {"arm_declared", "arm_declared_alone"}
    assert found["cortex-m4"].label.endswith("(CMSIS_NN_ROOT, lib/m4/libcmsis-nn.a)")
    assert found["cortex-m55"].functions == {"arm_declared"}
    assert found["cortex-m0"].label.endswith("(CMSIS_NN_ROOT)"), "from the sources"
    assert find_cmsis_nn().library is None


def test_a_root_that_has_nothing_for_the_core_is_refused(own_tree):
    shutil.rmtree(own_tree / "Source")
    with pytest.raises(ToolchainError, match=r"for cortex-m4 nor Source: no lib\*\.a at all"):
        find_cmsis_nn("cortex-m4")
    archive(own_tree, "cortex-m55", {"arm_declared"}, "libcmsis-nn.a")
    assert find_cmsis_nn("cortex-m55").library
    with pytest.raises(ToolchainError, match=r"for cortex-m4 nor Source: \S+/libcmsis-nn\.a"):
        find_cmsis_nn("cortex-m4")


@pytest.mark.emulated
def test_a_library_of_ones_own_is_linked_and_called(monkeypatch, tmp_path):
    """The wheel's sources as somebody else would have built them: Include/ and lib/ alone."""
    core = "cortex-m4"
    wheel = find_cmsis_nn()
    root = tmp_path / "nn"
    shutil.copytree(wheel.source / "Include", root / "Include")
    (root / "lib").mkdir()
    built = _library("cmsis_nn", core, "", str(wheel.source), str(wheel.core))
    shutil.copy(built, root / "lib/libcmsis-nn.a")
    monkeypatch.setenv("CMSIS_NN_ROOT", str(root))
    found = find_cmsis_nn(core)
    assert found.library == root / "lib/libcmsis-nn.a"
    assert found.functions == wheel.functions
    model, inputs = int8_model(lenet, (20, 17, 1)), random_inputs((20, 17, 1), count=20)
    program = compile_graph(read_tflite(model), engine="c-dense", core=core, cmsis=found.functions)
    firmware = build_c(program, core, tmp_path / "run", found)
    assert (
        run(firmware.elf, core, inputs=inputs.tobytes()).outputs
        == run_tflm(model, inputs).tobytes()
    )
    assert "(CMSIS_NN_ROOT, lib/libcmsis-nn.a)" in firmware.kernels
    assert "arm_convolve_s8" in firmware.kernels


def fake_tflm(root: Path, core: str, functions: frozenset[str]) -> Path:
    """An installed prefix whose library defines functions, and headers that declare NEWER too."""
    include = root / "include/third_party/cmsis_nn/Include"
    include.mkdir(parents=True)
    declared = "".join(f"void {name}(void);\n" for name in sorted(BASIC | NEWER))
    (include / "arm_nnfunctions.h").write_text(declared)
    archive(root / "lib", core, functions, "libtensorflow-microlite.a")
    return root


def test_the_kernels_inside_tflm_come_before_the_wheels(tmp_path):
    some = BASIC | {"arm_softmax_s8", "arm_not_declared"}
    root = fake_tflm(tmp_path / "root", "cortex-m4", some)
    found = find_cmsis_nn("cortex-m4", root)
    assert found.library == root / "lib/libtensorflow-microlite.a"
    assert found.functions == BASIC | {"arm_softmax_s8"}
    assert "inside the library of TFLM (commit unknown)" in found.label


def test_a_library_for_another_core_or_without_the_kernels_is_passed_by(tmp_path):
    root = fake_tflm(tmp_path / "root", "cortex-m4", BASIC)
    assert find_cmsis_nn("cortex-m55", root).origin == "bakenn wheel"
    plain = fake_tflm(tmp_path / "plain", "cortex-m4", frozenset({"arm_softmax_s8"}))
    assert find_cmsis_nn("cortex-m4", plain).origin == "bakenn wheel"
    assert find_cmsis_nn("cortex-m4", tmp_path / "nowhere").origin == "bakenn wheel"


def arithmetic(layers, x):
    """Sums and products of one shape, with scales of their own, and a softmax over rows."""
    y = layers.Conv2D(x.shape[-1], 3, padding="same")(x)
    x = layers.Multiply()([layers.Add()([x, y]), y])
    x = layers.Conv2D(7, 3, strides=2)(x)
    return layers.Softmax()(x)


NETWORKS = {
    "lenet": (lenet, (20, 17, 1)),
    "residual": (residual, (11, 14, 3)),
    "arithmetic": (arithmetic, (9, 7, 5)),
}


def per_channel(model: bytes) -> bytes:
    """The network with a scale for each row of its fully connected weights."""
    from bridge.graph.rewrite import pack, unpack

    loose = unpack(model)
    graph = read_tflite(model)
    for operator in graph.operators:
        if operator.kind != "FULLY_CONNECTED":
            continue
        quantization = loose.subgraphs[0].tensors[operator.inputs[1]].quantization
        rows = graph.tensor(operator.inputs[1]).shape[0]
        scale = float(quantization.scale[0])
        quantization.scale = [scale * (1 + row % 5 / 8) for row in range(rows)]
        quantization.zeroPoint = [0] * rows
    return pack(loose)


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m55"])
@pytest.mark.parametrize("network", [*NETWORKS, "per channel"])
def test_the_kernels_inside_tflm_called_directly(network, core, tmp_path):
    """Needs a TFLM library with CMSIS-NN, and the headers that upstream's makefile downloads."""
    root = tflm_root(core)
    build, shape = NETWORKS.get(network, NETWORKS["lenet"])
    model = int8_model(build, shape)
    if network == "per channel":
        model = per_channel(model)
    inputs = random_inputs(shape, count=100)
    cmsis = find_cmsis_nn(core, root)
    program = compile_graph(read_tflite(model), engine="c-dense", core=core, cmsis=cmsis.functions)
    ours = {plan.kind for plan in program.layers if plan.kernel.startswith("snn_")}
    assert ours <= {"PAD", "CONV_2D"}, "the dilated convolution of the residual network"
    firmware = build_c(program, core, tmp_path / "run", cmsis)
    outputs = run(firmware.elf, core, inputs=inputs.tobytes()).outputs
    assert outputs == run_tflm(model, inputs).tobytes()
    assert "inside the library of TFLM" in firmware.kernels
    for plan in program.layers:
        if plan.kernel.startswith("arm_"):
            assert plan.kernel in firmware.kernels
    if network == "per channel":
        assert "arm_fully_connected_per_channel_s8" in firmware.kernels
    assert np.frombuffer(outputs, np.int8).std() > 1


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_the_same_compiled_from_its_sources(core, monkeypatch, tmp_path):
    """Needs the CMSIS-NN sources that upstream's makefile downloads into a TFLM tree."""
    root = os.environ.get("TFLM_ROOT")
    downloads = Path(root or "/") / "tensorflow/lite/micro/tools/make/downloads"
    if not root or not (downloads / "cmsis_nn/Source").is_dir():
        pytest.skip("TFLM_ROOT is no tree with CMSIS-NN's sources")
    monkeypatch.setenv("CMSIS_NN_ROOT", str(downloads / "cmsis_nn"))
    monkeypatch.setenv("CMSIS_CORE_ROOT", str(downloads / "cmsis/CMSIS/Core/Include"))
    shape = (20, 17, 1)
    model = int8_model(lenet, shape)
    inputs = random_inputs(shape, count=100)
    cmsis = find_cmsis_nn(core)
    assert cmsis.functions >= NEWER
    program = compile_graph(read_tflite(model), engine="c-dense", core=core, cmsis=cmsis.functions)
    firmware = build_c(program, core, tmp_path / "run", cmsis)
    outputs = run(firmware.elf, core, inputs=inputs.tobytes()).outputs
    assert outputs == run_tflm(model, inputs).tobytes()
    assert "CMSIS_NN_ROOT" in firmware.kernels
    assert "arm_softmax_s8" in firmware.kernels


BUFFERS = """
#define MUT_ARENA_BYTES 16
#define MUT_INPUT_BYTES 16
#define MUT_OUTPUT_BYTES {bytes}
#include <string.h>
#include "arm_nnfunctions.h"
static inline int mut_invoke(const void *input, void *output, void *arena)
{{
    const int32_t sizes[] = {{
{calls}
    }};
    (void)input;
    (void)arena;
    memcpy(output, sizes, sizeof sizes);
    return 0;
}}
"""


def asked(layer):
    """C: what CMSIS-NN asks for, for the layer."""
    w, source, target = layer.window, layer.source, layer.target
    depthwise = layer.kind == "DEPTHWISE_CONV_2D"
    kind, name = ("dw_conv", "depthwise_conv") if depthwise else ("conv", "convolve")
    multiplier = f"{target.c // source.c}, " if depthwise else ""
    n, depth = (1, target.c) if depthwise else (target.c, source.c)
    return (
        f"arm_{name}_wrapper_s8_get_buffer_size(&(cmsis_nn_{kind}_params){{ 1, 0, {multiplier}"
        f"{{ {w.stride_w}, {w.stride_h} }}, {{ {w.pad_left}, {w.pad_top} }}, {{ 1, 1 }}, "
        "{ -128, 127 } }, "
        f"&(cmsis_nn_dims){{ 1, {source.h}, {source.w}, {source.c} }}, "
        f"&(cmsis_nn_dims){{ {n}, {w.kernel_h}, {w.kernel_w}, {depth} }}, "
        f"&(cmsis_nn_dims){{ 1, {target.h}, {target.w}, {target.c} }}),"
    )


def shapes():
    """Layers of every kind that CMSIS-NN tells apart."""
    for size in ((9, 7), (1, 12), (1, 5)):
        for kernel in ((3, 3), (1, 1), (1, 5), (1, 3), (5, 2)):
            for depth in (1, 3, 4, 16, 130):
                for stride in (1, 2):
                    for same in (True, False):
                        if not same and (kernel[0] > size[0] or kernel[1] > size[1]):
                            continue
                        name = f"{size} {kernel} {depth} {stride} {same}"
                        options = {"stride": stride, "same": same}
                        yield LayerShape(name, CONV, (*size, depth), 6, kernel, **options)
                        yield LayerShape(name, DEPTHWISE, (*size, depth), depth, kernel, **options)
    for channels in (1, 2, 9, 600):
        for kernel in ((1, 1), (3, 3)):
            yield LayerShape(f"one channel {channels}", DEPTHWISE, (6, 5, 1), channels, kernel)


@pytest.mark.emulated
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("inside", [False, True], ids=["wheel", "tflm"])
def test_scratch_is_never_less_than_asked_for(core, inside, tmp_path):
    cmsis = find_cmsis_nn(core, tflm_root(core) if inside else None)
    layers = [bench_layer(shape, 0.0, core) for shape in shapes()]
    given = [store(layer, cmsis.functions).scratch for layer in layers]
    text = BUFFERS.format(bytes=4 * len(layers), calls="\n".join(asked(layer) for layer in layers))
    options = {"BRIDGE_LIBRARIES": "sparse_nn;cmsis_nn", **cmsis.options}
    elf = build_files(core, "c", {"model_under_test.h": text}, options, tmp_path)
    sizes = np.frombuffer(run(elf, core, inputs=bytes(16), count=False).outputs, "<i4")
    short = [
        (layer, size, have)
        for layer, size, have in zip(layers, sizes, given, strict=True)
        if size > have
    ]
    assert not short
    assert sizes.max() > 1000
