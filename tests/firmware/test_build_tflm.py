"""TFLM in firmware: a wrong TFLM_ROOT is told apart from a right one; outputs equal the host's.

What needs a real library runs where TFLM_ROOT names one with a library for the core.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bridge.compile.registrations import register_layers
from bridge.cores import CORES
from bridge.elf import sections
from bridge.emulate import run
from bridge.errors import BuildError, EmulationError, ModelError, TimeLimitError, ToolchainError
from bridge.firmware.build import build_empty, build_runner, build_traced
from bridge.firmware.build_tflm import ARENA_STEP, PREFIX, build_tflm, smallest_arena
from bridge.firmware.resolver import METHODS, resolver_header
from bridge.firmware.size import measure
from bridge.firmware.tflm_library import libraries, library_for, place_of, tflm_version
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet, random_inputs, residual, run_tflm

pytestmark = pytest.mark.emulated
SHAPE = (20, 17, 1)


@pytest.fixture(scope="module")
def small():
    model = int8_model(lenet, SHAPE)
    return model, read_tflite(model, name="lenet")


def fake_root(folder: Path, core: str, source: str, place: str = "", abi: str = "") -> Path:
    """A TFLM_ROOT whose library holds one object compiled for a core."""
    place = folder / (place or f"gen/cortex_m_generic_{core}_release/lib")
    place.mkdir(parents=True)
    (folder / "one.c").write_text(source)
    abi = abi or ("soft" if core in ("cortex-m0", "cortex-m3") else "hard")
    command = ["arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", f"-mfloat-abi={abi}", "-c"]
    subprocess.run([*command, folder / "one.c", "-o", folder / "one.o"], check=True)
    library = place / "libtensorflow-microlite.a"
    subprocess.run(["arm-none-eabi-ar", "rcs", library, folder / "one.o"], check=True)
    return folder


def test_root_that_is_no_folder(small, tmp_path):
    with pytest.raises(ToolchainError, match="no folder") as caught:
        build_tflm(*small, "cortex-m4", tmp_path / "out", tmp_path / "nowhere")
    assert "cortex-m4" in caught.value.hint


def test_root_without_a_library(small, tmp_path):
    (tmp_path / "gen").mkdir()
    with pytest.raises(ToolchainError, match=r"holds no libtensorflow-microlite\.a"):
        build_tflm(*small, "cortex-m4", tmp_path / "out", tmp_path)


@pytest.mark.parametrize(
    ("built_for", "asked"),
    [("cortex-m33", "cortex-m4"), ("cortex-m4", "cortex-m7"), ("cortex-m33", "cortex-m55")],
)
def test_library_for_another_core(small, tmp_path, built_for, asked):
    root = fake_root(tmp_path / "root", built_for, "float MicroInterpreter(float x) { return x; }")
    with pytest.raises(ToolchainError, match=f"no library .* was compiled for {asked}") as caught:
        build_tflm(*small, asked, tmp_path / "out", root)
    assert built_for in caught.value.what


@pytest.mark.parametrize(
    ("core", "arch"),
    [("cortex-m4", "cortex-m4+fp"), ("cortex-m7", "cortex-m7+fp"), ("cortex-m33", "cortex-m33")],
)
def test_a_soft_float_library_is_told_with_what_to_build(small, tmp_path, core, arch):
    """Upstream's TARGET_ARCH=cortex-m4 means the core without its floating-point unit."""
    source = "float MicroInterpreter(float x) { return x; }"
    place = f"gen/cortex_m_generic_{core}_default/lib"
    root = fake_root(tmp_path / "root", core, source, place, abi="soft")
    with pytest.raises(ToolchainError, match=f"{place}/.* is soft-float, .* for {core}") as caught:
        build_tflm(*small, core, tmp_path / "out", root)
    assert caught.value.what.endswith(f"TARGET_ARCH={arch}")
    assert library_for(root, core) is None


