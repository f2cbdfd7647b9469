"""``tflm-bridge compress`` as a user meets it: files, bundles, budgets, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from bridge.bundle import Bundle
from bridge.cli import app
from bridge.compress.bundle import FILE, compress_file
from bridge.convert.options import ConvertOptions
from bridge.convert.tflm import run
from bridge.errors import BundleError, InputError
from bridge.pipeline import convert
from tests.compile.networks import int8_model
from tests.compress.test_model import wide


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.tflite"
    path.write_bytes(int8_model(wide, (28, 26, 1), sparsity=0.9))
    return path


@pytest.fixture
def bundle(model, tmp_path):
    return convert(ConvertOptions(str(model), samples=5), tmp_path / "bundle")


def test_a_file(model, tmp_path):
    figures = tmp_path / "figures.json"
    result = CliRunner().invoke(app, ["compress", str(model), "--json", str(figures)])
    assert result.exit_code == 0, result.output
    made = model.with_suffix(".compressed.tflite")
    told = json.loads(figures.read_text())
    assert told["bytes_after"] == made.stat().st_size < 0.4 * told["bytes_before"]
    assert told["arena_before"] <= told["arena_alternate"] < told["arena_after"]
    assert f"{told['bytes_after']:,} bytes" in result.output
    assert "AddDecode()" in result.output


def test_one_encoding_and_none(model, tmp_path):
    out = tmp_path / "made.tflite"
    call = ["compress", str(model), "--out", str(out), "--encoding"]
    assert CliRunner().invoke(app, [*call, "huffman"]).exit_code == 0
    assert len(out.read_bytes()) < model.stat().st_size
    result = CliRunner().invoke(app, [*call, "none"])
    assert out.read_bytes() == model.read_bytes()
    assert "left whole" in result.output


def test_a_bundle_keeps_the_result_and_its_arrays(bundle):
    done = compress_file(bundle.path)
    again = Bundle.open(bundle.path)
    assert again.manifest["compressed"]["bytes_after"] == len(done.result.model)
    assert again.manifest["compressed"]["proved_samples"] == done.proved >= 100
    settings = (bundle.path / "firmware/tflm_compressed/net_settings.h").read_text()
    assert f"NET_DECOMPRESSION_SIZE {done.result.decompression_bytes}u" in settings
    resolver = (bundle.path / "firmware/tflm_compressed/net_resolver.h").read_text()
    assert "resolver.AddDecode();" in resolver
    with np.load(bundle.path / "samples.npz") as stored:
        found = run((bundle.path / FILE).read_bytes(), [stored["inputs"]])[0]
        np.testing.assert_array_equal(found.reshape(stored["expected"].shape), stored["expected"])


def test_refusals(tmp_path, model):
    with pytest.raises(InputError, match="can't read"):
        compress_file(tmp_path / "missing.tflite")
    with pytest.raises(BundleError, match="not a bundle"):
        compress_file(tmp_path)
    with pytest.raises(InputError, match="arena"):
        compress_file(model, tmp_path / "out.tflite", ram=100)
