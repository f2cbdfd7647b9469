"""The timing model: classification of real instructions, and sums that can be done by hand."""

from __future__ import annotations

import subprocess

import pytest

from bridge.cores import CORES
from bridge.emulate.instructions import classify, disassemble
from bridge.emulate.timing import block_cost
from bridge.emulate.timing_tables import TIMINGS


@pytest.mark.parametrize(
    ("mnemonic", "operands", "kind", "registers"),
    [
        ("ldrb.w", "r3, [r1], #1", "load", 1),
        ("ldrsb.w", "r3, [r1, r2]", "load", 1),
        ("ldmia.w", "sp!, {r4-r7, lr}", "load_multiple", 5),
        ("pop", "{r4, pc}", "load_multiple_return", 2),
        ("ldr.w", "pc, [r3, r0, lsl #2]", "load_pc", 1),
        ("tbb", "[pc, r0]", "table_branch", 1),
        ("bx", "lr", "return", 1),
        ("push", "{r4, lr}", "store_multiple", 2),
        ("bne.n", "4e", "branch", 1),
        ("bls.w", "4e", "branch", 1),
        ("bl", "344", "call", 1),
        ("bic.w", "r0, r1, #3", "alu", 1),
        ("cbz", "r3, 40", "compare_branch", 1),
        ("smlad", "r0, r1, r2, r0", "dsp_multiply", 1),
        ("smlal", "r0, r1, r2, r3", "accumulate_long", 1),
        ("smmlar", "r0, r1, r2, r3", "dsp_multiply", 1),
        ("mla", "r0, r1, r2, r3", "accumulate", 1),
        ("muls", "r0, r1", "multiply", 1),
        ("udiv", "r0, r1, r2", "divide", 1),
        ("vfma.f32", "s0, s1, s2", "fp_accumulate", 1),
        ("vldr", "s0, [r1]", "fp_load", 1),
        ("vldrb.s8", "q0, [r1]", "vector_load", 1),
        ("vmladava.s8", "r0, q1, q2", "vector_accumulate", 1),
        ("adds", "r0, #1", "alu", 1),
        ("ite", "ge", "it", 1),
    ],
)
def test_instructions_are_classified(mnemonic, operands, kind, registers):
    found = classify(mnemonic, operands)
    assert (found.kind, found.registers) == (kind, registers)


MVE = (
    ("vldrb.u8 q0, [r0], #16", "vector_load"),
    ("vldrb.u8 q1, [r1, q0]", "vector_load"),
    ("vstrw.32 q0, [r2]", "vector_store"),
    ("vmladava.s8 r0, q0, q1", "vector"),
    ("vmla.s32 q0, q1, r3", "vector"),
    ("vpst", "it"),
    ("vldrbt.u8 q0, [r0]", "vector_load"),
    ("vqrdmulh.s32 q0, q1, r3", "vector"),
    ("vmin.s32 q0, q0, q1", "vector"),
    ("lsll r4, r5, #1", "alu"),
    ("csel r0, r1, r2, eq", "alu"),
    ("dlstp.8 lr, r3", "loop"),
    ("bx lr", "return"),
)


@pytest.mark.emulated
def test_vector_instructions_are_told_though_the_disassembler_misreads_them(tmp_path):
    source, elf = tmp_path / "mve.s", tmp_path / "mve.elf"
    body = "\n".join(text for text, _ in MVE)
    source.write_text(f".syntax unified\n.thumb\n.global _start\n_start:\n{body}\n")
    options = ["-mcpu=cortex-m55", "-mfloat-abi=hard", "-nostdlib"]
    subprocess.run(["arm-none-eabi-gcc", *options, source, "-o", elf], check=True)
    found = [instruction.kind for _, instruction in sorted(disassemble(elf).items())]
    assert found == [kind for _, kind in MVE]


def test_a_block_is_summed_by_the_table():
    body = [
        classify("ldr", "r0, [r1]"),  # 2
        classify("ldr", "r2, [r3]"),  # 1: right behind an independent load
        classify("ldr", "r4, [r2]"),  # 2: needs the one before
        classify("smlad", "r5, r0, r4, r5"),  # 1
        classify("push", "{r4, r5, lr}"),  # 1 + 3
    ]
    low, best, high = block_cost(body, TIMINGS["cortex-m4"])
    assert best == 10
    assert (low, high) == (8, 11)


@pytest.mark.parametrize(
    ("mnemonic", "operands", "core", "cycles"),
    [  # a branch's refill of the pipeline is added when it is taken
        ("pop", "{r4, r5, pc}", "cortex-m4", (4, 4, 4)),  # 1 + N
        ("pop", "{pc}", "cortex-m4", (2, 2, 2)),
        ("bx", "lr", "cortex-m4", (1, 1, 1)),
        ("tbb", "[pc, r0]", "cortex-m4", (2, 2, 2)),
        ("ldmia.w", "r0!, {r1-r4}", "cortex-m4", (5, 5, 5)),
        ("smlal", "r0, r1, r2, r3", "cortex-m3", (4, 5, 7)),
        ("mla", "r0, r1, r2, r3", "cortex-m3", (2, 2, 2)),
        ("mla", "r0, r1, r2, r3", "cortex-m4", (1, 1, 1)),
        ("udiv", "r0, r1, r2", "cortex-m4", (2, 7, 12)),
        ("vfma.f32", "s0, s1, s2", "cortex-m4", (3, 3, 3)),
        ("muls", "r0, r1", "cortex-m0", (1, 1, 32)),
        ("ldr", "r0, [r1]", "cortex-m0", (2, 2, 2)),
        ("bl", "344", "cortex-m0", (2, 2, 2)),
    ],
)
def test_lines_of_arms_tables(mnemonic, operands, core, cycles):
    assert block_cost([classify(mnemonic, operands)], TIMINGS[core]) == cycles


@pytest.mark.parametrize("core", CORES)
def test_bounds_are_ordered_and_every_line_has_a_source(core):
    timing = TIMINGS[core]
    lines = [*timing.lines.values(), timing.per_register, timing.taken]
    for line in lines:
        low, best, high = line.cost
        assert low <= best <= high, line
    manual = core in {"cortex-m0", "cortex-m3", "cortex-m4"}
    sources = [line.source for line in lines] + [timing.paired_load, timing.dual_issue]
    for source in filter(None, sources):
        assert source.startswith("Cortex-M" if manual else "assumption: "), source
        assert not manual or f"Cortex-{core[7:].upper()} TRM" in source