def test_upstreams_release_is_taken_before_its_other_types(tmp_path):
    source = "float f(float x) { return x; }"
    for kind in ("default_cmsis_nn_gcc", "release_cmsis_nn_gcc", "release_with_logs_gcc"):
        place = f"gen/cortex_m_generic_cortex-m4+fp_{kind}/lib"
        fake_root(tmp_path, "cortex-m4", source, place)
    taken = library_for(tmp_path, "cortex-m4")
    folder = "gen/cortex_m_generic_cortex-m4+fp_release_cmsis_nn_gcc"
    assert place_of(taken, tmp_path) == folder
    shutil.rmtree(tmp_path / folder)
    assert "_release_with_logs" in place_of(library_for(tmp_path, "cortex-m4"), tmp_path)


WAITS = """#define MUT_ARENA_BYTES 16
#define MUT_INPUT_BYTES 16
#define MUT_OUTPUT_BYTES 16
static inline int mut_invoke(const void *i, void *o, void *a)
{{
    (void)i;
    (void)o;
    (void)a;
    {body}
    return 1;
}}
"""


def test_a_time_limit_in_the_arenas_search_is_no_refusal(tmp_path):
    def search(body):
        header = {"model_under_test.h": WAITS.format(body=body)}
        elf = build_runner("cortex-m4", header, tmp_path / str(len(body)))
        return smallest_arena(elf, "cortex-m4", 16, 1024, timeout=2)

    with pytest.raises(TimeLimitError, match="did not finish within 2 s"):
        search("for (;;) {}")
    with pytest.raises(ModelError, match="refuses the network"):
        search("")


@pytest.mark.parametrize("core", CORES)
def test_library_for_the_core_that_is_something_else(small, tmp_path, core):
    root = fake_root(tmp_path / "root", core, "float f(float x) { return x; }")
    with pytest.raises(ToolchainError, match="no MicroInterpreter"):
        build_tflm(*small, core, tmp_path / "out", root)


def test_library_with_other_definitions(small, tmp_path):
    source = (
        "float MicroInterpreter(float x) { return x; } int TfLiteIntArrayCreate(void) { return 1; }"
    )
    root = fake_root(tmp_path / "root", "cortex-m4", source)
    with pytest.raises(ToolchainError, match="without TF_LITE_STATIC_MEMORY"):
        build_tflm(*small, "cortex-m4", tmp_path / "out", root)


@pytest.mark.parametrize("place", ["", "lib", "lib/cortex-m4", "."])
def test_headers_that_are_missing_are_named(small, tmp_path, place):
    """A tree or an installed prefix whose library is found, but not what belongs to it."""
    source = "float MicroInterpreter(float x) { return x; }"
    root = fake_root(tmp_path / "root", "cortex-m4", source, place)
    with pytest.raises(ToolchainError, match=r"micro_interpreter\.h") as caught:
        build_tflm(*small, "cortex-m4", tmp_path / "out", root)
    assert "include/" in caught.value.hint
    header = root / "include/tensorflow/lite/micro/micro_interpreter.h"
    header.parent.mkdir(parents=True)
    header.touch()
    with pytest.raises(ToolchainError, match=r"flatbuffers/flatbuffers\.h"):
        build_tflm(*small, "cortex-m4", tmp_path / "out", root)
    (root / "include/flatbuffers").mkdir()
    (root / "include/flatbuffers/flatbuffers.h").touch()
    with pytest.raises(ToolchainError, match=r"\.h: No such file or directory"):
        build_tflm(*small, "cortex-m4", tmp_path / "out", root)


def test_of_several_libraries_the_one_for_the_core_is_taken(small, tmp_path):
    root = tmp_path / "root"
    fake_root(root, "cortex-m33", "float MicroInterpreter(float x) { return x; }", "lib/a")
    fake_root(root, "cortex-m4", "float f(float x) { return x; }", "lib/b")
    with pytest.raises(ToolchainError, match=r"lib/b/\S+ is no whole TFLite Micro library"):
        build_tflm(*small, "cortex-m4", tmp_path / "out", root)


