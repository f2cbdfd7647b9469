"""Packages as a user builds them: alone, strictly, everywhere, and run far from the repository.

What needs TFLite Micro's headers or library runs where TFLM_ROOT names a built tree.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bridge.emulate import run
from bridge.package import ENGINES, export
from tests.package.project import BOARDS, TFLM_ROOT, build, call, lay_out, needs_tflm

STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
GCC = ["arm-none-eabi-gcc", "-mthumb"]
TARGETS = {
    "host": ["gcc"],
    "cortex-m0plus": [*GCC, "-mcpu=cortex-m0plus"],
    "cortex-m4": [*GCC, "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"],
    "cortex-m55": [*GCC, "-mcpu=cortex-m55", "-mfloat-abi=hard"],
}
C11, CPP17 = ["-x", "c", "-std=c11"], ["-x", "c++", "-std=c++17"]


@pytest.fixture(scope="module")
def packages(bundle, tmp_path_factory):
    """Engine → a package for CMake and for Arduino."""
    root = tmp_path_factory.mktemp("packages")
    for engine in ENGINES:
        for target in ("plain", "arduino"):
            export(bundle, root / engine, to=target, engine=engine)
    return root


def tflm_headers():
    root = Path(TFLM_ROOT)
    third = root / "tensorflow/lite/micro/tools/make/downloads"
    places = [
        root,
        root / "include",
        third / "flatbuffers/include",
        third / "gemmlowp",
        third / "ruy",
    ]
    return [f"-isystem{place}" for place in places if place.is_dir()] + [
        "-DTF_LITE_STATIC_MEMORY",
        "-DTF_LITE_STRIP_ERROR_STRINGS",
        "-DCMSIS_NN",
    ]


def wants_tflm(file):
    text = file.read_text()
    return any(n in text for n in ("tensorflow/", "_resolver.h", '"snn_tflm.h"'))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_source_and_header_compiles_alone(packages, engine, target, tmp_path):
    source = packages / engine / "src"
    flags = [*TARGETS[target], *STRICT, "-Os", f"-I{source}", "-c", "-o", "/dev/null"]
    files = [*source.iterdir(), *(packages / engine / "examples").rglob("*.c")]
    assert len(files) > 6
    for file in files:
        if wants_tflm(file):
            continue
        if file.suffix == ".h":
            for language in (C11, CPP17):
                alone = tmp_path / f"alone{language[1]}.c"
                alone.write_text(f'#include "{file.name}"\n#include "{file.name}"\nint used;\n')
                call(*flags, *language, alone)
        else:
            call(*flags, *C11, file)
            if file.name.endswith(("_model_data.c", "_test_vectors.c")):
                call(*flags, *CPP17, file)


@needs_tflm
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("engine", [e for e in ENGINES if e.startswith("tflm")])
def test_what_includes_tflm_compiles_alone(packages, engine, target, tmp_path):
    source = packages / engine / "src"
    flags = [*TARGETS[target], *STRICT, *CPP17, "-fno-rtti", "-fno-exceptions", "-Os"]
    flags += [*tflm_headers(), f"-I{source}", "-c", "-o", "/dev/null"]
    files = [file for file in source.iterdir() if wants_tflm(file)]
    assert any(file.suffix == ".cpp" for file in files)
    for file in files:
        if file.suffix == ".h":
            (tmp_path / "alone.cc").write_text(f'#include "{file.name}"\nint used;\n')
            file = tmp_path / "alone.cc"
        call(*flags, file)


ARDUINO = """
#include <stdio.h>
struct { void begin(long) {} template <typename T> void println(T) {} } Serial;
void println_text(const char *text);
void delay(long) {}
"""


@pytest.mark.parametrize("engine", ["c-sparse", "tflm"])
def test_the_sketch_compiles_as_cpp(packages, engine, tmp_path):
    package = packages / engine
    sketch = (package / "examples/net_sketch/net_sketch.ino").read_text()
    (tmp_path / "sketch.cpp").write_text(ARDUINO + sketch)
    call("g++", "-std=c++17", *STRICT, f"-I{package / 'src'}", "-c", tmp_path / "sketch.cpp",
         "-o", tmp_path / "sketch.o")  # fmt: skip


def firmware(folder, package, core, main=None, library="net"):
    """Our package in a user's firmware project, with the package's example or another main."""
    on_tflm = any(file.suffix == ".cpp" for file in (package / "src").iterdir())
    lay_out(folder, core, tflm=on_tflm)
    shutil.copytree(package, folder / "package")
    example = next((package / "examples").glob("*/*.c"))
    (folder / "main.c").write_text(main or example.read_text())
    (folder / "application.cmake").write_text(
        "add_subdirectory(package)\nadd_executable(firmware main.c)\n"
        f"target_link_libraries(firmware PRIVATE board {library})\n"
    )
    return build(folder, core)


TWICE = """
#include "first_run.h"
#include "first_test_vectors.h"
#include "second_run.h"
#include "second_test_vectors.h"
#include "semihost.h"

