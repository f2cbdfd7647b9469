"""``tflm-bridge bench`` as a user runs it: tables, JSON, page, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.bundle import Bundle
from tests.bench.test_bench import make_bundle

pytestmark = pytest.mark.emulated
HERE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "out").path


def bench(*arguments, **environment):
    environment = {**os.environ, "COLUMNS": "80", **environment}
    environment.pop("TFLM_ROOT", None)
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli", "bench", *map(str, arguments)],
        cwd=HERE, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def test_what_a_bench_leaves(bundle, tmp_path):
    json_file, html = tmp_path / "rows.json", tmp_path / "report.html"
    result = bench(bundle, "--engine", "c-sparse", "--engine", "tflm", "--core", "cortex-m0",
                   "--limit", 5, "--json", json_file, "--html", html)  # fmt: skip
    assert result.returncode == 0, result.stderr
    sparse, tflm = json.loads(json_file.read_text())
    assert (sparse["engine"], sparse["core"]) == ("c-sparse", "cortex-m0")
    assert sparse["bit_exact"] is True
    assert sparse["samples"] == 5
    assert sparse["accuracy"] == 1.0
    assert tflm["samples"] == 0
    cycles = sparse["cycles_modelled"]
    for text in (
        f"{sparse['instructions']:,}",
        f"{cycles['best']:,}",
        f"{cycles['low'] / 1e6:.2f} … {cycles['high'] / 1e6:.2f}",
        *(f"{size:,}" for part, size in sparse["flash_bytes"].items() if part != "code"),
        f"{sparse['ram_bytes']['total']:,}",
        "yes (5)",
        "unaligned access trapped",
        "tflm on cortex-m0 did not run: TFLM_ROOT is not set",
        "nRF51822-QFAA, cortex-m0, 16 MHz",
        "Nordic nRF51822 Product Specification v3.1",
        f"report: {bundle / 'report.html'}",
    ):
        assert text in result.stdout
    page = html.read_text()
    assert page == (bundle / "report.html").read_text()
    for text in (
        f"<td>{sparse['instructions']:,}</td>",
        "not run: TFLM_ROOT is not set",
        "nRF51822-QFAA",
        "Nordic nRF51822 Product Specification v3.1",
        *(
            f"{name}: {sparse['flash_bytes'][part]:,} B"
            for part, name in (
                ("kernels", "kernels"),
                ("application", "generated code"),
                ("runtime", "interpreter and C library"),
            )
        ),
    ):
        assert text in page
    assert json.loads((bundle / "bench.json").read_text()) == [sparse, tflm]
    Bundle.open(bundle)


def test_a_bench_of_which_nothing_ran_fails(bundle):
    result = bench(bundle, "--engine", "tflm", "--engine", "tflm-sparse")
    assert result.returncode == 1
    assert "error: no engine ran" in result.stderr
    assert "tflm-sparse on cortex-m4: TFLM_ROOT is not set" in result.stderr


def test_a_time_that_is_none_is_refused(bundle):
    result = bench(bundle, "--timeout", -5)
    assert result.returncode == 2
    assert "timeout" in result.stderr
