"""The bench on a real bundle: rows, table, report, and engines that can't run."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil

import numpy as np
import pytest
from rich.console import Console

from bridge.bench.boards import BOARDS, estimates
from bridge.bench.engines import run_bench
from bridge.bench.row import Row
from bridge.bench.table import boards, comparison
from bridge.bundle import Bundle, BundleWriter
from bridge.cores import CORES
from bridge.errors import BundleError, InputError
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


def test_table_and_json_name_baselines(rows):
    console = Console(width=200, file=io.StringIO())
    console.print(comparison(rows))
    text = console.file.getvalue()
    assert "c-dense" in text
    assert "TFLM_ROOT is not set" in text
    line = next(line for line in text.splitlines() if "c-sparse" in line)
    assert line.count("×") == 2
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
    console = Console(width=200, file=io.StringIO())
    console.print(boards([row]))
    assert "not measured" in console.file.getvalue()
    assert "DS12023" in console.file.getvalue()


def test_the_bundle_keeps_what_the_bench_found(bundle, rows, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    record_bench(Bundle.open(copy), list(rows))
    again = Bundle.open(copy)
    assert len(json.loads((again.path / "bench.json").read_text())) == len(rows)
    assert "c-sparse" in (again.path / "report.html").read_text()


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
    row = run_bench(changed, engines=("c-sparse",))[0]
    assert row.bit_exact is False


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
    console = Console(width=200, file=io.StringIO())
    console.print(comparison([Row("m", "c-sparse", "cortex-m4", samples=1, instructions=10)]))
    assert "×" not in console.file.getvalue()
