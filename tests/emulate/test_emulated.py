"""Real firmware on emulated cores: exact counts, faults, limits, and the byte-for-byte chain."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.cores import CORES
from bridge.elf import symbols
from bridge.emulate import run
from bridge.errors import BuildError, EmulationError, InputError, ToolchainError
from bridge.firmware.build import build_c, build_empty, build_runner, build_traced
from bridge.firmware.size import measure
from bridge.graph import read_tflite
from tests.compile.networks import int8_model, lenet, random_inputs, run_tflm

pytestmark = pytest.mark.emulated

BODY = """#define MUT_ARENA_BYTES 16
#define MUT_INPUT_BYTES 16
#define MUT_OUTPUT_BYTES 16
static inline __attribute__((always_inline)) int mut_invoke(const void *i, void *o, void *a)
{{
    (void)i;
    (void)o;
    (void)a;
    {body}
    return 0;
}}
"""


def count(body, core, out):
    elf = build_runner(core, {"model_under_test.h": BODY.format(body=body)}, out)
    return run(elf, core, inputs=bytes(16)).instructions


@pytest.mark.parametrize("core", CORES)
def test_counts_are_exact(core, tmp_path):
    """Two lengths of one loop differ by two instructions a turn, and by nothing else."""
    loop = (
        'unsigned n = {}; __asm volatile(".syntax unified\\n1: subs %0, #1\\nbne 1b"'
        ' : "+l"(n) : : "cc");'
    )
    short = count(loop.format(100), core, tmp_path / "short")
    long = count(loop.format(200), core, tmp_path / "long")
    assert long - short == 200


def test_load_multiple_and_taken_branch_count_as_one_each(tmp_path):
    asm = '__asm volatile("{}" : : : "r1", "r2", "r3");'
    one = count(asm.format("nop"), "cortex-m4", tmp_path / "one")
    multiple = count(asm.format("ldmia sp, {r1, r2, r3}"), "cortex-m4", tmp_path / "multiple")
    over = count(asm.format("b 1f\\nnop\\nnop\\n1: nop"), "cortex-m4", tmp_path / "over")
    assert multiple == one
    assert over == one + 1


@pytest.mark.parametrize("core", CORES)
def test_a_run_without_the_plugin_agrees_within_its_tick(core, tmp_path):
    loop = (
        'unsigned n = 100000; __asm volatile(".syntax unified\\n1: subs %0, #1\\nbne 1b"'
        ' : "+l"(n) : : "cc");'
    )
    elf = build_runner(core, {"model_under_test.h": BODY.format(body=loop)}, tmp_path)
    exact = run(elf, core, inputs=bytes(16)).instructions
    ticked = run(elf, core, inputs=bytes(16), count=False)
    assert ticked.instructions is None
    assert abs(ticked.instructions_by_tick - exact) <= CORES[core].tick


@pytest.fixture(scope="module")
def lenet_case():
    shape = (20, 17, 1)
    model = int8_model(lenet, shape, sparsity=0.9)
    inputs = random_inputs(shape, count=200)
    return read_tflite(model, name="lenet"), inputs, run_tflm(model, inputs)


@pytest.mark.parametrize("engine", ["c-sparse", "c-dense"])
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_c_on_the_core_equals_tflm_byte_for_byte(lenet_case, engine, core, tmp_path):
    graph, inputs, expected = lenet_case
    firmware = build_c(compile_graph(graph, engine=engine, core=core), core, tmp_path / "run")
    result = run(firmware.elf, core, inputs=inputs.tobytes())
    outputs = np.frombuffer(result.outputs, dtype=np.int8).reshape(len(inputs), -1)
    assert np.array_equal(outputs, expected)
    assert result.instructions
    assert result.stack_bytes
    ticked = run(firmware.elf, core, inputs=inputs[:1].tobytes(), count=False)
    assert abs(ticked.instructions_by_tick - result.instructions) <= CORES[core].tick
    sizes = measure(firmware.elf, build_empty(core, tmp_path / "empty").elf)
    assert sizes.weights > 1000
    assert 500 < sizes.code < 60_000
    assert 0 < sizes.kernels <= sizes.code
    assert 0 < sizes.application <= sizes.code - sizes.kernels


def test_layers_sum_up(lenet_case, tmp_path):
    graph, inputs, _ = lenet_case
    program = compile_graph(graph, engine="c-sparse")
    plain = build_c(program, "cortex-m4", tmp_path / "plain")
    layers = run(build_traced(plain), "cortex-m4", inputs=inputs[:1].tobytes())
    whole = run(plain.elf, "cortex-m4", inputs=inputs[:1].tobytes())
    moving = [layer for layer in program.layers if layer.kernel]
    assert len(layers.layers) == len(moving)
    assert sum(layers.layers) == pytest.approx(whole.instructions, rel=0.01)


@pytest.mark.parametrize("core", CORES)
def test_a_fault_says_where(core, tmp_path):
    """The reported PC is the faulting instruction's, and the registers say what it was."""
    faulty = 'void __attribute__((naked, noinline)) faulty(void) { __asm volatile("udf #0"); }\n'
    header = faulty + BODY.format(body="faulty();")
    elf = build_runner(core, {"model_under_test.h": header}, tmp_path)
    with pytest.raises(EmulationError, match=f"hard fault on {core}: PC .*CFSR") as caught:
        run(elf, core, inputs=bytes(16))
    registers = dict(re.findall(r"(\w+) (0x[0-9a-f]{8})", caught.value.what))
    assert int(registers["PC"], 16) == symbols(elf)["faulty"]
    assert set(registers) == {"PC", "LR", "CFSR", "HFSR", "ADDRESS"}
    assert int(registers["CFSR"], 16) == 0x10000  # UFSR.UNDEFINSTR
    assert "addr2line" in caught.value.hint


def test_a_bad_address_is_a_fault_with_its_address(tmp_path):
    body = "(void)*(volatile int *)0x60001230u;"
    with pytest.raises(EmulationError, match="ADDRESS 0x60001230"):
        count(body, "cortex-m4", tmp_path)


def test_a_hang_ends_at_the_limit(tmp_path):
    elf = build_runner(
        "cortex-m4", {"model_under_test.h": BODY.format(body="for (;;) {}")}, tmp_path
    )
    with pytest.raises(EmulationError, match="did not finish within 2 s"):
        run(elf, "cortex-m4", inputs=bytes(16), timeout=2)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_a_network_too_large_for_the_ram_is_said(core, tmp_path):
    header = BODY.format(body="").replace("ARENA_BYTES 16", "ARENA_BYTES 64000000")
    with pytest.raises(
        BuildError, match=f"does not fit .* {core} board: RAM is short of"
    ) as caught:
        build_runner(core, {"model_under_test.h": header}, tmp_path)
    assert "smaller network" in caught.value.hint


def test_a_network_too_large_for_the_flash_is_said(tmp_path):
    files = {
        "model_under_test.h": "extern const signed char w[];\n" + BODY.format(body="return w[0];"),
        "model_weights.c": "const signed char w[600000] = {1};\n",
    }
    with pytest.raises(BuildError, match=r"FLASH is short of [\d,]+ bytes"):
        build_runner("cortex-m55", files, tmp_path)


def test_missing_tools_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="arm-none-eabi-gcc is not installed") as caught:
        build_empty("cortex-m4", tmp_path / "out")
    assert "apt-get install" in caught.value.hint


def test_unknown_core(tmp_path):
    with pytest.raises(InputError, match="unknown core"):
        run(tmp_path / "none.elf", "cortex-m99")
