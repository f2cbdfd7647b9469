"""Generated arrays, settings and self-test: they compile clean everywhere and tell the truth."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.errors import InputError, UnsupportedOperator
from bridge.firmware.arrays import package_arrays
from bridge.firmware.resolver import METHODS, registrations, resolver_header
from bridge.graph import Graph, Operator, Tensor, read_tflite
from bridge.graph.model import Quantization
from bridge.paths import tflm_project
from tests.compile.networks import int8_model, lenet, random_inputs, residual, run_tflm

SHAPE = (20, 17, 1)
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
TARGETS = {
    "host": ["gcc"],
    "cortex-m0": ["arm-none-eabi-gcc", "-mcpu=cortex-m0", "-mthumb"],
    "cortex-m4": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"],
    "cortex-m55": ["arm-none-eabi-gcc", "-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"],
}


def call(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def case():
    model = int8_model(lenet, SHAPE, sparsity=0.5)
    inputs = random_inputs(SHAPE, count=6)
    return model, read_tflite(model, name="lenet"), inputs, run_tflm(model, inputs)


@pytest.fixture
def package(case, tmp_path):
    model, graph, inputs, expected = case
    files = package_arrays(graph, model, inputs, expected, "lenet", 9000)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path, files


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("language", [["-x", "c", "-std=c11"], ["-x", "c++", "-std=c++17"]])
def test_compiles_clean(package, target, language):
    folder, _ = package
    for source in ("lenet_model_data.cc", "lenet_test_vectors.c"):
        call(*TARGETS[target], *STRICT, *language, "-c", folder / source, "-o", folder / "out.o")


def test_same_input_gives_same_files(case, package):
    model, graph, inputs, expected = case
    assert package_arrays(graph, model, inputs, expected, "lenet", 9000) == package[1]


def test_the_array_is_the_model(case, package):
    model, folder = case[0], package[0]
    source = folder / "main.cc"
    source.write_text(
        '#include "lenet_model_data.h"\n#include <cstdint>\n#include <cstdio>\n'
        "int main() { if (reinterpret_cast<std::uintptr_t>(lenet_model_data) % 16) return 1;"
        " std::fwrite(lenet_model_data, 1, LENET_MODEL_DATA_SIZE, stdout); }\n"
    )
    call("g++", "-std=c++17", source, folder / "lenet_model_data.cc", "-o", folder / "main")
    result = subprocess.run([folder / "main"], capture_output=True, check=True)
    assert result.stdout == model


def test_self_test_runs_the_network_and_sees_one_wrong_byte(case, package):
    graph, expected = case[1], case[3]
    folder = package[0]
    program = compile_graph(graph, engine="c-sparse", prefix="net")
    for name, text in program.files.items():
        (folder / name).write_text(text)
    (folder / "main.c").write_text(
        '#include "lenet_test_vectors.h"\n#include "net.h"\n#include <stdio.h>\n'
        "static _Alignas(16) unsigned char arena[NET_ARENA_SIZE];\n"
        "static int run(void *context, const void *const in[], void *const out[]) {\n"
        "  const int status = net_invoke(in, out, arena);\n"
        "  if (*(int *)context == 0) ((signed char *)out[0])[3] ^= 1;\n"
        "  (*(int *)context)--;\n  return status; }\n"
        'int main(void) { int never = -1, once = 2; printf("%d %d",'
        " lenet_self_test(run, &never), lenet_self_test(run, &once)); return 0; }\n"
    )
    library = tflm_project() / "sparse_nn"
    sources = [*(folder / name for name in program.files if name.endswith(".c"))]
    call(
        "gcc", "-std=c11", "-O1", f"-I{folder}", f"-I{library / 'include'}", folder / "main.c",
        folder / "lenet_test_vectors.c", *sources, *library.glob("src/*.c"), "-lm",
        "-o", folder / "main",
    )  # fmt: skip
    assert call(folder / "main") == "0 1"
    assert len(expected) == 6


def test_quantize_rounds_half_away_from_zero_and_clamps(case, package):
    graph, folder = case[1], package[0]
    values = [0.5, -0.5, 1.5, -2.5, 0.49999997, 1e30, -1e30, 3.25]
    scale = graph.tensor(graph.inputs[0]).quantization.scale
    zero = graph.tensor(graph.inputs[0]).quantization.zero_point
    listed = ", ".join(f"{v!r}f" if "e" in repr(v) else f"{v}f" for v in values)
    (folder / "main.c").write_text(
        '#include "lenet_settings.h"\n#include <stdio.h>\n'
        f"static const float values[] = {{{listed}, NAN}};\n"
        "int main(void) { for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++)"
        ' printf("%d ", lenet_quantize_input0(values[i] * LENET_INPUT0_SCALE));'
        ' printf("%.9g", (double)lenet_dequantize_input0(-128)); return 0; }\n'
    )
    call("gcc", "-std=c11", *STRICT, folder / "main.c", "-lm", "-o", folder / "main")
    *quantized, real = call(folder / "main").split()
    steps = (np.float32(values) * np.float32(scale)) / np.float32(scale)
    rounded = np.sign(steps) * np.floor(np.abs(steps.astype(np.float64)) + 0.5)
    wanted = [*np.clip(rounded + zero, -128, 127), -128]
    assert [int(q) for q in quantized] == [int(w) for w in wanted]
    assert np.float32(float(real)) == np.float32(scale) * np.float32(-128 - zero)


def test_two_networks_share_a_firmware(case, tmp_path):
    model, graph, inputs, expected = case
    objects = []
    for prefix in ("first", "second"):
        for name, text in package_arrays(graph, model, inputs, expected, prefix, 9000).items():
            (tmp_path / name).write_text(text)
        for name in (f"{prefix}_model_data.cc", f"{prefix}_test_vectors.c"):
            call("gcc", "-c", tmp_path / name, "-o", tmp_path / f"{name}.o")
            objects.append(tmp_path / f"{name}.o")
    call("ld", "-r", *objects, "-o", tmp_path / "both.o")


def test_int8_registrations_where_the_types_allow():
    graph = read_tflite(int8_model(residual, (11, 9, 3)), name="residual")
    found = {r.kind: r.registration for r in registrations(graph)}
    assert found["CONV_2D"] == "Register_CONV_2D_INT8"
    assert found["DEPTHWISE_CONV_2D"] == "Register_DEPTHWISE_CONV_2D_INT8"
    assert found["ADD"] == "Register_ADD_INT8"
    assert found["PAD"] == "Register_PAD_INT8"
    assert found["RESHAPE"] == ""
    header = resolver_header(graph, "net")
    assert f"MicroMutableOpResolver<{len(found)}>" in header
    assert "AddConv2D(tflite::Register_CONV_2D_INT8())" in header


def softmaxes(*outputs):
    """A graph of softmaxes from int8 to each of the given types."""
    scale = Quantization((0.1,), (0,))
    tensors = [Tensor(0, "in", (1, 4), "int8", scale)]
    operators = []
    for i, dtype in enumerate(outputs):
        tensors.append(Tensor(i + 1, f"out{i}", (1, 4), dtype, scale))
        operators.append(Operator(i, "SOFTMAX", 1, (0,), (i + 1,), {}, f"out{i}"))
    return Graph("g", tuple(tensors), tuple(operators), (0,), (1,))


@pytest.mark.parametrize(
    ("outputs", "registration"),
    [
        (["int8"], "Register_SOFTMAX_INT8"),
        (["int16"], "Register_SOFTMAX_INT8_INT16"),
        (["int8", "int16"], ""),
    ],
)
def test_softmax_is_chosen_by_every_operators_types(outputs, registration):
    assert registrations(softmaxes(*outputs))[0].registration == registration


def test_unknown_operator_is_named():
    graph = softmaxes("int8")
    odd = Operator(0, "CUSTOM:Magic", 1, (0,), (1,), {}, "trick")
    with pytest.raises(UnsupportedOperator, match="CUSTOM:Magic at 'trick'"):
        resolver_header(Graph("g", graph.tensors, (odd,), (0,), (1,)))


def test_bad_prefix_and_samples(case):
    model, graph, inputs, expected = case
    with pytest.raises(InputError, match="C names"):
        package_arrays(graph, model, inputs, expected, "2net")
    with pytest.raises(InputError, match="values"):
        package_arrays(graph, model, inputs[:, 1:], expected)
    with pytest.raises(InputError, match="samples"):
        package_arrays(graph, model, inputs.astype(np.float32), expected)


def test_method_names_spell_as_tflm_does():
    assert METHODS["DEPTHWISE_CONV_2D"] == "AddDepthwiseConv2D"
    assert METHODS["L2_POOL_2D"] == "AddL2Pool2D"
    assert METHODS["BATCH_TO_SPACE_ND"] == "AddBatchToSpaceNd"
    assert METHODS["PADV2"] == "AddPadV2"
