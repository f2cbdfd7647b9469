"""Each study from networks to page, small, on the digits that scikit-learn ships."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bridge.bundle import Bundle
from bridge.data import load
from bridge.errors import DataError, InputError, ProofError
from bridge.progress import Silent
from bridge.samples import npz
from bridge.study import benchmarks, deutel, dogan, kernels, younes
from bridge.study.measure import convert_network, measure
from bridge.study.networks import Trainer
from bridge.study.setup import Setup, run
from bridge.study.sparsify import Plan
from bridge.study.subjects import LENET, quick
from bridge.toolchain import version
from tests.programs import without

pytestmark = [pytest.mark.emulated, pytest.mark.slow]

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DIGITS = dataclasses.replace(
    quick(LENET, epochs=6), dataset="digits", samples=200, title="LeNet-5, digits", note=""
)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


def setup(name, work):
    return Setup(
        name=name,
        work=work,
        pages=work / "pages",
        quick=True,
        seed=0,
        measure_again=False,
        tflm_root=None,
        progress=Silent(),
    )


def results(page):
    text = page.read_text()
    found = json.loads(page.with_suffix(".json").read_text())
    assert found["command"] in text
    assert found["versions"]["torch"] in text
    assert "A quick run" in text
    for picture in page.parent.glob(f"{page.stem}*.svg"):
        assert picture.name in text
    return found


def same_again(work, page, study):
    """A finished study makes nothing anew and writes the same page."""

    def made():
        return {p: p.stat().st_mtime_ns for p in work.rglob("*.json") if "pages" not in p.parts}

    before, text = made(), page.read_text()
    assert study().read_text() == text
    assert made() == before, "a finished run was made again"


def test_dogan(work):
    asked = setup("dogan", work)
    page = dogan.study(asked, DIGITS, (0.1,))
    found = results(page)
    best = found["best"]
    assert best["accuracy"] > 0.9
    program = best["programs"]["c-compact"]
    assert all(made["row"]["bit_exact"] for made in best["programs"].values())
    fast = best["programs"]["c-sparse"]["row"]
    assert program["row"]["flash_bytes"]["total"] < fast["flash_bytes"]["total"]
    assert program["row"]["instructions"] > fast["instructions"]
    # The figures must be ratios of the very rows that stand beside them.
    rows = {row["engine"]: row for row in found["baseline"]}
    whole = rows["c-float"]["flash_bytes"]["total"] / program["row"]["flash_bytes"]["total"]
    assert program["ratios"]["c-float"]["memory"] == pytest.approx(whole)
    assert (
        program["ratios"]["c-float"]["instructions"]
        > program["ratios"]["c-dense"]["instructions"]
        > 1
    )
    assert [v["met"] for v in found["verdicts"]][:1] == [whole >= dogan.GOALS["memory"]]

    same_again(work, page, lambda: dogan.study(asked, DIGITS, (0.1,)))
    # The chosen program is not the planned one's zigzag: planned networks stand alone.
    assert {p["planned"] for p in found["points"]} == {False, True}
    assert found["whole"]["weights"] == 61470
    picture = page.with_name("dogan.svg")
    drawn = page.read_text(), picture.read_text()
    page.unlink()
    picture.unlink()
    assert run(dogan, "", ["--redraw", "--quick", "--work", str(work.parent / "nothing"),
                           "--pages", str(asked.pages)]) == 0  # fmt: skip
    assert (page.read_text(), picture.read_text()) == drawn


def test_an_engine_that_could_not_run_is_tried_again(work, tmp_path, monkeypatch):
    asked = setup("dogan", work)
    trainer = Trainer(DIGITS, asked)
    shape = tuple(trainer.data.x.shape[1:])
    made = convert_network(asked, DIGITS, trainer.float_network(), shape, "ptq")
    with monkeypatch.context() as here:
        here.setenv("PATH", without("qemu-system-arm", tmp_path / "bin"))
        (row,) = measure(asked, made, ("c-compact",), "cortex-m3")
    assert row["samples"] == 0
    assert "qemu-system-arm is not installed" in row["note"]
    (row,) = measure(asked, made, ("c-compact",), "cortex-m3")
    assert row["bit_exact"]
    assert version("qemu-system-arm") in row["tools"]


def test_outputs_that_differ_stop_a_study(work):
    """The interpreter's answers in a bundle are changed on disk: a proof must notice."""
    asked = setup("dogan", work)
    trainer = Trainer(DIGITS, asked)
    shape = tuple(trainer.data.x.shape[1:])
    made = convert_network(asked, DIGITS, trainer.float_network(), shape, "ptq")
    bundle = Bundle.open(made.bundle)
    whole = (bundle.path / "samples.npz").read_bytes()
    with np.load(bundle.path / "samples.npz") as stored:
        arrays = dict(stored)
    arrays["expected"] = arrays["expected"] ^ 1
    try:
        bundle.add({"samples.npz": npz(arrays)})
        with pytest.raises(ProofError, match="c-compact on cortex-m7: outputs differ"):
            measure(asked, made, ("c-compact",), "cortex-m7")
    finally:
        bundle.add({"samples.npz": whole})