def test_without_git_a_commit_is_unknown(tmp_path, monkeypatch):
    subprocess.run(["git", "-C", tmp_path, "init", "-q"], check=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tflm_version(tmp_path) == "TFLM (commit unknown)"


def test_versions_are_read_from_the_tree(tmp_path):
    commit = "4ab83cc3cc98fb85ed6dafb55e8ca02f1628dcae"
    script = tmp_path / "tensorflow/lite/micro/tools/make/ext_libs/cmsis_nn_download.sh"
    script.parent.mkdir(parents=True)
    script.write_text(f'ZIP_PREFIX_NN="{commit}"\n')
    assert tflm_version(tmp_path) == "TFLM (commit unknown) + CMSIS-NN 4ab83cc3cc"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    assert re.fullmatch(r"TFLM [0-9a-f]{10} \+ CMSIS-NN 4ab83cc3cc", tflm_version(tmp_path))


# From here on with a real library.


@pytest.fixture(scope="module")
def tflm_root():
    root = os.environ.get("TFLM_ROOT")
    if not root:
        pytest.skip("TFLM_ROOT is not set: a TFLite Micro tree with a built library")
    return Path(root)


def build(model, graph, core, out, root, **options):
    """Build, or skip where the tree has no library for this core."""
    try:
        return build_tflm(model, graph, core, out, root, **options)
    except ToolchainError as error:
        if "was compiled for" in error.what:
            pytest.skip(error.what)
        raise


def include_folders(root):
    """Where TFLM's own headers and its third parties' stand: first an installed prefix's places."""
    third_party = root / "tensorflow/lite/micro/tools/make/downloads"
    places = (
        root / "include", root, root / "include/third_party/gemmlowp",
        third_party / "flatbuffers/include", third_party / "gemmlowp",
    )  # fmt: skip
    return [place for place in places if place.is_dir()]


def test_every_method_exists(tflm_root):
    name = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
    headers = [folder / name for folder in include_folders(tflm_root)]
    text = next(header for header in headers if header.is_file()).read_text()
    assert [name for name in METHODS.values() if f"TfLiteStatus {name}(" not in text] == []


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
@pytest.mark.parametrize(("network", "shape"), [(lenet, SHAPE), (residual, (11, 9, 3))])
def test_outputs_equal_the_host_interpreter(network, shape, core, tflm_root, tmp_path):
    model = int8_model(network, shape)
    graph = read_tflite(model, name=network.__name__)
    inputs = random_inputs(shape, count=100)
    firmware = build(model, graph, core, tmp_path / "run", tflm_root)
    result = run(firmware.elf, core, inputs=inputs.tobytes())
    outputs = np.frombuffer(result.outputs, dtype=np.int8).reshape(len(inputs), -1)
    assert np.array_equal(outputs, run_tflm(model, inputs))
    assert result.instructions
    ticked = run(firmware.elf, core, inputs=inputs[:1].tobytes(), count=False)
    assert abs(ticked.instructions_by_tick - result.instructions) <= CORES[core].tick
    assert "arm_convolve" in firmware.kernels
    assert place_of(library_for(tflm_root, core), tflm_root) in firmware.kernels.partition(";")[0]
    assert len(model) <= sections(firmware.elf)[".weights"] <= len(model) + 16
    sizes = measure(firmware.elf, build_empty(core).elf)
    assert 20_000 < sizes.code < 80_000


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
@pytest.mark.parametrize(("network", "shape"), [(lenet, SHAPE), (residual, (11, 9, 3))])
def test_our_kernels_inside_the_interpreter(network, shape, core, tflm_root, tmp_path):
    model = int8_model(network, shape, sparsity=0.9)
    graph = read_tflite(model, name=network.__name__)
    inputs = random_inputs(shape, count=100)
    found = register_layers(model, graph, core=core, prefix=PREFIX)
    firmware = build(found.model, graph, core, tmp_path / "run", tflm_root, sparse=found)
    result = run(firmware.elf, core, inputs=inputs.tobytes())
    outputs = np.frombuffer(result.outputs, dtype=np.int8).reshape(len(inputs), -1)
    assert np.array_equal(outputs, run_tflm(model, inputs))
    assert {plan.kernel for plan in found.layers} <= set(firmware.kernels.split())
    stock = build(model, graph, core, tmp_path / "stock", tflm_root)
    count = run(stock.elf, core, inputs=inputs[:1].tobytes()).instructions
    assert result.instructions < count


def test_stock_kernels_refuse_a_model_without_its_weights(small, tflm_root, tmp_path):
    model, graph = small
    found = register_layers(model, graph, prefix=PREFIX)
    with pytest.raises(ModelError, match="refuses the network"):
        build(found.model, graph, "cortex-m4", tmp_path / "run", tflm_root)


def test_an_arena_that_the_board_has_not_is_said(tflm_root, tmp_path):
    model = int8_model(lambda layers, x: layers.MaxPooling2D(4)(x), (1100, 1000, 1))
    with pytest.raises(BuildError, match=r"needs about [\d,]+ bytes of arena; .* cortex-m55"):
        build(model, read_tflite(model), "cortex-m55", tmp_path / "run", tflm_root)


def test_the_arena_is_the_smallest(small, tflm_root, tmp_path):
    model, graph = small
    core = "cortex-m4"
    inputs = random_inputs(SHAPE, count=2)
    expected = run_tflm(model, inputs).tobytes()
    firmware = build(model, graph, core, tmp_path / "run", tflm_root)
    result = run(firmware.elf, core, inputs=inputs.tobytes())
    assert result.outputs == expected
    size = int(result.lines["arena_size"])
    less = {"arena.bin": (size - ARENA_STEP).to_bytes(4, "little")}
    try:
        smaller = run(firmware.elf, core, inputs=inputs.tobytes(), files=less)
    except EmulationError:
        return
    assert smaller.outputs != expected


def copy_headers(source, target, folders):
    for folder in folders:
        for header in (source / folder).rglob("*.h"):
            place = header.relative_to(source)
            if "downloads" not in place.parts:
                (target / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(header, target / place)


def test_an_installed_prefix_works_as_the_tree_does(small, tflm_root, tmp_path):
    downloads = tflm_root / "tensorflow/lite/micro/tools/make/downloads"
    if not downloads.is_dir():
        pytest.skip("TFLM_ROOT is no tree of upstream's makefile")
    prefix = tmp_path / "prefix"
    copy_headers(tflm_root, prefix / "include", ("tensorflow", "signal"))
    copy_headers(downloads / "flatbuffers/include", prefix / "include", ("flatbuffers",))
    copy_headers(downloads, prefix / "include/third_party", ("gemmlowp", "ruy"))
    for library in libraries(tflm_root):
        place = prefix / "lib" / library.parent.parent.name
        place.mkdir(parents=True)
        shutil.copy(library, place)
    core = "cortex-m4"
    from_tree = build(*small, core, tmp_path / "tree", tflm_root, arena=32768)
    from_prefix = build(*small, core, tmp_path / "run", prefix, arena=32768)
    inputs = random_inputs(SHAPE, count=2).tobytes()
    runs = [run(made.elf, core, inputs=inputs) for made in (from_tree, from_prefix)]
    assert (
        runs[0].outputs == runs[1].outputs == run_tflm(small[0], random_inputs(SHAPE, 2)).tobytes()
    )
    assert runs[0].instructions == runs[1].instructions
    assert from_tree.kernels.partition(";")[2] == from_prefix.kernels.partition(";")[2]


def test_layers_are_the_operators(small, tflm_root, tmp_path):
    model, graph = small
    inputs = random_inputs(SHAPE, count=2)[:1]
    firmware = build(model, graph, "cortex-m4", tmp_path / "run", tflm_root)
    result = run(build_traced(firmware), "cortex-m4", inputs=inputs.tobytes())
    assert len(result.layers) == len(graph.operators)
    assert result.outputs == run_tflm(model, inputs).tobytes()


def test_the_resolver_compiles_clean(small, tflm_root, tmp_path):
    (tmp_path / "net_resolver.h").write_text(resolver_header(small[1], "net"))
    (tmp_path / "main.cc").write_text('#include "net_resolver.h"\nnet_resolver resolver;\n')
    folders = include_folders(tflm_root)
    result = subprocess.run(
        [
            "arm-none-eabi-g++", "-mcpu=cortex-m4", "-mthumb", "-std=c++17", "-Wall", "-Wextra",
            "-Werror", "-pedantic", "-DTF_LITE_STATIC_MEMORY", "-DCMSIS_NN", "-fno-rtti",
            *(argument for folder in folders for argument in ("-isystem", str(folder))),
            "-c", str(tmp_path / "main.cc"), "-o", str(tmp_path / "main.o"),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
