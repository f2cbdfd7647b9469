"""The int8 network as data: read once, passed on frozen."""

from bridge.graph.model import Graph, Operator, Quantization, Tensor
from bridge.graph.read import read_tflite

__all__ = ["Graph", "Operator", "Quantization", "Tensor", "read_tflite"]
