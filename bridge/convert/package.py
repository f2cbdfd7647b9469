"""An int8 .tflite given by the user: checked, run in TFLM, and put into a bundle as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bridge.bundle import MODEL
from bridge.convert import check, tflm
from bridge.convert.judge import io_of
from bridge.convert.operators import check_operators
from bridge.convert.options import ConvertOptions, ConvertResult, LayerReport, Proof
from bridge.data import Array, Dataset
from bridge.errors import DataError, ModelError
from bridge.graph import Graph, read_tflite
from bridge.samples import FILE as SAMPLES
from bridge.samples import StoredSamples, samples_file

if TYPE_CHECKING:
    from bridge.bundle import BundleWriter
    from bridge.convert.source import Source
    from bridge.progress import Progress


def package(
    source: Source,
    data: Dataset | None,
    options: ConvertOptions,
    bundle: BundleWriter,
    progress: Progress,
) -> ConvertResult:
    """Judge a finished .tflite and bundle it; nothing in it is changed.

    Raises:
        ModelError: float or dynamic-range quantized, sparse-encoded, dynamic shapes.
        UnsupportedOperator: TFLM has no kernel for one of its operators.
    """
    notes: list[str] = []
    with progress.stage("check the .tflite and run it in TFLM"):
        graph = read_tflite(source.network, name=source.name)
        refuse_unless_int8(graph)
        proofs = [
            Proof("operators TFLM registers", True, 0, 0, "unknown", check_operators(graph)),
            *check.check_structure(graph, sum(op.kind == "TRANSPOSE" for op in graph.operators)),
        ]
        floats = _inputs(graph, data, options, notes)
        inputs = tflm.quantize_inputs(graph, floats)
        expected = tflm.run(source.network, inputs)
        notes += check.check_outputs(graph, expected)
        proofs.append(Proof("runs in TFLM", True, 0, 0, "failures", len(inputs[0])))
    metrics: dict[str, Any] = {}
    labels = None
    if data is not None and data.task == "classification" and len(expected) == 1:
        labels = data.y_test[: len(inputs[0])].astype(np.int64)
        right = expected[0].reshape(len(labels), -1).argmax(1) == labels
        metrics = {"metric": "accuracy", "samples": len(labels), "int8": float(right.mean())}
    bundle.write(MODEL, source.network)
    samples = StoredSamples(tuple(inputs), labels, tuple(expected))
    bundle.write(SAMPLES, samples_file(samples.first(options.samples)))
    for note in notes:
        progress.note(note)
    layers = tuple(
        LayerReport(
            op.name,
            op.kind,
            tensor.elements,
            None,
            float((np.asarray(tensor.data) == 0).mean()),
            "taken as it is",
            tensor.elements * int(np.prod(graph.output(op).shape[1:-1], dtype=int))
            if op.kind == "CONV_2D"
            else tensor.elements,
        )
        for op, tensor in graph.weights()
    )
    return ConvertResult(metrics, tuple(proofs), layers, (), tuple(notes), io_of(graph, None))


def refuse_unless_int8(graph: Graph) -> None:
    """Refuse float and dynamic-range quantized files by what they are."""
    ends = [graph.tensor(i) for i in (*graph.inputs, *graph.outputs)]
    if all(t.dtype == "int8" for t in ends):
        return
    weights = [t for _, t in graph.weights()]
    dtypes = {t.dtype for t in ends}
    if any(t.dtype == "int8" for t in weights) and "float32" in dtypes:
        what = "is quantized in its weights only (dynamic range): its activations stay float"
    else:
        what = f"has {' and '.join(sorted(dtypes))} inputs and outputs"
    raise ModelError(
        f"{graph.name}.tflite {what}",
        hint="quantize it fully, with inference_input_type and inference_output_type int8",
    )


def _inputs(
    graph: Graph, data: Dataset | None, options: ConvertOptions, notes: list[str]
) -> list[Array]:
    shapes = [graph.tensor(i).shape[1:] for i in graph.inputs]
    if data is None:
        notes.append("without --data the test vectors are random inputs")
        draw = np.random.default_rng(options.seed)
        result = []
        for index, shape in zip(graph.inputs, shapes, strict=True):
            q = graph.tensor(index).quantization
            assert q is not None
            whole = draw.integers(-128, 128, size=(options.samples, *shape))
            result.append(((whole - q.zero_point) * q.scale).astype(np.float32))
        return result
    arrays = [a[: max(options.samples, 1000)] for a in data.test_inputs]
    if len(arrays) != len(shapes) or any(
        int(np.prod(a.shape[1:])) != int(np.prod(s)) for a, s in zip(arrays, shapes, strict=False)
    ):
        raise DataError(
            f"the model takes {[list(s) for s in shapes]}, the data {data.name} gives "
            f"{[list(a.shape[1:]) for a in arrays]}",
            hint="give the data that the model was made for",
        )
    return [a.reshape(len(a), *s) for a, s in zip(arrays, shapes, strict=True)]
