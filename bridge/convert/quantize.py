"""Float Keras → int8 .tflite: prune-preserving quantization-aware training, or after training.

Both keep every zero: weights are symmetric, so zero stays zero, and quantization-aware training
masks its gradients. The batch is fixed to 1, inputs and outputs are int8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.convert import names, qat, ranges, tflm
from bridge.convert.lift.builder import Array
from bridge.convert.mend import mend_relu6
from bridge.convert.options import ConvertOptions
from bridge.convert.prove import run_keras
from bridge.convert.prune import kernel_of, weighted_layers
from bridge.convert.quiet import plainly, quiet, tensorflow
from bridge.convert.train import Fit, Task, fit
from bridge.errors import ModelError
from bridge.graph import read_tflite

CALIBRATION = 300
"""Training samples that ranges are measured on."""


def train_quantized(
    model: Any, task: Task, options: ConvertOptions, report: Callable[[str], None]
) -> Fit:
    """Quantization-aware training that keeps the zeros.

    Args:
        model: pruned, float; its weights become the trained ones.

    Returns:
        how training went.
    """
    _, keras = tensorflow()
    calibration = [a[:CALIBRATION] for a in task.inputs]
    simulated = qat.simulate(model, ranges.measure(model, calibration, clip=ranges.extremes))
    masks = []
    for layer in weighted_layers(model):
        kernel = kernel_of(layer)
        if (kernel == 0).mean() > 0.01:
            variable, _ = qat.variables_of(simulated, layer.name)
            masks.append((variable, (kernel != 0).astype(np.float32)))

    class KeepZeros(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        """Pruned weights stay zero; ranges follow the weights from epoch to epoch."""

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            for variable, mask in masks:
                variable.assign(variable * mask)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch:
                renew()

    def renew() -> None:
        qat.copy_back(simulated, model)
        qat.refresh_weight_ranges(simulated)
        qat.set_ranges(simulated, ranges.measure(model, calibration, clip=ranges.extremes))

    outcome = fit(
        simulated,
        task,
        epochs=max(1, options.epochs // 2),
        batch_size=options.batch_size,
        learning_rate=options.learning_rate * 0.3,
        seed=options.seed + 1,
        report=report,
        callbacks=[KeepZeros()],
    )
    qat.copy_back(simulated, model)
    return outcome


@dataclass(frozen=True)
class Candidate:
    """One int8 file.

    Attributes:
        name: where its ranges come from.
        model: the file.
        snr_db: its outputs in TFLM against the float model's, on calibration samples.
    """

    name: str
    model: bytes
    snr_db: float


def candidates(model: Any, calibration: Sequence[Array], *, trained: bool) -> list[Candidate]:
    """int8 files with ranges from true extremes and from histograms.

    Args:
        model: pruned, float.
        calibration: inputs in the Keras layout.
        trained: its weights were trained under simulated quantization, whose weight ranges are
            then kept; otherwise TFLite's converter calibrates the true extremes itself. It
            gives a filter without weights so fine a scale that its bias leaves int32, so a
            network that has one goes the simulated way too.
    """
    made: list[tuple[str, bytes]] = []
    blocked = bool(qat.refusal(model))
    simulated: Any = None
    by_converter = blocked or (not trained and not _has_dead_filters(model))
    if by_converter:
        made.append(("true extremes", to_tflite(model, calibration)))
    for name, clip in (("true extremes", ranges.extremes), ("histograms", ranges.histogram)):
        if blocked or (by_converter and name == "true extremes"):
            continue
        measured = ranges.measure(model, calibration, clip=clip)
        if simulated is None:
            simulated = qat.simulate(model, measured)
        else:
            qat.set_ranges(simulated, measured)
        made.append((name, to_tflite(simulated, calibration)))
    few = [a[:64] for a in calibration]
    wanted = run_keras(model, few)
    return [Candidate(name, content, _snr(content, few, wanted)) for name, content in made]


def _has_dead_filters(model: Any) -> bool:
    """Whether some output channel's weights are (nearly) all zero."""
    for layer in weighted_layers(model):
        if type(layer).__name__ in ("Conv2D", "Dense"):
            kernel = np.abs(kernel_of(layer))
            largest = kernel.reshape(-1, kernel.shape[-1]).max(0)
            if largest.min() < 1e-3 * largest.max():
                return True
    return False


def _snr(content: bytes, inputs: Sequence[Array], wanted: Sequence[Array]) -> float:
    """Signal to noise of the outputs in TFLM, dB; the worst output counts."""
    ordered = names.in_our_order(content)
    graph = read_tflite(ordered)
    outputs = tflm.run(ordered, tflm.quantize_inputs(graph, inputs))
    worst = float("inf")
    for got, want in zip(tflm.dequantize_outputs(graph, outputs), wanted, strict=True):
        noise = float(np.square(got.reshape(want.shape) - want).sum())
        signal = float(np.square(want - want.mean()).sum())
        worst = min(worst, 10 * float(np.log10(max(signal, 1e-20) / max(noise, 1e-20))))
    return worst


def to_tflite(
    model: Any,
    calibration: Sequence[Array],
) -> bytes:
    """Convert a Keras model to a full int8 .tflite with batch 1.

    Args:
        model: float, or with simulated quantization (its own ranges are used then).
        calibration: inputs in the Keras layout; every sample is seen.

    Raises:
        ModelError: TensorFlow's converter refuses the network.
    """
    tf, _ = tensorflow()
    with quiet():
        try:
            function, holder = _traced(model)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8

            order = _input_order(function, holder) if len(model.inputs) > 1 else [0]

            def samples() -> Any:
                for i in range(len(calibration[0])):
                    yield [np.ascontiguousarray(calibration[k][i : i + 1]) for k in order]

            converter.representative_dataset = samples
            return mend_relu6(bytes(converter.convert()))
        except Exception as error:
            first = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
            raise ModelError(
                f"TensorFlow can't quantize the network: {first}",
                hint="try --quantize ptq, or replace the layer it names",
            ) from error


def to_float_tflite(model: Any) -> bytes:
    """Convert a Keras model to a float32 .tflite with batch 1: what quantization is judged by."""
    tf, _ = tensorflow()
    with quiet():
        function, holder = _traced(model)
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], holder).convert())


def _traced(model: Any) -> tuple[Any, Any]:
    """A model's function for one sample, and a module that keeps its variables alive."""
    tf, _ = tensorflow()
    signature = [
        tf.TensorSpec([1, *t.shape[1:]], tf.float32, name=f"in{i}")
        for i, t in enumerate(model.inputs)
    ]
    function = tf.function(
        plainly(lambda *xs: model(list(xs) if len(xs) > 1 else xs[0], training=False)),
        autograph=False,
    ).get_concrete_function(*signature)
    # Given the Keras model, the converter would save, trace and load every layer of it.
    holder = tf.Module()
    holder.held = list(model.variables)
    return function, holder


def _input_order(function: Any, holder: Any) -> list[int]:
    """The order that TFLite's converter gives several inputs: not always ours."""
    tf, _ = tensorflow()
    plain = tf.lite.TFLiteConverter.from_concrete_functions([function], holder).convert()
    return [int(re.findall(r"in(\d+)", n)[-1]) for n in _input_names(plain)]


def _input_names(content: bytes) -> list[str]:
    graph = read_tflite(content)
    return [graph.tensor(i).name for i in graph.inputs]