def test_a_script_tells_a_mistake_and_its_status(tmp_path, capsys):
    assert run(dogan, "", ["--redraw", "--pages", str(tmp_path)]) == InputError.exit_status
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'dogan.json'} is not there\n  → run the study")


def test_deutel(work):
    plan = Plan((4, 10, 60, 40), (80, 800, 3600, 1200, 300))
    subject = dataclasses.replace(DIGITS, plans=(plan,))
    page = deutel.study(setup("deutel", work), (subject,), (0.1,), (0.1,), ("cortex-m0",))
    assert "80 + 800 + 3600 + 1200 + 300." in page.read_text()
    found = results(page)
    (network,) = found["networks"]
    assert len(network["points"]) == 4
    pruned = [p for p in network["points"] if p["share"] < 0.2]
    assert {p["kind"] for p in pruned} == {"weights", "channels"}
    whole = network["points"][0]["rows"]["cortex-m0"]
    for point in pruned:
        row = point["rows"]["cortex-m0"]
        assert row["bit_exact"]
        assert row["flash_bytes"]["weights"] < whole["flash_bytes"]["weights"] / 2
        assert row["instructions"] < whole["instructions"]
    for verdict in network["verdicts"]:
        assert verdict["kept"] == (verdict["share"] is not None and verdict["share"] <= 0.05)


def test_younes(work):
    asked = setup("younes", work)
    page = younes.study(asked, DIGITS, (0.1,), 0.1)
    found = results(page)
    same_again(work, page, lambda: younes.study(asked, DIGITS, (0.1,), 0.1))
    corners = {(c["share"] < 1, c["int8"], c["coding"]): c for c in found["corners"]}
    assert len(corners) == 2 * 5 + 2 * 6
    plain = corners[False, False, "none"]["stored"]
    assert plain == 4 * 61706
    assert corners[True, True, "none"]["stored"] == pytest.approx(plain / 4, rel=0.2)
    # A bitmask pays only where there are zeros; lossless codings cost no accuracy.
    assert corners[True, True, "bitmask"]["stored"] < corners[True, True, "none"]["stored"] / 2
    assert corners[False, False, "bitmask"]["stored"] == plain
    for coding in ("bitmask", "huffman"):
        assert corners[True, True, coding]["error"] == corners[True, True, "none"]["error"]
    names = {a["name"] for a in found["additions"]}
    assert "pruned + int8 + huffman" in names
    allowed = corners[False, False, "none"]["error"] + younes.POINT + 1e-9
    assert found["best"]["flash"] == min(
        c["flash"] for c in found["corners"] if c["flash"] and c["error"] <= allowed
    )


