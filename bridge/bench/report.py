"""``report.html``: one self-contained page, drawn from what a bundle holds.

Every section stands or falls with its data: what was converted and its proofs are always there,
the comparison comes with a bench, the Pareto front with an exploration.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.bench import figures
from bridge.bench.boards import estimates
from bridge.bench.charts import percent, style, templates
from bridge.bench.layers import LayerLine, crossovers, layer_lines
from bridge.bench.row import Row
from bridge.bench.table import LEGEND, baseline_of, ratio
from bridge.bundle import Bundle
from bridge.errors import BridgeError
from bridge.graph import Graph, read_tflite

REPORT, BENCH, STUDY = "report.html", "bench.json", "explore.json"


def write_report(bundle: Bundle) -> Bundle:
    """Draw a bundle's report anew, with the bench and the exploration that it holds."""
    rows = read_rows(bundle)
    study = _stored(bundle.path / STUDY, None)
    model = bundle.model()
    return bundle.add({REPORT: render(bundle.manifest, rows, model=model, study=study)})


def read_rows(bundle: Bundle) -> list[Row]:
    """What benches have measured of a bundle."""
    return [Row.from_json(values) for values in _stored(bundle.path / BENCH, [])]


def _stored(file: Path, default: Any) -> Any:
    return json.loads(file.read_text()) if file.is_file() else default


def render(
    manifest: Mapping[str, Any],
    rows: Sequence[Row] = (),
    *,
    model: bytes | None = None,
    study: Mapping[str, Any] | None = None,
) -> str:
    """The page as HTML, without any reference outside itself.

    Args:
        manifest: the bundle's manifest.
        rows: what the bench measured.
        model: the int8 .tflite, for what needs its weights.
        study: an exploration's result, as in ``explore.json``.
    """
    graph = None if model is None else read_tflite(model)
    measured = [row for row in rows if row.ran and row.core != "host"]
    core = measured[0].core if measured else manifest.get("options", {}).get("core", "cortex-m4")
    return _page(
        "report.html.j2",
        str(manifest.get("model", "model")),
        manifest=manifest,
        headline=_headline(manifest, rows),
        rows=[_compared(row, rows) for row in rows],
        legend=LEGEND.replace("*", ""),
        flash=figures.flash(measured),
        ram=figures.ram(measured),
        instructions=figures.instructions(measured),
        rungs=[*_rungs(manifest.get("proofs", [])), *_bench_rungs(measured)],
        kernels=_kernels(measured),
        tools=dict.fromkeys(row.tools for row in measured if row.tools),
        boards=sorted(estimates(measured), key=lambda found: found.board.name),
        layers=None if graph is None else _layers(graph, core, rows),
        core=core,
        crossover=[] if graph is None else _crossover(graph, core),
        files={k: v for k, v in sorted(manifest.get("files", {}).items()) if k != REPORT},
        **_study(study),
    )


def render_study(study: Mapping[str, Any], title: str) -> str:
    """An exploration's own page."""
    return _page("exploration.html.j2", title, **_study(study))


def _page(template: str, title: str, **values: Any) -> str:
    css = style("charts.css") + style("page.css")
    return templates().get_template(template).render(title=title, css=css, **values)


