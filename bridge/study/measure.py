"""From a trained network to its bundle and to rows of the bench, each a point of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.bench.boards import estimates
from bridge.bench.engines import prove, run_bench
from bridge.bench.row import Row
from bridge.bundle import Bundle
from bridge.errors import BridgeError, ProofError
from bridge.firmware.tflm_library import tflm_version
from bridge.samples import read_samples
from bridge.study.networks import Pruned, Subject, export_onnx
from bridge.study.setup import Setup
from bridge.study.sparsify import accuracy, samples

EMULATED = 4
"""Samples that each engine runs on the emulated core; accuracy is judged on the host, on more."""

PROVED = 200
"""Samples on which our C is held against the TFLM interpreter; it then judges the others."""

NEED_TFLM = ("tflm", "tflm-decode", "tflm-sparse")

QAT_TRAIN = 4000
"""Training samples of one epoch of quantization-aware training."""


@dataclass(frozen=True)
class Converted:
    """A network as an int8 bundle.

    Attributes:
        key: of the point.
        bundle: its folder.
        accuracy: of the int8 network.
        float_accuracy: of the float network on the same samples.
        samples: how many.
        facts: all of this, JSON-able.
    """

    key: str
    bundle: Path
    accuracy: float
    float_accuracy: float
    samples: int
    facts: Mapping[str, Any]


def convert_network(
    setup: Setup, subject: Subject, pruned: Pruned, shape: tuple[int, ...], quantize: str
) -> Converted:
    """Bring a trained network through the bridge: ONNX, lift, int8, proofs.

    Args:
        shape: of one input, channels first.
        quantize: ``ptq`` or ``qat`` (one epoch; zeros are kept).
    """
    from bridge.convert.options import ConvertOptions
    from bridge.pipeline import convert

    key = f"{pruned.key}-{quantize}"
    folder = setup.bundle(key)

    def make() -> dict[str, Any]:
        onnx = export_onnx(pruned.network, shape, folder.with_name(f"{key}.onnx"))
        options = ConvertOptions(
            str(onnx),
            data=subject.dataset,
            sparsity=0.0,
            quantize=quantize,
            epochs=2 if quantize == "qat" else 0,
            max_train=min(QAT_TRAIN, subject.limit or QAT_TRAIN),
            samples=min(PROVED, subject.samples),
            seed=setup.seed,
            onnx2tf=False,
        )
        bundle = convert(options, folder, progress=setup.progress)
        return {
            **judged(bundle, subject, pruned.network),
            "tflite": len(bundle.model()),
        }

    facts = setup.store.point(
        f"convert-{key}",
        make,
        decides=(pruned.facts["decides"], quantize, subject.samples, setup.seed),
        progress=setup.progress,
        needs=(folder / "bridge.json",),
    )
    return Converted(key, folder, facts["accuracy"], facts["float"], facts["samples"], facts)


def judged(bundle: Bundle, subject: Subject, network: Any = None) -> dict[str, Any]:
    """Accuracy of int8, and of a float network, on the subject's test samples.

    Our C on the host runs them: the interpreter's reference kernels would take hours. On the
    bundle's own samples it must give the interpreter's bytes.

    Raises:
        ProofError: it does not.
    """
    import numpy as np

    from bridge.compile import compile_graph
    from bridge.convert.tflm import quantize_inputs
    from bridge.data import load
    from bridge.firmware.host import run_on_host
    from bridge.graph import read_tflite

    data = load(subject.dataset)
    labels = data.y_test[: subject.samples]
    count = len(labels)
    graph = read_tflite(bundle.model())
    inputs = quantize_inputs(graph, [data.test_inputs[0][:count]])[0].reshape(count, -1)
    outputs = run_on_host(compile_graph(graph, engine="c-compact"), inputs)
    stored = read_samples(bundle.path)
    expected = stored.expected[0].reshape(len(stored.expected[0]), -1)
    own_inputs = stored.inputs[0].reshape(len(expected), -1)
    same_inputs = np.array_equal(own_inputs[:count], inputs[: len(expected)])
    if not same_inputs or not np.array_equal(expected[:count], outputs[: len(expected)]):
        raise ProofError("compact C on the host = TFLM", "the bundle's samples differ")
    facts = {"accuracy": float((outputs.argmax(1) == labels).mean()), "samples": count}
    if network is not None:
        tested = samples(data)
        facts["float"] = accuracy(network, tested.x_test[:count], tested.y_test[:count])
    return facts


def measure(
    setup: Setup,
    converted: Converted,
    engines: Sequence[str],
    core: str,
    samples: int = EMULATED,
) -> list[dict[str, Any]]:
    """Rows of one bundle on one emulated core, with estimates for real boards in each.

    A row that could not run says why and is not kept: the next run tries it again.

    Raises:
        ProofError: an engine's outputs are not the interpreter's.
    """
    return [_measured(setup, converted, engine, core, samples) for engine in engines]


def _measured(
    setup: Setup, converted: Converted, engine: str, core: str, samples: int
) -> dict[str, Any]:
    def make() -> dict[str, Any]:
        (row,) = run_bench(
            Bundle.open(converted.bundle),
            engines=(engine,),
            cores=(core,),
            tflm_root=setup.tflm_root,
            limit=samples,
            progress=setup.progress,
        )
        if not row.ran:
            raise _NotRun(row)
        prove([row])
        return _with_boards(row)

    # c-dense calls the kernels inside a TFLM library where there is one.
    tflm = setup.tflm_root if engine in (*NEED_TFLM, "c-dense") else None
    try:
        row = setup.store.point(
            f"measure-{converted.key}-{core}-{engine}{'-in-tflm' if tflm else ''}",
            make,
            decides=(engine, dict(converted.facts), samples, tflm and tflm_version(tflm)),
            progress=setup.progress,
            again=setup.measure_again,
        )
    except _NotRun as left_out:
        # Where TFLM lies is nobody's business but this machine's.
        note = left_out.row.note.replace(str(setup.tflm_root), "TFLM_ROOT")
        return left_out.row.as_json() | {"boards": [], "note": note}
    libraries = row["kernels"].partition("; linked")[0]
    setup.origins.append({"kernels": libraries} if libraries else {})
    return row


class _NotRun(Exception):  # noqa: N818 - a row without figures, not an error
    """An engine could not run, for example because a program is not installed."""

    def __init__(self, row: Row) -> None:
        super().__init__(row.note)
        self.row = row


def _with_boards(row: Row) -> dict[str, Any]:
    boards = []
    for estimate in estimates([row]):
        boards.append(
            {
                "board": estimate.board.name,
                "mhz": estimate.board.mhz,
                "milliseconds": list(estimate.milliseconds),
                "microjoules": estimate.microjoules,
                "fits": estimate.fits,
                "datasheet": estimate.board.datasheet,
            }
        )
    return row.as_json() | {"boards": boards}


def row_of(rows: Sequence[Mapping[str, Any]], engine: str) -> Mapping[str, Any] | None:
    """The engine's row, if it ran."""
    for row in rows:
        if row["engine"] == engine and row["samples"]:
            return row
    return None


def needed(rows: Sequence[Mapping[str, Any]], engine: str) -> Mapping[str, Any]:
    """The engine's row.

    Raises:
        BridgeError: it did not run, with its reason.
    """
    found = row_of(rows, engine)
    if found is None:
        notes = [row["note"] for row in rows if row["engine"] == engine]
        raise BridgeError(f"{engine} did not run: {notes[0] if notes else 'not asked for'}")
    return found
