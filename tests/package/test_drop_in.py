"""docs/drop-in.md as a new user follows it: its listings, its changes, its commands, on a core."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bridge.cli import app
from bridge.emulate import run
from bridge.firmware.arrays import model_data
from tests.package.project import build, call, lay_out, needs_tflm

PAGE = Path(__file__).parents[2] / "docs/drop-in.md"
STEPS = ("before", "1", "2", "2b", "3")
"""The rows of the page's table."""

MAIN = """
#include "main_functions.h"
#include "semihost.h"
int main() { setup(); while (loop()) {} semihost_exit(0); }
"""
HEADERS = {
    "main_functions.h": "void setup();\nbool loop();\n",
    "image_provider.h": "#include <cstdint>\nbool GetImage(int, int, int8_t *image);\n",
    "responder.h": "#include <cstdint>\nvoid RespondToDigit(const int8_t *scores);\n",
}
# The counter starts when the image is there and stops when the answer is asked for.
PROVIDER = """
#include "image_provider.h"
#include "semihost.h"
extern "C" __attribute__((noinline, used)) void bench_begin() { __asm volatile("" ::: "memory"); }
bool GetImage(int, int, int8_t *image)
{
    static const int32_t file = semihost_open("inputs.bin", SEMIHOST_READ);
    if (semihost_read(file, image, 784) != 784) return false;
    bench_begin();
    return true;
}
"""
RESPONDER = """
#include "responder.h"
#include "semihost.h"
extern "C" __attribute__((noinline, used)) void bench_end() { __asm volatile("" ::: "memory"); }
void RespondToDigit(const int8_t *scores)
{
    bench_end();
    static const int32_t file = semihost_open("outputs.bin", SEMIHOST_WRITE);
    semihost_write(file, scores, 10);
}
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S)


def commands(word):
    """The page's commands with a word in them."""
    return [c for c in re.findall(r"^    tflm-bridge (.*)$", PAGE.read_text(), re.M) if word in c]


def patch(folder, text):
    result = subprocess.run(
        ["patch", "-p0", "--fuzz=0"], cwd=folder, input=text, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


class Application:
    """The page's application, in a folder of its own."""

    def __init__(self, folder, dense, pruned, level="-Os"):
        self.folder, self.pruned = folder, pruned
        lay_out(folder, "cortex-m4", tflm=True, level=level)
        self.write("main_functions.cc", blocks("cpp")[0])
        # The page's CMakeLists.txt is included by one that knows the board.
        self.write("application.cmake", blocks("cmake")[0])
        for name, text in HEADERS.items():
            self.write(name, text)
        self.write("main.cc", MAIN)
        self.write("image_provider.cc", PROVIDER)
        self.write("responder.cc", RESPONDER)
        for name, text in model_data((dense / "model_int8.tflite").read_bytes(), "g").items():
            self.write(name.removeprefix("g_"), text.replace('"g_', '"'))

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def step(self, name):
        """Bring it from the step before to a step of the page."""
        arrays, cmake, lend = blocks("diff")
        if name == "1":
            patch(self.folder, arrays)
            patch(self.folder, cmake.replace("CMakeLists.txt", "application.cmake"))
        elif name == "2b":
            patch(self.folder, lend)
        elif name == "3":
            subprocess.run(["patch", "-p0", "-R", "-s"], cwd=self.folder, input=lend, text=True,
                           check=True)  # fmt: skip
        engine = {"1": "tflm", "2": "tflm-decode", "3": "tflm-sparse"}.get(name)
        if engine is not None:
            (line,) = [c for c in commands("export") if f"--engine {engine} " in c]
            values = {"out/lenet5": str(self.pruned), "digits": str(self.folder / "digits")}
            given = [values.get(word, word) for word in shlex.split(line)]
            result = CliRunner().invoke(app, [*given, "--prefix", "lenet5"])
            assert result.exit_code == 0, result.output

    def run(self, inputs, *, count=False):
        self.elf = build(self.folder, "cortex-m4")
        return run(self.elf, "cortex-m4", inputs=inputs.tobytes(), count=count)


def test_the_pages_changes_fit_its_listing(tmp_path):
    (tmp_path / "main_functions.cc").write_text(blocks("cpp")[0])
    (tmp_path / "CMakeLists.txt").write_text(blocks("cmake")[0])
    for text in blocks("diff"):
        patch(tmp_path, text)
    assert "SetDecompressionMemory" in (tmp_path / "main_functions.cc").read_text()


def test_the_pages_commands_exist():
    for line in commands(""):
        word = shlex.split(line)[0]
        result = CliRunner().invoke(app, [word, "--help"])
        assert result.exit_code == 0
        for option in re.findall(r"--[a-z-]+", line):
            assert option[:12] in result.output


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """LeNet-5's layers dense and with 92 % zeros, as the page's application takes them."""
    from bridge.compress.bundle import compress_file
    from bridge.convert.options import ConvertOptions
    from bridge.pipeline import convert
    from tests.compile.networks import int8_model

    def digits(layers, x):
        x = layers.MaxPooling2D()(layers.Conv2D(6, 5, padding="same", activation="relu")(x))
        x = layers.MaxPooling2D()(layers.Conv2D(16, 5, activation="relu")(x))
        x = layers.Dense(120, activation="relu")(layers.Flatten()(x))
        return layers.Dense(10)(layers.Dense(84, activation="relu")(x))

    folder = tmp_path_factory.mktemp("bundles")
    for name, sparsity in (("dense", 0.0), ("pruned", 0.92)):
        file = folder / f"{name}.tflite"
        file.write_bytes(int8_model(digits, (28, 28, 1), sparsity=sparsity))
        convert(ConvertOptions(str(file), samples=5), folder / name)
    compress_file(folder / "pruned")
    return folder / "dense", folder / "pruned"


@needs_tflm
@pytest.mark.emulated
def test_every_step_gives_the_interpreters_outputs(bundles, tmp_path):
    application = Application(tmp_path, *bundles)
    for step in STEPS:
        application.step(step)
        bundle = bundles[0] if step == "before" else bundles[1]
        with np.load(bundle / "samples.npz") as stored:
            inputs, expected = stored["inputs"], stored["expected"]
        assert len(inputs)
        result = application.run(inputs)
        assert result.outputs == expected.tobytes(), step
    assert "snn_" in call("arm-none-eabi-nm", application.elf)