int main(void)
{
    if (first_begin() != 0 || second_begin() != 0) {
        return 1;
    }
    semihost_value("first", (uint32_t)first_self_test(first_run, NULL));
    semihost_value("second", (uint32_t)second_self_test(second_run, NULL));
    semihost_value("again", (uint32_t)first_self_test(first_run, NULL));
    return 0;
}
"""


@pytest.mark.emulated
@pytest.mark.parametrize("core", BOARDS)
@pytest.mark.parametrize("engine", ["c-sparse", "c-compact"])
def test_plain_c_runs_outside_the_repository(packages, tmp_path, core, engine):
    """The example runs its self-test first and ends with its status."""
    elf = firmware(tmp_path, packages / engine, core)
    run(elf, core, count=False)


@pytest.mark.emulated
def test_a_wrong_expectation_fails_the_self_test(packages, tmp_path):
    package = tmp_path / "changed"
    shutil.copytree(packages / "c-sparse", package)
    vectors = package / "src/net_test_vectors.c"
    head, mark, values = vectors.read_text().partition("net_test_output0[")
    first = values.index("{\n        ") + len("{\n        ")
    end = values.index(",", first)
    other = "1" if values[first:end] != "1" else "2"
    vectors.write_text(head + mark + values[:first] + other + values[end:])
    (tmp_path / "firmware").mkdir()
    elf = firmware(tmp_path / "firmware", package, "cortex-m4")
    with pytest.raises(Exception, match="status 1"):
        run(elf, "cortex-m4", count=False)


@needs_tflm
@pytest.mark.emulated
@pytest.mark.parametrize("engine", [e for e in ENGINES if e.startswith("tflm")])
def test_on_tflm_runs_outside_the_repository(packages, tmp_path, engine):
    elf = firmware(tmp_path, packages / engine, "cortex-m4")
    run(elf, "cortex-m4", count=False)


@pytest.mark.emulated
@pytest.mark.parametrize("apart", [False, True])
def test_two_networks_in_one_firmware(bundle, tmp_path, apart):
    """In one package, or in one each: the same kernels are in both."""
    package = tmp_path / "both"
    export(bundle, package, to="plain", prefix="first", name="first")
    second = package / "second" if apart else package
    export(bundle, second, to="plain", prefix="second", name="second" if apart else "first")
    if apart:
        text = (package / "CMakeLists.txt").read_text()
        (package / "CMakeLists.txt").write_text(text + "add_subdirectory(second)\n")
    (tmp_path / "firmware").mkdir()
    elf = firmware(
        tmp_path / "firmware", package, "cortex-m4", TWICE, "first second" if apart else "first"
    )
    lines = run(elf, "cortex-m4", count=False).lines
    assert (lines["first"], lines["second"], lines["again"]) == ("0", "0", "0")


@needs_tflm
@pytest.mark.emulated
@pytest.mark.parametrize("engines", [("tflm", "tflm-sparse"), ("tflm-decode", "c-sparse")])
def test_two_engines_in_one_firmware(bundle, tmp_path, engines):
    package = tmp_path / "both"
    for prefix, engine in zip(("first", "second"), engines, strict=True):
        export(bundle, package, to="plain", engine=engine, prefix=prefix, name="both")
    (tmp_path / "firmware").mkdir()
    elf = firmware(tmp_path / "firmware", package, "cortex-m4", TWICE, "both")
    lines = run(elf, "cortex-m4", count=False).lines
    assert (lines["first"], lines["second"], lines["again"]) == ("0", "0", "0")
