"""From a PyTorch network to a proved int8 .tflite.

The one mechanism is the lift (:mod:`bridge.convert.lift`): PyTorch is exported to ONNX with a
free batch, and each ONNX operator is lowered to a real, trainable Keras layer. Pruning,
quantization-aware training and TensorFlow's int8 converter then work as on any Keras network.
onnx2tf brings the same network over independently, as a witness.
"""

from bridge.convert.options import ConvertOptions, ConvertResult, Fidelity, LayerReport, Proof

__all__ = ["ConvertOptions", "ConvertResult", "Fidelity", "LayerReport", "Proof", "convert"]

from bridge.convert.run import convert
