"""Smaller .tflite files for unmodified TFLite Micro: weights stored through its DECODE operator."""

from bridge.compress.choose import ENCODINGS, TensorCoding
from bridge.compress.model import Compressed, compress_model
from bridge.compress.prove import prove_equal

__all__ = ["ENCODINGS", "Compressed", "TensorCoding", "compress_model", "prove_equal"]