def test_coded_float32_runs_in_tflm(work):
    if not os.environ.get("TFLM_ROOT"):
        pytest.skip("TFLM_ROOT is not set: a TFLite Micro tree with a built library")
    root = Path(os.environ["TFLM_ROOT"])
    asked = dataclasses.replace(setup("younes", work), tflm_root=root, pages=work / "with-tflm")
    found = results(younes.study(asked, DIGITS, (0.1,), 0.1))
    corners = {(c["share"] < 1, c["int8"], c["coding"]): c for c in found["corners"]}
    plain, bitmask, lut = (corners[True, False, coding] for coding in ("none", "bitmask", "lut"))
    # Zeros and clusters leave flash; what DECODE unpacks goes to RAM.
    for coded in (bitmask, lut):
        assert coded["flash"] < plain["flash"] / 2
        assert coded["ram"] > plain["ram"]
    assert corners[False, False, "bitmask"]["flash"] == corners[False, False, "none"]["flash"]
    assert corners[True, False, "huffman"]["flash"] is None


def test_a_quick_run_from_end_to_end(tmp_path):
    """The script as a user calls it, with its own network and data; then drawn again."""
    try:
        load("mnist")
    except DataError as missing:
        pytest.skip(str(missing))
    environ = {k: v for k, v in os.environ.items() if k != "TFLM_ROOT"}
    command = [sys.executable, str(SCRIPTS / "reproduce_dogan.py"), "--quick", "--work",
               str(tmp_path)]  # fmt: skip
    page = tmp_path / "quick" / "pages" / "dogan.md"

    def call(*more):
        done = subprocess.run(
            [*command, *more], capture_output=True, text=True, check=True, cwd=tmp_path, env=environ
        )
        assert done.stdout.strip() == str(page)

    call()
    found = results(page)
    assert found["command"] == "python scripts/reproduce_dogan.py --quick"
    assert {row["engine"] for row in found["baseline"] if row["samples"]} == {
        "c-float", "c-dense", "c-sparse",
    }  # fmt: skip
    assert "`tflm` was not measured: TFLM_ROOT is not set." in page.read_text()
    assert all(program["row"]["bit_exact"] for program in found["best"]["programs"].values())
    text = page.read_text()
    call("--redraw")
    assert page.read_text() == text


@pytest.mark.parametrize("name", ["benchmarks", "dogan", "deutel", "kernels", "younes"])
def test_scripts_tell_what_they_do(name):
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / f"reproduce_{name}.py"), "--help"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "--quick" in done.stdout
    assert f"docs/results/{name}.md" in done.stdout
    assert "minutes" in done.stdout or "hour" in done.stdout


def test_kernel_tables_have_every_format_and_the_planner_beside(work):
    page = kernels.study(setup("kernels", work))
    found = results(page)
    rows = found["rows"]["cortex-m4"]
    assert {"cmsis-nn", "dual-dense", "dual", "d8"} <= {row["format"] for row in rows}
    assert all(abs(row["planned"] / row["cycles"] - 1) < 0.1 for row in rows if row["planned"])
    text = page.read_text()
    fastest = max(row["speedup"] for row in rows if row["sparsity"] == 0.9)
    assert f"**{fastest:.2f}×**" in text
    assert "of newer" not in text  # no TFLM
    same_again(work, page, lambda: kernels.study(setup("kernels", work)))


def test_benchmarks_without_tflm_say_what_is_missing(work):
    network = benchmarks.Network(
        "tiny", "lenet5", (("data", "digits"), ("quantize", "ptq"), ("epochs", 0))
    )
    asked = setup("benchmarks", work)
    page = benchmarks.study(asked, (network,), (network,), ())
    found = results(page)
    ran = {row["engine"] for row in found["pruned"][0]["rows"]["cortex-m4"] if row["samples"]}
    assert ran == {"c-dense", "c-sparse", "c-compact", "c-float"}
    text = page.read_text()
    assert "lenet5, `tflm` did not run" in text
    assert "`tflm-bridge convert lenet5 --data digits --quantize ptq --epochs 0`" in text
    assert "in TFLM |" not in text  # no pair without both sides