def _headline(manifest: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The figures to know if one reads no further: (figure, in words)."""
    metrics = manifest.get("metrics", {})
    if "int8" in metrics:
        name = metrics.get("metric", "metric")
        float32 = f", {_metric(name, metrics['float'])} in float" if "float" in metrics else ""
        yield _metric(name, metrics["int8"]), f"{name} in int8{float32}"
    layers = manifest.get("layers", [])
    weights = sum(layer["weights"] for layer in layers)
    if weights:
        zeros = sum(layer["weights"] * layer["sparsity"] for layer in layers) / weights
        yield percent(zeros, 1), f"of {weights:,} weights are zero"
    best = next((r for r in rows if r.engine == "c-sparse" and r.ran), None)
    base = None if best is None else baseline_of(best, rows)
    if best is not None and base is not None and base is not best:
        against = f"c-sparse on {best.core}, against {base.engine}"
        if best.flash_total and base.flash_total:
            yield ratio(best.flash_total, base.flash_total), f"less flash: {against}"
        if best.instructions and base.instructions:
            yield ratio(best.instructions, base.instructions), f"fewer instructions: {against}"


def _rungs(proofs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The ladder; a rung that every layer passed stands once, with its worst value."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for index, proof in enumerate(proofs):
        alone = not proof["passed"] or not proof["layer"]
        key = (proof["rung"], proof["unit"], proof["bound"], index if alone else "")
        rung = found.setdefault(key, {**proof, "layers": []})
        rung["layers"] += [proof["layer"]] if proof["layer"] else []
        worse = min if "at least" in proof["unit"] else max
        rung["statistic"] = worse(rung["statistic"], proof["statistic"])
    for rung in found.values():
        rung["text"] = f"{rung['statistic']:.3g} {rung['unit']}, bound {rung['bound']:.3g}"
    return list(found.values())


def _bench_rungs(measured: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """What the bench proved: engines against the interpreter, cores together."""
    for engine in dict.fromkeys(row.engine for row in measured):
        for passed in (False, True):
            same = [r for r in measured if r.engine == engine and r.bit_exact is passed]
            if same:
                yield {
                    "rung": f"{engine} = TFLM on the host",
                    "passed": passed,
                    "layers": [row.core for row in same],
                    "text": "every output byte equal" if passed else "outputs differ",
                    "samples": min(row.samples for row in same),
                    "detail": "measured by the bench",
                }


def _kernels(measured: Sequence[Row]) -> dict[str, list[str]]:
    """Kernel libraries and the linked kernels → who runs them."""
    found: dict[str, list[str]] = {}
    for row in measured:
        if row.kernels:
            found.setdefault(row.kernels, []).append(f"{row.engine} on {row.core}")
    return found


def _metric(name: str, value: float) -> str:
    return percent(value) if name == "accuracy" else f"{value:.4g}"


def _compared(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    base = baseline_of(row, rows) if row.ran and row.core != "host" else None
    if base is row:
        base = None
    return {
        "row": row,
        "against": base.engine if base else "",
        "fewer_instructions": ratio(row.instructions, base.instructions) if base else "",
        "less_flash": ratio(row.flash_total, base.flash_total) if base else "",
    }


def _layers(graph: Graph, core: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The layer section; where plain C does not cover the network, why it is empty."""
    try:
        lines: list[LayerLine] = layer_lines(graph, core, rows)
    except BridgeError as error:
        return {"missing": error.what}
    engines = list(dict.fromkeys(engine for line in lines for engine in line.instructions))
    return {
        "missing": "",
        "lines": lines,
        "engines": engines,
        "sparsity": figures.layer_sparsity(lines),
        "bytes": figures.layer_bytes(lines),
        "cycles": figures.layer_cycles(lines),
    }


def _crossover(graph: Graph, core: str) -> list[str]:
    try:
        return figures.crossover(crossovers(graph, core))
    except BridgeError:
        return []  # the layer section says why


def _study(study: Mapping[str, Any] | None) -> dict[str, Any]:
    if study is None or not study["measured"]:
        return {"study": None}
    by_number = {m["number"]: m for m in study["measured"]}
    chosen = by_number.get(study.get("chosen", study["recommended"]))
    nearest = by_number.get(study.get("nearest"))

    def words(point: Mapping[str, Any] | None) -> str:
        return "" if point is None else figures.point_title(point, study["metric"])

    return {
        "study": study,
        "front": [by_number[number] for number in study["front"]],
        "chosen": None if chosen is None else chosen["number"],
        "chosen_words": words(chosen),
        "nearest_words": words(nearest),
        "pareto": figures.pareto(study),
        "codings": figures.pareto_codings(study),
        "cores": figures.pareto_cores(study),
    }
