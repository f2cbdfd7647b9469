"""The whole way of the data: options in, a proved bundle out."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import bridge
from bridge.bench.engines import ENGINES
from bridge.bench.report import BENCH, REPORT, STUDY, read_rows, render, write_report
from bridge.bench.row import Row
from bridge.bench.table import with_baselines
from bridge.bundle import MODEL, Bundle, BundleWriter, digest
from bridge.convert.options import ConvertOptions, Proof
from bridge.cores import CORES
from bridge.doctor import versions
from bridge.errors import ProofError, UnsupportedOperator
from bridge.graph import Graph, read_tflite
from bridge.graph.model import Array
from bridge.progress import Progress, Silent
from bridge.samples import StoredSamples, joined, read_samples


def convert(options: ConvertOptions, out: Path, *, progress: Progress | None = None) -> Bundle:
    """Bring a network over and write its bundle.

    Args:
        options: what to convert and how.
        out: the bundle's folder; a previous bundle there is replaced only by a finished one.
        progress: told what runs.

    Returns:
        The finished bundle.

    Raises:
        BridgeError: bad input, an unsupported layer, or a proof that failed.
    """
    watch: Progress = progress or Silent()
    writer = BundleWriter(out, _key(options))
    try:
        return _convert(options, writer, watch)
    except BaseException as error:
        writer.abandon()
        if isinstance(error, KeyboardInterrupt) and writer.work.exists():
            watch.note(f"interrupted; the same command goes on from what {writer.work} keeps")
        raise


def _convert(options: ConvertOptions, writer: BundleWriter, watch: Progress) -> Bundle:
    from bridge.convert import convert as run_stages

    result = run_stages(options, writer, watch)
    model = writer.path(MODEL).read_bytes()
    name = model_name(options.model)
    graph = read_tflite(model, name=name)
    samples = read_samples(writer.work)
    proofs = [*result.proofs, *_prove_plain_c(graph, model, samples, watch)]
    with watch.stage("writing firmware sources"):
        for file, text in _firmware(graph, model, samples, name).items():
            writer.write(f"firmware/{file}", text)
    writer.manifest.update(
        model=name,
        tool=f"tflm-bridge {bridge.__version__}",
        seed=options.seed,
        data=options.data or "the zoo's own",
        options=_plain(dataclasses.replace(options, sparsity=options.target)),
        versions=versions(),
        metrics=_plain(result.metrics),
        proofs=[_plain(proof) for proof in proofs],
        layers=[_plain(layer) for layer in result.layers],
        fidelity=[_plain(layer) for layer in result.fidelity],
        notes=list(result.notes),
        io=_plain(result.io),
    )
    with watch.stage("writing the report"):
        writer.write(REPORT, render(writer.manifest, model=model))
    return writer.commit()


def record_bench(bundle: Bundle, rows: list[Row]) -> Bundle:
    """Put a bench's rows into the bundle, and the report with them.

    What was measured of the same model before stays, but for what was measured again.
    """
    with bundle.turn():
        manifest = Bundle.open(bundle.path).manifest
        model = manifest["files"][MODEL]
        before = read_rows(bundle) if manifest.get("benched") == model else []
        merged = [row.as_json() for row in with_baselines(_merged(before, rows))]
        text = json.dumps(merged, indent=2) + "\n"
        return write_report(bundle.add({BENCH: text}, benched=model))


def _merged(before: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """Rows by engine and core, the newest of each.

    A row that only could not run leaves what was measured: the tool that is missing today was
    there. One whose outputs are wrong does not.
    """
    kept = {(row.engine, row.core): row for row in before}
    for row in rows:
        place = (row.engine, row.core)
        if row.ran or row.bit_exact is False or place not in kept:
            kept[place] = row
    cores = ("host", *CORES)
    return sorted(kept.values(), key=lambda r: (cores.index(r.core), ENGINES.index(r.engine)))


def record_exploration(bundle: Bundle, found: Mapping[str, Any]) -> Bundle:
    """Put the study that chose a bundle's network into it, and the report with its front."""
    with bundle.turn():
        return write_report(bundle.add({STUDY: json.dumps(found, indent=2) + "\n"}))


def model_name(model: str) -> str:
    """A C identifier from what the user named: zoo name, file, or ``file.py:Class``."""
    last = model.rpartition(":")[2] if ".py:" in model else Path(model).stem
    name = re.sub(r"[^a-z0-9]+", "_", last.lower()).strip("_")
    return name if name and not name[0].isdigit() else f"model_{name}".rstrip("_")


def _key(options: ConvertOptions) -> str:
    """What decides a conversion's result: options, the user's files, versions."""
    parts = [repr(sorted(_plain(options).items())), bridge.__version__, repr(versions())]
    return digest("\n".join([*parts, *options.file_digests()]).encode())


def _plain(value: Any) -> Any:
    """Dataclasses, tuples, paths and numpy numbers as JSON knows them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def _prove_plain_c(
    graph: Graph, model: bytes, samples: StoredSamples, progress: Progress
) -> list[Proof]:
    from bridge.compile import compile_graph
    from bridge.firmware.host import run_on_host

    rung = "sparse C on the host = TFLM"
    try:
        program = compile_graph(graph, engine="c-sparse")
    except UnsupportedOperator as error:
        progress.note(f"plain C is left out: {error.what}; the TFLM engines are not affected")
        return [Proof(rung, False, 0, 0, "differing bytes", 0, error.layer, error.what)]
    with progress.stage(f"proof: {rung}, byte for byte"):
        inputs, expected = joined(samples.inputs), joined(samples.expected)
        outputs = run_on_host(program, inputs).reshape(expected.shape)
        different = int(np.count_nonzero(outputs != expected))
        if different:
            sample = int(np.argmax((outputs != expected).reshape(len(inputs), -1).any(axis=1)))
            layer = _first_layer(graph, model, [a[sample] for a in samples.inputs])
            raise ProofError(rung, f"{different} of {expected.size} bytes differ", layer=layer)
    return [Proof(rung, True, 0, 0, "differing bytes", len(inputs))]


def _first_layer(graph: Graph, model: bytes, sample: list[Array]) -> str:
    from bridge.convert.tflm import interpreter
    from bridge.firmware.locate import first_difference

    engine = interpreter(model, preserve=True)
    for position, array in enumerate(sample):
        engine.set_input(array[None], position)
    engine.invoke()
    flat = joined([a[None] for a in sample])[0]
    return first_difference(
        graph, flat, lambda index: np.array(engine.GetTensor(index, 0)["tensor_data"])
    )


def _firmware(graph: Graph, model: bytes, samples: StoredSamples, name: str) -> dict[str, str]:
    from bridge.compile import compile_graph
    from bridge.firmware.arena import target_arena_bytes
    from bridge.firmware.arrays import package_arrays

    few = samples.first(4)
    files = {
        f"tflm/{file}": text
        for file, text in package_arrays(
            graph, model, few.inputs, few.expected, name, target_arena_bytes(model)
        ).items()
    }
    try:
        program = compile_graph(graph, engine="c-sparse", prefix=name)
    except UnsupportedOperator:
        return files
    return files | {f"sparse/{file}": text for file, text in program.files.items()}
