"""Every engine on networks of the zoo: the tables behind ``docs/benchmarks.md``.

The same int8 weights and inputs run through stock TFLM, TFLM with our kernels, CMSIS-NN called
directly and our plain C; then whole networks at high sparsity, and unpruned ones beside published
results on real boards.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.bundle import Bundle, digest
from bridge.study.measure import Converted, measure, row_of
from bridge.study.page import Page, Results, write_page
from bridge.study.published import BEST_M4, CLOSED, SAME_KERNELS, Published
from bridge.study.setup import Setup

NAME = "benchmarks"
CORES = ("cortex-m4", "cortex-m7", "cortex-m55")
ENGINES = (
    "tflm", "tflm-decode", "tflm-sparse", "c-dense", "c-sparse", "c-compact", "c-float",
)  # fmt: skip
BY_LAYER = ("tflm", "tflm-sparse", "c-dense", "c-sparse")
ESTIMATED = ("tflm", "c-dense", "c-sparse")
PROVED = 100
"""Real inputs of each row: outputs of int8 engines equal the interpreter's over all of them."""
FEW = 4
"""Inputs where a network was compared over :data:`PROVED` on another core, or runs unpruned."""


@dataclass(frozen=True)
class Network:
    """A network of the zoo, converted in one way.

    Attributes:
        key: of its points.
        name: the zoo's.
        options: of ``tflm-bridge convert``, by the names of ``ConvertOptions``.
    """

    key: str
    name: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def command(self) -> str:
        """What converts it."""
        words = []
        for name, value in self.options:
            flag = f"--{name.replace('_', '-')}"
            if isinstance(value, Mapping):
                words += [w for k, v in value.items() for w in (flag, f"{k}={v}")]
            else:
                words += [flag] if value is True else [flag, str(value)]
        return shlex.join(["tflm-bridge", "convert", self.name, *words])


def _network(name: str, key: str = "", **options: Any) -> Network:
    return Network(key or name, name, tuple(options.items()))


PRUNED = (
    _network("lenet5", sparsity=0.9),
    _network("ds_cnn", sparsity=0.8),
    _network("fc_autoencoder", sparsity=0.9),
    _network("resnet8", sparsity=0.75),
)
SPARSE = (
    _network(
        "lenet5", "lenet5-sparse", sparsity=0.95,
        layer_sparsity={"conv1": 0.8, "fc3": 0.8}, epochs=10, quantize="ptq",
    ),
    _network("resnet8", "resnet8-sparse", sparsity=0.92, epochs=8, quantize="ptq"),
    _network("ds_cnn", "ds_cnn-sparse", sparsity=0.9, epochs=2, quantize="ptq"),
)  # fmt: skip
WHOLE = tuple(
    _network(name, f"{name}-whole", sparsity=0.0, quantize="ptq", epochs=0) for name in BEST_M4
)


def study(
    setup: Setup,
    pruned: Sequence[Network] = PRUNED,
    sparse: Sequence[Network] = SPARSE,
    whole: Sequence[Network] = WHOLE,
    cores: Sequence[str] = CORES,
) -> Path:
    """Run or take up the study; returns the page."""
    samples = PROVED
    if setup.quick:
        pruned, sparse, whole = pruned[:1], sparse[:1], whole[:1]
        cores, samples = cores[:1], FEW
    lab = [_lab(setup, network, cores, samples) for network in pruned]
    results = {
        "samples": samples,
        "cores": cores,
        "pruned": lab,
        "sparse": [_high(setup, network, cores, samples) for network in sparse],
        "whole": [_whole(setup, network, cores) for network in whole],
    }
    return write_page(setup, results, page)


def page(results: Results) -> Page:
    """The page of results."""
    lab, full, cores = results["pruned"], results["whole"], results["cores"]
    facts = {
        "networks": [_shown(network) for network in lab],
        "layers": [(n["name"], *_layers(n["rows"][cores[0]])) for n in lab[:2]],
        "squares": {core: _squares(lab, core) for core in cores},
        "estimated": ESTIMATED,
        "same": [_beside(SAME_KERNELS, n) for n in full],
        "closed": [_beside(entry, n) for entry in CLOSED for n in full],
        "entry": SAME_KERNELS,
        "best_board": BEST_M4,
    }
    return Page("benchmarks.md.j2", facts)


