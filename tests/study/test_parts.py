"""Points on disk, codings, plots."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bridge import zoo
from bridge.bench.plots import Line, Plot, sheet
from bridge.doctor import versions
from bridge.progress import Silent
from bridge.study import benchmarks, deutel, dogan, kernels, younes
from bridge.study.chain import weighted
from bridge.study.coding import LEVELS, cluster, clustered_network, clustered_tflite, float_bytes
from bridge.study.page import draw_page
from bridge.study.setup import Setup
from bridge.study.store import Store
from bridge.toolchain import version
from tests.compile.networks import int8_model, lenet, random_inputs, run_tflm

ROOT = Path(__file__).resolve().parents[2]


class Maker:
    """Makes a point and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return {"value": 1.5, "time": self.times}


def test_a_finished_point_is_taken_from_disk(tmp_path):
    store, make, file = Store(tmp_path), Maker(), tmp_path / "net.pt"
    file.write_text("x")

    def ask(decides="a", **rest):
        return store.point("p", make, decides=decides, progress=Silent(), needs=(file,), **rest)

    assert ask() == ask() == {"value": 1.5, "time": 1}
    assert ask(decides="b")["time"] == 2
    assert ask(decides="b", again=True)["time"] == 3
    file.unlink()
    assert ask(decides="b")["time"] == 4
    (tmp_path / "p.json").write_text('{"decides": ')  # a file cut off by a crash
    file.write_text("x")
    assert ask(decides="b")["time"] == 5
    assert [file.name for file in tmp_path.glob("*.json")] == ["p.json"]
    assert json.loads((tmp_path / "p.json").read_text())["result"]["time"] == 5


def test_a_point_that_fails_leaves_nothing(tmp_path):
    def fail():
        raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        Store(tmp_path).point("p", fail, decides=1, progress=Silent())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [np.float32, np.int8])
def test_clusters_keep_zeros_and_lie_close(kind):
    random = np.random.default_rng(3)
    values = random.normal(0, 40, (20, 30))
    values[random.random(values.shape) < 0.6] = 0
    values = np.clip(values, -127, 127).astype(kind)
    found = cluster(values)
    assert found.dtype == kind
    assert len(np.unique(found)) <= LEVELS
    assert np.array_equal(found == 0, values == 0)
    assert np.abs(found.astype(float) - values).mean() < 5
    assert np.array_equal(cluster(found), found)


def test_float_codings_get_smaller_with_their_reason():
    random = np.random.default_rng(0)
    dense = random.normal(size=(64, 50)).astype(np.float32)
    sparse = np.where(random.random(dense.shape) < 0.9, 0, dense).astype(np.float32)
    plain = dense.nbytes
    assert float_bytes([dense], "none") == float_bytes([dense], "bitmask") == plain
    # A bit a weight and a tenth of the values.
    share = np.count_nonzero(sparse) / sparse.size
    assert float_bytes([sparse], "bitmask") == pytest.approx(plain * (share + 1 / 32), rel=0.02)
    clustered = cluster(dense)
    assert float_bytes([clustered], "lut") == pytest.approx(plain / 8, rel=0.1)
    assert float_bytes([cluster(sparse)], "huffman") < float_bytes([clustered], "huffman") / 2


def test_clustered_networks_still_work():
    network = zoo.network(zoo.find("lenet5", "digits"))
    for layer in weighted(clustered_network(network, 0)).values():
        assert len(layer.weight.unique()) <= LEVELS
    shape = (20, 17, 1)
    model = int8_model(lenet, shape)
    changed = clustered_tflite(model, 0)
    assert len(changed) == len(model)
    inputs = random_inputs(shape, count=10)
    before, after = run_tflm(model, inputs), run_tflm(changed, inputs)
    assert not np.array_equal(before, after)
    assert np.abs(before.astype(int) - after).mean() < 20


def test_versions_are_those_that_a_point_was_made_with(tmp_path):
    """A point made with another NumPy stays, and the page says so."""
    asked = Setup("s", tmp_path, tmp_path, True, 0, False, None, Silent())
    make, here = Maker(), versions()["numpy"]
    asked.store.point("p", make, decides=1, progress=Silent())
    assert asked.versions()["numpy"] == here
    assert version("arm-none-eabi-gcc") == asked.versions()["arm-none-eabi-gcc"]
    file = next(asked.store.folder.glob("*.json"))
    file.write_text(file.read_text().replace(here, "1.0.0"))
    later = Setup("s", tmp_path, tmp_path, True, 0, False, None, Silent())
    later.store.point("p", make, decides=1, progress=Silent())
    assert make.times == 1
    assert later.versions()["numpy"] == "1.0.0"
    later.store.point("q", make, decides=1, progress=Silent())
    assert later.versions()["numpy"] == f"1.0.0 and {here}"


