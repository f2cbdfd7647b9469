"""Real firmware on emulated cores: exact counts, faults, limits, and the byte-for-byte chain."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest

from bridge.compile import compile_graph
from bridge.cores import CORES
from bridge.elf import symbols
from bridge.emulate import run
from bridge.errors import BuildError, EmulationError, InputError, ToolchainError
from bridge.firmware.build import (
    build_c,
    build_empty,
    build_files,
    build_runner,
    build_traced,
)
from bridge.firmware.size import linked_kernels, measure
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
    sizes = measure(firmware.elf, build_empty(core).elf)
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
    with pytest.raises(EmulationError, match=f"hard fault on {core}: CFSR .* in faulty,") as caught:
        run(elf, core, inputs=bytes(16))
    registers = registers_of(caught)
    assert registers["PC"] == symbols(elf)["faulty"]
    assert set(registers) == {"PC", "LR", "CFSR", "HFSR"}, "no address belongs to this fault"
    assert registers["CFSR"] == 0x10000  # UFSR.UNDEFINSTR
    assert "(undefined instruction)" in caught.value.what
    assert "in main" in caught.value.what, "where LR points"
    assert caught.value.hint


def registers_of(caught):
    found = re.findall(r"(\w+) (0x[0-9a-f]{8})", caught.value.what)
    return {name: int(value, 16) for name, value in found}


def test_a_bad_address_is_a_fault_with_its_address(tmp_path):
    body = "(void)*(volatile int *)0x60001230u;"
    with pytest.raises(EmulationError, match="ADDRESS 0x60001230"):
        count(body, "cortex-m4", tmp_path)


def test_unaligned_access_faults_on_cortex_m0_as_on_a_real_one(tmp_path):
    body = 'unsigned v; __asm volatile("ldr %0, [%1]" : "=l"(v) : "l"((char *)o + 2));'
    with pytest.raises(EmulationError, match="unaligned access") as caught:
        count(body, "cortex-m0", tmp_path / "m0")
    assert registers_of(caught)["CFSR"] == 0x01000000  # UFSR.UNALIGNED
    assert count(body, "cortex-m3", tmp_path / "m3"), "later cores load it"


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4", "cortex-m33"])
@pytest.mark.parametrize("pointer", ["0x60000000", "0xfffffff8", "0"])
def test_a_fault_without_a_stack_still_has_its_registers(core, pointer, tmp_path):
    asm = f'unsigned sp = {pointer}u; __asm volatile("mov sp, %0\\n push {{r0}}" : : "r"(sp));'
    with pytest.raises(EmulationError, match=f"{core}: CFSR .*outside the stack") as caught:
        count(asm, core, tmp_path)
    registers = registers_of(caught)
    assert {"CFSR", "HFSR", "SP"} <= set(registers)
    assert registers["CFSR"]
    assert "PC" not in registers


def test_a_core_in_lockup_says_so(tmp_path):
    """A fault within the fault handler: QEMU ends with a dump whose first line is the reason."""
    body = '*(volatile unsigned *)0xE000ED08u = 0x60000000u; __asm volatile("udf #0");'  # VTOR
    with pytest.raises(EmulationError, match="Lockup"):
        count(body, "cortex-m4", tmp_path)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55"])
def test_a_stack_that_was_too_small_is_no_figure(core, tmp_path):
    frame = (
        "void __attribute__((noinline)) deep(void)\n"
        "{{ volatile char f[{0}]; for (int i = 0; i < {0}; i += {1}) f[i] = 1; }}\n"
    )
    for name, bytes_, step in (("whole", 100_000, 1), ("holes", 100_000, 8_000)):
        header = frame.format(bytes_, step) + BODY.format(body="deep();")
        elf = build_runner(core, {"model_under_test.h": header}, tmp_path / name)
        with pytest.raises(EmulationError, match=r"stack overflowed.*than 65,536 bytes") as caught:
            run(elf, core, inputs=bytes(16))
        assert "STACK_BYTES" in caught.value.hint
    inside = "volatile char f[100000]; for (int i = 0; i < 100000; i++) f[i] = 1;"
    with pytest.raises(EmulationError, match="stack overflowed"):
        count(inside, core, tmp_path / "main")
    header = frame.format(60_000, 1) + BODY.format(body="deep();")
    fits = build_runner(core, {"model_under_test.h": header}, tmp_path / "fits")
    assert 60_000 <= run(fits, core, inputs=bytes(16)).stack_bytes < 60_100


def test_a_status_of_the_networks_own_is_put_in_words(tmp_path):
    with pytest.raises(EmulationError, match=r"status of its own \(invoke_status=7\)"):
        count("return 7;", "cortex-m4", tmp_path)


@pytest.mark.parametrize("kind", ["missing", "text", "stripped"])
def test_what_is_no_firmware_of_ours_is_said(kind, tmp_path):
    elf = tmp_path / "firmware.elf"
    if kind == "text":
        elf.write_text("no ELF")
    elif kind == "stripped":
        subprocess.run(["arm-none-eabi-strip", build_empty("cortex-m4").elf, "-o", elf], check=True)
    words = "no symbols" if kind == "stripped" else "no readable ELF"
    for read in (lambda: run(elf, "cortex-m4"), lambda: linked_kernels(elf), lambda: symbols(elf)):
        with pytest.raises(BuildError, match=words):
            read()


def test_what_cmake_says_is_told(tmp_path):
    options = {"BRIDGE_LIBRARIES": "cmsis_nn", "CMSIS_NN_SOURCE": str(tmp_path)}
    with pytest.raises(BuildError, match=rf"has no sources:\s+{tmp_path}"):
        build_files("cortex-m4", "c", {"model_under_test.h": ""}, options, tmp_path / "out")


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
        build_runner("cortex-m4", {}, tmp_path / "out")
    assert "apt-get install" in caught.value.hint


def test_unknown_core(tmp_path):
    with pytest.raises(InputError, match="unknown core"):
        run(tmp_path / "none.elf", "cortex-m99")