def _converted(setup: Setup, network: Network) -> tuple[Converted, dict[str, Any]]:
    from bridge.convert.options import ConvertOptions
    from bridge.graph import read_tflite
    from bridge.pipeline import convert

    folder = setup.bundle(network.key)

    def make() -> dict[str, Any]:
        import numpy as np

        given = dict(network.options)
        if setup.quick:
            given["epochs"] = min(given.get("epochs", 1), 1)
        options = ConvertOptions(network.name, seed=setup.seed, **given)
        bundle = convert(options, folder, progress=setup.progress)
        model = (bundle.path / "model_int8.tflite").read_bytes()
        weights = [np.asarray(t.data) for _, t in read_tflite(model).weights()]
        count = sum(w.size for w in weights)
        return {
            "model": digest(model),
            "weights": count,
            "zeros": 1 - sum(int(np.count_nonzero(w)) for w in weights) / count,
            "metrics": bundle.manifest["metrics"],
            "data": bundle.manifest["data"],
        }

    facts = setup.store.point(
        f"convert-{network.key}",
        make,
        decides=(network, setup.seed),
        progress=setup.progress,
        needs=(folder / "bridge.json",),
    )
    Bundle.open(folder)
    metrics = facts["metrics"]
    made = Converted(
        network.key, folder, metrics["int8"], metrics["float"], metrics["samples"], facts
    )
    about = {"name": network.name, "key": network.key, "command": network.command} | facts
    return made, about


def _lab(setup: Setup, network: Network, cores: Iterable[str], samples: int) -> dict[str, Any]:
    """Every engine on every core; and CMSIS-NN 4.0.0 beside the one inside TFLM."""
    made, about = _converted(setup, network)
    alone = replace(setup, tflm_root=None)
    rows = {core: measure(setup, made, ENGINES, core, samples) for core in cores}
    older = {core: measure(alone, made, ("c-dense",), core, samples)[0] for core in cores}
    return about | {"rows": rows, "older": older}


def _high(setup: Setup, network: Network, cores: Iterable[str], samples: int) -> dict[str, Any]:
    made, about = _converted(setup, network)
    engines = ("tflm", "tflm-sparse", "c-dense", "c-sparse")
    rows = {
        core: _by_engine(measure(setup, made, engines, core, samples))
        for core in cores
        if core != "cortex-m7"
    }
    return about | {"rows": rows}


def _whole(setup: Setup, network: Network, cores: Iterable[str]) -> dict[str, Any]:
    """An unpruned network, on the cores that published boards have."""
    made, about = _converted(setup, network)
    wanted = [SAME_KERNELS.core]
    if len(list(cores)) > 1:
        wanted = list(dict.fromkeys([*wanted, *(entry.core for entry in CLOSED)]))
    plain = ("c-dense", "c-sparse")  # all that is asked of a core for which TFLM is not built
    rows = {
        core: _by_engine(
            measure(setup, made, ("tflm", *plain) if core in CORES else plain, core, FEW)
        )
        for core in wanted
    }
    return about | {"rows": rows}


def _by_engine(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows by engine; a row that did not run is there with its note."""
    return {str(row["engine"]): dict(row) for row in rows}


def _shown(network: Mapping[str, Any]) -> dict[str, Any]:
    """A network with its rows by core and engine, and the estimates by board and engine."""
    ran = {core: _ran(rows) for core, rows in network["rows"].items()}
    boards: dict[str, dict[str, Any]] = {}
    for rows in ran.values():
        for engine in ESTIMATED:
            for found in rows.get(engine, {}).get("boards", ()):
                name = f"{found['board']}, {found['mhz']:g} MHz"
                boards.setdefault(name, {})[engine] = found
    return {**network, "ran": ran, "boards": boards}


def _ran(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: row for name, row in _by_engine(rows).items() if row["samples"]}


def _layers(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Engines, and for each layer its name and instructions by engine; None where it has none."""
    shown = {
        engine: {(c["layer"], c["kind"]): c["instructions"] for c in row["layer_instructions"]}
        for engine, row in _ran(rows).items()
        if engine in BY_LAYER and row["layer_instructions"]
    }
    layers = dict.fromkeys(key for counts in shown.values() for key in counts)
    return list(shown), [
        [f"{name} ({kind})", *(counts.get((name, kind)) for counts in shown.values())]
        for name, kind in layers
    ]


def _squares(lab: Sequence[Mapping[str, Any]], core: str) -> list[dict[str, Any]]:
    """{TFLM, plain C} × {dense, sparse}, where all four ran."""
    found = []
    for network in lab:
        for place, engines in (
            ("in TFLM", ("tflm", "tflm-sparse")),
            ("plain C", ("c-dense", "c-sparse")),
        ):
            dense, sparse = (row_of(network["rows"][core], engine) for engine in engines)
            if dense is not None and sparse is not None:
                found.append(
                    {"name": network["name"], "place": place, "dense": dense, "sparse": sparse}
                )
    return found


def _beside(entry: Published, network: Mapping[str, Any]) -> dict[str, Any]:
    """A published figure beside ours of the same network shape, core and kind of kernels."""
    rows = network["rows"].get(entry.core, {})
    ran = {name: row for name, row in rows.items() if row["samples"]}
    return {
        "board": f"{entry.board}, {entry.core}, {entry.mhz:g} MHz",
        "software": entry.software,
        "name": network["name"],
        "milliseconds": entry.milliseconds[network["name"]],
        "cycles": entry.cycles(network["name"]),
        "engine": entry.ours,
        "row": ran.get(entry.ours),
        "c_dense": ran.get("c-dense"),
    }
