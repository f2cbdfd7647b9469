"""The bench on a real bundle: rows, table, report, and engines that can't run."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
import re
import shutil

import numpy as np
import pytest
from rich.console import Console

from bridge.bench import measure
from bridge.bench.boards import BOARDS, estimates
from bridge.bench.engines import check, prove, run_bench
from bridge.bench.row import Row
from bridge.bench.subject import prove_close
from bridge.bench.table import comparison, show
from bridge.bundle import Bundle, BundleWriter
from bridge.cores import CORES
from bridge.errors import BridgeError, BundleError, InputError, ProofError
from bridge.pipeline import record_bench
from tests.compile.networks import int8_model, lenet, random_inputs, run_tflm

pytestmark = pytest.mark.emulated


def make_bundle(folder):
    shape = (20, 17, 1)
    model = int8_model(lenet, shape, sparsity=0.9)
    inputs = random_inputs(shape, count=30)
    expected = run_tflm(model, inputs)
    writer = BundleWriter(folder, "test")
    writer.write("model_int8.tflite", model)
    stream = io.BytesIO()
    np.savez(stream, inputs=inputs, labels=expected.argmax(axis=1), expected=expected)
    writer.write("samples.npz", stream.getvalue())
    writer.manifest["model"] = "lenet"
    return writer.commit()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "out")


@pytest.fixture(scope="module")
def rows(bundle):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TFLM_ROOT", raising=False)
        return run_bench(bundle, engines=("tflm-host", "c-float", "c-dense", "c-sparse", "tflm"))


def test_every_int8_engine_equals_the_interpreter(rows):
    exact = {row.engine: row.bit_exact for row in rows if row.ran}
    assert exact == {"tflm-host": True, "c-float": None, "c-dense": True, "c-sparse": True}
    by_engine = {row.engine: row for row in rows}
    assert by_engine["c-sparse"].accuracy == 1.0
    assert by_engine["c-sparse"].flash_weights < by_engine["c-dense"].flash_weights / 3
    assert by_engine["c-sparse"].instructions < by_engine["c-dense"].instructions
    assert by_engine["c-float"].flash_weights > 3 * by_engine["c-dense"].flash_weights
    for engine in ("c-float", "c-dense", "c-sparse"):
        best, low, high = by_engine[engine].cycles_modelled
        assert low <= best <= high
        assert low > 0.5 * by_engine[engine].instructions


def test_what_is_missing_costs_only_its_row(rows):
    row = next(row for row in rows if row.engine == "tflm")
    assert not row.ran
    assert "TFLM_ROOT" in row.note


@pytest.mark.parametrize("engine", ["tflm", "tflm-decode", "tflm-sparse"])
def test_a_wrong_tflm_root_is_said_in_the_row(bundle, engine, tmp_path):
    row = run_bench(bundle, engines=(engine,), tflm_root=tmp_path / "nowhere")[0]
    assert not row.ran
    assert "TFLM_ROOT is no folder" in row.note


def test_inside_tflm_sparsity_gains_what_it_gains_outside(bundle):
    """Needs a TFLM library for Cortex-M4."""
    if not os.environ.get("TFLM_ROOT"):
        pytest.skip("TFLM_ROOT is not set: a TFLite Micro tree with a built library")
    engines = ("tflm", "tflm-decode", "tflm-sparse")
    found = {row.engine: row for row in run_bench(bundle, engines=engines)}
    if "was compiled for" in found["tflm"].note:
        pytest.skip(found["tflm"].note)
    stock, decode, sparse = (found[engine] for engine in engines)
    assert [row.bit_exact for row in (stock, decode, sparse)] == [True] * 3
    assert decode.flash_weights < 0.75 * stock.flash_weights
    assert decode.ram_arena > stock.ram_arena
    assert decode.instructions > stock.instructions
    assert "CUSTOM:TFLM_DECODE" in {layer.kind for layer in decode.layer_instructions}
    assert sparse.flash_weights < 0.75 * stock.flash_weights
    assert sparse.instructions < stock.instructions
    assert any(layer.kernel.startswith("snn_") for layer in sparse.layer_instructions)
    for row in (stock, decode, sparse):
        assert row.ram_scratch is None, "it lies in the arena"
        assert row.ram_total == row.ram_arena + row.ram_stack + row.ram_static
        counted = sum(layer.instructions for layer in row.layer_instructions)
        assert 0.98 * row.instructions < counted < 1.01 * row.instructions


def test_budgets_are_kept_or_cost_the_row(bundle, rows):
    free = next(row for row in rows if row.engine == "c-sparse")
    ram = free.ram_arena + free.ram_scratch - 600
    tight, cheap, dense, none = (
        run_bench(bundle, engines=(engine,), limit=5, **budget)[0]
        for engine, budget in (
            ("c-sparse", {"ram": ram}),
            ("c-sparse", {"flash": free.flash_weights}),
            ("c-dense", {"flash": 10}),
            ("c-sparse", {"flash": 10}),
        )
    )
    assert tight.bit_exact
    assert tight.ram_arena + tight.ram_scratch < free.ram_arena + free.ram_scratch
    assert tight.note == f"formats chosen within {ram:,} bytes of ram"
    assert cheap.bit_exact
    assert cheap.flash_weights <= free.flash_weights
    assert dense.ran  # its formats are CMSIS-NN's: no budget can change them
    assert not none.ran
    assert "weights and tables need" in none.note


def shown(rows, width):
    console = Console(width=width, file=io.StringIO())
    show(rows, console, title="lenet: [/bold] out/lenet")
    return console.file.getvalue()


def large(row, engine, core, base):
    """The row with figures as long as they get, each with digits of its own."""
    digits = itertools.count(base)
    sizes = {
        f.name: 1_000_000 + next(digits) * 7919
        for f in dataclasses.fields(Row)
        if f.name.startswith(("flash_", "ram_"))
    }
    sizes["flash_code"] = 8_000_000 + next(digits)
    cycles = tuple(157_000_000 + next(digits) * 104_729 for _ in range(3))
    return dataclasses.replace(
        row, engine=engine, core=core, instructions=123_000_000 + next(digits) * 997,
        cycles_modelled=cycles, samples=1000, **sizes,
    )  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_every_figure_is_whole_however_narrow_the_terminal(rows, width):
    row = next(row for row in rows if row.engine == "c-sparse")
    found = [large(row, "tflm-sparse", "cortex-m55", 10), large(row, "tflm", "cortex-m55", 90)]
    found += [*rows, *(dataclasses.replace(row, core=core) for core in CORES)]
    found.append(
        Row("m", "tflm", "cortex-m7", note="[/usr/x] is no folder [bold]: " + "/long" * 50)
    )
    text = shown(found, width)
    numbers = set(re.findall(r"[\d,.]*\d", text))
    for row in (row for row in found if row.ran and row.core != "host"):
        for value in (row.instructions, row.flash_kernels, row.flash_runtime, row.flash_weights,
                      row.flash_application, row.flash_total, row.ram_total):  # fmt: skip
            assert f"{value:,}" in numbers
        best, low, high = row.cycles_modelled
        assert f"{best:,}" in numbers
        assert f"{low / 1e6:.2f} … {high / 1e6:.2f}" in text
    assert text.count("…") == text.count(" … "), "nothing is cut off"
    reason = next(line for line in text.splitlines() if "/usr/x" in line)
    assert reason.endswith(found[-1].note)
    assert "lenet: [/bold] out/lenet" in text
    if width == 80:
        tables = text[: text.index("did not run")].splitlines()
        assert max(map(len, tables)) <= 80


def test_table_and_json_name_baselines(rows):
    text = shown(rows, 80)
    assert "TFLM_ROOT is not set" in text
    ratios = text[text.index("how many times less") :]
    line = next(line for line in ratios.splitlines() if line.startswith("c-sparse"))
    assert line.count("×") == 4
    assert line.split()[-1] == "c-dense"
    values = json.loads(json.dumps([row.as_json() for row in rows]))
    names = {"model", "engine", "core", "accuracy", "bit_exact", "flash_bytes", "ram_bytes",
             "instructions", "cycles_modelled", "baseline"}  # fmt: skip
    assert names <= set(values[0])
    by_engine = {value["engine"]: value for value in values}
    assert by_engine["c-sparse"]["baseline"] == by_engine["c-float"]["baseline"] == "c-dense"
    assert by_engine["c-dense"]["baseline"] == by_engine["tflm-host"]["baseline"] == ""
    flash, ram = (by_engine["c-sparse"][f"{part}_bytes"] for part in ("flash", "ram"))
    assert flash["total"] == flash["code"] + flash["weights"]
    assert flash["code"] == flash["kernels"] + flash["application"] + flash["runtime"]
    assert min(flash.values()) > 0
    assert ram["total"] == ram["arena"] + ram["scratch"] + ram["stack"] + ram["static"]


@pytest.mark.parametrize("engine", ["c-float", "c-dense", "c-sparse"])
def test_layers_are_named_and_add_up(rows, engine):
    row = next(row for row in rows if row.engine == engine)
    kinds = [layer.kind for layer in row.layer_instructions]
    assert kinds[:2] == ["CONV_2D", "MAX_POOL_2D"]
    assert kinds.count("FULLY_CONNECTED") == 2
    assert all(layer.layer and layer.kernel for layer in row.layer_instructions)
    # A float network turns its input into float before the first layer.
    counted = sum(layer.instructions for layer in row.layer_instructions)
    assert 0.95 * row.instructions < counted < 1.01 * row.instructions
    value = json.loads(json.dumps(row.as_json()))["layer_instructions"][0]
    assert set(value) == {"layer", "kind", "instructions", "kernel"}


def test_linked_kernels_come_from_the_symbols(rows):
    named = {row.engine: row.kernels for row in rows if row.ran}
    assert "snn_" in named["c-sparse"]
    assert "arm_convolve" not in named["c-sparse"]
    assert "CMSIS-NN" in named["c-dense"]
    assert "arm_convolve_s8" in named["c-dense"]
    assert "snn_layer_mark" not in "".join(named.values())


def test_boards_turn_cycles_into_time_and_energy(rows):
    row = dataclasses.replace(
        next(row for row in rows if row.engine == "c-sparse"),
        cycles_modelled=(1_200_000, 600_000, 2_400_000),
    )
    found = {e.board.name: e for e in estimates([row])}
    assert set(found) == {board.name for board in BOARDS if board.core == "cortex-m4"}
    assert found["STM32L4R5ZI"].milliseconds == pytest.approx((10, 5, 20))
    # 110 µA/MHz · 120 MHz · 3 V · 10 ms = 396 µJ
    assert found["STM32L4R5ZI"].microjoules == pytest.approx(396)
    assert found["STM32L4R5ZI"].fits
    large = dataclasses.replace(row, flash_weights=3_000_000)
    assert not any(e.fits for e in estimates([large]))
    assert all(board.datasheet and board.remark for board in BOARDS)
    for core in CORES:
        found = estimates([dataclasses.replace(row, core=core)])
        assert found, core
        assert all(e.microjoules for e in found), core
    text = shown([row], 200)
    assert "not measured" in text
    assert "DS12023" in text
    assert "ARMv6-M code on the M3 machine" in shown(
        [dataclasses.replace(row, core="cortex-m0")], 80
    )


def test_the_bundle_keeps_what_the_bench_found(bundle, rows, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    record_bench(Bundle.open(copy), list(rows))
    again = Bundle.open(copy)
    assert len(json.loads((again.path / "bench.json").read_text())) == len(rows)
    assert "c-sparse" in (again.path / "report.html").read_text()


def stored(bundle):
    values = json.loads((bundle.path / "bench.json").read_text())
    return {(value["engine"], value["core"]): value for value in values}


def test_a_smaller_bench_leaves_what_was_measured(bundle, rows, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    row = {row.engine: row for row in rows}
    tflm = dataclasses.replace(row["c-dense"], engine="tflm", instructions=5_555_555)
    record_bench(Bundle.open(copy), [row["c-dense"], row["c-sparse"]])
    assert stored(Bundle.open(copy))["c-sparse", "cortex-m4"]["baseline"] == "c-dense"
    record_bench(Bundle.open(copy), [tflm])
    newer = dataclasses.replace(row["c-sparse"], instructions=123_457)
    other = dataclasses.replace(row["c-sparse"], core="cortex-m7", baseline="")
    again = record_bench(Bundle.open(copy), [row["tflm"], newer, other])
    found = stored(again)
    assert list(found) == [("c-dense", "cortex-m4"), ("c-sparse", "cortex-m4"),
                           ("tflm", "cortex-m4"), ("c-sparse", "cortex-m7")]  # fmt: skip
    assert found["c-sparse", "cortex-m4"]["instructions"] == 123_457, "the newest"
    assert found["c-sparse", "cortex-m4"]["baseline"] == "tflm", "against all that ran"
    assert found["tflm", "cortex-m4"]["samples"], "what can't run today was measured all the same"
    page = (again.path / "report.html").read_text()
    assert "5,555,555" in page
    assert "123,457" in page
    wrong = dataclasses.replace(row["tflm"], bit_exact=False)
    assert not stored(record_bench(again, [wrong]))["tflm", "cortex-m4"]["samples"]
    model = (copy / "model_int8.tflite").read_bytes()
    changed = Bundle.open(copy).add({"model_int8.tflite": model + bytes(16)})
    assert list(stored(record_bench(changed, [newer]))) == [("c-sparse", "cortex-m4")]


def test_a_wrong_output_is_seen(bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    with np.load(copy / "samples.npz") as stored:
        values = dict(stored)
    values["expected"] = values["expected"].copy()
    values["expected"][3, 2] ^= 1
    stream = io.BytesIO()
    np.savez(stream, **values)
    changed = Bundle(copy, bundle.manifest).add({"samples.npz": stream.getvalue()})
    rows = run_bench(changed, engines=("c-sparse",))
    assert rows[0].bit_exact is False
    right, wrong = (values["expected"][3, 2].item() ^ bit for bit in (1, 0))
    place = f"sample 3, value [2]: {right} instead of {wrong}; 1 of "
    assert place in rows[0].note
    with pytest.raises(ProofError, match="c-sparse on cortex-m4") as caught:
        prove(rows)
    assert place in str(caught.value)


def test_a_defect_costs_only_its_row_and_says_that_it_is_one(bundle, monkeypatch):
    def broken(*_):
        raise KeyError("nobody thought of this")

    monkeypatch.delenv("TFLM_BRIDGE_DEBUG", raising=False)
    monkeypatch.setattr(measure, "tflm_host", broken)
    host, sparse = run_bench(bundle, engines=("tflm-host", "c-sparse"), limit=2)
    assert not host.ran
    assert "unexpected KeyError: 'nobody thought of this'" in host.note
    assert "a defect of tflm-bridge" in host.note
    assert sparse.bit_exact
    check([host, sparse])
    with pytest.raises(
        BridgeError, match=r"no engine ran:\s+tflm-host on host: unexpected KeyError"
    ):
        check([host])
    monkeypatch.setenv("TFLM_BRIDGE_DEBUG", "1")
    with pytest.raises(KeyError):
        run_bench(bundle, engines=("tflm-host",), limit=2)


def test_float_on_the_core_is_held_against_the_host(rows):
    row = next(row for row in rows if row.engine == "c-float")
    assert re.search(r"on the core and on the host at most [01] steps apart", row.note)
    reference = np.linspace(-2, 2, 50, dtype=np.float32).reshape(10, 5)
    assert prove_close(reference + np.float32(2e-5), reference)
    for wrong in (reference + np.float32(1e-4), reference * np.float32("nan")):
        with pytest.raises(ProofError, match=r"of the output range, allowed 1e-05"):
            prove_close(wrong, reference)
    steps = np.arange(-128, 127, dtype=np.int8)
    assert "at most 1 steps" in prove_close(steps + np.int8(1), steps)
    with pytest.raises(ProofError, match="255 steps, allowed 1"):
        prove_close(np.array([127], np.int8), np.array([-128], np.int8))


def test_wrong_float_outputs_fail_the_bench(bundle, monkeypatch):
    from bridge.firmware import host

    true = host.run_on_host
    monkeypatch.setattr(host, "run_on_host", lambda *given: true(*given) // 2)
    rows = run_bench(bundle, engines=("c-float",), limit=3)
    with pytest.raises(ProofError, match="c-float on cortex-m4: proof 'float on the core"):
        prove(rows)


def test_bad_names_and_missing_samples(bundle, tmp_path):
    with pytest.raises(InputError, match="unknown engine"):
        run_bench(bundle, engines=("fast",))
    with pytest.raises(InputError, match="unknown core"):
        run_bench(bundle, cores=("cortex-m99",))
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    (copy / "samples.npz").unlink()
    with pytest.raises(BundleError, match="missing from its bundle"):
        Bundle.open(copy)
    with pytest.raises(BundleError, match="no samples"):
        run_bench(dataclasses.replace(bundle, path=copy), engines=("c-sparse",))


def test_ratios_need_a_baseline_that_ran():
    row = Row("m", "c-sparse", "cortex-m4", samples=1, instructions=10)
    assert comparison([row]).row_count == 0
    assert "×" not in shown([row], 80)