def test_the_command_says_whether_tflm_was_there(tmp_path):
    asked = Setup("dogan", tmp_path, tmp_path, True, 3, False, None, Silent())
    assert asked.command == "python scripts/reproduce_dogan.py --quick --seed 3"
    with_tflm = dataclasses.replace(asked, tflm_root=tmp_path)
    assert with_tflm.command == f"TFLM_ROOT=… {asked.command}"


def test_plots_are_the_same_bytes_again():
    plot = Plot("t", "x", "y", (Line("a", ((1.0, 2.0), (3.0, 4.0)), "blue"),), level=(2.5, "goal"))
    assert sheet([plot, plot]) == sheet([plot, plot])
    assert "<svg" in sheet([plot])


def test_a_plot_shows_what_is_there_in_plain_numbers():
    lines = (
        Line("chain", ((60.0, 2e5), (90.0, 9e5)), "blue dashed"),
        Line("nothing", (), "amber"),
        Line("alone", ((70.0, 4e5),), "green", joined=False),
    )
    picture = sheet([Plot("t", "x", "y", lines, True, True, chosen=((70.0, 4e5), "chosen"))])
    ElementTree.fromstring(picture)
    assert "nothing" not in picture
    marks = {style: groups(picture, style) for style in ("blue dashed", "green", "ink ring")}
    # One mark on the plot and one in the legend; a line for the chain, the point alone has none.
    assert [len(found) for found in marks.values()] == [2, 2, 2]
    assert [len(found.findall("path")) for found in marks["blue dashed"]] == [1, 1]
    assert all("dasharray" in found.find("path").get("style") for found in marks["blue dashed"])
    assert not any(found.findall("path") for found in marks["green"] + marks["ink ring"])
    point, ring = marks["green"][0].find(".//use"), marks["ink ring"][0].find(".//use")
    assert (point.get("x"), point.get("y")) == (ring.get("x"), ring.get("y"))
    assert "fill-opacity: 0;" in ring.get("style")
    texts = re.findall(r"<text [^>]*>([^<]*)<", picture)
    assert {"60", "80", "200 k", "400 k", "chain", "alone", "chosen"} <= set(texts)
    assert "×" not in picture


def groups(picture, style):
    """What a picture draws in a style."""
    root = ElementTree.fromstring(picture.replace(' xmlns="http://www.w3.org/2000/svg"', ""))
    return root.findall(f".//g[@class='{style}']")


def test_a_picture_needs_nothing_and_follows_the_screen():
    lines = (Line("a <b>", ((1.0, 2.0), (3.0, 4.0)), "blue"),)
    picture = sheet([Plot("t & 层", "$x$", "y_1", lines, level=(2.5, "goal"))] * 3)
    assert re.findall(r"https?:[^\"<]*", picture) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\(|@import|<script|<metadata|<!DOCTYPE", picture)
    root = ElementTree.fromstring(picture)
    marks = [part.get("style", "") for part in root.iter()]
    assert {"var(--blue)", "var(--line)", "var(--paper)"} <= set(
        re.findall(r"var\(--\w+\)", "".join(marks))
    )
    # No colour and no font but those of the style sheet.
    assert not any("#" in style or "font" in style for style in marks)
    assert "prefers-color-scheme: dark" in picture
    texts = "".join(root.itertext())
    assert all(text in texts for text in ("a <b>", "t & 层", "$x$", "y_1"))


@pytest.mark.parametrize(
    "study", [benchmarks, deutel, dogan, kernels, younes], ids=lambda study: study.NAME
)
def test_published_pages_are_those_of_their_figures(study, tmp_path):
    published = ROOT / "docs" / "results"
    file = tmp_path / f"{study.NAME}.json"
    file.write_bytes((published / file.name).read_bytes())
    made = draw_page(file, study.page)
    assert made.read_text() == (published / made.name).read_text()
    pictures = sorted(tmp_path.glob("*.svg"))
    assert [p.name for p in pictures] == sorted(
        p.name for p in published.glob(f"{study.NAME}*.svg")
    )
    assert all(p.read_text() == (published / p.name).read_text() for p in pictures)


def test_what_is_not_alike_gets_no_verdict():
    """Huffman of clustered float32 is another technique than Huffman of int8."""
    results = json.loads((ROOT / "docs/results/younes.json").read_text())
    gains = {a["name"]: a["gain"] for a in younes._additions(results["corners"], 0.047)}
    assert gains["int8 + huffman"] is gains["pruned + int8 + huffman"] is None
    assert gains["pruned + huffman"] > 1
    assert gains["int8 + lut"] < 1
