"""Float Keras → int8 .tflite: prune-preserving quantization-aware training, or after training.

Both keep every zero: weights are symmetric, so zero stays zero, and quantization-aware training
masks its gradients. The batch is fixed to 1, inputs and outputs are int8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bridge.convert import qat
from bridge.convert.lift.builder import Array
from bridge.convert.options import ConvertOptions
from bridge.convert.prune import kernel_of, weighted_layers
from bridge.convert.quiet import quiet, tensorflow
from bridge.convert.train import Fit, Task, fit
from bridge.errors import ModelError

CALIBRATION = 300
"""Training samples that ranges are measured on."""


def train_quantized(
    model: Any, task: Task, options: ConvertOptions, report: Callable[[str], None]
) -> tuple[Any, Fit]:
    """Quantization-aware training that keeps the zeros.

    Args:
        model: pruned, float; its weights become the trained ones.

    Returns:
        the model with its simulated quantization, and how training went.
    """
    _, keras = tensorflow()
    calibration = [a[:CALIBRATION] for a in task.inputs]
    simulated = qat.simulate(model, qat.measure(model, calibration, clip=qat.extremes))
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
        qat.set_ranges(simulated, qat.measure(model, calibration, clip=qat.extremes))

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
    renew()
    return simulated, outcome


def to_tflite(
    model: Any,
    calibration: Sequence[Array],
    *,
    seed: int = 0,
) -> bytes:
    """Convert a Keras model to a full int8 .tflite with batch 1.

    Args:
        model: float, or with simulated quantization (its own ranges are used then).
        calibration: inputs in the Keras layout; every sample is seen.

    Raises:
        ModelError: TensorFlow's converter refuses the network.
    """
    tf, _ = tensorflow()
    signature = [tf.TensorSpec([1, *t.shape[1:]], tf.float32) for t in model.inputs]
    with quiet():
        try:
            function = tf.function(
                lambda *xs: model(list(xs) if len(xs) > 1 else xs[0], training=False)
            ).get_concrete_function(*signature)
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8

            def samples() -> Any:
                for i in range(len(calibration[0])):
                    yield [np.ascontiguousarray(a[i : i + 1]) for a in calibration]

            converter.representative_dataset = samples
            return bytes(converter.convert())
        except Exception as error:
            first = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
            raise ModelError(
                f"TensorFlow can't quantize the network: {first}",
                hint="try --quantize ptq, or replace the layer it names",
            ) from error
