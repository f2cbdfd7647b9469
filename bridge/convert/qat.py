"""Simulated quantization, as tfmot wraps it, with ranges and fusions of our own.

tfmot's default scheme starts every activation at −6 … 6 and follows a moving average, which cuts
true extremes; and where a ReLU is a layer of its own it leaves the convolution before it without
quantized weights. So each layer here gets an explicit configuration: prune-preserving weight
quantizers for Conv2D and Dense (tfmot's), and activation ranges that are measured on data.
Weights of other layers (depthwise, transposed) are quantized by TFLite's converter, per channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bridge.convert.prune import custom_objects, variable_of, weighted_layers
from bridge.convert.quiet import plainly, quantizer_library, quiet, tensorflow
from bridge.convert.ranges import has_own_range

NO_QAT = ("PReLU",)
"""Layers that simulated quantization can't imitate as TFLite computes them."""


def refusal(model: Any) -> str:
    """Empty, or the layer that keeps a network from simulated quantization."""
    return next((str(x.name) for x in model.layers if type(x).__name__ in NO_QAT), "")


def _parts() -> tuple[Any, Any, Any]:
    """The quantizer, the configuration and the scheme: classes made when tfmot is there."""
    tfmot = quantizer_library()
    tf, _ = tensorflow()
    from tensorflow_model_optimization.python.core.quantization.keras import (
        quantize_scheme,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501
        prune_preserve_quantize_registry as preserve,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_transforms,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.graph_transformations import (
        model_transformer,
    )

    class MeasuredRange(tfmot.quantization.keras.quantizers.Quantizer):  # type: ignore[misc, name-defined]
        """int8 over a range that is set from data, not learned."""

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            def variable(end: str, value: float) -> Any:
                initial = tf.keras.initializers.Constant(value)
                return layer.add_weight(f"{name}_{end}", initializer=initial, trainable=False)

            return {"min_var": variable("min", -6.0), "max_var": variable("max", 6.0)}

        def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
            return tf.quantization.fake_quant_with_min_max_vars(
                inputs, weights["min_var"], weights["max_var"], num_bits=8
            )

        def get_config(self) -> dict[str, Any]:
            return {}

    class LayerConfig(tfmot.quantization.keras.QuantizeConfig):  # type: ignore[misc, name-defined]
        """What is quantized at one layer.

        Args:
            weights: ``conv`` (per output channel), ``dense`` (per tensor) or empty.
            output: whether the output has a range of its own.
        """

        def __init__(self, weights: str, output: bool) -> None:
            self.weights, self.output = weights, output

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            if not self.weights:
                return []
            kind = (
                preserve.PrunePreserveDefault8BitConvWeightsQuantizer
                if self.weights == "conv"
                else preserve.PrunePreserveDefault8BitWeightsQuantizer
            )
            return [(layer.kernel, kind())]

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            return []

        def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
            if self.weights:
                layer.kernel = quantize_weights[0]

        def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
            pass

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            return [MeasuredRange()] if self.output else []

        def get_config(self) -> dict[str, Any]:
            return {"weights": self.weights, "output": self.output}

    class InputsOnly:
        """Of tfmot's graph changes only the one that quantizes the network's inputs."""

        def apply(self, model: Any, layer_quantize_map: Any) -> Any:
            return model_transformer.ModelTransformer(
                model,
                [default_8bit_transforms.InputLayerQuantize()],
                set(layer_quantize_map),
                layer_quantize_map,
            ).transform()

    class Scheme(quantize_scheme.QuantizeScheme):  # type: ignore[misc, name-defined]
        def get_layout_transformer(self) -> Any:
            return InputsOnly()

        def get_quantize_registry(self) -> Any:
            return preserve.Default8bitPrunePreserveQuantizeRegistry()

    return MeasuredRange, LayerConfig, Scheme()


def simulate(model: Any, ranges: dict[str, tuple[float, float]]) -> Any:
    """A copy of a float model with simulated int8 quantization.

    Args:
        ranges: (low, high) by layer name, inputs included, from :func:`measure`.
    """
    tfmot = quantizer_library()
    _, keras = tensorflow()
    measured, config, scheme = _parts()
    own = {"MeasuredRange": measured, "LayerConfig": config}
    kinds = {"Conv2D": "conv", "Dense": "dense"}

    def mark(layer: Any) -> Any:
        copy = layer.__class__.from_config(layer.get_config())
        if type(layer).__name__ == "InputLayer":
            return copy
        quantization = config(kinds.get(type(layer).__name__, ""), has_own_range(model, layer))
        return tfmot.quantization.keras.quantize_annotate_layer(copy, quantization)

    with quiet(), custom_objects(), tfmot.quantization.keras.quantize_scope(own):
        annotated = plainly(keras.models.clone_model)(model, clone_function=mark)
        inner = {getattr(w, "layer", w).name: getattr(w, "layer", w) for w in annotated.layers}
        for layer in model.layers:
            if layer.weights:
                inner[layer.name].set_weights(layer.get_weights())
        simulated = plainly(tfmot.quantization.keras.quantize_apply)(annotated, scheme)
        refresh_weight_ranges(simulated)
    set_ranges(simulated, ranges)
    return simulated


def refresh_weight_ranges(simulated: Any) -> None:
    """Weight ranges are taken in training steps only: take one that trains nothing.

    A filter whose weights were all pruned would get no range, and with it a bias that int32
    can't hold in steps that small: such filters get a thousandth of the layer's range.
    """
    zeros = [np.zeros((1, *t.shape[1:]), np.float32) for t in simulated.inputs]
    simulated(zeros, training=True)
    for wrapper in simulated.layers:
        for _, _, variables in getattr(wrapper, "_weight_vars", []):
            low, high = np.asarray(variables["min_var"]), np.asarray(variables["max_var"])
            floor = max(float(np.abs(low).max()), float(np.abs(high).max()), 1e-3) * 1e-3
            narrow = np.maximum(np.abs(low), np.abs(high)) < floor
            variables["min_var"].assign(np.where(narrow, -floor, low))
            variables["max_var"].assign(np.where(narrow, floor, high))


def set_ranges(simulated: Any, ranges: dict[str, tuple[float, float]]) -> None:
    """Write measured ranges into a simulated model."""
    inputs = [n for n in ranges if n.startswith("input:")]
    for layer in simulated.layers:
        if type(layer).__name__ == "QuantizeLayer":
            source = layer.input._keras_history.layer.name
            key = next(n for n in inputs if n == f"input:{source}")
            low, high = ranges[key]
            layer.quantizer_vars["min_var"].assign(low)
            layer.quantizer_vars["max_var"].assign(high)
            continue
        own = getattr(layer, "layer", None)
        variables = getattr(layer, "_output_quantizer_vars", None)
        if own is not None and variables and own.name in ranges:
            low, high = ranges[own.name]
            variables["min_var"].assign(low)
            variables["max_var"].assign(high)


def copy_back(simulated: Any, model: Any) -> None:
    """Trained weights of a simulated model → the float model it was made from."""
    for layer in weighted_layers(model):
        kernel, bias = variables_of(simulated, layer.name)
        variable_of(layer).assign(kernel)
        if bias is not None:
            layer.bias.assign(bias)


def variables_of(simulated: Any, name: str) -> tuple[Any, Any]:
    """Kernel and bias variables of a layer, which tfmot's wrapper holds while it simulates."""
    wrapper = next(w for w in simulated.layers if getattr(w, "layer", w).name == name)
    found = {w.name.rpartition("/")[2].partition(":")[0]: w for w in wrapper.weights}
    return found.get("depthwise_kernel", found.get("kernel")), found.get("bias")
