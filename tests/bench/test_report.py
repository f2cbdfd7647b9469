"""The report: what it holds, and how it looks in a real browser."""

from __future__ import annotations

import dataclasses
import json
import re
from importlib.resources import files
from xml.etree import ElementTree

import pytest

from bridge.bench.charts import WIDTH, short
from bridge.bench.engines import ENGINES, run_bench
from bridge.bench.figures import pareto_codings
from bridge.bench.layers import crossovers, layer_lines
from bridge.bench.plots import Line, Plot, plot
from bridge.bench.report import render, render_study, write_report
from bridge.bench.row import Row
from bridge.bundle import Bundle
from bridge.convert.options import ConvertOptions, LayerReport, Proof
from bridge.explore import Limits, Measured, Point, Settings, Space, pareto_front, recommend
from bridge.explore.result import as_json
from bridge.explore.space import CODINGS
from bridge.explore.study import Exploration
from bridge.graph import read_tflite
from bridge.pipeline import record_bench, record_exploration
from bridge.toolchain import version
from tests.bench.browser import look
from tests.bench.test_bench import make_bundle

pytestmark = pytest.mark.emulated

SECTIONS = ("converted", "proofs", "comparison", "layers", "crossover", "pareto", "versions")


def study(limits=Limits(flash=30_000)):
    """What an exploration leaves, with figures of a kind."""
    figures = [
        ("none", 0.0, "dense", "cortex-m4", 0.0, 72_000, 7_300, 3_300_000),
        ("unstructured", 0.9, "sparse", "cortex-m4", 0.004, 23_000, 7_500, 1_400_000),
        ("unstructured", 0.9, "sparse", "cortex-m55", 0.004, 23_000, 7_600, 1_200_000),
        ("filter", 0.7, "sparse", "cortex-m4", 0.03, 13_000, 3_500, 500_000),
        ("2:4", 0.5, "dense", "cortex-m55", 0.01, 73_000, 7_600, 3_400_000),
    ]
    measured = [
        Measured(i, Point(pattern, share, "qat", coding, core), lost, 0.99 - lost, flash, ram,
                 cycles, cycles, flash // 2, "00")
        for i, (pattern, share, coding, core, lost, flash, ram, cycles) in enumerate(figures)
    ]  # fmt: skip
    given_up = ((Point("1x4", 0.98, "qat", "sparse", "cortex-m4"), "loses 40 points"),)
    settings = Settings(ConvertOptions(model="lenet5"), Space(), out=None, limits=limits)
    return as_json(
        Exploration(
            settings, tuple(measured), given_up, tuple(pareto_front(measured)),
            recommend(measured, limits), "accuracy", 0.99,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Converted, measured and explored: everything that a report can show."""
    made = make_bundle(tmp_path_factory.mktemp("report") / "out")
    proofs = [Proof("ONNX Runtime = PyTorch", True, 1e-7, 1e-5, "of output range", 32)]
    proofs += [
        Proof("int8 zeros", True, share, 0.9, "share of zeros (at least)", 0, layer=name)
        for name, share in (("conv1", 0.93), ("conv2", 0.91))
    ]
    proofs += [Proof("onnx2tf = PyTorch (witness)", False, 1.1, 1e-5, "of output range", 32)]
    layers = [LayerReport("conv1", "Conv2D", 1000, 0.9, 0.93, "", 100_000)]
    made = made.add(
        {},
        proofs=[dataclasses.asdict(proof) for proof in proofs],
        layers=[dataclasses.asdict(layer) for layer in layers],
        metrics={"metric": "accuracy", "float": 0.99, "pruned": 0.985, "int8": 0.984},
        versions={"numpy": "1.26.4"},
    )
    rows = run_bench(made, engines=("tflm-host", "c-dense", "c-sparse", "tflm"))
    return record_exploration(record_bench(made, rows), study())


@pytest.fixture(scope="module")
def page(bundle):
    return (bundle.path / "report.html").read_text()


def test_every_section_is_there_and_nothing_outside_is_needed(page):
    for section in SECTIONS:
        assert f'<h2 id="{section}">' in page
        assert f'href="#{section}"' in page
    for outside in ("http:", "https:", "<script", "<link", "src=", "url(", "@import"):
        assert outside not in page
    for figure in ("Instructions of one inference", "Flash by component", "RAM by component",
                   "Sparsity and format by layer", "Modelled cycles by layer", "Bytes by layer",
                   "accuracy and flash", "accuracy and RAM", "accuracy and cycles"):  # fmt: skip
        assert page.count(f'aria-label="{figure}') == 1, figure


def test_its_figures_are_the_bundles(page, bundle):
    rows = {row["engine"]: row for row in json.loads((bundle.path / "bench.json").read_text())}
    sparse = rows["c-sparse"]
    for value in (sparse["instructions"], sparse["flash_bytes"]["total"]):
        assert f"<td>{value:,}</td>" in page
    gain = rows["c-dense"]["instructions"] / sparse["instructions"]
    assert (
        f"<b>{gain:.2f}×</b><span>fewer instructions: c-sparse on cortex-m4, against c-dense"
        in page
    )
    assert bundle.manifest["files"]["model_int8.tflite"] in page
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        assert version(program) in sparse["tools"]
        assert page.count(version(program)) == 1
    assert "conv1, conv2" in page
    assert "0.91 share of zeros (at least), bound 0.9" in page
    assert page.count('<span class="tick bad">✗</span><span>onnx2tf = PyTorch (witness)') == 1
    # What a report says of itself would change with every drawing.
    assert "report.html" not in page


def test_drawn_again_it_is_the_same(bundle, page):
    again = write_report(Bundle.open(bundle.path))
    assert again.manifest == Bundle.open(bundle.path).manifest
    assert (again.path / "report.html").read_text() == page


def test_rows_come_back_from_json(bundle):
    values = json.loads((bundle.path / "bench.json").read_text())
    assert [Row.from_json(value).as_json() for value in values] == [
        {**v, "layer_instructions": tuple(v["layer_instructions"])} for v in values
    ]


def test_a_section_stands_only_with_its_data():
    bare = render({"model": "net"})
    assert '<h2 id="converted">' in bare
    assert not any(f'id="{name}"' in bare for name in SECTIONS[1:-1])
    assert "<svg" not in bare
    nothing = {**study(), "measured": [], "front": [], "recommended": None}
    assert '<h2 id="pareto">' not in render({"model": "net"}, study=nothing)
    out_of_reach = render_study(study(Limits(flash=10_000)), "net")
    assert "No measured point keeps the limits" in out_of_reach
    assert "Nearest: trial 1: unstructured 0.9" in out_of_reach
    assert "over: flash by 130.00\u00a0%." in out_of_reach


def test_every_coding_has_a_colour_of_its_own():
    points = [{"point": {"coding": coding}} for coding in CODINGS]
    colours = pareto_codings({"measured": points})
    assert set(colours) == set(CODINGS)
    assert len(set(colours.values())) == len(CODINGS)
    css = files("bridge.bench").joinpath("templates/charts.css").read_text()
    for colour in colours.values():
        # Named for light, dark and paper, and used once.
        assert css.count(f"--{colour}: #") == 3
        assert f"fill: var(--{colour})" in plot(Plot("t", "x", "y", (Line("", ((1, 2),), colour),)))
        assert f".{colour} {{ fill: var(--{colour}); }}" in css


def test_names_are_data_not_markup():
    evil = "<img src=x onerror=alert(1)>"
    page = render({"model": evil, "proofs": [dataclasses.asdict(Proof(evil, True, 0, 0, evil, 1))]})
    assert "<img" not in page
    assert "&lt;img" in page


def test_layers_are_those_of_the_compiler(bundle):
    graph = read_tflite((bundle.path / "model_int8.tflite").read_bytes())
    rows = [Row.from_json(v) for v in json.loads((bundle.path / "bench.json").read_text())]
    lines = layer_lines(graph, "cortex-m4", rows)
    convolution = lines[0]
    assert convolution.kind == "CONV_2D"
    assert 0.8 < convolution.sparsity < 1
    assert convolution.bytes < convolution.dense_bytes
    assert convolution.cycles <= convolution.dense_cycles
    assert set(convolution.instructions) == {"c-dense", "c-sparse"}
    pool = lines[1]
    assert pool.sparsity is None
    assert pool.cycles is None


def test_sparsity_pays_from_somewhere(bundle):
    graph = read_tflite((bundle.path / "model_int8.tflite").read_bytes())
    found = {layer.name: layer for layer in crossovers(graph, "cortex-m4")}
    assert len(found) >= 3
    for layer in found.values():
        shares, speeds = zip(*layer.speedup, strict=True)
        assert list(shares) == sorted(shares)
        assert layer.sparsity == pytest.approx(
            min(shares, key=lambda s: abs(s - layer.sparsity)), abs=1e-4
        )
        assert speeds[-1] > 1 > speeds[0] * 0.5
        if layer.pays_from:
            before = [speed for share, speed in layer.speedup if share < layer.pays_from]
            assert all(speed < 1 for speed in before)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_every_chart_without_complaint(bundle, page, scheme):
    charts = page.count('role="img"')
    assert charts >= 3 + 3 + 3 + 3
    with look(bundle.path / "report.html", scheme=scheme) as seen:
        boxes = [chart.bounding_box() for chart in seen.page.locator("svg[role=img]").all()]
        assert len(boxes) == charts
        assert all(box["width"] > 200 and box["height"] > 40 for box in boxes)
        assert contrast(*colours(seen.page)) > 7
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 1280
        for marks in ("rect", "use", "path"):
            assert seen.page.locator(f"svg[role=img] :is({marks})").count() > 0
        dark = luminance(colours(seen.page)[1]) < 0.2
        assert dark == (scheme == "dark")
        assert seen.complaints == []
        assert len(seen.requests) == 1


@pytest.fixture(scope="module")
def widest(bundle, tmp_path_factory):
    """The page with as many rows and columns as a bench gives: every engine on two cores."""
    rows = [Row.from_json(v) for v in json.loads((bundle.path / "bench.json").read_text())]
    row = next(r for r in rows if r.engine == "c-sparse")
    long = dataclasses.replace(row, instructions=123_456_789, cycles_modelled=(3 * 10**8,) * 3)
    engines = [name for name in ENGINES if name != "tflm-host"]
    assert len(engines) == 7
    # The same figures under every name: what counts here is how much room they take.
    every = [
        dataclasses.replace(long, engine=engine, core=core)
        for core in ("cortex-m4", "cortex-m55")
        for engine in engines
    ]
    file = tmp_path_factory.mktemp("widest") / "report.html"
    model = (bundle.path / "model_int8.tflite").read_bytes()
    file.write_text(render(bundle.manifest, every, model=model, study=study()))
    return file


OVER = """() => [...document.querySelectorAll("table")].filter(
    e => e.getBoundingClientRect().right > document.documentElement.clientWidth
).map(e => e.innerText.split("\\n")[0])"""
"""Tables that reach beyond the window."""


BROKEN = """() => [...document.querySelectorAll("td.name")].flatMap(cell =>
    [...cell.childNodes].filter(node => {
        const range = document.createRange();
        range.selectNode(node);
        return node.nodeType === Node.TEXT_NODE && range.getClientRects().length > 1;
    }).map(node => node.data))"""
"""Parts of layers' names, between slashes, that a line break tears apart."""


@pytest.mark.parametrize("width", [1280, 1920])
def test_every_column_of_every_engine_is_in_sight(widest, width):
    with look(widest, width=width) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.page.evaluate(OVER) == []
        text = seen.page.inner_text("body")
        assert all(name in text for name in ENGINES if name != "tflm-host")


def test_on_paper_every_engine_is_within_the_sheet_and_names_stay_whole(widest):
    with look(widest, width=700) as seen:
        seen.page.emulate_media(media="print")
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 703
        assert seen.page.evaluate(OVER) == []
        assert seen.page.evaluate(BROKEN) == []


@pytest.mark.parametrize("width", [360, 400])
def test_on_a_phone_only_tables_and_bars_scroll(widest, width):
    with look(widest, width=width) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        rung = seen.page.locator("ol.ladder li").first
        tick, name, told = (rung.locator("> span").nth(i).bounding_box() for i in range(3))
        assert tick["y"] == pytest.approx(name["y"], abs=2)
        assert told["y"] >= name["y"] + name["height"] - 1
        # Labels of bars in the size that they have on screen.
        bar = seen.page.locator("figure.chart svg[role=img]").first.bounding_box()
        assert 12 * bar["width"] / WIDTH > 9


def test_on_paper_it_is_light_and_keeps_within_the_sheet(bundle):
    with look(bundle.path / "report.html", scheme="dark", width=700) as seen:
        seen.page.emulate_media(media="print", color_scheme="dark")
        ink, paper = colours(seen.page)
        assert luminance(paper) == 1
        assert luminance(ink) == 0
        # 186 mm of a sheet of A4 within its margins, at 96 dots an inch.
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 703
        assert not seen.page.locator("nav").is_visible()
        sheets = seen.page.pdf(prefer_css_page_size=True)
        assert sheets.startswith(b"%PDF")
        assert seen.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_explorations_page_in_a_browser(tmp_path, scheme):
    file = tmp_path / "explore.html"
    file.write_text(render_study(study(), "lenet5"))
    assert render_study(study(), "lenet5") == file.read_text()
    with look(file, scheme=scheme) as seen:
        assert seen.page.locator("svg.plot").count() == 3
        # Each plot: five points, and a ring around the recommended one.
        assert seen.page.locator("svg.plot .ring").count() == 3
        assert seen.page.locator("svg.plot .beaten").count() >= 3
        assert seen.page.locator("svg.plot .limit").count() == 1
        styles = {name: seen.page.evaluate(STYLES, [selector, name]) for selector, name in (
            ("svg.plot text", "fill"), ("svg.plot .ring use", "stroke"),
            ("svg.plot .beaten", "opacity"), ("svg.plot .limit path", "stroke-dasharray"),
        )}  # fmt: skip
        ink, paper = colours(seen.page)
        assert all(contrast(colour, paper) > 4.5 for colour in styles["fill"])
        assert set(styles["stroke"]) == {ink}
        assert all(float(value) < 0.5 for value in styles["opacity"])
        assert "none" not in styles["stroke-dasharray"]
        # Every point tells what it is, and marks of one plot are none of another's.
        told = seen.page.locator("svg.plot g > title").all_text_contents()
        assert [sum(title.startswith(f"trial {i}:") for title in told) for i in range(5)] == [3] * 5
        assert told.count("recommended") == 3
        names = seen.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(set(names)) == len(names)
        assert "loses 40 points" in seen.page.inner_text("body")
        assert seen.complaints == []


STYLES = """([selector, name]) =>
    [...document.querySelectorAll(selector)].map(e => getComputedStyle(e)[name])"""


def colours(page):
    """Text and background of the page."""
    style = "getComputedStyle(document.documentElement)"
    return tuple(page.evaluate(f"{style}.{name}") for name in ("color", "backgroundColor"))


def luminance(colour):
    """Relative luminance as WCAG defines it."""
    parts = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def ticks(low, high, log=False):
    """What the vertical axis of a plot from low to high is marked with."""
    one = Plot("t", "x", "y", (Line("", ((1.0, low), (1.0, high)), "blue"),), log_y=log)
    drawn = ElementTree.fromstring(plot(one))
    texts = [text.text for text in drawn.iter("text") if "end" in text.get("style")]
    assert len(set(texts)) == len(texts)
    return texts


def test_axes_mark_round_values():
    assert ticks(0.0, 1.0) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert ticks(3_000.0, 80_000.0, log=True) == ["5 k", "10 k", "20 k", "50 k"]
    assert ticks(2_900.0, 7_500.0, log=True) == ["3 k", "4 k", "5 k", "6 k", "7 k"]
    assert ticks(9.0, 2e6, log=True) == ["10", "100", "1 k", "10 k", "100 k", "1 M"]
    # A span too narrow for the rounder ones.
    for low, high in ((7_262.0, 7_590.0), (10.5e3, 11.5e3), (12.0, 12.0)):
        inside = ticks(low, high, log=True)
        assert 3 <= len(inside) <= 7
        assert all(re.fullmatch(r"[\d.]+( k)?", text) for text in inside)
    assert [short(v) for v in (950, 12_000, 3_400_000, 0.25)] == ["950", "12 k", "3.4 M", "0.25"]
