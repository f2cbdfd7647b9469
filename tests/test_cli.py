"""The command line as a user meets it: help, versions, and errors that are ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bridge
from bridge.compress import ENCODINGS
from bridge.convert.options import PATTERNS, QUANTIZATIONS, SCHEDULES
from bridge.cores import CORES
from bridge.data import LAYOUTS
from bridge.package import ENGINES, TARGETS

HERE = Path(__file__).resolve().parent.parent


def tflm_bridge(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli", *map(str, arguments)],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )


def test_version_and_help():
    assert tflm_bridge("--version").stdout.strip() == f"tflm-bridge {bridge.__version__}"
    for command in ("convert", "bench", "doctor"):
        result = tflm_bridge(command, "--help")
        assert result.returncode == 0
        assert "Usage" in result.stdout


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("convert", (*PATTERNS, *SCHEDULES, *QUANTIZATIONS, *LAYOUTS, *CORES)),
        ("export", (*TARGETS, *ENGINES, *CORES)),
        ("compress", ENCODINGS),
    ],
)
def test_help_is_readable_on_a_narrow_terminal(command, names):
    shown = tflm_bridge(command, "--help", COLUMNS="80").stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert not re.findall(r"--?[\w-]+…", shown), "an option's name is cut"
    for name in names:  # whole, on one line
        assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", shown), name


@pytest.mark.parametrize(
    ("command", "option", "known"),
    [
        (("convert", "nothing", "--out", "{tmp}/o"), "--pattern", PATTERNS),
        (("convert", "nothing", "--out", "{tmp}/o"), "--layout", LAYOUTS),
        (("export", "{tmp}", "--into", "{tmp}/o"), "--to", TARGETS),
        (("export", "{tmp}", "--to", "plain", "--into", "{tmp}/o"), "--engine", ENGINES),
        (("compress", "{tmp}"), "--encoding", ENCODINGS),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(command, option, known, tmp_path):
    arguments = [argument.format(tmp=tmp_path) for argument in command]
    result = tflm_bridge(*arguments, option, "other")
    assert result.returncode == 2
    assert f"'{option}': 'other' is not one of {', '.join(known)}" in result.stderr
    result = tflm_bridge(*arguments, option, known[-1])
    assert "is not one of" not in result.stderr
    assert "error:" in result.stderr, "it came as far as looking for the network"


def test_importing_the_command_line_is_light():
    heavy = ("torch", "tensorflow", "onnx", "matplotlib")
    code = f"import sys, bridge.cli; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=HERE)
    assert result.stdout.strip() == "[]"


def test_doctor_names_what_is_missing(tmp_path):
    result = tflm_bridge("doctor", PATH=str(tmp_path), TFLM_ROOT=str(tmp_path))
    assert result.returncode == 1
    assert "arm-none-eabi-gcc is not installed" in result.stdout
    assert "apt-get install" in result.stdout
    assert "no libtensorflow-microlite.a" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("convert", "nothing", "--out", "{tmp}/o"), "there is no network 'nothing' in the zoo"),
        (("convert", "missing.py:Net", "--out", "{tmp}/o"), "missing.py"),
        (("convert", "lenet5", "--sparsity", "1.5", "--out", "{tmp}/o"), "sparsity"),
        (("convert", "lenet5", "--arg", "novalue", "--out", "{tmp}/o"), "name=value"),
        (("convert", "lenet5", "--input-shape", "ax3", "--out", "{tmp}/o"), "3x96x96"),
        (("convert", "lenet5", "--out", "tests"), "no bundle of ours"),
        (("bench", "{tmp}"), "is not a bundle"),
        (("bench", "kernels", "--core", "m4"), "unknown core 'm4'"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, words, tmp_path):
    result = tflm_bridge(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert result.returncode == 2
    assert result.stderr.startswith("error:") or "\nerror:" in result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir()), "a failed run leaves nothing behind"
